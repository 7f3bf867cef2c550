"""Graphs, the dense formula and the invariants that the duties of the room are run over."""

import numpy as np
import pytest

from jgc.graph import from_edges, native

NEEDS_KERNELS = pytest.mark.skipif(
    not native.ready(), reason=f"the C++ kernels do not run here: {native.why_not()}"
)
# What can sum bytes.
BYTE_BACKENDS = [pytest.param("native", marks=NEEDS_KERNELS), "segment"]

# A loop at 3, the edge 0 -> 4 twice, node 5 without edges, node 0 with one way in.
SENDERS = [0, 1, 1, 2, 3, 3, 4, 4, 0, 0]
RECEIVERS = [1, 0, 2, 1, 3, 1, 1, 2, 4, 4]


def mixed(nodes=None, edges=None):
    return from_edges(SENDERS, RECEIVERS, n_node=6, nodes=nodes, edges=edges)


def random_graph(seed, n_node=6, n_edge=10, d=None, d_edge=None):
    rng = np.random.default_rng(seed)
    return from_edges(
        rng.integers(0, n_node, n_edge),
        rng.integers(0, n_node, n_edge),
        n_node=n_node,
        nodes=None if d is None else rng.normal(size=(n_node, d)),
        edges=None if d_edge is None else rng.normal(size=(n_edge, d_edge)),
    )


GRAPHS = {
    "mixed": mixed(),
    "no edges": from_edges([], [], n_node=3),
    "one node": from_edges([], [], n_node=1),
    "one loop": from_edges([0], [0]),
}


def check_structure(s, rows=None, cols=None):
    """Asserts every invariant of a `Structure`; `rows`, `cols` are the caller's own list."""
    s = type(s)(*map(np.asarray, s))
    for indptr, ids, n in ((s.indptr, s.rows, s.n_row), (s.t_indptr, s.t_cols, s.n_col)):
        assert indptr[0] == 0 and indptr[-1] == s.n_entry
        np.testing.assert_array_equal(ids, np.repeat(np.arange(n), np.diff(indptr)))
    np.testing.assert_array_equal(np.sort(s.t_order), np.arange(s.n_entry))
    np.testing.assert_array_equal(np.sort(s.order), np.arange(s.n_entry))
    np.testing.assert_array_equal(s.rows[s.t_order], s.t_rows)
    np.testing.assert_array_equal(s.cols[s.t_order], s.t_cols)
    assert all(leaf.dtype == np.int32 for leaf in s)
    if rows is not None:
        # Stable: entries of one row keep the caller's order, those of one column the row order.
        np.testing.assert_array_equal(s.order, np.argsort(rows, kind="stable"))
        np.testing.assert_array_equal(s.cols, np.asarray(cols, int)[s.order])
        np.testing.assert_array_equal(s.t_order, np.argsort(s.cols, kind="stable"))


def dense(reduce, edges, values, weights, np_=np):
    """The reductions written with one-hot matrices: values `[n, h, d]`, weights `[e, 1 or h]`.

    With `np_=jnp` it can be differentiated; jax's own maximum shares its gradient among ties.
    """
    into = np_.asarray(np.eye(edges.n_row, dtype=np.float32)[np.asarray(edges.rows)].T)
    out_of = np_.asarray(np.eye(edges.n_col, dtype=np.float32)[np.asarray(edges.cols)])
    sent = np_.einsum("ec,chd->ehd", out_of, values)
    count = into.sum(1)[:, None, None]
    if reduce == "max":
        entries = np_.where((into > 0)[:, :, None, None], sent[None], -np.inf)
        # A last entry of -inf, so that rows without edges (and graphs without) have a maximum.
        entries = np_.concatenate([entries, np_.full_like(values, -np.inf)[:, None]], 1)
        return np_.where(count > 0, entries.max(1), 0)
    if weights is None:
        weights = np_.zeros((edges.n_entry, 1)) if reduce == "softmax" else np_.ones((1, 1))
    if reduce == "softmax":
        weights = np_.exp(weights)
        weights = weights / (into.T @ (into @ weights))
    total = np_.einsum("re,ehd->rhd", into, sent * weights[:, :, None])
    return total / np_.maximum(count, 1) if reduce == "mean" else total
