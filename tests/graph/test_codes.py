"""Codes and pending sums act as the float arrays that they stand for."""

import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import Codes, Pending, aggregate, as_operand, byte_weights, layout, relu, structure
from tests.graph.cases import BYTE_BACKENDS, mixed

backends = pytest.mark.parametrize("backend", BYTE_BACKENDS)


def values(backend="segment", n=6, width=4, seed=0):
    codes = np.random.default_rng(seed).integers(0, 256, (n, width)).astype(np.uint8)
    return Codes(jnp.asarray(codes), jnp.float32(0.25), jnp.int32(100), backend)


def pending(backend="segment"):
    """A pending product, and its values."""
    x = values(backend)
    w = np.random.default_rng(1).integers(-127, 128, (4, 5)).astype(np.int8)
    steps = np.array([0.5, 1, 2, 0.25, 1], np.float32)
    exact = np.asarray(x.__jax_array__()) @ (w * steps)
    return x.matmul(byte_weights(jnp.asarray(w)), jnp.asarray(steps)), exact.astype(np.float32)


ROW, COLUMN = np.arange(1, 7, dtype=np.float32)[:, None], np.arange(5, dtype=np.float32)
LAZY = {
    "a factor a row": (lambda x: x * ROW, "times_row"),
    "a factor a column": (lambda x: x * COLUMN, "times_column"),
    "a column as one row": (lambda x: x * COLUMN[None], "times_column"),
    "a number": (lambda x: x * 0.5, "times"),
    "a number before": (lambda x: 0.5 * x, "times"),
    "a bias": (lambda x: x + COLUMN, "plus_column"),
    "a mean taken away": (lambda x: x - COLUMN, "plus_column"),
    "relu": (relu, "relu"),
}
DECODED = {
    "another array": lambda x: x * np.ones((6, 5), np.float32),
    "the sum of two": lambda x: x + np.ones((6, 5), np.float32),
    "from a number": lambda x: 1.0 - x,
    "a quotient": lambda x: x / 2.0,
    "a product": lambda x: x @ jnp.ones((5, 2)),
    "a part": lambda x: x[2:4],
    "a method": lambda x: x.sum(0),
    "the negative": lambda x: -x,
}


@backends
@pytest.mark.parametrize("name", LAZY)
def test_what_fits_the_kernels_waits(name, backend):
    run, step = LAZY[name]
    x, exact = pending(backend)
    y = run(x)
    assert isinstance(y, Pending) and y.shape == exact.shape
    assert y.steps[-1].name == step
    np.testing.assert_allclose(jnp.asarray(y), run(exact), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(jnp.asarray(x), exact, rtol=1e-5, atol=1e-4)  # as it was


@backends
@pytest.mark.parametrize("name", DECODED)
def test_all_else_is_done_to_the_values(name, backend):
    x, exact = pending(backend)
    y = DECODED[name](x)
    assert not isinstance(y, Pending | Codes)
    np.testing.assert_allclose(y, DECODED[name](exact), rtol=1e-5, atol=1e-3)
    codes = values(backend, width=5)
    floats = np.asarray(codes.__jax_array__())
    np.testing.assert_allclose(DECODED[name](codes), DECODED[name](floats), rtol=1e-5, atol=1e-3)


@backends
def test_rounding_to_a_grid_gives_codes_or_floats_as_asked(backend):
    x, exact = pending(backend)
    step, zero, top = jnp.float32(16.0), jnp.int32(90), jnp.int32(255)
    y = x.on_grid(step, zero, top)
    codes = np.clip(np.rint(exact / 16), -90, 165)
    np.testing.assert_array_equal(jnp.asarray(y), codes * 16)
    found = as_operand(x.on_grid(step, zero, top))
    assert found is not None and found.codes.dtype == jnp.uint8
    np.testing.assert_array_equal(found.codes, codes + 90)
    # More after the grid: floats on it, codes no longer.
    assert as_operand(y * 2.0) is None
    np.testing.assert_array_equal(jnp.asarray(y * 2.0), codes * 32)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("own", [None, 1.5, np.arange(6, dtype=np.float32)])
@backends
def test_sums_over_edges(backend, own, reduce):
    at, x = layout(mixed(), backend), values(backend)
    own = None if own is None else jnp.asarray(own)
    y = aggregate(x, at, reduce=reduce, own=own)
    assert isinstance(y, Pending) == (reduce == "sum" or own is None)
    floats = x.__jax_array__()
    np.testing.assert_allclose(
        jnp.asarray(y), aggregate(floats, at, reduce=reduce, own=own), rtol=1e-5, atol=1e-4
    )


def test_attention_and_maxima_decode():
    at, x = layout(mixed(), "segment"), values()
    for settings in ({"reduce": "max"}, {"weights": jnp.ones(10)}, {"reduce": "softmax"}):
        y = aggregate(x, at, **settings)
        np.testing.assert_allclose(y, aggregate(x.__jax_array__(), at, **settings))


def test_plain_arrays_have_no_codes():
    assert as_operand(jnp.ones((2, 2))) is None and as_operand(pending()[0]) is None
    s = structure([0], [0], n_row=1, n_col=1)
    one = Codes(jnp.array([[101]], jnp.uint8), jnp.float32(0.5), jnp.int32(100), "segment")
    assert jnp.asarray(one.summed(s, None)).tolist() == [[0.5]]
