"""Numbers worked by hand, and the errors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jgc.prune import (
    METHODS,
    Schedule,
    apply_masks,
    constant,
    cubic,
    element,
    global_,
    global_magnitude,
    head,
    head_magnitude,
    hold_at_zero,
    kept_count,
    kept_fractions,
    lamp,
    layer_magnitude,
    magnitude,
    n_of_m,
    n_of_m_magnitude,
    one_shot,
    per_layer,
    pruner,
    row_magnitude,
    share_of_larger,
)
from tests.prune.cases import n_kept, plain_params, pruned


@pytest.mark.parametrize(
    ("n", "sparsity", "kept"),
    [
        (25, 0.9, 2),  # 2.5, a tie: to even; 1 - 0.9 in float64 says 2.4999999999999996
        (35, 0.9, 4),  # 3.5
        (15, 0.3, 10),  # 10.5
        (5, 0.5, 2),
        (7, 0.5, 4),
        (10015, 0.1, 9014),  # 9013.5: beyond what float32 products can tell
        (23040, 0.9, 2304),
        (8_000_000, 0.99, 80_000),  # (1 - 0.99) * n is 80000.0000007
        (3_000_001, 0.5, 1_500_000),  # 1500000.5
        (10, 0, 10),
        (10, 1, 0),
    ],
)
def test_count_is_exact_in_both_paths(n, sparsity, kept):
    assert kept_count(n, sparsity) == kept
    assert int(jax.jit(lambda s: kept_count(n, s))(jnp.float32(sparsity))) == kept


def test_host_and_traced_counts_agree_on_decimal_levels():
    levels = [i / 200 for i in range(201)] + [i / 10_000 for i in range(0, 10_001, 37)]
    traced = jax.jit(jax.vmap(kept_count, in_axes=(None, 0)), static_argnums=0)
    for n in (1, 2, 5, 16, 90, 999, 9_999, 10_000, 22_928, 23_040, 123_457, 2_000_003):
        got = np.asarray(traced(n, jnp.array(levels, jnp.float32)))
        np.testing.assert_array_equal(got, [kept_count(n, level) for level in levels])


def test_levels_between_decimals_round_to_the_nearest():
    # 0.8^20 of 10,000 weights: 115.29; 0.8^5 of 1,000: 327.68
    assert kept_count(10_000, 1 - 0.8**20) == 115
    assert int(kept_count(10_000, jnp.float32(1 - 0.8**20))) == 115
    assert int(kept_count(1_000, jnp.float32(1 - 0.8**5))) == 328


def test_ties_keep_the_lower_index():
    params = {"a": {"kernel": jnp.ones((1, 3))}, "b": {"kernel": -jnp.ones((1, 3))}}
    masks = pruned(global_magnitude(0.5), params)
    assert masks["a"]["kernel"].all() and not masks["b"]["kernel"].any()
    masks = pruned(layer_magnitude(0.6), params)  # 1.2 -> 1 of 3
    assert masks["b"]["kernel"].tolist() == [[True, False, False]]


def test_global_layers_differ_where_fine_layers_do_not():
    params = {"a": {"kernel": jnp.full((2, 2), 2.0)}, "b": {"kernel": jnp.ones((2, 2))}}
    masks = pruned(global_magnitude(0.5), params)
    assert masks["a"]["kernel"].all() and not masks["b"]["kernel"].any()
    masks = pruned(layer_magnitude(0.5), params)
    assert masks["a"]["kernel"].sum() == masks["b"]["kernel"].sum() == 2


def test_row_is_a_column_of_a_kernel_and_a_row_of_a_weight():
    matrix = jnp.array([[5.0, 1.0, 3.0], [4.0, 1.0, -3.0]])  # mean |w|: 4.5, 1, 3 a column
    masks = pruned(row_magnitude(1 / 3), {"kernel": matrix, "weight": matrix.T})
    assert masks["kernel"].tolist() == [[True, False, True]] * 2
    np.testing.assert_array_equal(masks["weight"], masks["kernel"].T)


def test_a_head_is_a_block_of_columns_of_a_kernel_and_of_rows_of_a_weight():
    # mean |w|: heads 1.5 and 2.5, and a short one of 2
    matrix = jnp.array([[1.0, -3.0, 2.0, 3.0, 2.0], [1.0, 1.0, -2.0, 3.0, 2.0]])
    masks = pruned(head_magnitude(1 / 3, features=2), {"kernel": matrix, "weight": matrix.T})
    assert masks["kernel"].tolist() == [[False, False, True, True, True]] * 2
    np.testing.assert_array_equal(masks["weight"], masks["kernel"].T)
    masks = pruned(head_magnitude(2 / 3, features=2), {"kernel": matrix})
    assert masks["kernel"].tolist() == [[False, False, True, True, False]] * 2


def test_two_of_four_runs_along_the_inputs():
    column = jnp.array([4.0, 1.0, 3.0, 2.0, 0.3, 0.1])  # groups (4 1 3 2) and a short (.3 .1)
    params = {"kernel": jnp.stack([column, column[::-1]], 1)}
    mask = pruned(n_of_m_magnitude(), params)["kernel"]
    assert mask[:, 0].tolist() == [True, False, True, False, True, True]
    assert mask[:, 1].tolist() == [False, False, True, True, True, True]  # (.1 .3 2 3), (1 4)
    transposed = pruned(n_of_m_magnitude(), {"weight": params["kernel"].T})["weight"]
    np.testing.assert_array_equal(transposed, mask.T)


def test_three_axes_group_along_the_last_but_one():
    kernel = jnp.arange(24.0).reshape(2, 4, 3)
    mask = pruned(n_of_m_magnitude(0.75), {"kernel": kernel})["kernel"]
    assert mask[:, 3].all() and int(mask.sum()) == 6


@pytest.mark.parametrize(
    ("step", "sparsity"), [(0, 0.0), (2, 0.0), (4, 0.8 * 37 / 64), (10, 0.8), (11, 0.8)]
)
def test_cubic_is_zhu_and_gupta(step, sparsity):
    schedule = cubic(0.8, begin=2, end=10)  # step 4: a quarter, 1 - (3/4)^3 = 37/64
    assert float(schedule(jnp.int32(step))) == pytest.approx(sparsity, abs=1e-7)
    theirs = optax.polynomial_schedule(0.0, 0.8, 3, transition_steps=8, transition_begin=2)
    assert float(schedule(jnp.int32(step))) == pytest.approx(float(theirs(step)), abs=1e-6)


def test_masks_refresh_on_the_beat_and_at_the_end():
    schedule = cubic(0.9, begin=3, end=14)
    due = [t for t in range(20) if bool(schedule.due(jnp.int32(t), every=4))]
    assert due == [3, 7, 11, 14]
    assert [t for t in range(5) if bool(constant(0.5).due(jnp.int32(t), every=2))] == [0]
    assert [t for t in range(9) if bool(one_shot(0.5, 5).due(jnp.int32(t), every=2))] == [5]


def test_a_falling_schedule_regrows_nothing():
    falling = Schedule(lambda step: jnp.where(step == 0, 0.5, 0.1), 0, 1)
    prune = pruner(score=magnitude, budget=global_, structure=element, schedule=falling)
    state, _ = prune.update(prune.init(plain_params()), plain_params())
    again, info = prune.update(state, plain_params(1))
    assert n_kept(again.masks) == n_kept(state.masks) == 45
    assert float(info.target) == pytest.approx(0.1) and float(info.achieved) == 0.5


def test_the_dead_rank_below_living_zeros():
    params = {"kernel": jnp.zeros((1, 4))}
    prune = global_magnitude(0.75)
    state = prune.init(params)
    state = state._replace(masks={"kernel": jnp.array([[False, False, True, True]])})
    mask = prune.update(state, params)[0].masks["kernel"]
    assert mask.tolist() == [[False, False, True, False]]


def test_gradient_of_a_pruned_weight_is_zero():
    masks = {"kernel": jnp.array([True, False])}
    grads = jax.grad(lambda p: (apply_masks(p, masks)["kernel"] ** 2).sum())(
        {"kernel": jnp.array([3.0, 4.0])}
    )
    assert grads["kernel"].tolist() == [6.0, 0.0]


@pytest.mark.parametrize("name", METHODS)
def test_percent_is_no_fraction(name):
    for wrong in (1.2, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"`sparsity` is a fraction in \[0, 1\], got"):
            METHODS[name](wrong, key=jax.random.key(0))
    with pytest.raises(ValueError, match=r"For 50 percent write 0\.5"):
        METHODS[name](50, key=jax.random.key(0))


ERRORS = {
    "`every` counts steps between mask updates; must be >= 1, got 0": lambda: global_magnitude(
        0.5, every=0
    ),
    "`schedule` is a function of the sparsity": lambda: global_magnitude(
        0.5, schedule=cubic(0.5, 0, 1)
    ),
    "`end` must come after `begin`, got begin=5 and end=5": lambda: cubic(0.5, 5, 5),
    "0 <= `begin` <= `end`, got -1": lambda: cubic(0.5, -1, 5),
    "`at` is the step": lambda: one_shot(0.5, at=-1),
    "`features` are the outputs of a head; must be >= 1, got 0": lambda: head(0),
    "`m` is the size of a group of inputs; must be >= 2, got 1": lambda: n_of_m(1),
    r"`sparsity` of n:4 must be one of \[0.0, 0.25, 0.5, 0.75, 1.0\], got 0.9": lambda: (
        n_of_m_magnitude(0.9)
    ),
    r"`is_prunable` matched none of the 1 parameters: \['bias'\]": lambda: global_magnitude(
        0.5
    ).init({"bias": jnp.ones(3)}),
    "leaf 'act' is a function, not an array": lambda: global_magnitude(0.5).init(
        {"act": lambda x: x}
    ),
    "global_ ranks all units together": lambda: pruned(
        pruner(score=magnitude, budget=global_, structure=n_of_m(4), schedule=constant(0.5)),
        plain_params(),
    ),
    "must be a Schedule such as constant": lambda: pruner(
        score=magnitude, budget=per_layer, structure=element, schedule=lambda t: 0.5
    ),
    "`hold_at_zero` needs `params` and `masks`": lambda: hold_at_zero().update(
        {"w": jnp.ones(1)}, optax.EmptyState(), {"w": jnp.ones(1)}
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_name_the_argument(message):
    with pytest.raises((ValueError, TypeError), match=message):
        ERRORS[message]()


def test_kept_fractions_by_hand():
    masks = {"a": {"bias": jnp.zeros(2, bool), "kernel": jnp.array([[False, False, True]])},
             "b": {"kernel": jnp.ones((2, 2), bool)}}  # fmt: skip
    assert {name: float(x) for name, x in kept_fractions(masks).items()} == pytest.approx(
        {"a/kernel": 1 / 3, "b/kernel": 1.0}
    )
    lanes = jax.tree.map(lambda mask: jnp.stack([mask, ~mask]), masks)
    np.testing.assert_allclose(jax.vmap(kept_fractions)(lanes)["a/kernel"], [1 / 3, 2 / 3])


def test_shares_of_what_is_larger_by_the_definition():
    """LAMP, eq. 5: over all weights that are ranked no lower, one by one."""
    leaf = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    leaf[3, 2] = -leaf[1, 1]  # Of equal weights the first is the last to go.
    leaf[0, :2] = 0
    flat = leaf.ravel()
    due = [
        w**2 / sum(v**2 for j, v in enumerate(flat) if v**2 > w**2 or (v**2 == w**2 and j <= i))
        for i, w in enumerate(flat)
    ]
    got = share_of_larger.scores({"w": leaf}, ())["w"]
    np.testing.assert_allclose(got, np.reshape(due, leaf.shape), rtol=1e-5)
    assert got[1, 1] > got[3, 2] and not share_of_larger.scores({"w": jnp.zeros(3)}, ())["w"].any()


def test_layer_adaptive_magnitudes_leave_every_layer_its_largest():
    small, large = plain_params(0), plain_params(1)
    params = {"small": jax.tree.map(lambda x: 1e-4 * x, small), "large": large}
    kept = {
        make: min(int(m.sum()) for m in jax.tree.leaves(pruned(make(0.95), params)) if m.ndim == 2)
        for make in (lamp, global_magnitude)
    }
    assert kept[lamp] >= 1 and kept[global_magnitude] == 0
