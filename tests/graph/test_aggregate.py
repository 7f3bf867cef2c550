"""Duties of every back end, reduction and kind of weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jgc.graph import (
    aggregate,
    layout,
    pad,
    pool,
)
from jgc.graph.product import BACKENDS
from tests.graph.cases import GRAPHS, dense, mixed, random_graph

HEADS, WIDTH, LANES = 2, 3, 4
# Sums of a dozen float32 numbers near 1, in another order: a few units in the last place.
TOLERANCE = {"rtol": 1e-5, "atol": 2e-6}
CASES = [
    (backend, reduce, kind)
    for backend in BACKENDS
    for reduce in ("sum", "mean", "softmax", "max")
    for kind in ("none", "edge", "head")
    if reduce != "max" or kind == "none"
]
# A mean is a sum divided by constants, and weights a head run as `segment` on every back end:
# duties that compile much leave both to the comparison with the dense formula, and so `scatter`,
# which is `segment` less a promise.
APART = [
    c for c in CASES
    if c[1] != "mean" and c[0] != "scatter" and (c[0] == "segment" or c[2] != "head")
]  # fmt: skip
FEW = [("segment", "softmax", "head"), ("segment", "max", "none"), ("bcsr", "sum", "edge")]
all_cases = pytest.mark.parametrize("backend, reduce, kind", CASES)
cases = pytest.mark.parametrize("backend, reduce, kind", APART)
few_cases = pytest.mark.parametrize("backend, reduce, kind", FEW)


def inputs(n_node, n_edge, kind, seed=0, lanes=()):
    """Values `[*lanes, n_node, heads, d]` and weights in the caller's edge order."""
    rng = np.random.default_rng(seed)
    shape = {"none": None, "edge": (*lanes, n_edge), "head": (*lanes, n_edge, HEADS)}[kind]
    values = rng.normal(size=(*lanes, n_node, HEADS, WIDTH)).astype(np.float32)
    return values, None if shape is None else rng.normal(size=shape).astype(np.float32)


def loss(values, weights, reduce, at):
    # Curved in the result, so that its gradients depend on everything.
    return jnp.sin(2 * aggregate(values, at, weights, reduce)).sum()


def dense_loss(values, weights, reduce, edges):
    weights = weights if weights is None or weights.ndim == 2 else weights[:, None]
    return jnp.sin(2 * dense(reduce, edges, values, weights, jnp)).sum()


@functools.cache
def compiled(reduce, second=False):
    """Result and gradients with respect to the inputs, or (second) those of the gradients' size."""

    def size_of_gradient(values, weights, at):
        grads = jax.grad(loss, (0, 1) if weights is not None else 0)(values, weights, reduce, at)
        return sum((leaf**2).sum() for leaf in jax.tree.leaves(grads))

    def run(values, weights, at):
        what = (0, 1) if weights is not None else 0
        if second:
            return jax.grad(size_of_gradient, what)(values, weights, at)
        result = aggregate(values, at, weights, reduce)
        return result, jax.grad(loss, what)(values, weights, reduce, at)

    return jax.jit(run)


def close(got, expected, **tolerance):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, **(tolerance or TOLERANCE)), got, expected
    )


