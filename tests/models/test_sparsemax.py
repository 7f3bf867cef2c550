"""Sparsemax: worked by hand, against a sort, and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.models import sparsemax

ALL = np.ones(3, bool)


@pytest.mark.parametrize(
    "scores, expected",
    [
        ([1.0, 0.5, -1.0], [0.75, 0.25, 0.0]),  # threshold (1.5 - 1) / 2
        ([3.0, 1.0, 1.5], [1.0, 0.0, 0.0]),  # one leads by 1 and more
        ([3.0, 2.0, 1.5], [1.0, 0.0, 0.0]),  # by exactly 1
        ([0.2, 0.2, 0.2], [1 / 3, 1 / 3, 1 / 3]),
        ([0.3, 0.2, 0.1], [0.3 + 2 / 15, 0.2 + 2 / 15, 0.1 + 2 / 15]),  # all: (0.6 - 1) / 3
    ],
)
def test_by_hand(scores, expected):
    np.testing.assert_allclose(sparsemax(jnp.array(scores), ALL), expected, atol=1e-6)


def by_sorting(scores):
    """Algorithm 1 of the paper, in float64."""
    ordered = np.sort(scores.astype(np.float64))[::-1]
    sums = ordered.cumsum()
    size = max(k for k in range(1, len(scores) + 1) if 1 + k * ordered[k - 1] > sums[k - 1])
    return np.maximum(scores - (sums[size - 1] - 1) / size, 0)


@pytest.mark.parametrize("spread", [1e-3, 0.1, 1.0, 30.0])
def test_equals_the_sort_and_sums_to_one_under_a_mask(spread):
    rng = np.random.default_rng(0)
    scores = (spread * rng.normal(size=(40, 25))).astype(np.float32)
    mask = rng.random((40, 25)) < 0.6
    mask[0] = False
    found = np.asarray(jax.jit(sparsemax)(scores, mask))
    assert (found[0] == 0).all() and (found[~mask] == 0).all() and (found >= 0).all()
    np.testing.assert_allclose(found[1:].sum(1), 1, atol=1e-5)
    for row, kept, weights in zip(scores[1:], mask[1:], found[1:], strict=True):
        np.testing.assert_allclose(weights[kept], by_sorting(row[kept]), atol=1e-5)


def test_gradient_by_hand_and_by_differences():
    def at(scores, mask=ALL):
        return jax.grad(lambda s: (sparsemax(s, mask) * jnp.array([4.0, 1.0, 7.0])).sum())(scores)

    # Support {0, 1}: the incoming 4 and 1 less their mean.
    np.testing.assert_allclose(at(jnp.array([1.0, 0.5, -1.0])), [1.5, -1.5, 0])
    # One alone has all the weight whatever its score is.
    np.testing.assert_allclose(at(jnp.array([3.0, 1.0, 0.0])), [0, 0, 0])
    np.testing.assert_allclose(at(jnp.zeros(3), np.array([True, False, True])), [-1.5, 0, 1.5])
    np.testing.assert_allclose(at(jnp.zeros(3), ~ALL), [0, 0, 0])
    rng = np.random.default_rng(1)
    scores, coefficients = rng.normal(size=(2, 9)).astype(np.float32)

    def total(s):
        return (sparsemax(s, np.ones(9, bool)) * coefficients).sum()

    slope = [
        (total(scores + step) - total(scores - step)) / 0.02
        for step in 0.01 * np.eye(9, dtype=np.float32)
    ]
    np.testing.assert_allclose(jax.grad(total)(scores), slope, atol=1e-3)


def test_lanes_are_a_loop_and_shifts_change_nothing():
    scores = np.random.default_rng(2).normal(size=(4, 6, 5)).astype(np.float32)
    mask = np.ones((6, 5), bool)
    lanes = jax.jit(jax.vmap(sparsemax, (0, None)))(scores, mask)
    np.testing.assert_array_equal(lanes, [sparsemax(s, mask) for s in jnp.asarray(scores)])
    np.testing.assert_allclose(sparsemax(scores[0] + 100, mask), lanes[0], atol=1e-4)
