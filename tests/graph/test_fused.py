"""Float sums with their steps: the kernel against numpy, and against the same steps by XLA."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import structure
from jgc.graph.fused import float_sum
from jgc.graph.steps import Step
from tests.graph.cases import BYTE_BACKENDS

backends = pytest.mark.parametrize("backend", BYTE_BACKENDS)


def drawn(n, n_edge, width, seed=0):
    """A pattern whose last row is empty, weights, values, and a weight for each row's own."""
    rng = np.random.default_rng(seed)
    s = structure(
        rng.integers(0, n - 1, n_edge), rng.integers(0, n, n_edge), n_row=n, n_col=n
    )  # fmt: skip
    floats = (rng.normal(size=shape).astype(np.float32) for shape in (n_edge, (n, width), n))
    return s, *floats


def summed(s, weights, x, own):
    total = np.zeros(x.shape)
    rows, cols = np.asarray(s.rows), np.asarray(s.cols)
    values = x[cols] if weights is None else weights[:, None] * x[cols]
    np.add.at(total, rows, values.astype(np.float64))
    return total if own is None else total + own[:, None].astype(np.float64) * x


@backends
@pytest.mark.parametrize("width", [1, 7, 16, 23, 64, 71, 130])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("with_own", [False, True])
def test_sums_with_all_steps(backend, width, weighted, with_own):
    s, w, x, own = drawn(12, 150, width)
    w, own = (w if weighted else None), (own if with_own else None)
    rng = np.random.default_rng(1)
    row, col, bias = (rng.normal(size=n).astype(np.float32) for n in (12, width, width))
    steps = (
        Step("times_row", jnp.asarray(row)), Step("times_column", jnp.asarray(col)),
        Step("plus_column", jnp.asarray(bias)), Step("relu", jnp.zeros(0)),
        Step("times", jnp.array([2.0])),
    )  # fmt: skip
    found = jax.jit(float_sum, static_argnames="backend")(
        s, w, jnp.asarray(x), steps, own=own, backend=backend
    )
    exact = 2 * np.maximum(summed(s, w, x, own) * row[:, None] * col + bias, 0)
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4)
    plain = float_sum(s, w, jnp.asarray(x), (), own=own, backend=backend)
    np.testing.assert_allclose(plain, summed(s, w, x, own), rtol=1e-4, atol=1e-4)


@backends
def test_many_rows_are_shared_among_threads(backend):
    s, w, x, own = drawn(20_000, 80_000, 64)
    found = float_sum(s, w, jnp.asarray(x), (), own=jnp.asarray(own), backend=backend)
    np.testing.assert_allclose(found, summed(s, w, x, own), rtol=1e-4, atol=1e-4)
