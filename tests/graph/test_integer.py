"""Bytes in, bytes out: integer sums against numpy to the last bit, steps against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import structure
from jgc.graph.integer import byte_matmul, byte_sum, byte_weights
from jgc.graph.steps import Step
from tests.graph.cases import BYTE_BACKENDS

WIDTHS = [1, 7, 16, 23, 64, 71, 113, 130]
backends = pytest.mark.parametrize("backend", BYTE_BACKENDS)
widths = pytest.mark.parametrize("width", WIDTHS)


def codes(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def all_steps(n_row, width, seed=1):
    """Each step once, and what they make of `total`, written out."""
    rng = np.random.default_rng(seed)
    row, col, shift = (rng.normal(size=n).astype(np.float32) for n in (n_row, width, width))
    grid = np.array([1 / 0.5, -100, 90, 0.5], np.float32)
    last = np.array([1 / 0.25, -30, 225, 30], np.float32)
    tables = (row, col, [0.001], grid, shift, [], last)
    names = ("times_row", "times_column", "times", "grid", "plus_column", "relu", "codes")
    steps = tuple(Step(n, jnp.asarray(t, jnp.float32)) for n, t in zip(names, tables, strict=True))

    def expected(total):
        t = total.astype(np.float32) * row[:, None] * col * np.float32(0.001)
        t = np.clip(np.rint(t * grid[0]), grid[1], grid[2]) * grid[3]
        t = np.maximum(t + shift, 0)
        return np.clip(np.rint(t * last[0]), last[1], last[2]) + last[3]

    return steps, expected


@backends
@widths
@pytest.mark.parametrize("depth", [1, 4, 7, 64])
@pytest.mark.parametrize("zero", [0, 100, 255])
def test_products_are_exact(backend, width, depth, zero):
    x = codes((9, depth))
    w = np.random.default_rng(2).integers(-127, 128, (depth, width)).astype(np.int8)
    exact = (x.astype(np.int64) - zero) @ w.astype(np.int64)
    weights = byte_weights(jnp.asarray(w))
    run = jax.jit(byte_matmul, static_argnames=("out", "backend"))
    found = run(jnp.asarray(x), zero, weights, (), out=jnp.float32, backend=backend)
    np.testing.assert_array_equal(found, exact)
    steps, expected = all_steps(9, width)
    found = run(jnp.asarray(x), zero, weights, steps, out=jnp.uint8, backend=backend)
    np.testing.assert_array_equal(found, expected(exact))


@backends
@widths
@pytest.mark.parametrize("zero", [0, 77, 255])
@pytest.mark.parametrize("with_own", [False, True])
def test_sums_are_exact(backend, width, zero, with_own):
    n, rng = 12, np.random.default_rng(3)
    # A row of some 700 entries: 16 bits hold 256 of them. Row 11 has none.
    rows = np.where(rng.random(1400) < 0.5, 0, rng.integers(0, n - 1, 1400))
    s = structure(rows, rng.integers(0, n, 1400), n_row=n, n_col=n)
    x = codes((n, width))
    x[:, :2] = 255
    own = rng.integers(0, 3, n).astype(np.float32) if with_own else None
    exact = np.zeros((n, width), np.int64)
    np.add.at(exact, np.asarray(s.rows), x.astype(np.int64)[np.asarray(s.cols)] - zero)
    if own is not None:
        exact += own.astype(np.int64)[:, None] * (x.astype(np.int64) - zero)
    run = jax.jit(byte_sum, static_argnames=("out", "backend"))
    found = run(s, jnp.asarray(x), zero, (), own=own, out=jnp.float32, backend=backend)
    np.testing.assert_array_equal(found, exact)
    steps, expected = all_steps(n, width)
    found = run(s, jnp.asarray(x), zero, steps, own=own, out=jnp.uint8, backend=backend)
    np.testing.assert_array_equal(found, expected(exact))


@backends
def test_halves_go_to_even_and_what_is_far_beyond_a_grid_to_its_end(backend):
    x = np.array([[1], [3], [5], [255]], np.uint8)
    weights = byte_weights(jnp.array([[1]], jnp.int8))
    half = Step("codes", jnp.array([0.5, -3.0, 4.0, 10.0]))
    found = byte_matmul(jnp.asarray(x), 0, weights, (half,), backend=backend)
    assert found[:, 0].tolist() == [10, 12, 12, 14]
    far = (Step("times", jnp.array([-1e30])), half)
    assert byte_matmul(jnp.asarray(x), 0, weights, far, backend=backend)[:, 0].tolist() == [7] * 4


def test_many_rows_are_shared_among_threads():
    n, width = 5000, 64
    rng = np.random.default_rng(4)
    s = structure(rng.integers(0, n, 90_000), rng.integers(0, n, 90_000), n_row=n, n_col=n)
    x = jnp.asarray(codes((n, width)))
    w = byte_weights(jnp.asarray(rng.integers(-127, 128, (width, width)), jnp.int8))
    steps, _ = all_steps(n, width)
    np.testing.assert_array_equal(
        byte_sum(s, x, 9, steps), byte_sum(s, x, 9, steps, backend="segment")
    )
    np.testing.assert_array_equal(
        byte_matmul(x, 9, w, steps), byte_matmul(x, 9, w, steps, backend="segment")
    )


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`name` must be one of .*'relu'.*got 'gelu'"):
        Step("gelu", jnp.zeros(0))
    s = structure([0], [0], n_row=1, n_col=1)
    with pytest.raises(ValueError, match="`backend` must be one of"):
        byte_sum(s, jnp.zeros((1, 1), jnp.uint8), 0, (), backend="bcsr")
