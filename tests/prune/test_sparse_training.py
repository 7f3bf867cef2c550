"""Sparse training: counts at every step, what is dropped and what grows, worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.prune import (
    METHODS,
    element,
    n_of_m,
    per_layer,
    random,
    regrowing,
    rigl,
    rigl_ucb,
    row,
    set_,
    static_sparse,
    window,
)
from jgc.prune.budget import erdos_renyi
from jgc.prune.methods.sparse_training import steepness
from tests.prune.cases import SIGNALS, n_kept, plain_params

KEY = jax.random.key(3)


def counts(masks):
    return [int(leaf.sum()) for leaf in jax.tree.leaves(masks) if leaf.ndim >= 2]


def moving(sparsity):
    return window(sparsity, 0, 12)


@pytest.mark.parametrize("name", ["static", "set", "rigl", "rigl-ucb"])
@pytest.mark.parametrize("budget", ["erdos-renyi", "uniform"])
def test_every_layer_keeps_its_count_at_every_step(name, budget):
    settings = {} if name == "static" else {"schedule": moving, "every": 3}
    prune = METHODS[name](0.8, key=KEY, budget=budget, **settings)
    step = jax.jit(lambda state, params: prune.update(state, params, **SIGNALS))
    state, seen, moved = prune.init(plain_params()), [], []
    for i in range(14):
        before = state.masks
        state, info = step(state, plain_params(i))
        seen.append(counts(state.masks))
        same = jax.tree.map(lambda a, b: (a == b).all(), before, state.masks)
        moved.append(not jax.tree.all(same))
        assert float(info.achieved) == pytest.approx(0.8) and float(info.target) == pytest.approx(
            0.8
        )
    # 18 of 90 weights: 16/27 and 11/27 of them, or a fifth of 60 and of 30.
    assert seen == [[11, 7] if budget == "erdos-renyi" else [12, 6]] * 14
    assert [i for i in range(14) if moved[i]] == ([0] if name == "static" else [0, 3, 6, 9])


def test_budgets_of_erdos_and_renyi_by_hand():
    ones = [jnp.ones((1, 1000)), jnp.ones((1, 20)), jnp.ones((1, 4))]
    shapes = [(100, 10), (10, 2), (2, 2)]
    # Wanted .11, .6 and 1: of 204 the small layer keeps all 4; 200 = 1000 * .11 e + 20 * .6 e
    e = 200 / (110 + 12)
    kept = [int(k.sum()) for k in erdos_renyi(ones, 1 - 204 / 1024, shapes)]
    assert kept == [round(110 * e), round(12 * e), 4] == [180, 20, 4]
    for sparsity in (0.0, 0.013, 0.5, 0.77, 1.0):
        kept = erdos_renyi(ones, jnp.float32(sparsity), shapes)
        assert sum(int(k.sum()) for k in kept) == round((1 - sparsity) * 1024)


def test_rigl_drops_the_smallest_and_grows_the_steepest():
    params = {"kernel": jnp.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]])}
    slopes = jnp.array([[0.0, 9.0, 1.0, -8.0, 2.0, 7.0, 3.0, 0.5]])
    prune = rigl(0.5, key=KEY, drop=0.5, schedule=lambda s: window(s, 0, 4), every=1)

    def loss(p):
        return (p["kernel"] * slopes).sum()

    state, _ = prune.update(prune.init(params), params, loss=loss)
    mask = np.asarray(state.masks["kernel"][0])
    weights = {"kernel": params["kernel"] * mask[None]}
    state, _ = prune.update(state, weights, loss=loss)
    # A quarter of the window is gone: .25 (1 + cos(pi / 4)) of 4 weights is 1.7, rounded up to 2.
    rest = set(np.flatnonzero(mask)[2:])  # Magnitudes rise with the place.
    missing = [i for i in np.argsort(-np.abs(slopes[0])) if i not in rest]
    assert set(np.flatnonzero(state.masks["kernel"][0])) == rest | set(missing[:2])


def test_an_upper_confidence_bound_grows_what_was_never_there():
    params = {"kernel": jnp.array([[4.0, 3.0, 0.0, 0.0]])}
    prune = rigl_ucb(0.5, key=KEY, drop=1.0, explore=10.0, schedule=lambda s: window(s, 0, 9))
    state = prune.init(params)
    for _ in range(5):
        state = prune.observe(state, params, params)
    state = state._replace(step=jnp.int32(1), masks={"kernel": params["kernel"] > 0})
    flat = {"loss": lambda p: p["kernel"].sum()}
    assert prune.update(state, params, **flat)[0].masks["kernel"].tolist() == [
        [False] * 2 + [True] * 2
    ]


def test_random_growth_differs_from_step_to_step_and_repeats_by_key():
    params = plain_params()

    def masks(key):
        prune = set_(0.8, key=key, schedule=moving)
        state, found = prune.init(params), []
        for _ in range(4):
            state, _ = prune.update(state, params)
            found.append(np.asarray(state.masks["dense0"]["kernel"]))
        return found

    first, again, other = masks(KEY), masks(KEY), masks(jax.random.key(4))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert all((a != b).any() for a, b in zip(first, first[1:], strict=False))
    assert (first[0] != other[0]).any()


@pytest.mark.parametrize("structure, units", [(row, 6), (n_of_m(2), None)])
def test_whole_units_are_dropped_and_grown(structure, units):
    params = {"kernel": jax.random.normal(KEY, (10, 6))}
    prune = regrowing(
        grow=steepness, key=KEY, budget=per_layer, structure=structure,
        schedule=window(0.5, 0, 6), every=1, drop=0.5,
    )  # fmt: skip
    state = prune.init(params)
    for _ in range(6):
        state, _ = prune.update(state, params, **SIGNALS)
        mask = np.asarray(state.masks["kernel"])
        if units:
            assert (mask == mask[:1]).all() and mask[0].sum() == 3
        else:
            assert (mask.reshape(5, 2, 6).sum(1) == 1).all()


def test_no_gradient_is_formed_but_at_a_regrowth():
    """The loss is traced inside the branch of the regrowth, so other steps do not run it."""
    params = {"kernel": jnp.ones((4, 4))}
    prune = rigl(0.5, key=KEY, schedule=moving, every=3)

    def loss(p):
        return jnp.sum(jnp.sinh(p["kernel"]))

    jaxpr = jax.make_jaxpr(lambda s: prune.update(s, params, loss=loss))(prune.init(params))
    outside = [eqn.primitive.name for eqn in jaxpr.eqns]
    assert "cosh" not in outside and "cosh" in str(jaxpr)


def test_settings_out_of_range_are_errors():
    for make, message in (
        (lambda: rigl(0.5, key=KEY), r"`rigl` needs `schedule`, for instance `lambda s: window"),
        (lambda: set_(0.5, key=KEY, schedule=moving, drop=0.0), "`drop` is a fraction in"),
        (lambda: rigl(0.5, key=KEY, schedule=moving, every=0), "`every` counts steps between"),
        (lambda: static_sparse(0.5, key=KEY, budget="er"), "`budget` must be one of"),
        (lambda: rigl_ucb(0.5, key=KEY, explore=-1.0, schedule=moving), "`explore` must be >= 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    prune = rigl(0.5, key=KEY, schedule=moving)
    with pytest.raises(ValueError, match="`rigl` needs `loss=`, a function of the parameters"):
        prune.update(prune.init(plain_params()), plain_params())


def test_budgets_that_a_structure_cannot_meet_are_errors():
    with pytest.raises(ValueError, match="erdos_renyi gives each layer one density"):
        prune = regrowing(
            grow=random(KEY), key=KEY, budget=erdos_renyi, structure=n_of_m(2),
            schedule=window(0.5, 0, 6), every=1,
        )  # fmt: skip
        prune.update(prune.init(plain_params()), plain_params())
    # Sparser than one weight a layer: still exactly as many as asked for.
    prune = static_sparse(0.99, key=KEY)
    assert n_kept(prune.update(prune.init(plain_params()), plain_params())[0].masks) == 1
    assert element.units("kernel", jnp.ones((2, 3))).shape == (1, 6)