def scatters(jaxpr):
    """Primitive, rank and indices' shape of every scatter, those of inner programs included."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name.startswith("scatter"):
            operand, indices = equation.invars[:2]
            found.append((equation.primitive.name, operand.aval.ndim, indices.aval.shape))
        for param in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "jaxpr")
        ):
            inner = getattr(param, "jaxpr", param)
            if hasattr(inner, "eqns"):
                found += scatters(inner)
    return sorted(found)


@pytest.mark.parametrize("name", ["mixed", "no edges"])
@all_cases
def test_equals_dense_formula_and_its_gradients(backend, reduce, kind, name):
    graph = GRAPHS[name]
    at = layout(graph, backend)
    values, weights = inputs(at.n_node, at.edges.n_entry, kind)
    result, grads = compiled(reduce)(values, weights, at)
    as_heads = weights if kind != "edge" else weights[:, None]
    close(result, dense(reduce, at.edges, values, as_heads))
    what = 0 if weights is None else (0, 1)
    expected = jax.jit(lambda v, w: jax.grad(dense_loss, what)(v, w, reduce, at.edges))
    close(grads, expected(values, weights))


@few_cases
def test_second_derivative_equals_that_of_the_dense_formula(backend, reduce, kind):
    at = layout(mixed(), backend)
    values, weights = inputs(6, 10, kind)
    what = 0 if weights is None else (0, 1)

    def dense_size(values, weights):
        grads = jax.grad(dense_loss, what)(values, weights, reduce, at.edges)
        return sum((leaf**2).sum() for leaf in jax.tree.leaves(grads))

    got = compiled(reduce, second=True)(values, weights, at)
    # Third products of numbers near 10.
    close(got, jax.jit(jax.grad(dense_size, what))(values, weights), rtol=1e-4, atol=1e-3)


@few_cases
def test_compiled_equals_eager(backend, reduce, kind):
    at = layout(mixed(), backend)
    values, weights = inputs(6, 10, kind)
    close(aggregate(values, at, weights, reduce), compiled(reduce)(values, weights, at)[0])


@pytest.mark.parametrize(
    "backend, reduce, kind, over",
    [
        (*case, over)
        for case in APART
        for over in ("values", "weights", "both")
        if (over == "values" or case[2] != "none") and case[:2] != ("bcsr", "softmax")
    ],
)
def test_vmap_equals_a_loop_and_adds_no_scatter(backend, reduce, kind, over):
    at = layout(mixed(), backend)
    lane_values, lane_weights = inputs(6, 10, kind, lanes=(LANES,))
    values, weights = inputs(6, 10, kind)
    axes = {"values": (0, None, None), "weights": (None, 0, None), "both": (0, 0, None)}[over]
    args = (lane_values if axes[0] == 0 else values, lane_weights if axes[1] == 0 else weights, at)
    run = compiled(reduce)
    lanes = jax.jit(jax.vmap(run, axes))
    loop = [
        run(*(arg if axis is None else arg[i] for arg, axis in zip(args, axes, strict=True)))
        for i in range(LANES)
    ]
    close(lanes(*args), jax.tree.map(lambda *leaves: np.stack(leaves), *loop))
    if backend == "segment":
        alone = scatters(jax.make_jaxpr(run)(values, weights, at).jaxpr)
        assert alone and set(scatters(jax.make_jaxpr(lanes)(*args).jaxpr)) <= set(alone)


@few_cases
def test_vmap_over_different_graphs_runs_them_in_turn(backend, reduce, kind):
    layouts = [layout(random_graph(seed), backend) for seed in range(3)]
    values, weights = inputs(6, 10, kind, lanes=(3,))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *layouts)
    run = compiled(reduce)
    got = jax.vmap(run, (0, None if weights is None else 0, 0))(values, weights, stacked)
    loop = [
        run(values[i], None if weights is None else weights[i], at) for i, at in enumerate(layouts)
    ]
    close(got, jax.tree.map(lambda *leaves: np.stack(leaves), *loop))


@cases
def test_relabelling_nodes_permutes_the_result(backend, reduce, kind):
    graph = mixed()
    new = np.array([3, 5, 0, 1, 4, 2])
    renamed = graph._replace(senders=new[graph.senders], receivers=new[graph.receivers])
    values, weights = inputs(6, 10, kind)
    renamed_values = np.zeros_like(values)
    renamed_values[new] = values

    def run(graph, values):
        at = layout(graph, backend)
        own = None if weights is None else weights[np.asarray(at.edges.order)]
        return compiled(reduce)(values, own, at)[0]

    close(run(renamed, renamed_values)[new], run(graph, values))


@cases
def test_further_padding_changes_no_real_number(backend, reduce, kind):
    values, weights = inputs(6, 10, kind)

    def run(graph):
        """Padded with values that would show wherever they leak."""
        at = layout(graph, backend)
        more_nodes, more_edges = at.n_node - 6, at.edges.n_entry - 10
        own = None
        if weights is not None:
            extra = np.full((more_edges, *weights.shape[1:]), 50, np.float32)
            own = np.concatenate([weights, extra])[np.asarray(at.edges.order)]
        more = np.concatenate([values, np.full((more_nodes, HEADS, WIDTH), 50, np.float32)])
        result, grads = compiled(reduce)(more, own, at)
        return result[:6], (grads if own is None else grads[0])[:6]

    close(run(pad(mixed(), n_node=13, n_edge=17, n_graph=2)), run(mixed()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_graph_is_an_argument_not_a_constant(backend):
    graph = random_graph(0, n_node=500, n_edge=4000)
    values, weights = inputs(500, 4000, "head")
    for reduce in ("sum", "mean", "softmax"):
        program = jax.make_jaxpr(compiled(reduce))(values, weights, layout(graph, backend))
        assert max((np.size(const) for const in program.consts), default=0) <= 1


@pytest.mark.parametrize("backend, reduce, kind", [c for c in CASES if c[0] != "native"])
def test_lowers_for_every_platform(backend, reduce, kind):
    values, weights = inputs(6, 10, kind)
    args = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype),
        (values, weights, layout(mixed(), backend)),
    )
    # jaxlib's CSR product has no promise of stability, so only `segment` may be serialised.
    lenient = [export.DisabledSafetyCheck.custom_call("cpu_csr_sparse_dense_ffi")]
    program = export.export(
        compiled(reduce),
        platforms=["cpu", "cuda", "tpu"],
        disabled_checks=lenient if backend == "bcsr" else [],
    )(*args)
    assert program.platforms == ("cpu", "cuda", "tpu")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16, jnp.int32])
def test_keeps_the_type_of_values(backend, dtype):
    at = layout(mixed(), backend)
    values = jnp.arange(12, dtype=dtype).reshape(6, 2)
    for reduce in ("sum", "max"):
        result = jax.jit(aggregate, static_argnames="reduce")(values, at, reduce=reduce)
        assert result.dtype == dtype
        expected = dense(reduce, at.edges, np.asarray(values, np.float32)[:, None], None)[:, 0]
        np.testing.assert_array_equal(np.asarray(result, np.float32), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_keep_the_types_of_a_mixed_product(backend):
    at = layout(mixed(), backend)
    types = (jnp.bfloat16, jnp.float32)
    weights, values = (jnp.ones(shape, t) for shape, t in zip((10, (6, 2)), types, strict=True))

    @jax.jit
    def run(weights, values):
        result = aggregate(values, at, weights)
        return result, jax.grad(lambda *a: aggregate(a[1], at, a[0]).sum(), (0, 1))(weights, values)

    result, grads = run(weights, values)
    assert result.dtype == jnp.float32 and tuple(grad.dtype for grad in grads) == types


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_without_width_and_without_axis(backend):
    at = layout(mixed(), backend)
    lanes = jax.vmap(lambda x: aggregate(x, at))(jnp.ones((2, 6, 0)))
    assert lanes.shape == (2, 6, 0)
    np.testing.assert_array_equal(aggregate(jnp.ones(6), at), at.in_degree)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduce", ["sum", "mean", "max"])
def test_pool_by_hand(backend, reduce):
    batch = pad(mixed(), n_node=8, n_edge=10, n_graph=3)
    values = jnp.array([1.0, 2, 3, 4, -5, 7, 100, 200])[:, None]
    expected = {"sum": [12, 300, 0], "mean": [2, 150, 0], "max": [7, 200, 0]}[reduce]
    assert pool(values, layout(batch, backend), reduce)[:, 0].tolist() == expected


def test_equal_maxima_share_their_gradient():
    at = layout(mixed())
    # Node 1 hears 0, 2, 3 and 4; the largest are 2 and 4. Node 4 hears 0 twice.
    values = jnp.array([1.0, 0, 9, 5, 9, 0])[:, None]
    grad = jax.grad(lambda v: aggregate(v, at, reduce="max")[1, 0])(values)
    assert grad[:, 0].tolist() == [0, 0, 0.5, 0, 0.5, 0]
    grad = jax.grad(lambda v: aggregate(v, at, reduce="max")[4, 0])(values)
    assert grad[:, 0].tolist() == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"reduce": "median"}, r"`reduce` must be one of .*got 'median'"),
        ({"reduce": "max", "weights": jnp.ones(10)}, "`weights` cannot be combined"),
        ({"weights": jnp.ones(9)}, "`weights` has 9 rows; the pattern has 10 entries"),
        ({"weights": jnp.ones((10, 3))}, r"`x` must be \[n_col, 3, d\]"),
        ({"values": jnp.ones((5, 2, 3))}, "`x` has 5 rows; the pattern has 6 columns"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    settings = {"values": jnp.ones((6, 2, 3))} | settings
    with pytest.raises(ValueError, match=message):
        aggregate(layout=layout(mixed()), **settings)


@pytest.mark.parametrize("own", [2.0, np.arange(6.0), np.arange(12.0).reshape(6, 2)])
@pytest.mark.parametrize("reduce", ["sum", "max"])
def test_a_nodes_own_value_is_added(own, reduce):
    at, (values, _) = layout(mixed()), inputs(6, 10, "none")
    share = np.broadcast_to(np.reshape(own, (*np.shape(own), *[1] * (3 - np.ndim(own)))), (6, 2, 3))
    expected = aggregate(jnp.asarray(values), at, reduce=reduce) + share * values
    found = aggregate(jnp.asarray(values), at, reduce=reduce, own=jnp.asarray(own, jnp.float32))
    np.testing.assert_allclose(found, expected, **TOLERANCE)
