"""Numbers worked by hand, oracles, and the errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.quant import (
    Grid,
    affine_grid,
    dequantize,
    fake_quant,
    q_bounds,
    qat,
    quantize,
    symmetric_grid,
)
from jgc.quant.ranges import moving, no_range, percentile, running, sampled_percentile

fake = jax.jit(fake_quant, static_argnames=("symmetric", "clip_gradient"))


@pytest.mark.parametrize("bits", range(2, 9))
def test_bounds(bits):
    largest = {2: 1, 3: 3, 4: 7, 5: 15, 6: 31, 7: 63, 8: 127}[bits]
    assert [int(q) for q in q_bounds(bits, symmetric=True)] == [-largest, largest]
    assert [int(q) for q in q_bounds(bits, symmetric=False)] == [0, 2**bits - 1]


def test_symmetric_by_hand():
    # 3 bits: q = 3, scale = 6 / 3 = 2; halves to even: 1 -> 0.5 -> 0, 3 -> 1.5 -> 2, 5 -> 2.5 -> 2
    grid = symmetric_grid(jnp.float32(6.0), 3)
    x = jnp.array([-9.0, -3.0, -1.0, 0.0, 1.0, 3.0, 5.0, 6.0])
    assert quantize(x, grid, symmetric=True).tolist() == [-3, -2, 0, 0, 0, 2, 2, 3]
    assert fake(x, grid, symmetric=True).tolist() == [-6, -4, 0, 0, 0, 4, 4, 6]


def test_affine_by_hand():
    # 2 bits over [-1, 5]: scale = 6 / 3 = 2, zero point = round(0.5) = 0, so the grid is 0, 2, 4, 6
    grid = affine_grid(jnp.float32(-1.0), jnp.float32(5.0), 2)
    assert (float(grid.scale), int(grid.zero_point)) == (2.0, 0)
    assert fake(jnp.array([-1.0, 0.0, 1.0, 3.0, 5.0]), grid, symmetric=False).tolist() == [
        0, 0, 0, 4, 4,
    ]  # fmt: skip
    # over [-3, 3]: scale 2, zero point = round(1.5) = 2: the grid is -4, -2, 0, 2
    grid = affine_grid(jnp.float32(-3.0), jnp.float32(3.0), 2)
    assert (float(grid.scale), int(grid.zero_point)) == (2.0, 2)
    assert quantize(jnp.array([-3.0, 0.0, 3.0]), grid, symmetric=False).tolist() == [0, 2, 3]
    # a range without zero is widened to it
    grid = affine_grid(jnp.float32(3.0), jnp.float32(6.0), 2)
    assert (float(grid.scale), int(grid.zero_point)) == (2.0, 0)


def test_all_zeros_have_a_scale_and_stay_zero():
    for grid, symmetric in (
        (symmetric_grid(jnp.zeros(()), 8), True),
        (affine_grid(jnp.zeros(()), jnp.zeros(()), 8), False),
    ):
        assert float(grid.scale) > 0
        assert not fake(jnp.zeros(3), grid, symmetric=symmetric).any()
        far = fake(jnp.array([3e38, -3e38]), grid, symmetric=symmetric)  # must not make a NaN
        assert jnp.isfinite(far).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_error_levels_and_bit_exactness(symmetric):
    x = jax.random.normal(jax.random.key(1), (4000,)) * 3.0
    lo, hi = x.min(), x.max()
    for bits in range(2, 9):
        grid = symmetric_grid(jnp.abs(x).max(), bits) if symmetric else affine_grid(lo, hi, bits)
        y = fake(x, grid, symmetric=symmetric)
        codes = quantize(x, grid, symmetric=symmetric)
        np.testing.assert_array_equal(y, fake_quant(x, grid, symmetric=symmetric))
        # The grid fixed in the program: XLA must not swap a division for a reciprocal.
        inside = jax.jit(lambda x, g=grid: fake_quant(x, g, symmetric=symmetric))(x)
        np.testing.assert_array_equal(y, inside)
        np.testing.assert_array_equal(y, dequantize(codes, grid))
        assert float(jnp.abs(x - y).max()) <= float(grid.scale) * 0.5001
        assert len(np.unique(codes)) <= 2**bits - symmetric


def test_narrow_floats_keep_their_dtype():
    x = jnp.array([0.3, -1.0], jnp.bfloat16)
    grid = symmetric_grid(jnp.float32(1.0), 8)
    y = fake(x, grid, symmetric=True)
    assert y.dtype == jnp.bfloat16
    codes = quantize(x, grid, symmetric=True)
    np.testing.assert_array_equal(y, dequantize(codes, grid, jnp.bfloat16))
    np.testing.assert_array_equal(fake(y, grid, symmetric=True), y)


def test_gradient_of_the_scale_is_lsq():
    # v = x / s = 0.4, 1.6, 9: round(v) - v = -0.4, 0.4 and, clipped at q = 3, 3
    grid = Grid(jnp.float32(0.5), jnp.int32(0), jnp.int32(3))
    x = jnp.array([0.2, 0.8, 4.5])
    by_scale = jax.jacobian(lambda s: fake(x, grid._replace(scale=s), symmetric=True))(grid.scale)
    np.testing.assert_allclose(by_scale, [-0.4, 0.4, 3.0], rtol=1e-6)
    by_x = jax.grad(lambda x: fake(x, grid, symmetric=True).sum())(x)
    assert by_x.tolist() == [1.0, 1.0, 0.0]
    plain = jax.grad(lambda x: fake(x, grid, symmetric=True, clip_gradient=False).sum())(x)
    assert plain.tolist() == [1.0, 1.0, 1.0]


def test_torch_rounds_alike():
    torch = pytest.importorskip("torch", reason="torch's fake quantisation is the oracle")
    x = np.random.default_rng(0).normal(size=5000).astype(np.float32) * 2
    for bits in (2, 4, 8):
        grid = affine_grid(jnp.float32(x.min()), jnp.float32(x.max()), bits)
        theirs = torch.fake_quantize_per_tensor_affine(
            torch.from_numpy(x), float(grid.scale), int(grid.zero_point), 0, 2**bits - 1
        )
        np.testing.assert_array_equal(fake(x, grid, symmetric=False), theirs.numpy())


def test_moving_average_by_hand():
    state = no_range()
    for x in ([-1.0, 4.0], [-3.0, 4.0], [0.0, 14.0]):
        state = moving(state, jnp.array(x), None)
    # lo: -1, -1 + .01(-2) = -1.02, -1.02 + .01(1.02) = -1.0098; hi: 4, 4, 4 + .01(10) = 4.1
    assert float(state.lo) == pytest.approx(-1.0098, rel=1e-6)
    assert float(state.hi) == pytest.approx(4.1, rel=1e-6)
    assert int(state.count) == 3


def test_first_batch_sets_the_range_even_above_zero():
    for rule in (running, moving, percentile):
        state = rule(no_range(), jnp.array([5.0, 7.0]), None)
        assert (float(state.lo), float(state.hi)) == (5.0, 7.0)


@pytest.mark.parametrize("n", [1, 2, 100, 101, 1000, 1001, 2500])
@pytest.mark.parametrize(("bits", "tail"), [(2, 0.01), (4, 0.01), (5, 0.001), (8, 0.001)])
def test_percentiles_are_numpys(n, bits, tail):
    rng = np.random.default_rng(n)
    x = rng.normal(size=n).astype(np.float32)
    padded = np.concatenate([x, [np.float32(1e9)] * 7])
    rng.shuffle(padded)
    state = jax.jit(percentile)(no_range(), padded, padded < 1e8, jnp.int32(bits))
    # float64 noise of numpy's own (1 - tail) * (n - 1) must not move it to a neighbour
    assert float(state.lo) == np.quantile(x, tail + 1e-9, method="lower")
    assert float(state.hi) == np.quantile(x, 1 - tail - 1e-9, method="higher")


def test_a_sample_gives_nearly_the_percentiles_of_all_and_reads_every_column():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, 64)).astype(np.float32) * np.arange(1, 65)
    real = np.arange(20_000) < 15_000
    exact, drawn = (
        rule(no_range(), jnp.asarray(x), jnp.asarray(real), 8)
        for rule in (percentile, sampled_percentile)
    )
    assert float(drawn.hi) == pytest.approx(float(exact.hi), rel=0.1)
    assert float(drawn.lo) == pytest.approx(float(exact.lo), rel=0.1)
    few = jnp.asarray(x[:500])
    assert percentile(no_range(), few, None) == sampled_percentile(no_range(), few, None)


ONE = {"kernel": jnp.ones((2, 2))}
ERRORS = {
    r"`bits` counts stored bits, a whole number in 2\.\.8; got 1": lambda: qat(1),
    r"`bits` counts stored bits, a whole number in 2\.\.8; got 9": lambda: qat(9),
    r"`bits` counts stored bits, a whole number in 2\.\.8; got 4.5": lambda: qat(4.5),
    r"`bits_values` counts stored bits": lambda: qat(4, bits_values=16),
    r"`ranges` must be one of \['abs', .*\], got 'pre'; did you mean 'per'": lambda: qat(
        8, ranges="pre"
    ),
    r"`is_quantized` matched none of the 1 parameters": lambda: qat(8).init(
        {"bias": jnp.ones(3)}, {}
    ),
    r"`site` 'conv9/message' is not one that `init` saw: \[\]": lambda: qat(8).value(
        qat(8).init(ONE, {}), "conv9/message", jnp.ones(2), None, None, True
    ),
    r"`params` lacks \['kernel'\]": lambda: qat(8).weight(
        qat(8).init(ONE, {}), {"bias": jnp.ones(3)}
    ),
    r"`mask` says which rows of `x` are real: its shape must be \(3,\), got \(2,\)": lambda: (
        running(no_range(), jnp.ones((3, 2)), jnp.ones(2, bool))
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_name_the_argument(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
