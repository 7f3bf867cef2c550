"""Sparsity schedules: step -> sparsity, and the window of steps in which it moves."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import jax.numpy as jnp


@dataclass(frozen=True)
class Schedule:
    """Sparsity over steps.

    The window is static and apart from the amount, so that lanes which differ in sparsity agree
    on when masks are refreshed: the refresh stays a branch under `vmap`.

    Any function fits, for instance `Schedule(optax.linear_schedule(0.0, 0.9, 100), 0, 100)`.

    Attributes:
        sparsity: `(step) -> sparsity` in [0, 1], traced.
        begin: First step at which masks are refreshed.
        end: Last step at which masks are refreshed, >= `begin`; from here on the sparsity holds.

    Example:
        >>> half = Schedule(lambda step: 0.5, begin=10, end=20)
        >>> half.sparsity(0), half.end
        (0.5, 20)
    """

    sparsity: Callable
    begin: int
    end: int

    def __post_init__(self):
        if not 0 <= self.begin <= self.end:
            raise ValueError(
                f"A schedule needs 0 <= `begin` <= `end`, got {self.begin} and {self.end}."
            )

    def __call__(self, step):
        """The sparsity at `step`."""
        return self.sparsity(step)

    def due(self, step, every: int):
        """Whether masks are refreshed at `step`: each `every` steps from `begin`, and at `end`."""
        on_beat = (step >= self.begin) & (step < self.end) & ((step - self.begin) % every == 0)
        return on_beat | (step == self.end)


def constant(sparsity) -> Schedule:
    """Prunes at the first update and holds.

    Args:
        sparsity: Fraction in [0, 1]; a Python number (checked) or a traced scalar (not checked).

    Returns:
        The `Schedule`.

    Raises:
        ValueError: if `sparsity` is outside [0, 1].

    Example:
        >>> constant(0.5)(3)
        0.5
    """
    check_sparsity(sparsity)
    return Schedule(lambda step: sparsity, 0, 0)


def one_shot(sparsity, at: int) -> Schedule:
    """Dense before step `at`, pruned at it and held.

    Args:
        sparsity: Fraction in [0, 1]; a Python number (checked) or a traced scalar (not checked).
        at: Step of the pruning, counted from 0.

    Returns:
        The `Schedule`.

    Raises:
        ValueError: if `sparsity` is outside [0, 1] or `at` < 0.

    Example:
        >>> schedule = one_shot(0.5, at=10)
        >>> float(schedule(9)), float(schedule(10))
        (0.0, 0.5)
    """
    check_sparsity(sparsity)
    if at < 0:
        raise ValueError(f"`at` is the step of the pruning, counted from 0; got {at}.")
    return Schedule(lambda step: jnp.where(step >= at, sparsity, 0.0), at, at)


def cubic(sparsity, begin: int, end: int) -> Schedule:
    r"""Gradual pruning: fast while many weights are redundant, slow towards the end.

    $s_t = s (1 - (1 - (t - t_0)/(t_1 - t_0))^3)$ between $t_0$ = `begin` and $t_1$ = `end`,
    0 before and exactly $s$ from `end` on.

    Args:
        sparsity: Final fraction in [0, 1]; a Python number (checked) or a traced scalar (not).
        begin: Step at which pruning begins.
        end: Step at which `sparsity` is reached, > `begin`.

    Returns:
        The `Schedule`.

    Raises:
        ValueError: if `sparsity` is outside [0, 1], `begin` < 0 or `end` <= `begin`.

    Example:
        >>> schedule = cubic(0.8, begin=0, end=10)
        >>> [round(float(schedule(t)), 3) for t in (0, 5, 10, 11)]
        [0.0, 0.7, 0.8, 0.8]

    References:
        Zhu and Gupta, 2017, eq. 1, with initial sparsity 0. https://arxiv.org/abs/1710.01878
    """
    check_sparsity(sparsity)
    if end <= begin:
        raise ValueError(f"`end` must come after `begin`, got begin={begin} and end={end}.")

    def value(step):
        progress = jnp.clip((step - begin) / (end - begin), 0.0, 1.0)
        return sparsity * (1.0 - (1.0 - progress) ** 3)

    return Schedule(value, begin, end)


def geometric(sparsity, rounds: int) -> Schedule:
    """Every step removes the same fraction of what is left, until `rounds` steps are done.

    Args:
        sparsity: Final fraction in [0, 1]; a Python number (checked) or a traced scalar (not).
        rounds: Number of steps, >= 1.

    Returns:
        The `Schedule`; its first step prunes already.

    Raises:
        ValueError: if `sparsity` is outside [0, 1] or `rounds` < 1.

    Example:
        >>> schedule = geometric(0.75, rounds=2)
        >>> [round(float(schedule(t)), 3) for t in (0, 1, 2)]
        [0.5, 0.75, 0.75]

    References:
        Frankle and Carbin, ICLR 2019, sec. 2. https://arxiv.org/abs/1803.03635
    """
    check_sparsity(sparsity)
    if rounds < 1:
        raise ValueError(f"`rounds` counts prunings; must be >= 1, got {rounds}.")

    def value(step):
        done = jnp.minimum(step + 1, rounds)
        return jnp.where(done == rounds, sparsity, 1.0 - (1.0 - sparsity) ** (done / rounds))

    return Schedule(value, 0, rounds - 1)


def window(sparsity, begin: int, end: int) -> Schedule:
    """One sparsity throughout; masks may move from step `begin` to step `end`.

    Args:
        sparsity: Fraction in [0, 1]; a Python number (checked) or a traced scalar (not checked).
        begin: Step at which it is pruned.
        end: Step from which on masks stay, >= `begin`.

    Returns:
        The `Schedule`.

    Raises:
        ValueError: if `sparsity` is outside [0, 1], or not 0 <= `begin` <= `end`.

    Example:
        >>> window(0.5, 0, 100).end
        100
    """
    check_sparsity(sparsity)
    return Schedule(lambda step: jnp.where(step >= begin, sparsity, 0.0), begin, end)


# How the sparsity is reached: `lambda s: cubic(s, begin=0, end=100)`. None prunes at step 0.
Timing = Callable[..., Schedule] | None


def timed(sparsity, schedule: Timing) -> Schedule:
    """The schedule of a method's arguments.

    Raises:
        ValueError: if `sparsity` is outside [0, 1].
        TypeError: if `schedule` is no function of the sparsity.

    Example:
        >>> timed(0.5, lambda s: cubic(s, begin=0, end=100)).end
        100
    """
    check_sparsity(sparsity)
    if schedule is None:
        return constant(sparsity)
    if isinstance(schedule, Schedule) or not callable(schedule):
        raise TypeError(
            "`schedule` is a function of the sparsity, for instance "
            f"`lambda s: cubic(s, begin=0, end=100)`; got {type(schedule).__name__}."
        )
    return schedule(sparsity)


def needed(sparsity, schedule: Timing, method: str, example: str) -> Schedule:
    """The schedule of a method that has no default, since it depends on the training's length.

    Raises:
        ValueError: without a schedule, or if `sparsity` is outside [0, 1].
        TypeError: if `schedule` is no function of the sparsity.

    Example:
        >>> needed(0.5, None, "rigl", "window(s, 0, 75)")
        Traceback (most recent call last):
        ...
        ValueError: `rigl` needs `schedule`, for instance `lambda s: window(s, 0, 75)`.
    """
    check_sparsity(sparsity)
    if schedule is None:
        raise ValueError(f"`{method}` needs `schedule`, for instance `lambda s: {example}`.")
    return timed(sparsity, schedule)


def check_sparsity(sparsity) -> None:
    """Raises for a Python number outside [0, 1]; traced values pass.

    Example:
        >>> check_sparsity(50)
        Traceback (most recent call last):
        ...
        ValueError: `sparsity` is a fraction in [0, 1], got 50. For 50 percent write 0.5.
    """
    if isinstance(sparsity, Real) and not 0 <= (amount := float(sparsity)) <= 1:
        cure = f" For {sparsity} percent write {amount / 100}." if 1 < amount <= 100 else ""
        raise ValueError(f"`sparsity` is a fraction in [0, 1], got {sparsity}.{cure}")
