"""A model on integers: the fake-quantised model's own numbers, and plain floats where it cannot."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgc
from jgc.graph import batch, from_edges, layout
from jgc.models import GAT, GCN, GIN, GNAE, MLP, GraphModel, GraphSAGE
from jgc.pack.run.integer import integer_apply, integer_model
from jgc.quant import Quant, Site, a2q, degree, qat
from jgc.quant.learned import Learned
from jgc.quant.ranges import RangeState
from tests.graph.cases import BYTE_BACKENDS

backends = pytest.mark.parametrize("backend", BYTE_BACKENDS)


def regular(n=40, degree=3, width=6, seed=0):
    """Every node hears `degree` others: with its own value 4, whose root is exact."""
    rng = np.random.default_rng(seed)
    senders = np.concatenate([(np.arange(n) + s) % n for s in range(1, degree + 1)])
    nodes = rng.integers(0, 200, (n, width)).astype(np.float32) / 8
    return from_edges(senders, np.tile(np.arange(n), degree), nodes=nodes, n_node=n)


def ran(model, graph, quantizer, backend):
    """A model whose quantiser has seen the graph once."""
    at = layout(graph, backend)
    variables = model.init(jax.random.key(0), graph, at)
    quant = quantizer.init(variables["params"], jgc.sites(model, variables, graph, at))
    mutable = tuple(name for name in variables if name != "params")
    result = jgc.apply(
        model, variables, graph, None, quant, quantizer=quantizer, layout=at, train=True,
        rngs={"dropout": jax.random.key(1)}, mutable=mutable,
    )  # fmt: skip
    return at, variables | (dict(result[2]) if mutable else {}), result[1]


def both(model, graph, quantizer, at, variables, quant, masks=None):
    fake = jax.jit(
        lambda v, g, q, at: jgc.apply(model, v, g, masks, q, quantizer=quantizer, layout=at)[0]
    )(variables, graph, quant, at)
    state = integer_model(variables, quant, quantizer, masks)
    found = jax.jit(lambda s, g, at: integer_apply(model, s, g, quantizer=quantizer, layout=at))(
        state, graph, at
    )
    return np.asarray(fake), np.asarray(found)


@backends
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(
    "model, degree",
    [
        (GCN(hidden=9, out=5, layers=3), 3),
        (GIN(hidden=9, out=5, layers=2, batch_norm=False), 3),
        (GraphSAGE(hidden=9, out=5, layers=2), 4),
        (MLP(hidden=9, out=5, layers=2, batch_norm=False), 3),
    ],
)
def test_where_float_sums_are_exact_all_bits_agree(model, degree, symmetric, backend):
    graph, quantizer = regular(degree=degree), qat(8, symmetric_values=symmetric)
    at, variables, quant = ran(model, graph, quantizer, backend)

    # All steps are powers of two, so that no float32 sum of either side is rounded.
    def exact(leaf):
        if leaf.ndim < 2:
            return jnp.round(leaf * 64) / 64
        codes = jnp.round(127 * leaf / jnp.abs(leaf).max(0, keepdims=True))
        return codes.at[0].set(127) / 256

    params = jax.tree.map(exact, variables["params"])
    quant = quant._replace(
        sites={
            name: Site(RangeState(jnp.int32(1), *(jnp.float32(b) for b in bounds)), site.bits)
            for name, site in quant.sites.items()
            for bounds in [(-127 / 8, 127 / 8) if symmetric else (-64 / 8, 191 / 8)]
        }
    )
    fake, found = both(model, graph, quantizer, at, variables | {"params": params}, quant)
    assert np.unique(fake).size > 10
    np.testing.assert_array_equal(found, fake)


@backends
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("method", [qat, degree])
@pytest.mark.parametrize(
    "model",
    [
        GCN(hidden=16, out=5, layers=2, batch_norm=True),
        GIN(hidden=16, out=5, layers=2),
        GraphSAGE(hidden=16, out=5, layers=2),
    ],
)
def test_elsewhere_they_differ_by_the_rounding_of_floats(model, method, bits, backend):
    rng = np.random.default_rng(1)
    n, e = 300, 1500
    nodes = rng.normal(size=(n, 20)).astype(np.float32)
    graph = from_edges(rng.integers(0, n, e), rng.integers(0, n, e), nodes=nodes, n_node=n)
    quantizer = method(bits)
    at, variables, quant = ran(model, graph, quantizer, backend)
    masks = jax.tree.map(lambda leaf: jnp.abs(leaf) > 0.05, variables["params"])
    quant = quant._replace(
        sites={
            name: site._replace(range=widened(site.range, 1.0137 + 0.0071 * i))
            for i, (name, site) in enumerate(quant.sites.items())
        }
    )
    fake, found = both(model, graph, quantizer, at, variables, quant, masks)
    # A sum within a float's rounding of the middle of two codes may go to the other one.
    assert np.isclose(found, fake, rtol=1e-4, atol=1e-4 * fake.std()).mean() > 0.98
    assert np.abs(found - fake).mean() < 0.005 * fake.std()


def widened(seen, factor):
    """A range whose step is no fraction of another site's.

    As seen, a range of sums is so many of the summed codes' steps wide: some sums then lie exactly
    in the middle of two codes, and the last bit of a float, which differs between versions of jax,
    chooses the side of a sixth of the outputs.
    """
    return seen._replace(lo=seen.lo * jnp.float32(factor), hi=seen.hi * jnp.float32(factor))


@backends
@pytest.mark.parametrize("model", [GAT(hidden=4, heads=2, out=3), GNAE(out=6)])
def test_models_that_are_not_ready_run_in_float(model, backend):
    graph, quantizer = regular(), qat(8)
    fake, found = both(model, graph, quantizer, *ran(model, graph, quantizer, backend))
    np.testing.assert_allclose(found, fake, rtol=1e-6, atol=1e-6)


def test_a_readout_decodes():
    graph, quantizer = regular(), qat(8)
    model = GraphModel(GCN(hidden=8, out=8), out=2)
    fake, found = both(model, graph, quantizer, *ran(model, graph, quantizer, "segment"))
    assert found.shape == (1, 2)
    np.testing.assert_allclose(found, fake, rtol=0.05, atol=0.02)


def test_integers_are_really_summed():
    """The program holds no float32 product of two matrices."""
    graph, quantizer, model = regular(), qat(8), GCN(hidden=9, out=5)
    at, variables, quant = ran(model, graph, quantizer, "segment")
    state = integer_model(variables, quant, quantizer)
    text = str(jax.make_jaxpr(lambda s: integer_apply(model, s, graph, quantizer=quantizer,
                                                      layout=at))(state))  # fmt: skip
    assert text.count("preferred_element_type=int32") == 2
    assert "preferred_element_type=float32" not in text


def two_graphs():
    return batch([regular(n=30, seed=1), regular(n=20, seed=2)])


@backends
@pytest.mark.parametrize("graph", [regular, two_graphs], ids=["a grid a node", "groups"])
@pytest.mark.parametrize("signed", [False, True])
def test_nodes_with_grids_of_their_own_are_multiplied_as_bytes(graph, signed, backend):
    graph, model = graph(), GIN(hidden=9, out=5, layers=2)
    if signed:
        graph = graph._replace(nodes=graph.nodes - 10)
    quantizer = a2q(5)
    at, variables, quant = ran(model, graph, quantizer, backend)
    # Widths from 1 to 8 bits, as training would leave them.
    quant = quant._replace(
        sites={
            name: site._replace(bits=jnp.linspace(1, 8, site.bits.shape[0]))
            if isinstance(site, Learned)
            else site
            for name, site in quant.sites.items()
        }
    )
    fake, found = both(model, graph, quantizer, at, variables, quant)
    np.testing.assert_allclose(found, fake, rtol=1e-3, atol=2e-3 * fake.std())
    state = integer_model(variables, quant, quantizer)
    text = str(jax.make_jaxpr(lambda s: integer_apply(model, s, graph, quantizer=quantizer,
                                                      layout=at))(state))  # fmt: skip
    bytes_in = "jgc_byte_matmul" if backend == "native" else "preferred_element_type=int32"
    assert text.count(bytes_in) == 2  # the first map of each layer, as with `qat`


def test_a_quantiser_without_grids_of_values_is_refused():
    quantizer = qat(4)._replace(byte_grid=None)
    with pytest.raises(ValueError, match="knows no grids of values beforehand"):
        integer_model({"kernel": jnp.ones((2, 2))}, Quant({}, {}), quantizer)
