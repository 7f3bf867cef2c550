"""GradES: a matrix whose gradient has settled is frozen, and training ends when all are."""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jgc.tree import PathPredicate, chosen, is_kernel, map_named, named_leaves

Frozen = dict[str, bool | Array]  # By name; a Python `True` is known when a program is built.


class FreezeState(NamedTuple):
    """What the monitor carries.

    Attributes:
        step: Gradients seen so far, int32 `[]`.
        previous: Of each watched matrix the gradient at the last look; empty for `"norm"`.
        frozen_at: Epoch at which each matrix froze, int32 `[]`; -1 while it trains.
        change: What was measured of each matrix, float32 `[n_epoch]`: the last look of each epoch;
            NaN where there was none, and once it is frozen.

    Example:
        >>> FreezeState(0, {}, frozen_at={"conv1/kernel": 120}, change={}).frozen_at
        {'conv1/kernel': 120}
    """

    step: Array
    previous: dict[str, Array]
    frozen_at: dict[str, Array]
    change: dict[str, Array]


class GradES(NamedTuple):
    """Settings of the monitor, and what it does.

    Attributes:
        threshold: A matrix freezes when its measure falls below, >= 0 (the paper's tau).
        grace: Share of all steps before which none freezes, in [0, 1) (the paper's alpha).
        interval: Steps from one look to the next, >= 1.
        max_frozen: Share of the matrices at which training ends, in (0, 1].
        measure: `"change"`: the L1 norm of the gradient minus that of the last look; `"norm"`: of
            the gradient itself, as in the first version of the paper.
        per_element: The norm is divided by the number of elements, so that one threshold fits
            matrices of all sizes; `False` sums, as the paper does.
        watched: `(name, leaf) -> bool`: which leaves are matrices. The others train to the end.
        rebuilds: How often a program may be built anew without the gradients of frozen matrices,
            >= 0. At 0 they are computed and dropped. A rebuild costs a compilation and gains a part
            of every step to come: it is for large graphs and long trainings.

    Nothing is ever unfrozen, and there is no patience. As in the paper gradients flow on through a
    frozen matrix to those below.

    References:
        Wen et al., "GradES", arXiv 2509.01842, algorithm 1; github.com/IXZZZ9/GradES.
        Differs: a matrix is frozen before its step, not after it; the authors' code looks at the
        change of the weights, the paper and this at that of the gradients; no unit but the mean.

    Example:
        >>> monitor = GradES(threshold=0.1, grace=0.0)
        >>> state = monitor.init({"kernel": jnp.ones((2, 2))}, epochs=3)
        >>> for epoch, slope in enumerate([1.0, 0.5, 0.4375]):
        ...     grads = {"kernel": jnp.full((2, 2), slope)}
        ...     state = monitor.update(state, grads, epoch, 0)
        >>> state.change["kernel"].tolist(), int(state.frozen_at["kernel"])
        ([1.0, 0.5, 0.0625], 2)
    """

    threshold: float
    grace: float = 0.3
    interval: int = 1
    max_frozen: float = 1.0
    measure: Literal["change", "norm"] = "change"
    per_element: bool = True
    watched: PathPredicate = is_kernel
    rebuilds: int = 0

    def init(self, params: Any, epochs: int) -> FreezeState:
        """Before the first step of a training of `epochs` epochs.

        Raises:
            ValueError: if no leaf is watched.
        """
        names, leaves = chosen(params, self.watched, "watched"), named_leaves(params)
        compared = names if self.measure == "change" else ()
        return FreezeState(
            step=jnp.int32(0),
            previous={name: jnp.zeros_like(leaves[name]) for name in compared},
            frozen_at={name: jnp.int32(-1) for name in names},
            change={name: jnp.full(epochs, jnp.nan) for name in names},
        )

    def update(self, state: FreezeState, grads: Any, epoch: Any, grace: Any) -> FreezeState:
        """One step further.

        Args:
            state: Of the step before.
            grads: As the parameters. Watched matrices that are missing here stay as they are.
            epoch: Number of the epoch, int `[]`.
            grace: Steps before which nothing freezes, int `[]`. The first step never freezes: it
                has nothing to compare with.

        Returns:
            The next state.
        """
        leaves = named_leaves(grads)
        leaves = {name: leaves[name] for name in state.frozen_at if name in leaves}

        def look() -> FreezeState:
            return self._look(state, leaves, epoch, state.step >= jnp.maximum(grace, 1))

        due = state.step % self.interval == 0
        looked = look() if self.interval == 1 else jax.lax.cond(due, look, lambda: state)
        return looked._replace(step=state.step + 1)

    def _look(self, state: FreezeState, grads: dict[str, Array], epoch, ready) -> FreezeState:
        frozen_at, change = dict(state.frozen_at), dict(state.change)
        for name, grad in grads.items():
            at, value = frozen_at[name], self._measured(grad, state.previous.get(name))
            change[name] = change[name].at[epoch].set(jnp.where(at < 0, value, jnp.nan))
            settled = ready & (at < 0) & (value < self.threshold)
            frozen_at[name] = jnp.where(settled, epoch, at)
        previous = state.previous | {name: grads[name] for name in state.previous if name in grads}
        return FreezeState(state.step, previous, frozen_at, change)

    def _measured(self, grad: Array, previous: Array | None) -> Array:
        distance = jnp.abs(grad if previous is None else grad - previous)
        return distance.mean() if self.per_element else distance.sum()

    def over(self, state: FreezeState) -> Array:
        """Whether enough is frozen for the training to end, bool `[]`."""
        needed = math.ceil(round(self.max_frozen * len(state.frozen_at), 6))
        return sum(at >= 0 for at in state.frozen_at.values()) >= jnp.int32(needed)


