"""The C++ kernels against numpy: types, widths, threads, and rows that are hard to sum."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp

from jgc import native as library
from jgc.graph import explain_backend, layout, native, portable, structure
from jgc.graph.product import product, resolve
from jgc.graph.softmax import row_softmax
from tests.graph.cases import NEEDS_KERNELS, mixed

pytestmark = NEEDS_KERNELS
# Every path through the kernels: blocks of 64, 32 and 16 columns, and ends of 16 and of 8.
WIDTHS = [1, 7, 8, 9, 16, 23, 48, 64, 71, 130]


def pattern(n_row, n_col, n_entry, seed=0):
    rng = np.random.default_rng(seed)
    # Half of all entries in one row, as at the hub of a real graph.
    rows = np.where(rng.random(n_entry) < 0.5, 0, rng.integers(0, n_row, n_entry))
    return structure(rows, rng.integers(0, n_col, n_entry), n_row=n_row, n_col=n_col)


def matrix(s, weights=None):
    data = np.ones(s.n_entry) if weights is None else np.asarray(weights, np.float64)
    return sp.csr_array((data, np.asarray(s.cols), np.asarray(s.indptr)), shape=(s.n_row, s.n_col))


@pytest.mark.parametrize("width", WIDTHS)
def test_sums_of_bytes_are_exact(width):
    s = pattern(5, 40, 3000)  # 1,500 entries in a row: 16 bits hold 256 of them
    x = np.random.default_rng(1).integers(-128, 128, (40, 1, width)).astype(np.int8)
    x[:20] = 127
    x[20:30] = -128
    y = jax.jit(native.gather_sum)(s, None, x)
    assert y.dtype == jnp.int32
    np.testing.assert_array_equal(y[:, 0], matrix(s) @ x[:, 0].astype(np.int64))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("heads", [0, 1, 2])
def test_sums_in_float_of_every_type(width, dtype, heads):
    s, rng = pattern(6, 30, 200), np.random.default_rng(2)
    x = jnp.asarray(rng.integers(-99, 99, (30, max(heads, 1), width)), dtype)
    weights = None if heads == 0 else rng.random((200, heads)).astype(np.float32)
    y = jax.jit(native.gather_sum)(s, weights, x)
    exact = {"int8": "float32" if heads else "int32"}
    assert y.dtype == exact.get(dtype, dtype)
    # Sums of bfloat16 run in float32 and lose their last bits once.
    rtol = 2.0**-8 if dtype == "bfloat16" else 1e-5
    for head in range(max(heads, 1)):
        w = None if weights is None else weights[:, head]
        expected = matrix(s, w) @ np.asarray(x[:, head], np.float64)
        found = np.asarray(y[:, head], np.float32)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=2e-3)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("heads", [1, 2])
def test_gradients_by_weights_and_values_from_one_walk(width, heads):
    s, rng = pattern(6, 30, 200), np.random.default_rng(6)
    w = rng.normal(size=(200, heads)).astype(np.float32)
    x = rng.normal(size=(30, heads, width)).astype(np.float32)
    x[7] = np.inf  # A row that a kernel may read beyond its neighbours' ends.
    dy = rng.normal(size=(6, heads, width)).astype(np.float32)
    dw, dx = jax.jit(native.product_gradients)(s, w, dy, x)
    rows, cols = np.asarray(s.rows), np.asarray(s.cols)
    with np.errstate(invalid="ignore"):
        expected = (dy[rows].astype(np.float64) * x[cols]).sum(-1)
    np.testing.assert_allclose(dw, expected, rtol=1e-5, atol=1e-4)
    back = np.zeros(x.shape)
    np.add.at(back, cols, w[:, :, None] * dy[rows].astype(np.float64))
    np.testing.assert_allclose(dx, back, rtol=1e-5, atol=1e-4)


def kernels_of(run, *args):
    lines = str(jax.make_jaxpr(run)(*args)).splitlines()
    return sorted(line.split("name=")[1].split()[0] for line in lines if "name=" in line)


def test_only_the_gradients_that_are_asked_for_are_computed():
    s, rng = pattern(6, 30, 200), np.random.default_rng(7)
    w, x = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((200,), (30, 5)))

    def loss(w, x, backend="native"):
        return (product(s, w, x, backend) ** 3).sum()

    asked = {
        0: ["dots", "product"],
        1: ["product", "product"],
        (0, 1): ["product", "product_gradients"],
    }
    for which, kernels in asked.items():
        found = kernels_of(jax.grad(loss, which), w, x)
        assert [name for name in found if name in library.TARGETS] == kernels
        expected = jax.grad(functools.partial(loss, backend="segment"), which)(w, x)
        close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-3)
        jax.tree.map(close, jax.grad(loss, which)(w, x), expected)
    unweighted = jax.grad(lambda x: loss(None, x))
    assert "dots" not in kernels_of(unweighted, x)


def test_second_derivatives_of_both_gradients():
    s, rng = pattern(6, 30, 200), np.random.default_rng(8)
    w, x = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((200,), (30, 5)))

    def steep(w, x, backend):
        dw, dx = jax.grad(lambda w, x: (product(s, w, x, backend) ** 3).sum(), (0, 1))(w, x)
        return (dw**2).sum() + (dx**2).sum()

    ours, plain = (jax.grad(steep, (0, 1))(w, x, backend) for backend in ("native", "segment"))
    for found, expected in zip(ours, plain, strict=True):
        scale = float(jnp.abs(expected).max())
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_work_shared_among_threads_is_the_same_work():
    n_node, n_entry, width = 3000, 90_000, 64  # 5.8 million multiplications
    s = pattern(n_node, n_node, n_entry)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n_node, 1, width)).astype(np.float32)
    w = rng.normal(size=(n_entry, 1)).astype(np.float32)
    run = jax.jit(native.gather_sum)
    expected = matrix(s, w[:, 0]) @ x[:, 0].astype(np.float64)
    first = run(s, w, x)
    np.testing.assert_allclose(first[:, 0], expected, rtol=1e-4, atol=1e-3)
    for _ in range(20):  # A row is summed by one thread, in order: the same bits every time.
        np.testing.assert_array_equal(run(s, w, x), first)


@pytest.mark.parametrize("width", WIDTHS)
def test_largest_values_and_what_is_no_number(width):
    s, rng = pattern(7, 30, 60), np.random.default_rng(4)
    x = rng.normal(size=(30, 1, width)).astype(np.float32) - 5
    x[3, 0, -1], x[5, 0, 0] = np.nan, -np.inf
    y = jax.jit(native.gather_max)(s, x)
    gathered, rows = x[np.asarray(s.cols)], np.asarray(s.rows)
    expected = np.zeros_like(y)
    for row in set(rows.tolist()):
        expected[row] = gathered[rows == row].max(0)
    np.testing.assert_array_equal(y, expected)


def test_the_exponential_of_the_softmax_is_good_to_a_few_units_in_the_last_place():
    scores = jnp.linspace(-80, 0, 4099)
    s = structure(np.zeros(4099, int), np.zeros(4099, int), n_row=1, n_col=1)
    p = np.asarray(row_softmax(s, scores, backend="native")[0], np.float64)
    exact = np.exp(np.asarray(scores, np.float64))
    np.testing.assert_allclose(p, exact / exact.sum(), rtol=1e-6)
    wide = jnp.array([0.0, -200.0, -jnp.inf, -1.0])
    s = structure([0, 0, 0, 1], [0, 0, 0, 0], n_row=2, n_col=1)
    assert row_softmax(s, wide, backend="native")[0].tolist() == [1, 0, 0, 1]


def kernel_calls():
    """Every kernel: its name, the pattern, and arguments of three lanes or of one for all."""
    s, rng = pattern(6, 6, 40), np.random.default_rng(5)  # half in row 0
    s = structure(s.rows % 5, s.cols, n_row=6, n_col=6)  # and none in row 5

    def some(*shape, lanes=3):
        return jnp.asarray(rng.normal(size=(lanes, *shape)), jnp.float32)

    by_column, by_row = (s.indptr, s.cols), (s.indptr,)
    turned = s.t_indptr, s.t_rows, s.t_order
    p, none = jnp.abs(some(40, 2)), jnp.zeros((3, 0, 2))
    return [
        ("product", by_column, (some(40, 2, lanes=1), some(6, 2, 5))),
        ("product", by_column, (jnp.zeros((1, 0, 1)), some(6, 1, 5))),
        ("product_gradients", turned, (some(40, 2, lanes=1), some(6, 2, 5), some(6, 2, 5))),
        ("product_gradients", turned, (some(40, 1), some(6, 1, 71), some(6, 1, 71, lanes=1))),
        ("product_gradients", turned, (some(40, 1), some(6, 1, 0), some(6, 1, 0))),
        ("max", by_column, (some(6, 2, 5) - 3,)),
        ("dots", by_column, (some(6, 2, 5), some(6, 2, 5, lanes=1))),
        ("right_product", by_column, (some(40), some(7, 6, lanes=1))),
        ("right_dots", by_column, (some(7, 6), some(7, 6))),
        ("entry_sum", by_row, (some(40, 5),)),
        ("entry_max", by_row, (some(40, 5) - 3,)),
        ("softmax", by_row, (9 * some(40, 2), some(6, 2))),
        ("softmax", by_row, (9 * some(40, 2), none)),
        ("softmax_gradient", by_row, (p, some(6, 2), some(40, 2), some(6, 2))),
        ("softmax_gradient", by_row, (p, none, some(40, 2), none)),
    ]


def test_other_devices_compute_what_the_kernels_do():
    calls = kernel_calls()
    of_inference = {"float_sum", "byte_sum", "byte_matmul"}  # called by name, on CPU alone
    assert {name for name, *_ in calls} == set(library.TARGETS) - of_inference
    for name, index, laned in calls:
        what = {"name": name, "n_index": len(index)}
        first = functools.partial(portable.of_lanes, **what, out=(((3,), jnp.float32),))
        expected = jax.jit(first)(*index, *laned)
        out = tuple((y.shape, y.dtype) for y in expected)
        for y, z in zip(native._run.bind(*index, *laned, **what, out=out), expected, strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-5, err_msg=name)


def test_without_kernels_the_choice_falls_on_the_next_and_says_why(monkeypatch):
    monkeypatch.setattr(library, "status", lambda: library.Status(False, "no C++ compiler"))
    choice = explain_backend(mixed())
    assert choice.backend == "bcsr" and "no C++ compiler" in choice.reason
    assert resolve("auto", jnp.float32) == "bcsr"
    s = structure([0], [0], n_row=1, n_col=1)
    with pytest.raises(ValueError, match="'native', which does not run here: no C\\+\\+ compiler"):
        product(s, None, jnp.ones((1, 1)), "native")
    with pytest.raises(ValueError, match="does not run here"):
        layout(mixed(), "native")
