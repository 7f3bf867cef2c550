"""What every pruner owes: one test a duty, run over the table."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from jgc.prune import COURSES, METHODS, apply_masks, cubic, hold_at_zero, one_shot, sparsity_of
from tests.prune.cases import (
    CASES,
    FREE,
    LIBRARIES,
    SAME,
    SIGNALS,
    TREES,
    at_once,
    masks_at,
    n_kept,
    plain_params,
    pruned,
)

all_cases = pytest.mark.parametrize("case", CASES, ids=str)


def assert_trees_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


def test_every_method_has_its_case():
    assert {case.name for case in CASES} == set(METHODS) - FREE - set(SAME)
    assert COURSES.keys() == METHODS.keys()


@pytest.mark.parametrize("name", SAME)
def test_methods_of_one_composition_make_the_same_masks(name):
    params = plain_params()
    masks = [
        pruned(METHODS[each](0.5, key=None, schedule=at_once), params)
        for each in (name, SAME[name])
    ]
    assert_trees_equal(*masks)


# What differs between libraries is names and axes, so three structures stand for all methods.
ON_TREES = [(case, "plain") for case in CASES] + [
    (case, tree) for case in CASES if case.name in ("global", "row", "n:m") for tree in LIBRARIES
]


@pytest.mark.parametrize(("case", "tree"), ON_TREES, ids=str)
def test_masks_mirror_params_and_counts_are_exact(case, tree):
    params = TREES[tree]()
    for level in case.levels:
        masks = masks_at(case)(params, level)
        assert jax.tree.structure(masks) == jax.tree.structure(params)
        for mask, leaf in zip(jax.tree.leaves(masks), jax.tree.leaves(params), strict=True):
            assert mask.dtype == bool and mask.shape == leaf.shape
            assert leaf.ndim >= 2 or mask.all()
        assert n_kept(masks) == case.kept(level)
        assert float(sparsity_of(masks)) == pytest.approx(1 - case.kept(level) / 90, abs=1e-6)


@all_cases
def test_ties_keep_exact_counts(case):
    params = jax.tree.map(jnp.ones_like, plain_params())
    for level in case.levels:
        assert n_kept(masks_at(case)(params, level)) == case.kept(level)


@all_cases
def test_host_traced_and_uncompiled_levels_agree(case):
    params, level = plain_params(), case.levels[1]
    traced = masks_at(case)(params, level)
    assert_trees_equal(pruned(case.build(level), params), traced)
    pruner = case.build(level)
    masks = pruner.update(pruner.init(params), params, **SIGNALS)[0].masks
    assert_trees_equal(masks, traced)


@all_cases
def test_vmap_over_seeds_and_levels_is_the_loop(case):
    many = [plain_params(seed) for seed in range(len(case.levels))]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *many)
    lanes = jax.jit(jax.vmap(masks_at(case)))(stacked, jnp.array(case.levels, jnp.float32))
    for i, (params, level) in enumerate(zip(many, case.levels, strict=True)):
        alone = masks_at(case)(params, level)
        assert_trees_equal(jax.tree.map(lambda leaf, i=i: leaf[i], lanes), alone)


@all_cases
def test_one_trace_over_twelve_steps_and_twice_is_once(case):
    params, traces = plain_params(), []

    @jax.jit
    def step(state, params, level):
        traces.append(1)
        pruner = case.build(level, schedule=lambda s: one_shot(s, at=3))
        return pruner.update(state, params, **SIGNALS)

    state = case.build(0.5).init(params)
    kept = []
    for _ in range(12):
        state, _ = step(state, apply_masks(params, state.masks), jnp.float32(0.5))
        kept.append(n_kept(state.masks))
    assert len(traces) == 1
    assert kept == [90] * 3 + [case.kept(0.5)] * 9
    # Pruning what is pruned already, from step 0 again, changes nothing.
    update = functools.partial(case.build(0.5).update, **SIGNALS)
    again = jax.jit(update)(state._replace(step=jnp.int32(0)), params)[0].masks
    assert_trees_equal(again, state.masks)


@pytest.mark.parametrize("case", [case for case in CASES if case.gradual], ids=str)
def test_masks_are_nested_while_weights_move(case):
    pruner = case.build(case.levels[-2], schedule=lambda s: cubic(s, begin=1, end=9), every=2)
    step = jax.jit(functools.partial(pruner.update, **SIGNALS))
    state, targets = pruner.init(plain_params()), []
    for seed in range(11):
        before, (state, info) = state.masks, step(state, plain_params(seed))
        regrown = jax.tree.map(lambda new, old: (new & ~old).any(), state.masks, before)
        assert pruner.regrows or not any(bool(leaf) for leaf in jax.tree.leaves(regrown))
        targets.append(float(info.target))
    assert targets[0] == targets[1] == 0 and targets[9] == targets[10] > targets[5]
    assert n_kept(state.masks) == case.kept(case.levels[-2])


@all_cases
def test_masks_are_nested_over_levels(case):
    params = plain_params()
    previous = masks_at(case)(params, 0.0)
    for level in case.levels[1:]:
        masks = masks_at(case)(params, level)
        subset = jax.tree.map(lambda new, old: (old | ~new).all(), masks, previous)
        assert all(bool(leaf) for leaf in jax.tree.leaves(subset))
        previous = masks


@all_cases
def test_pruned_weights_stay_exactly_zero_under_adamw(case):
    tx = optax.chain(optax.adamw(0.1, weight_decay=0.1), hold_at_zero())
    pruner = case.build(0.5, schedule=lambda s: one_shot(s, at=2))

    @jax.jit
    def step(params, opt_state, state):
        state, _ = pruner.update(state, params, **SIGNALS)
        grads = jax.tree.map(lambda p: p + 1.0, params)
        if pruner.observe is not None:
            state = pruner.observe(state, params, grads)
        updates, opt_state = tx.update(grads, opt_state, params, masks=state.masks)
        return optax.apply_updates(params, updates), opt_state, state

    params = plain_params()
    opt_state, state = tx.init(params), pruner.init(params)
    for i in range(7):
        params, opt_state, state = step(params, opt_state, state)
        if i >= 2:
            for p, m in zip(jax.tree.leaves(params), jax.tree.leaves(state.masks), strict=True):
                np.testing.assert_array_equal(np.asarray(p) == 0, ~np.asarray(m))
    assert n_kept(state.masks) == case.kept(0.5)


@all_cases
def test_small_and_narrow_leaves(case):
    params = {
        "one": {"kernel": jnp.ones((1, 1))},
        "half": {"kernel": jnp.arange(8.0, dtype=jnp.bfloat16).reshape(4, 2)},
    }
    for level in (0.0, 1.0):
        masks = masks_at(case)(params, level)
        assert n_kept(masks) == (9 if level == 0 else 0)
    masked = apply_masks(params, masks)
    assert masked["half"]["kernel"].dtype == jnp.bfloat16
    assert not masked["half"]["kernel"].any()


@all_cases
def test_state_survives_a_checkpoint(case, tmp_path):
    params = plain_params()
    pruner = case.build(0.5)
    state = pruner.init(params)._replace(step=jnp.int32(3), masks=masks_at(case)(params, 0.5))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
        checkpointer.wait_until_finished()
        device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=device),
            jax.eval_shape(pruner.init, params),
        )
        restored = checkpointer.restore(tmp_path / "state", target)
    assert_trees_equal(restored, state)


@all_cases
def test_donating_the_state_leaves_the_caller_his_arrays(case):
    params, key = plain_params(), jax.random.key(7)
    pruner = METHODS[case.name](0.5, key=key, schedule=case.schedule)
    state = pruner.init(params)
    assert all(leaf is not key for leaf in jax.tree.leaves(state))
    jax.jit(lambda s: s._replace(step=s.step + 1), donate_argnums=0)(state)
    assert not key.is_deleted() and not any(p.is_deleted() for p in jax.tree.leaves(params))


@all_cases
def test_lowers_for_every_platform(case):
    params = plain_params()
    exported = jax.export.export(masks_at(case), platforms=("cpu", "cuda", "tpu"))
    assert set(exported(params, jnp.float32(0.5)).platforms) == {"cpu", "cuda", "tpu"}


def test_refresh_stays_a_branch_under_lanes():
    """The loop that selects must sit inside `cond`: as a select it would run at every step."""
    params = plain_params()

    def lane(level, state):
        pruner = METHODS["global"](level, schedule=lambda s: cubic(s, begin=0, end=5))
        return pruner.update(state, params)[0]

    state = METHODS["global"](0.5).init(params)
    lanes = jax.vmap(lane, in_axes=(0, state._replace(step=None, masks=None, memory=None)))
    jaxpr = jax.make_jaxpr(lanes)(jnp.array([0.1, 0.5]), state)
    names = [eqn.primitive.name for eqn in jaxpr.eqns]
    assert "cond" in names and not {"while", "scan", "sort"} & set(names), names
