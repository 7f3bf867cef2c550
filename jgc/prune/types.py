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
        memory: What the method remembers: `()` for most, a key for `random`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.prune import global_magnitude
        >>> state = global_magnitude(0.5).init({"kernel": jnp.ones((1, 2))})
        >>> int(state.step), state.masks["kernel"].tolist()
        (0, [[True, True]])
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
        gradients: How many gradients of all weights this update formed, int32 `[]`.

    Example:
        >>> PruneInfo(target=0.5, achieved=0.4).gradients
        0
    """

    target: Array
    achieved: Array
    gradients: Array | int = 0


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
        """The next state; `signals` are what some methods ask for.

        Two are functions of the parameters, so that their gradients are formed only in the steps
        that need them: `loss=`, the training loss `(params) -> []` of a batch, and `flow=`, the
        sum of the model's answers to an input of ones. `mean_loss=` is the mean training loss of
        late, `[]`.
        """
        ...


class ObserveFn(Protocol):
    """What a pruner notes after a gradient was taken."""

    def __call__(self, state: PruneState, params: Params, grads: Params) -> PruneState:
        """The state with its memory brought up to date."""
        ...


class PenaltyFn(Protocol):
    """What a pruner adds to the loss."""

    def __call__(self, state: PruneState, params: Params) -> Array:
        """A scalar `[]`, differentiable in `params`."""
        ...


class Pruner(NamedTuple):
    """A pair of pure functions; every setting was fixed when it was built.

    Both work under `jit`, `scan` and `vmap` over lanes. Under `vmap` leave `PruneState.step`
    unbatched, so that the choice between refreshing and keeping the masks stays a branch.

    Attributes:
        init: `(params) -> PruneState`.
        update: `(state, params, **signals) -> (PruneState, PruneInfo)`.
        observe: `(state, params, grads) -> PruneState`, to be called after every gradient; `None`
            for methods that look at the weights alone.
        penalty: `(state, params) -> []`, to be added to the loss; `None` for most.
        regrows: Whether pruned weights may come back. The optimiser's moments of one that does
            must be set to 0 (`jgc.train` does).
        straight_through: Whether pruned weights go on being trained: the model runs on masked
            weights, and gradients reach all of them. `hold_at_zero` would undo that.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.prune import global_magnitude
        >>> params, half = {"kernel": jnp.array([[1.0, -2.0]])}, global_magnitude(0.5)
        >>> state, info = half.update(half.init(params), params)
        >>> state.masks["kernel"].tolist(), float(info.achieved)
        ([[False, True]], 0.5)
    """

    init: InitFn
    update: UpdateFn
    observe: ObserveFn | None = None
    penalty: PenaltyFn | None = None
    regrows: bool = False
    straight_through: bool = False
