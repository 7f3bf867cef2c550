"""`jgc.apply`: exactly the dense model, plus masks, plus a quantiser at the sites."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jgc.forward import apply, sites
from jgc.graph import from_edges, layout, pad, sparse_rows
from jgc.models import GAT, GCN, GIN, MODELS, GraphModel
from jgc.prune import apply_masks, full_masks, global_magnitude
from jgc.quant import Quant, qat
from jgc.quant.grid import symmetric_grid
from tests.models.cases import EDGES, TABLE, graph, pooled, variables

GRAPH = graph()
LAYOUT = layout(GRAPH)
# `apply` knows nothing of architectures; these have all that it meets.
each_model = pytest.mark.parametrize("key", ["gcn, batch norm", "gat"])


def applied(model, weights, masks=None, quant=None, **settings):
    """`apply` as one compiled program: quicker than operation by operation."""

    def run(weights, masks, quant, graph, layout):
        return apply(model, weights, graph, masks, quant, layout=layout, **settings)

    return jax.jit(run)(weights, masks, quant, GRAPH, LAYOUT)


def plainly(model, weights, **settings):
    """What flax alone makes of it."""
    run = jax.jit(lambda weights, *on: model.apply(weights, *on, **settings))
    return run(weights, GRAPH, LAYOUT)


def pruned(params, sparsity=0.5):
    prune = global_magnitude(sparsity)
    return prune.update(prune.init(params), params)[0].masks


def quantised(model, weights, quantizer):
    """The quantiser after it has seen the graph once."""
    quant = quantizer.init(weights["params"], sites(model, weights, GRAPH))
    mutable = tuple(name for name in weights if name != "params")
    rngs = {"dropout": jax.random.key(0)}
    return applied(
        model, weights, None, quant, quantizer=quantizer, train=True, rngs=rngs, mutable=mutable
    )[1]


@each_model
def test_without_masks_and_quantiser_it_is_the_model(key):
    model = TABLE[key]
    weights = variables(model, GRAPH)
    out, quant = applied(model, weights)
    assert quant is None
    np.testing.assert_array_equal(out, plainly(model, weights))


@each_model
def test_masked_weights_are_zeros_however_masks_are_given(key):
    model = TABLE[key]
    weights = variables(model, GRAPH)
    masks = pruned(weights["params"])
    zeroed = weights | {"params": apply_masks(weights["params"], masks)}
    expected = plainly(model, zeroed)
    for given in (masks, weights | {"params": masks}):
        out, _ = applied(model, weights, given)
        np.testing.assert_array_equal(out, expected)
    assert (np.asarray(expected) != plainly(model, weights)).any()


def test_parameters_alone_are_enough():
    model = TABLE["gcn"]
    weights = variables(model, GRAPH)
    masks = full_masks(weights["params"])
    out, _ = apply(model, weights["params"], GRAPH, {"params": masks})
    np.testing.assert_allclose(out, model.apply(weights, GRAPH), rtol=1e-6)


@pytest.mark.parametrize("key", ["gat"])
def test_quantised_weights_and_sites_by_hand(key):
    """An interceptor of our own, with the grids of `quant`, does the same."""
    model, quantizer = TABLE[key], qat(4)
    weights = variables(model, GRAPH)
    quant = quantised(model, weights, quantizer)
    out, after = applied(model, weights, None, quant, quantizer=quantizer)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), after, quant))
    rounded = weights | {"params": jax.jit(quantizer.weight)(quant, weights["params"])}
    met = []

    def at_site(call, args, kwargs, context):
        if type(context.module).__name__ != "Site":
            return call(*args, **kwargs)
        met.append("/".join(context.module.path))
        return quantizer.value(quant, met[-1], *args, None, False)[0]

    with nn.intercept_methods(at_site):
        expected = plainly(model, rounded)
    np.testing.assert_array_equal(out, expected)
    assert met == list(sites(model, weights, GRAPH))
    assert (np.asarray(out) != plainly(model, weights)).any()


@pytest.mark.parametrize(
    "model, expected",
    [
        (GCN(hidden=3, out=2),
         ["input", "conv1/message", "conv1/aggregate", "update1", "conv2/message",
          "conv2/aggregate", "output"]),
        (GraphModel(GCN(hidden=3, out=2, layers=1), out=2),
         ["encoder/input", "encoder/conv1/message", "encoder/conv1/aggregate", "encoder/output",
          "readout", "update", "output"]),
    ],
    ids=["gcn", "graph model"],
)  # fmt: skip
def test_sites_come_in_the_order_of_the_forward_pass(model, expected):
    assert list(sites(model, model.init(jax.random.key(0), GRAPH), GRAPH)) == expected


def test_sites_need_shapes_only():
    model = GAT(hidden=2, out=3, heads=2)
    shapes = jax.eval_shape(model.init, jax.random.key(0), GRAPH)
    found = sites(model, shapes["params"], GRAPH, layout(GRAPH))
    assert found["input"].shape == (5, 5) and found["output"].shape == (5, 3)
    assert {name.split("/")[-1] for name in found} >= {"message", "attention", "aggregate"}


@pytest.mark.parametrize("key", [key for key in MODELS if not hasattr(TABLE[key], "task")])
def test_sites_know_which_rows_are_nodes(key):
    """By the identity of the mask: there are 5 graphs, 5 nodes and 5 edges."""
    square = from_edges([0, 1, 1, 2, 3], [1, 0, 2, 1, 3], nodes=GRAPH.nodes, edges=EDGES[:5])
    sparse = square._replace(nodes=sparse_rows(np.eye(5)))
    places = {}
    for on in (square, sparse, pad(square, n_node=6, n_edge=7, n_graph=5)):
        model = pooled(key)
        places = sites(model, jax.eval_shape(model.init, jax.random.key(0), on), on)
        others = {name for name, place in places.items() if not place.of_nodes}
        entries = {"encoder/input"} if on is sparse else set()
        attention = {name for name in places if name.endswith("attention")}
        assert others == {"readout", "update", "output"} | attention | entries
    assert {place.n_graph for place in places.values()} == {5}


def test_a_quant_without_its_quantiser_is_an_error():
    model = TABLE["gcn"]
    with pytest.raises(ValueError, match="`quant` needs its `quantizer`"):
        apply(model, variables(model, GRAPH), GRAPH, quant=Quant({}, {}))


def test_updates_of_mutable_collections_come_third():
    model = TABLE["gcn, batch norm"]
    weights = variables(model, GRAPH)
    out, quant, updates = applied(
        model, weights, train=True, rngs={"dropout": jax.random.key(0)}, mutable=("batch_stats",)
    )
    expected, wanted = plainly(model, weights, train=True, mutable=["batch_stats"])
    assert quant is None and set(updates) == {"batch_stats"}
    np.testing.assert_array_equal(out, expected)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), updates, wanted))


@pytest.mark.parametrize("key", ["gcn"])
def test_ranges_are_observed_in_training_only(key):
    model, quantizer = TABLE[key], qat(8)
    weights = variables(model, GRAPH)
    fresh = quantizer.init(weights["params"], sites(model, weights, GRAPH))
    _, same = applied(model, weights, None, fresh, quantizer=quantizer)
    assert all(int(site.range.count) == 0 for site in same.sites.values())
    seen = quantised(model, weights, quantizer)
    assert "output" not in seen.sites
    assert all(int(site.range.count) == 1 for site in seen.sites.values())
    low, high = GRAPH.nodes.min(), GRAPH.nodes.max()
    assert (seen.sites["input"].range.lo, seen.sites["input"].range.hi) == (low, high)


@pytest.mark.parametrize("key", ["gat", "gin"])
def test_padding_moves_no_range_and_no_answer(key):
    """jraph piles all padding edges on one node, whose sum would stretch every range."""
    model, quantizer = pooled(key), qat(4)
    weights = variables(model, GRAPH)
    quant = quantizer.init(weights["params"], sites(model, weights, GRAPH))
    mutable = tuple(name for name in weights if name != "params")
    results = []
    for on in (GRAPH, pad(GRAPH, n_node=6, n_edge=40, n_graph=2)):
        on = on._replace(nodes=jnp.asarray(on.nodes).at[5:].set(9.0))
        run = jax.jit(
            lambda on: apply(model, weights, on, None, quant, quantizer=quantizer, train=True,
                             rngs={"dropout": jax.random.key(0)}, mutable=mutable)
        )  # fmt: skip
        out, seen, _ = (*run(on), None)[:3]
        results.append((out[:1], seen.sites))
    for one, other in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_gradients_flow_to_float_states_of_a_quantiser():
    """A quantiser whose weight scales are learned: `jgc.apply` is differentiable in `quant`."""
    model = TABLE["gcn"]
    weights = variables(model, GRAPH)
    plain = qat(4)

    def weight(quant, params):
        def scaled(leaf, scale):
            codes = leaf / scale
            return (codes + jax.lax.stop_gradient(codes.round() - codes)) * scale

        return jax.tree.map(scaled, params, quant.weights)

    def value(quant, site, x, mask, key, train):
        return x, quant

    learned = plain._replace(weight=weight, value=value)
    scales = jax.tree.map(
        lambda p: symmetric_grid(jnp.abs(jnp.asarray(p)).max(), 4).scale, weights["params"]
    )
    base = plain.init(weights["params"], sites(model, weights, GRAPH))

    def loss(scales):
        out, _ = apply(
            model, weights, GRAPH, None, base._replace(weights=scales), quantizer=learned
        )
        return (out**2).sum()

    gradient = jax.jit(jax.grad(loss))(scales)
    assert all(np.isfinite(g) and g != 0 for g in jax.tree.leaves(gradient))
    # The rounding is straight through: d(scale * round(w / scale)) = round(w / scale) - w / scale.
    params = weights["params"]
    rounded, back = jax.vjp(
        lambda p: model.apply({"params": p}, GRAPH), weight(base._replace(weights=scales), params)
    )
    (by_weight,) = back(2 * rounded)
    by_hand = jax.tree.map(
        lambda g, p, s: (g * ((p / s).round() - p / s)).sum(), by_weight,
        jax.tree.map(jnp.asarray, params), scales,
    )  # fmt: skip
    for found, expected in zip(*map(jax.tree.leaves, (gradient, by_hand)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_gradients_of_pruned_weights_are_zero():
    model = TABLE["gcn"]
    weights = variables(model, GRAPH)
    masks = pruned(weights["params"])
    square = jax.grad(lambda p: (apply(model, p, GRAPH, masks)[0] ** 2).sum())
    gradient = jax.jit(square)(weights["params"])
    zero = jax.tree.map(lambda g, m: (np.asarray(g)[~np.asarray(m)] == 0).all(), gradient, masks)
    assert jax.tree.all(zero)


def test_it_lowers_for_every_platform():
    """Masks, bits and graph are arguments; only shapes are fixed."""
    model = GIN(hidden=4, out=3, layers=1)
    weights = model.init(jax.random.key(0), GRAPH)
    quantizer = qat(8)
    quant = quantizer.init(weights["params"], sites(model, weights, GRAPH))
    masks = full_masks(weights["params"])

    @jax.jit
    def forward(weights, masks, quant, graph, layout):
        return apply(model, weights, graph, masks, quant, quantizer=quantizer, layout=layout)[0]

    on = layout(GRAPH, "segment")
    arguments = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(np.shape(a), jnp.asarray(a).dtype),
        (weights, masks, quant, GRAPH, on),
    )
    lowered = export.export(forward, platforms=("cpu", "cuda", "tpu"))(*arguments)
    assert set(lowered.platforms) == {"cpu", "cuda", "tpu"}