def frozen(state: FreezeState, closed: tuple[str, ...] = ()) -> Frozen:
    """Which matrices are frozen; those of `closed` are known to be."""
    return {name: name in closed or at >= 0 for name, at in state.frozen_at.items()}


def hold(flags: Frozen, params: Any, old: Any, new: Any) -> Any:
    """`new` with the frozen leaves of `old`, in every part that is shaped as the parameters.

    Args:
        flags: From `frozen`; leaves that it does not name are taken from `new`.
        params: The parameters, for their structure.
        old: Any pytree, such as parameters with an optimiser's moments.
        new: As `old`.

    Returns:
        As `old`.

    Example:
        >>> params = {"a": 1.0, "b": 1.0}
        >>> old, new = {"mean": params, "count": 1}, {"mean": {"a": 2.0, "b": 2.0}, "count": 2}
        >>> hold({"a": True}, params, old, new)
        {'count': 2, 'mean': {'a': 1.0, 'b': 2.0}}
    """
    structure = jax.tree.structure(params)

    def like_params(tree: Any) -> bool:
        return jax.tree.structure(tree) == structure

    def held(old, new):
        if not like_params(old):
            return new
        return map_named(lambda name, *both: _pick(flags.get(name, False), *both), old, new)

    return jax.tree.map(held, old, new, is_leaf=like_params)


def _pick(flag: bool | Array, old, new):
    if isinstance(flag, bool):
        return old if flag else new
    return jnp.where(flag, old, new)


def check_grades(grades: GradES) -> GradES:
    """Returns the settings if they make sense.

    Raises:
        ValueError: for a setting out of its range.

    Example:
        >>> check_grades(GradES(0.1, grace=1.0))
        Traceback (most recent call last):
            ...
        ValueError: `grace` is a share of all steps in [0, 1), got 1.0...
    """
    if not 0 <= grades.threshold < math.inf:
        raise ValueError(f"`threshold` must be a finite number >= 0, got {grades.threshold}.")
    if not 0 <= grades.grace < 1:
        raise ValueError(
            f"`grace` is a share of all steps in [0, 1), got {grades.grace}; at 1 nothing freezes."
        )
    if not 0 < grades.max_frozen <= 1:
        raise ValueError(f"`max_frozen` is a share in (0, 1], got {grades.max_frozen}.")
    if grades.measure not in ("change", "norm"):
        raise ValueError(f'`measure` must be "change" or "norm", got {grades.measure!r}.')
    for name, least in (("interval", 1), ("rebuilds", 0)):
        if getattr(grades, name) < least:
            raise ValueError(f"`{name}` must be >= {least}, got {getattr(grades, name)}.")
    return grades
