"""Attention weights: against the softmax of each row, and at the ends of the range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from jgc.graph import edge_softmax, edge_softmax_with_self, layout
from tests.graph.cases import mixed

HEADS = 2


def close(got, expected):
    # Quotients of a few float32 exponentials, summed in another order.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, expected)


def test_edge_softmax_against_scipy():
    at = layout(mixed())
    scores = np.random.default_rng(0).normal(size=(10, HEADS)).astype(np.float32) * 5
    weights = edge_softmax(scores, at)
    rows = np.asarray(at.edges.rows)
    for row in np.unique(rows):
        close(weights[rows == row], softmax(scores[rows == row], axis=0))
    total = np.zeros((6, HEADS))
    np.add.at(total, rows, weights)
    close(total, np.outer(np.bincount(rows, minlength=6) > 0, [1, 1]))


@pytest.mark.parametrize("shift", [1e4, -1e4, 3e38])
def test_edge_softmax_of_huge_scores(shift):
    at = layout(mixed())
    scores = jnp.full(10, shift)
    grad = jax.grad(lambda s: edge_softmax(s, at)[0])(scores)
    close(edge_softmax(scores, at), edge_softmax(jnp.zeros(10), at))
    assert np.isfinite(grad).all()


def test_edge_softmax_with_self_equals_softmax_with_loops():
    at = layout(mixed())
    rng = np.random.default_rng(1)
    scores, own = (rng.normal(size=(n, HEADS)).astype(np.float32) for n in (10, 6))
    rows = np.asarray(at.edges.rows)
    exp, exp_own = np.exp(scores), np.exp(own)
    total = exp_own.copy()
    np.add.at(total, rows, exp)
    close(edge_softmax_with_self(scores, own, at), (exp / total[rows], exp_own / total))


def test_edge_left_out_by_minus_infinity_has_no_weight_and_no_gradient():
    at = layout(mixed())
    scores = jnp.zeros((10, 1)).at[3].set(-jnp.inf)

    def sum_of_squares(scores, own):
        weights, own = edge_softmax_with_self(scores, own, at)
        return (weights**2).sum() + (own**2).sum()

    grads = jax.jit(jax.grad(sum_of_squares, (0, 1)))(scores, jnp.zeros((6, 1)))
    assert edge_softmax_with_self(scores, jnp.zeros((6, 1)), at)[0][3, 0] == 0
    assert all(np.isfinite(grad).all() for grad in grads) and grads[0][3, 0] == 0


@pytest.mark.parametrize("far", [-1e9, 1e9])
def test_a_node_without_edges_weighs_itself_alone_whatever_its_score(far):
    at = layout(mixed())
    lonely = np.flatnonzero(np.asarray(at.in_degree) == 0)
    own = jnp.full((6, 1), far)
    weights, own = edge_softmax_with_self(jnp.zeros((10, 1)), own, at)
    assert lonely.size and (own[lonely] == 1).all() and np.isfinite(weights).all()
