"""The types of pruning: a pair of pure functions and what passes between them."""

from typing import Any, NamedTuple, Protocol

from jax import Array

Params = Any  # a pytree of arrays
Masks = Any  # the treedef of Params with bool leaves; True = kept


class PruneState(NamedTuple):
    """What a pruner carries from step to step (saved in checkpoints).

    Attributes:
        step: Number of updates so far, int32 `[]`.
        masks: Same structure as the parameters; bool, True = kept, all True where not prunable.
        memory: What the score remembers: `()` for most, a key for `random`.
    """

    step: Array
    masks: Masks
    memory: Any


class PruneInfo(NamedTuple):
    """What one update reports (logged, never fed back).

    Attributes:
        target: Sparsity that the schedule asked for at this step, float32 `[]`.
        achieved: Pruned fraction of the prunable weights after this step, float32 `[]`. It differs
            from `target` by rounding to whole weights (or rows, or groups), between two updates
            of the masks, and where a schedule falls: what is pruned stays pruned.
    """

    target: Array
    achieved: Array


class InitFn(Protocol):
    """Starts a pruner: full masks at step 0."""

    def __call__(self, params: Params) -> PruneState:
        """The state before the first update."""
        ...


class UpdateFn(Protocol):
    """One step of a pruner; call it once a training step."""

    def __call__(
        self, state: PruneState, params: Params, **signals: Any
    ) -> tuple[PruneState, PruneInfo]:
        """The next state; `signals` are what some scores need: `grads=`, `activations=`, `key=`."""
        ...


class Pruner(NamedTuple):
    """A pair of pure functions; every setting was fixed when it was built.

    Both work under `jit`, `scan` and `vmap` over lanes. Under `vmap` leave `PruneState.step`
    unbatched, so that the choice between refreshing and keeping the masks stays a branch.

    Attributes:
        init: `(params) -> PruneState`.
        update: `(state, params, **signals) -> (PruneState, PruneInfo)`.
    """

    init: InitFn
    update: UpdateFn
