"""What every quantiser owes: one test a duty, run over the table."""

import chex
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jgc.quant import METHODS, dequantize, q_bounds, quantize
from tests.quant.cases import BATCH, CASES, TREES, plain_params, values

all_cases = pytest.mark.parametrize("case", CASES, ids=str)
REAL = jnp.arange(12) < 9


def assert_trees_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def step(quantizer, quant, params, x):
    """What one training step does with a quantiser."""
    x, quant = quantizer.value(quant, "conv1/message", x, REAL, None, True)
    return quantizer.weight(quant, params), x, quant


def start(case, bits=8):
    quantizer = case.build(bits)
    return quantizer, quantizer.init(plain_params(), case.sites)


def test_every_method_has_its_case():
    assert {case.method for case in CASES} == set(METHODS)


@all_cases
@pytest.mark.parametrize("tree", TREES)
def test_only_kernels_change_and_weight_is_its_grids(case, tree):
    params, quantizer = TREES[tree](), case.build(4)
    quant = quantizer.init(params, {})
    rounded = quantizer.weight(quant, params)
    assert jax.tree.structure(rounded) == jax.tree.structure(params)
    (grid,) = quantizer.grids(quant, params).values()
    symmetric = quantizer.symmetric_weights
    for w, y in zip(jax.tree.leaves(params), jax.tree.leaves(rounded), strict=True):
        if w.shape not in ((10, 6), (6, 10)):
            np.testing.assert_array_equal(y, w)
            continue
        codes = quantize(w, grid, symmetric=symmetric)
        assert codes.dtype == (jnp.int8 if symmetric else jnp.uint8)
        lowest, highest = q_bounds(4, symmetric=symmetric)
        assert lowest <= codes.min() and codes.max() <= highest
        np.testing.assert_array_equal(dequantize(codes, grid), y)
        np.testing.assert_array_equal(np.asarray(y)[np.asarray(w) == 0], 0.0)
        assert (np.abs(y - w) <= grid.scale * 0.5001).all()  # 1e-4: rounding of the quotient
        per_channel = case.settings.get("per_channel", True)
        assert grid.scale.shape == ((1, 6) if w.shape == (10, 6) else (6, 1)) or not per_channel


@all_cases
def test_fake_quantising_twice_is_once(case):
    for bits in (2, 5, 8):
        quantizer, quant = start(case, bits)
        rounded, x, quant = step(quantizer, quant, plain_params(), values())
        # The same grid twice: one taken from the rounded weights may differ in its last bit.
        grid = quantizer.grids(quant, plain_params())["conv1/kernel"]
        symmetric = quantizer.symmetric_weights
        kernel = rounded["conv1"]["kernel"]
        again = dequantize(quantize(kernel, grid, symmetric=symmetric), grid)
        np.testing.assert_array_equal(again, kernel)
        if case.sites is not BATCH:  # A rounded node may lie nearer to another group.
            x_again, _ = quantizer.value(quant, "conv1/message", x, REAL, None, False)
            np.testing.assert_array_equal(x_again, x)
        for row in np.asarray(x)[None] if case.one_grid else np.asarray(x):
            assert len(np.unique(row)) <= 2**bits


@all_cases
def test_one_trace_for_all_widths_and_vmap_is_the_loop(case):
    traces, x, params = [], values(), plain_params()

    def run(bits, x):
        traces.append(1)
        quantizer, quant = start(case, bits)
        return step(quantizer, quant, params, x)

    program = jax.jit(run)
    alone = [program(jnp.int32(bits), x) for bits in range(2, 9)]
    assert len(traces) == 1
    lanes = jax.jit(jax.vmap(run, in_axes=(0, None)))(jnp.arange(2, 9), x)
    for i, one in enumerate(alone):
        assert_trees_equal(jax.tree.map(lambda leaf, i=i: leaf[i], lanes), one)
    # Bits fixed in the program, and no program at all, give the same bits.
    assert_trees_equal(jax.jit(lambda x: run(4, x))(x), alone[2])
    assert_trees_equal(run(4, x), alone[2])


