"""Compaction: fewer numbers, the same answers; on every model of the table."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgc
from jgc import pack, quant
from jgc.graph import layout
from jgc.models import GAT, GCN, MLP, GraphModel
from jgc.models.layers import Linear
from jgc.pack import compact
from jgc.pack.compaction.fate import ANSWER, STANDS, VARIES, WRONG
from jgc.tree import map_named, named_leaves
from tests.graph.cases import NEEDS_KERNELS
from tests.models.cases import TABLE, edgeless, graph, pooled, variables

# Sums of float32 numbers with fewer terms, relative to the largest answer.
TOLERANCE = 1e-5
CASES = {**TABLE, **{f"{key}, whole": pooled(key) for key in ("gcn", "gin", "sage", "mlp", "gat")}}
models = pytest.mark.parametrize("key", CASES)


def of_blocks(columns):
    """The middle two of every four columns go."""
    return ~np.isin(columns % 4, [1, 2])


def masks_of(params, kept):
    """Masks of all kernels by their columns."""
    return map_named(
        lambda name, leaf: np.broadcast_to(
            kept(np.arange(leaf.shape[-1])) if name.endswith("/kernel") else True, leaf.shape
        ),
        params,
    )


@functools.cache
def compacted(key):
    model, whole = CASES[key], variables(CASES[key], graph())
    second_head = lambda columns: columns // 4 % 2 == 0  # noqa: E731
    masks = masks_of(whole["params"], second_head if "gat" in key else of_blocks)
    return model, whole, masks, compact(model, whole, graph(), masks)


def n_numbers(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def close(got, expected):
    expected = np.asarray(expected)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


@models
def test_the_answers_are_those_of_the_masked_model(key):
    model, whole, masks, small = compacted(key)
    for on in (graph(), edgeless()):
        run = jax.jit(lambda v, on, at, masks=None: jgc.apply(model, v, on, masks, layout=at)[0])
        close(run(small.variables, on, layout(on)), run(whole, on, layout(on), masks))


# What stays of 4 columns, 2 of them pruned; three answers always stay. A new model needs no row.
LESS = {
    "gcn": {"conv1/linear": (4, 2), "conv2/linear": (3, 3)},
    "gcn, batch norm": {"conv1/linear": (4, 2), "conv2/linear": (4, 2), "conv3/linear": (3, 3)},
    "gnnnet": {"conv1/linear": (4, 2), "conv2/linear": (4, 2), "conv3/linear": (3, 3)},
    "ssp": {"conv1/linear": (4, 2), "conv2/linear": (3, 3)},
    "gat": {"conv1/linear": (8, 4), "conv2/linear": (9, 9)},
    "supergat": {"conv1/linear": (8, 4), "conv2/linear": (9, 9)},
    "supergat, sd": {"conv1/linear": (8, 4), "conv2/linear": (9, 9)},
    "gin": {"conv1/mlp/first": (4, 2), "conv1/mlp/second": (4, 2), "conv2/mlp/first": (3, 1)},
    "gin, bare": {"conv1/mlp/first": (3, 1)},
    "gin-a2q": {"conv1/mlp/first": (4, 2), "conv1/mlp/second": (4, 2), "conv2/mlp/first": (3, 1)},
    "sage": {"conv1/neighbour": (4, 2), "conv1/self": (4, 2), "conv2/self": (3, 3)},
    "sage, batch norm": {"conv1/neighbour": (4, 2), "conv1/self": (4, 2)},
    "graphconv": {"conv1/neighbour": (4, 2), "conv1/self": (4, 2)},
    "mlp": {"linear1": (4, 2)},
    "splinecnn": {"conv1/linear": (8, 4), "conv1/root": (4, 2)},
    "splinecnn, edges": {"conv1/linear": (36, 18), "conv1/root": (4, 2)},
    "mpnn": {"conv1/linear": (16, 8), "conv1/root": (4, 2), "conv1/edge": (3, 3)},
    "mpnn, bare": {"conv1/linear": (12, 12)},
    "hgp-sl": {"conv1/linear": (4, 4), "head1": (4, 2), "head2": (2, 1)},
    "walkpool": {"attention/key1_0": (4, 2), "head1": (88, 44), "attention/key2": (8, 8)},
    "ness": {"linear": (3, 3)},
    "gcn, whole": {"encoder/conv1/linear": (4, 2), "encoder/conv2/linear": (3, 2), "head1": (3, 1)},
    "gin, whole": {"encoder/conv1/mlp/second": (4, 2), "encoder/conv2/mlp/second": (3, 2)},
    "sage, whole": {"encoder/conv1/self": (4, 2), "encoder/conv2/self": (3, 2), "head1": (3, 1)},
    "mlp, whole": {"encoder/linear1": (4, 2), "encoder/linear2": (3, 2), "head1": (3, 1)},
    "gat, whole": {"encoder/conv1/linear": (8, 4), "encoder/conv2/linear": (9, 9)},
}


@models
def test_arrays_are_really_smaller(key):
    _, whole, _, small = compacted(key)
    found = {layer.path: (layer.before, layer.after) for layer in small.layers}
    assert LESS.get(key, {}).items() <= found.items()
    for path, (_, after) in found.items():
        assert named_leaves(small.variables)[f"params/{path}/kernel"].shape[1] == after
    shrunk = any(before > after for before, after in found.values())
    assert (n_numbers(small.variables) < n_numbers(whole)) == shrunk


@models
def test_what_is_pruned_and_still_there_has_a_reason(key):
    _, _, _, small = compacted(key)
    params = named_leaves(small.variables["params"])
    for layer in small.layers:
        pruned = ~np.asarray(params[f"{layer.path}/kernel"]).any(0)
        assert sum(layer.stayed.values()) == pruned.sum()
        assert set(layer.stayed) <= {ANSWER, STANDS, VARIES}


@models
def test_masks_have_the_new_shapes_and_keep_what_is_not_zero(key):
    _, _, _, small = compacted(key)
    jax.tree.map(
        lambda leaf, mask: np.testing.assert_array_equal(np.asarray(leaf)[~np.asarray(mask)], 0),
        small.variables["params"],
        small.masks,
    )


@models
def test_compacting_twice_is_compacting_once(key):
    model, _, _, small = compacted(key)
    again = compact(model, small.variables, graph(), small.masks)
    jax.tree.map(np.testing.assert_array_equal, again.variables, small.variables)


def chain(**settings):
    """A GCN on the graph of the table, and all its variables."""
    model = GCN(hidden=6, out=3, layers=3, dropout=0.0, **settings)
    return model, variables(model, graph())


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_any_columns_of_any_layer(seed, batch_norm):
    model, whole = chain(batch_norm=batch_norm)
    rng = np.random.default_rng(seed)
    masks = masks_of(whole["params"], lambda columns: rng.random(columns.size) < 0.5)
    small = compact(model, whole, graph(), masks)
    close(
        jgc.apply(model, small.variables, graph())[0],
        jgc.apply(model, whole, graph(), masks)[0],
    )
    for layer in small.layers[:-1]:
        kept = masks["params" if "params" in masks else layer.path.split("/")[0]]["linear"][
            "kernel"
        ]
        assert layer.after == max(1, kept.any(0).sum()), layer


def test_a_layer_that_is_gone_altogether_keeps_one_output():
    model, whole = chain()
    masks = masks_of(whole["params"], lambda columns: columns % 2 == 0)
    masks["conv2"]["linear"]["kernel"] = np.zeros((6, 6), bool)
    small = compact(model, whole, graph(), masks)
    assert small.layers[1][:3] == ("conv2/linear", 6, 1)
    # Nobody reads the layer before any more.
    assert small.layers[0][:3] == ("conv1/linear", 6, 1)
    close(jgc.apply(model, small.variables, graph())[0], jgc.apply(model, whole, graph(), masks)[0])


def test_where_nothing_is_pruned_nothing_changes():
    model, whole = chain()
    masks = jax.tree.map(lambda leaf: np.ones(leaf.shape, bool), whole["params"])
    for given in (None, masks):
        small = compact(model, whole, graph(), given)
        jax.tree.map(np.testing.assert_array_equal, small.variables, whole)
        assert small.layers == ()


def test_zeros_that_leave_and_nothing_else_change_no_bit():
    """Without biases all constants are 0, and whole numbers are summed exactly."""
    model, whole = chain()
    whole = jax.tree.map(lambda leaf: np.round(leaf * 8) * (leaf.ndim > 1), whole)
    ring = jgc.graph.from_edges(
        np.arange(12) % 4, [1, 2, 3, 0, 2, 3, 0, 1, 3, 0, 1, 2], nodes=np.eye(4, 5)
    )  # With its own value every node hears 4, whose root is exact.
    masks = masks_of(whole["params"], lambda columns: columns % 2 == 0)
    masks["conv3"] = jax.tree.map(np.ones_like, masks["conv3"])
    small = compact(model, whole, ring, masks)
    assert [layer.after for layer in small.layers] == [3, 3, 3]
    expected = jgc.apply(model, whole, ring, masks)[0]
    assert np.abs(expected).max() > 1
    np.testing.assert_array_equal(jgc.apply(model, small.variables, ring)[0], expected)
    assert "bias" not in small.variables["params"]["conv2"]["linear"]


def test_by_hand():
    """Unit 1 of 2 is pruned, its bias 3 lives: ReLU(3) times its row 5 is the new bias, 15."""
    params = {
        "conv1": {"bias": jnp.array([0.0, 3.0]), "linear": {"kernel": jnp.array([[2.0, 7.0]])}},
        "conv2": {"bias": jnp.array([1.0]), "linear": {"kernel": jnp.array([[4.0], [5.0]])}},
    }
    masks = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), params)
    masks["conv1"]["linear"]["kernel"] = jnp.array([[True, False]])
    pair = jgc.graph.from_edges([0], [1], nodes=[[1.0], [3.0]], undirected=True)
    model = GCN(hidden=2, out=1)
    small = compact(model, params, pair, masks)
    assert jax.tree.map(lambda leaf: leaf.tolist(), small.variables["params"]) == {
        "conv1": {"bias": [0.0], "linear": {"kernel": [[2.0]]}},
        "conv2": {"bias": [1.0], "linear": {"kernel": [[4.0]], "bias": [15.0]}},
    }
    assert small.masks["conv2"]["linear"]["bias"].all()
    # Both nodes hear (1 + 3) / 2 = 2, times 2 is 4, times 4 is 16; 15 and 1 beside.
    np.testing.assert_allclose(jgc.apply(model, small.variables, pair)[0], [[32.0], [32.0]])


def test_constants_behind_a_sum_of_nodes_become_one():
    """Biases 2 and 6 of pruned outputs: the larger stands for both, 3 + 10 * 2 / 6."""
    params = {
        "encoder": {
            "linear1": {"kernel": jnp.array([[1.0, 9.0, 9.0]]), "bias": jnp.array([0.0, 2.0, 6.0])}
        },
        "head1": {"kernel": jnp.array([[1.0], [10.0], [3.0]]), "bias": jnp.zeros(1)},
        "head2": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)},
    }
    masks = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, bool), params)
    masks["encoder"]["linear1"]["kernel"] = jnp.array([[True, False, False]])
    model = GraphModel(MLP(hidden=1, out=3, layers=1), out=1)
    on = jgc.graph.from_edges([0], [1], nodes=[[1.0], [3.0]])
    small = compact(model, params, on, masks)
    assert small.layers[0] == ("encoder/linear1", 3, 2, {STANDS: 1})
    np.testing.assert_allclose(
        small.variables["params"]["head1"]["kernel"], [[1.0], [3 + 10 / 3]], rtol=1e-6
    )
    # The nodes' sum is 4; the two constants count for each of two nodes: 2 * (2 * 10 + 6 * 3).
    np.testing.assert_allclose(jgc.apply(model, small.variables, on)[0], [[4.0 + 76.0]])


def test_heads_shrink_their_attention_too():
    model, _, _, small = compacted("gat")
    params = small.variables["params"]["conv1"]
    assert params["att_source"].shape == params["att_target"].shape == (1, 1, 4)
    assert params["bias"].shape == (4,) and isinstance(model, GAT)


def test_batch_statistics_shrink():
    _, _, _, small = compacted("gin")
    norm = small.variables["batch_stats"]["conv1"]["mlp"]["norm"]
    assert norm["mean"].shape == norm["var"].shape == (2,)


def trained(model, quantizer, on):
    """Variables and a quantiser that has seen the graph."""
    whole = variables(model, on)
    state = quantizer.init(whole["params"], jgc.sites(model, whole, on))
    _, state, _ = jgc.apply(
        model, whole, on, None, state, quantizer=quantizer, train=True,
        rngs={"dropout": jax.random.key(0)}, mutable=("batch_stats",),
    )  # fmt: skip
    return whole, state


QUANTISERS = {
    "qat": lambda: quant.qat(8),
    "qat, affine": lambda: quant.qat(4, symmetric_weights=False, per_channel=False),
    "degree": lambda: quant.degree(4),
    "a2q": lambda: quant.a2q(4),
}


@pytest.mark.parametrize("name", QUANTISERS)
@pytest.mark.parametrize("key", ["gcn", "gin", "mlp, whole"])
def test_quantised_models_answer_alike_and_pack(key, name, tmp_path):
    model, on, quantizer = CASES[key], graph(), QUANTISERS[name]()
    whole, state = trained(model, quantizer, on)
    masks = masks_of(whole["params"], of_blocks)
    small = compact(model, whole, on, masks, state, quantizer)
    assert n_numbers(small.variables) < n_numbers(whole)
    expected = jgc.apply(model, whole, on, masks, state, quantizer=quantizer)[0]
    got = jgc.apply(model, small.variables, on, None, small.quant, quantizer=small.quantizer)[0]
    close(got, expected)
    file = pack.save(
        tmp_path / "model.safetensors", small.variables["params"], small.masks, small.quant.weights,
        symmetric=quantizer.symmetric_weights,
    )  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, file.params, small.variables["params"])


def test_learned_grids_count_the_new_widths():
    model, on, quantizer = CASES["gcn"], graph(), quant.a2q(4)
    whole, state = trained(model, quantizer, on)
    whole["params"]["conv1"]["bias"] = np.full(4, -9.0, np.float32)  # So that nothing lives on.
    masks = masks_of(whole["params"], of_blocks)
    small = compact(model, whole, on, masks, state, quantizer)
    assert float(state.sites["update1"].width) == 4
    assert float(small.quant.sites["update1"].width) == 2


def test_a_file_of_pruned_neurons_holds_no_positions(tmp_path):
    model, whole = chain()
    masks = masks_of(whole["params"], lambda columns: columns % 2 == 0)
    masks["conv3"] = jax.tree.map(np.ones_like, masks["conv3"])
    small = compact(model, whole, graph(), masks)
    file = pack.save(tmp_path / "m.safetensors", small.variables["params"], small.masks)
    assert {info.positions for info in file.tensors} == {"dense"}
    assert file.n_bytes < pack.file_bytes(whole["params"], masks)
    got = jgc.apply(model, file.params, graph())[0]
    close(got, jgc.apply(model, whole, graph(), masks)[0])


@pytest.mark.parametrize("backend", ["segment", pytest.param("native", marks=NEEDS_KERNELS)])
def test_integers_run_on_the_smaller_arrays(backend):
    model, on, quantizer = CASES["gcn"], graph(), quant.qat(8)
    whole, state = trained(model, quantizer, on)
    small = compact(model, whole, on, masks_of(whole["params"], of_blocks), state, quantizer)
    at = layout(on, backend)
    ints = pack.integer_model(small.variables, small.quant, small.quantizer)
    assert ints.weights["conv1/linear"][0].width == 2
    got = pack.integer_apply(model, ints, on, quantizer=small.quantizer, layout=at)
    expected = jgc.apply(
        model, small.variables, on, None, small.quant, quantizer=small.quantizer, layout=at
    )[0]
    np.testing.assert_allclose(got, expected, atol=0.05 * np.abs(expected).max())


class Own(nn.Module):
    """Two maps of any kind with ReLU between."""

    linear: type[nn.Module]
    relu: Callable[[jax.Array], jax.Array]

    @nn.compact
    def __call__(self, graph, layout=None, *, train=False):
        return self.linear(2, name="b")(self.relu(self.linear(4, name="a")(graph.nodes)))


def test_a_model_of_ones_own():
    def tidy(x):  # Hides that most of a row depends on the features.
        return jnp.where(jnp.isnan(x).sum(1)[:, None] > 1, 0, jnp.maximum(x, 0))

    for model, expected in (
        (Own(Linear, jax.nn.relu), (("a", 4, 2, {}), ("b", 2, 2, {ANSWER: 1}))),
        (Own(Linear, tidy), (("a", 4, 4, {WRONG: 3}), ("b", 2, 2, {ANSWER: 1}))),
        (Own(nn.Dense, jax.nn.relu), ()),
    ):
        whole = variables(model, graph())
        masks = masks_of(whole["params"], of_blocks)
        small = compact(model, whole, graph(), masks)
        assert small.layers == expected
        close(jgc.apply(model, small.variables, graph())[0],
              jgc.apply(model, whole, graph(), masks)[0])  # fmt: skip


def test_a_state_needs_its_quantiser():
    model, whole = chain()
    with pytest.raises(ValueError, match="`quant` needs its `quantizer`"):
        compact(model, whole, graph(), None, quant.Quant({}, {}))
