"""On the two devices that all tests have."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jgc.graph import (
    aggregate,
    at_receivers,
    at_senders,
    cut,
    edge_softmax,
    layout,
    pool,
)
from jgc.graph.exchange import AXIS, joined, owing, row_bytes, shared, swap_bytes, total
from tests.graph.cases import random_graph

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
GRAPH = random_graph(1, n_node=12, n_edge=40)._replace(nodes=X)
PART_OF = np.array([0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1])


def on_parts(run, *args):
    """Runs on two devices; arguments and results have a leading axis of parts."""
    mesh = Mesh(np.array(jax.devices()[:2]), (AXIS,))

    def local(*args):
        here = jax.tree.map(lambda leaf: leaf[0], args)
        return jax.tree.map(lambda leaf: leaf[None], run(*here))

    mapped = jax.shard_map(local, mesh=mesh, in_specs=P(AXIS), out_specs=P(AXIS), check_vma=False)
    return jax.jit(mapped)(*args)


def parted(wire="float32", backend="segment"):
    whole = layout(GRAPH, backend)
    return whole, cut(GRAPH, whole, PART_OF, 2, wire)


def attention(x, layout):
    scores = jnp.tanh(at_senders(x, layout) - 2 * at_receivers(x, layout))[:, 0]
    return aggregate(x, layout, edge_softmax(scores, layout), own=jnp.float32(0.5))


REDUCTIONS = {
    "sum": lambda x, layout: aggregate(x, layout, own=layout.loops),
    "mean": lambda x, layout: aggregate(x, layout, reduce="mean"),
    "max": lambda x, layout: aggregate(x, layout, reduce="max"),
    "attention": attention,
}


def test_parts_answer_and_derive_as_the_whole_graph():
    """All reductions twice in a row, so that rows which came are sent on."""
    whole, parts = parted()

    def loss(x, w, layout):
        runs = [run(jnp.tanh(run(x * w, layout)), layout) for run in REDUCTIONS.values()]
        y = jnp.stack(runs)
        return jnp.sum(jnp.where(layout.node_mask[:, None], y, 0) ** 2), y

    def local(x, layout):
        def added(x, w):
            part, y = loss(x, shared(w), layout)
            return joined(part), y

        (value, y), slopes = jax.value_and_grad(added, (0, 1), has_aux=True)(x, jnp.float32(1.5))
        return value, y.swapaxes(0, 1), *slopes

    value, y, dx, dw = on_parts(local, parts.rows_of(X), parts.layout)
    (want, y_all), (dx_all, dw_all) = jax.value_and_grad(loss, (0, 1), has_aux=True)(
        X, jnp.float32(1.5), whole
    )
    np.testing.assert_allclose(value, [want, want], rtol=1e-6)
    np.testing.assert_allclose(dw, [dw_all, dw_all], rtol=1e-5)
    real = parts.layout.node_mask
    y_all = parts.rows_of(y_all.swapaxes(0, 1))
    np.testing.assert_allclose(np.asarray(y)[real], y_all[real], atol=1e-5)
    np.testing.assert_allclose(np.asarray(dx)[real], parts.rows_of(dx_all)[real], 1e-4, 1e-5)
    assert not np.asarray(dx)[~real].any()


def test_what_is_owed_is_the_gradient_and_is_paid():
    """Sent again and again with what is owed, a value arrives in the mean; gradients do too."""
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 2, 2, 5, 7)).astype(np.float32)
    owed = jnp.zeros((2, 2, 5, 7)), jnp.zeros((2, 2, 5, 7))

    def step(x, dy, owed):
        got, back = jax.vjp(swap_bytes, x, owed)
        dx, owed = back(dy)
        return got, dx, owed

    came, derived, n = 0.0, 0.0, 16
    for _ in range(n):
        got, dx, owed = on_parts(step, x, dy, owed)
        came, derived = came + got / n, derived + dx / n
    for mean, truth, once, debt in ((came, x, got, owed[0]), (derived, dy, dx, owed[1])):
        truth = truth.swapaxes(0, 1)
        step_of = np.abs(truth).max(-1, keepdims=True) / 127
        assert (np.abs(once - truth) <= 1.02 * step_of + 1e-7).all()  # Its error and the debt.
        assert (np.abs(mean - truth) <= 0.6 * step_of / n + 1e-6).all()
        np.testing.assert_allclose(
            np.asarray(debt).swapaxes(0, 1), n * (truth - np.asarray(mean)), atol=1e-5
        )


def test_bytes_alone_forget_and_keep_what_they_can():
    values = np.zeros((2, 2, 3, 4), np.float32)
    values[0, 1] = [[127, -127, 1, 0], [0, 0, 0, 0], [np.nan, 1, 2, 3]]
    got = np.asarray(on_parts(lambda x: swap_bytes(x, None), values))
    np.testing.assert_array_equal(got[1, 0, :2], values[0, 1, :2])  # Codes themselves, and zeros.
    assert np.isnan(got[1, 0, 2]).all()  # What diverged says so.
    back = on_parts(lambda x: jax.grad(lambda x: swap_bytes(x, None).sum())(x), values)
    np.testing.assert_allclose(back, 1, rtol=5e-3)  # 127 steps of a scale in bfloat16.


@pytest.mark.parametrize("wire", ["float32", "int8"])
def test_bytes_are_those_of_the_program(wire):
    """The operands of all collectives but the sums, by their types."""
    _, parts = parted(wire)

    def loss(x, layout):
        return on_parts(
            lambda x, layout: jax.grad(lambda x: aggregate(x, layout).sum())(x), x, layout
        ).sum()

    found = list(_operands(jax.make_jaxpr(loss)(parts.rows_of(X), parts.layout).jaxpr))
    assert len(found) == 2  # One message forward, one back; the own block stays at home.
    away = sum(a.size * a.dtype.itemsize for a in found) // 2
    assert away == 2 * parts.n_send * row_bytes(3, wire)


def _operands(jaxpr):
    for equation in jaxpr.eqns:
        if equation.primitive.name == "all_to_all":
            yield from (v.aval for v in equation.invars)
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from _operands(inner)


def test_sums_over_parts():
    x = jnp.array([1.0, 2.0])
    assert on_parts(total, x).tolist() == [3, 3]
    assert on_parts(jax.grad(total), x).tolist() == [2, 2]
    assert on_parts(jax.grad(joined), x).tolist() == [1, 1]
    assert on_parts(jax.grad(lambda w: w * shared(w)), x).tolist() == [1 + 3, 2 + 3]


def test_what_needs_the_whole_graph_says_so():
    _, parts = parted()
    part = jax.tree.map(lambda leaf: leaf[0], parts.layout)
    with pytest.raises(ValueError, match="`pool` is for whole graphs"):
        pool(X, part)
    assert owing(part, None) is part