@all_cases
def test_moving_ranges_agree_compiled_or_not(case):
    quantizer, quant = start(case)
    compiled = jax.jit(lambda quant, x: step(quantizer, quant, plain_params(), x)[1:])
    uncompiled = quant
    for seed in range(3):
        _, y = compiled(quant, values(seed))
        x, quant = compiled(quant, values(seed))
        _, x_un, uncompiled = step(quantizer, uncompiled, plain_params(), values(seed))
        # A learned grid carries a sum of errors, which compilers round in their own order.
        chex.assert_trees_all_close(
            (x, quant), (x_un, uncompiled), rtol=0 if case.one_grid else 1e-6, atol=0
        )
        assert_trees_equal(y, quant)
    site = quant.sites["conv1/message"]
    assert int(site.range.count if case.one_grid else site.count) == 3


@all_cases
def test_gradients_are_exactly_zero_or_one(case):
    quantizer, quant = start(case, 4)
    _, _, quant = step(quantizer, quant, plain_params(), values())
    wild = values() * 3.0  # beyond the stored range, so that some are clipped

    def total(params, x):
        x, _ = quantizer.value(quant, "conv1/message", x, REAL, None, False)
        rounded = quantizer.weight(quant, params)
        return x.sum() + sum(leaf.sum() for leaf in jax.tree.leaves(rounded))

    by_params, by_x = jax.jit(jax.grad(total, argnums=(0, 1)))(plain_params(), wild)
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(by_params))
    clipped = case.settings.get("clip_gradient", True)
    assert set(np.unique(by_x)) == ({0.0, 1.0} if clipped else {1.0})


@all_cases
def test_padding_changes_nothing(case):
    if case.name == "a2q":
        pytest.skip("a grid for each node, padding too: see test_a2q")
    quantizer, quant = start(case)
    x = values()
    extra = jnp.full((5, 3), 1e6).at[::2].set(-1e6)
    padded = jnp.concatenate([x[:9], extra])
    real = jnp.arange(14) < 9
    for train in (True, False):  # untrained evaluation uses the range at hand: padding apart too
        y, seen = quantizer.value(quant, "conv1/message", x[:9], None, None, train)
        z, seen_padded = quantizer.value(quant, "conv1/message", padded, real, None, train)
        np.testing.assert_array_equal(y, z[:9])
        assert_trees_equal(seen, seen_padded)
    _, nothing = quantizer.value(seen, "conv1/message", extra, jnp.zeros(5, bool), None, True)
    assert_trees_equal(nothing, seen)
    _, seen = quantizer.value(quant, "conv1/message", x, None, None, True)
    _, nothing = quantizer.value(seen, "conv1/message", extra, jnp.zeros(5, bool), None, True)
    assert_trees_equal(nothing, seen)
    _, nothing = quantizer.value(seen, "conv1/message", jnp.zeros((0, 3)), None, None, True)
    assert_trees_equal(nothing, seen)


@all_cases
def test_evaluation_stores_nothing_and_logits_stay_float(case):
    quantizer, quant = start(case, 2)
    x = values()
    y, after = quantizer.value(quant, "conv1/message", x, None, None, False)
    assert_trees_equal(after, quant)
    assert len(np.unique(np.asarray(y))) <= 4 or not case.one_grid
    logits, after = quantizer.value(quant, "output", x, None, None, True)
    np.testing.assert_array_equal(logits, x)
    assert_trees_equal(after, quant)
    assert float(quantizer.cost(quant)) == 0.0 or not case.one_grid


@all_cases
def test_quant_survives_a_checkpoint(case, tmp_path):
    quantizer, quant = start(case)
    _, _, quant = step(quantizer, quant, plain_params(), values())
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    target = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
        jax.eval_shape(lambda params: quantizer.init(params, case.sites), plain_params()),
    )
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "quant", quant)
        checkpointer.wait_until_finished()
        assert_trees_equal(checkpointer.restore(tmp_path / "quant", target), quant)


@all_cases
def test_quant_holds_one_buffer_a_leaf(case):
    """Donating the state must not find one buffer twice."""
    bits = jnp.int32(8)
    quantizer = case.build(bits)
    quant = quantizer.init(plain_params(), case.sites)
    jax.jit(lambda q: jax.tree.map(lambda leaf: leaf + leaf, q), donate_argnums=0)(quant)
    assert not bits.is_deleted()


@all_cases
def test_lowers_for_every_platform(case):
    def run(bits, params, x):
        quantizer, quant = start(case, bits)
        return step(quantizer, quant, params, x)[:2]

    exported = jax.export.export(jax.jit(run), platforms=("cpu", "cuda", "tpu"))
    platforms = exported(jnp.int32(4), plain_params(), values()).platforms
    assert set(platforms) == {"cpu", "cuda", "tpu"}
