"""Duties of every model of the table."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import jgc.forward
from jgc.graph import batch, layout, pad, sparse_rows
from jgc.models import MODELS
from tests.models.cases import OF_GRAPHS, TABLE, WIDTH, WIDTHS, edgeless, graph, pooled, variables

models = pytest.mark.parametrize("key", TABLE)
# Duties that compile much and that a batch norm more or less does not touch.
architectures = pytest.mark.parametrize("key", MODELS)
# Two layers of sums of float32 numbers near 1, in another order.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


@functools.cache
def compiled(key, train=False, whole=False):
    """`(variables, graph, layout) -> (result, updated statistics)`."""
    model = pooled(key) if whole else TABLE[key]
    return jax.jit(
        lambda variables, graph, at: model.apply(
            variables, graph, at, train=train, mutable=["batch_stats"]
        )
    )


@functools.cache
def weights(key, whole=False):
    return variables(pooled(key) if whole else TABLE[key], graph())


def run(key, on, train=False):
    return compiled(key, train)(weights(key), on, layout(on))


def close(got, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **TOLERANCE), got, expected)


def n_answer(key):
    """Answers to `graph()`."""
    return 1 if key in OF_GRAPHS else 5


@models
def test_shape_type_and_finiteness(key):
    result, _ = run(key, graph())
    assert result.shape == (n_answer(key), 3) and result.dtype == jnp.float32
    assert np.isfinite(result).all() and np.abs(result).max() > 0


@models
@pytest.mark.parametrize("train", [False, True])
def test_padding_changes_no_real_number_nor_any_statistic(key, train):
    padded = pad(graph(), n_node=11, n_edge=13, n_graph=3)
    # Features that would show in every norm and sum that they leaked into.
    nodes = np.where(np.arange(11)[:, None] < 5, padded.nodes, 100).astype(np.float32)
    result, stats = run(key, padded._replace(nodes=nodes), train)
    close((result[: n_answer(key)], stats), (run(key, graph(), train)))


@pytest.mark.parametrize(
    "key", [k for k in TABLE if "a2q" in k or getattr(TABLE[k], "batch_norm", False)]
)
def test_statistics_move_in_training_only(key):
    before = weights(key)["batch_stats"]
    jax.tree.map(np.testing.assert_array_equal, run(key, graph())[1], {"batch_stats": before})
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), run(key, graph(), True)[1]["batch_stats"], before
    )
    assert min(jax.tree.leaves(moved)) > 1e-3


@models
def test_relabelling_nodes_permutes_the_result(key):
    new = np.array([3, 0, 4, 2, 1])
    g = graph()
    nodes = np.empty_like(g.nodes)
    nodes[new] = g.nodes
    renamed = g._replace(nodes=nodes, senders=new[g.senders], receivers=new[g.receivers])
    result = run(key, renamed, True)[0]
    close(result if key in OF_GRAPHS else result[new], run(key, g, True)[0])


@models
def test_a_batch_is_its_graphs_one_by_one(key):
    joined = batch([graph(), edgeless()])
    result, _ = run(key, joined)
    close(result, jnp.concatenate([run(key, graph())[0], run(key, edgeless())[0]]))


@architectures
def test_a_plain_graph_is_enough(key):
    close(jax.jit(TABLE[key].apply)(weights(key), graph()), run(key, graph())[0])


@architectures
def test_sparse_features_are_dense_features(key):
    nodes = graph().nodes * (np.arange(WIDTH) % 2)
    dense, sparse = graph(nodes), graph(sparse_rows(nodes))

    def loss(params, on):
        full = weights(key) | {"params": params}
        return (compiled(key)(full, on, layout(on, "segment"))[0] ** 2).sum()

    gradient = jax.jit(jax.value_and_grad(loss))
    params = weights(key)["params"]
    got, expected = gradient(params, sparse), gradient(params, dense)
    scale = max(np.abs(leaf).max() for leaf in jax.tree.leaves(expected))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * scale), got, expected
    )


@architectures
def test_vmap_over_seeds_is_a_loop(key):
    name, on, at = key, graph(), layout(graph())
    model = TABLE[name].clone(dropout=0.5)

    def loss(params, key):
        out, _ = model.apply(
            weights(name) | {"params": params}, on, at,
            train=True, rngs={"dropout": key}, mutable=["batch_stats"],
        )  # fmt: skip
        return (out**2).mean()

    @jax.jit
    def gradient(key):
        scale = 1 + jax.random.uniform(key)
        params = jax.tree.map(lambda leaf: leaf * scale, weights(name)["params"])
        return jax.value_and_grad(loss)(params, key)

    keys = jax.random.split(jax.random.key(0), 3)
    lanes = jax.jit(jax.vmap(gradient))(keys)
    loop = jax.tree.map(lambda *leaves: np.stack(leaves), *map(gradient, keys))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), lanes, loop)
    assert len(set(lanes[0].tolist())) == 3


@models
def test_gradients_are_finite_on_a_graph_without_edges(key):
    on = edgeless()

    @jax.jit
    def gradient(params):
        def loss(params):
            out = compiled(key, True)(weights(key) | {"params": params}, on, layout(on))[0]
            return (out**2).sum()

        return jax.grad(loss)(params)

    grads = gradient(weights(key)["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(grads)) > 0


@architectures
def test_dropout_acts_in_training_and_by_its_key(key):
    model = TABLE[key].clone(dropout=0.5)
    run = jax.jit(
        lambda k: model.apply(
            weights(key), graph(), train=True, rngs={"dropout": k}, mutable=["batch_stats"]
        )[0]
    )
    first, again, other = (run(jax.random.key(i)) for i in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


@models
@pytest.mark.parametrize("whole", [False, True])
def test_sites_are_listed_in_the_order_they_are_visited(key, whole):
    model = pooled(key) if whole else TABLE[key]
    listed = jgc.forward.sites(model, weights(key, whole), graph())
    assert list(listed) and len(set(listed)) == len(listed)
    words = {path.rsplit("/", 1)[-1].rstrip("123456789") for path in listed}
    wanted = {"input", "output"} if "mlp" in key else {"input", "message", "aggregate", "output"}
    assert wanted <= words
    weighted = key.startswith(("gat", "supergat", "splinecnn", "mpnn", "hgp-sl"))
    assert ("attention" in words) == weighted
    assert list(listed)[-1] == "output"

    visited = []

    def value(quant, site, x, mask, key, train):
        visited.append(site)
        assert mask.dtype == bool and mask.shape == x.shape[:1]
        assert (x.shape, x.dtype) == (listed[site].shape, listed[site].dtype)
        return x, quant

    quantizer = SimpleNamespace(weight=lambda quant, params: params, value=value)
    forward = functools.partial(jgc.forward.apply, model, quant=(), quantizer=quantizer)
    jax.eval_shape(forward, weights(key, whole), graph())
    assert visited == list(listed)


@models
def test_lowers_for_every_platform(key):
    args = jax.eval_shape(lambda: (weights(key, True), graph(), layout(graph(), "segment")))
    platforms = ["cpu", "cuda", "tpu"]
    program = export.export(compiled(key, True, True), platforms=platforms)(*args)
    assert program.platforms == tuple(platforms)


@pytest.mark.parametrize("name", MODELS)
def test_defaults_run_and_depth_is_a_setting(name):
    depth = {"layers": 3} if hasattr(MODELS[name], "layers") else {}
    model = MODELS[name](out=3, **WIDTHS[name], **depth)
    shapes = jax.eval_shape(model.init_with_output, jax.random.key(0), graph())
    assert shapes[0].shape == (n_answer(name), 3)
    stack = [layer for layer in shapes[1]["params"] if layer in ("conv3", "linear3")]
    assert len(stack) == len(depth)
