import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.train import GradES
from jgc.train.grades import check_grades, frozen, hold

PARAMS = {"a": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)}, "b": {"kernel": jnp.ones((1, 2))}}
SLOPES = (  # Of every element of `a` and of `b`, step by step.
    (4.0, 1.0),
    (3.0, 0.0),
    (3.2, 0.5),
    (3.1, 0.6),
    (9.0, 9.0),
)


def seen(monitor, grace=0, update=None, slopes=SLOPES):
    """The monitor's state after a step an epoch."""
    state = monitor.init(PARAMS, len(slopes))
    update = update or monitor.update
    for epoch, (a, b) in enumerate(slopes):
        grads = {
            "a": {"kernel": jnp.full((2, 3), a), "bias": jnp.zeros(3)},
            "b": {"kernel": jnp.full((1, 2), -b)},
        }
        state = update(state, grads, epoch, grace)
    return state


def at(state):
    return [int(state.frozen_at[name]) for name in ("a/kernel", "b/kernel")]


def test_the_change_of_the_gradient_a_step():
    """Only kernels are watched; what is frozen is measured no more and stays frozen."""
    state = seen(GradES(0.3))
    assert list(state.frozen_at) == ["a/kernel", "b/kernel"] and at(state) == [2, 3]
    np.testing.assert_allclose(state.change["a/kernel"], [4, 1, 0.2, np.nan, np.nan], rtol=1e-5)
    np.testing.assert_allclose(state.change["b/kernel"], [1, 1, 0.5, 0.1, np.nan], rtol=1e-5)
    assert state.step == 5


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, [2, 3]),
        ({"threshold": 0.0}, [-1, -1]),
        ({"per_element": False, "threshold": 0.3}, [-1, 3]),  # Changes x 6 and x 2.
        ({"per_element": False, "threshold": 1.3}, [2, 2]),
        ({"measure": "norm"}, [-1, 1]),  # Slopes themselves.
        ({"measure": "norm", "threshold": 3.5}, [1, 1]),
        ({"interval": 2}, [-1, -1]),  # Looks at steps 0, 2, 4: changes 0.8 and 0.5, then more.
        ({"interval": 2, "threshold": 0.6}, [-1, 2]),
        ({"interval": 2, "threshold": 0.9}, [2, 2]),
    ],
)
def test_settings(settings, expected):
    assert at(seen(GradES(**({"threshold": 0.3} | settings)))) == expected


def test_nothing_freezes_in_the_grace_period_nor_at_the_first_step():
    assert at(seen(GradES(0.3), grace=3)) == [3, 3]
    assert at(seen(GradES(100.0))) == [1, 1]


def test_interval_reports_no_change_between_looks():
    change = seen(GradES(0.0, interval=2)).change["a/kernel"]
    np.testing.assert_allclose(change, [4, np.nan, 0.8, np.nan, 5.8], rtol=1e-5)


@pytest.mark.parametrize("interval", [1, 2])
def test_jit_is_no_jit(interval):
    monitor = GradES(0.6, interval=interval)
    plain, jitted = seen(monitor), seen(monitor, update=jax.jit(monitor.update))
    alike = jax.tree.map(lambda a, b: np.array_equal(a, b, equal_nan=True), plain, jitted)
    assert jax.tree.all(alike)


def test_missing_gradients_leave_their_matrix_as_it_is():
    monitor = GradES(100.0)
    state = seen(monitor, slopes=SLOPES[:1])
    state = monitor.update(state, {"b": {"kernel": jnp.ones((1, 2))}}, 0, 0)
    assert at(state) == [-1, 0] and (state.previous["a/kernel"] == 4).all()


@pytest.mark.parametrize("share, steps", [(0.4, 3), (0.5, 3), (0.6, 4), (1.0, 4)])
def test_the_share_that_ends_training(share, steps):
    monitor = GradES(0.3, max_frozen=share)
    over = [bool(monitor.over(seen(monitor, slopes=SLOPES[:n]))) for n in (steps - 1, steps)]
    assert over == [False, True]


def test_hold_keeps_frozen_leaves_in_all_that_is_shaped_as_parameters():
    old = {"params": PARAMS, "count": jnp.int32(1)}
    new = jax.tree.map(lambda leaf: leaf + 1, old)
    flags = frozen(seen(GradES(0.3), slopes=SLOPES[:3]), closed=("b/kernel",))
    assert flags["b/kernel"] is True and flags["a/kernel"]
    held = hold(flags, PARAMS, old, new)
    assert held["count"] == 2 and (held["params"]["a"]["bias"] == 2).all()
    assert (held["params"]["a"]["kernel"] == 1).all() and held["params"]["b"]["kernel"][0, 0] == 1


def test_watching_nothing_is_an_error():
    with pytest.raises(ValueError, match="`watched` matched none of the 3 parameters"):
        GradES(0.1, watched=lambda name, leaf: False).init(PARAMS, 1)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"threshold": -1.0}, "`threshold` must be a finite number >= 0, got -1.0"),
        ({"threshold": float("nan")}, "`threshold` must be a finite number"),
        ({"grace": 1.0}, r"`grace` is a share of all steps in \[0, 1\), got 1.0"),
        ({"max_frozen": 0.0}, r"`max_frozen` is a share in \(0, 1\], got 0.0"),
        ({"measure": "l2"}, '`measure` must be "change" or "norm", got \'l2\''),
        ({"interval": 0}, "`interval` must be >= 1, got 0"),
        ({"rebuilds": -1}, "`rebuilds` must be >= 0, got -1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        check_grades(GradES(**({"threshold": 0.1} | settings)))
