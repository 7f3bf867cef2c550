"""`Method`: what is done to a model and in which order, fixed when a program is built."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune import Pruner
from jgc.quant import Quantizer


class Phase(NamedTuple):
    """A stretch of training that starts from the best parameters of the phase before.

    At its start the optimiser is fresh and the choice of the best epoch begins anew.

    Attributes:
        epochs: Length, >= 1.
        prune: The pruner updates the masks at the start of every epoch; epochs below the final
            sparsity are never chosen.
        quantize: Weights and sites are fake-quantised.
        rate: Factor on the learning rate; at 0 nothing is trained, only scored.
        fresh: Starts from newly drawn parameters under the latest masks.
        rewind: Starts from the parameters of the very beginning under the latest masks.
    """

    epochs: int
    prune: bool = False
    quantize: bool = False
    rate: float = 1.0
    fresh: bool = False
    rewind: bool = False


class Method(NamedTuple):
    """A compression method; the amounts are traced, so one program serves all levels.

    Attributes:
        name: The plain name of the table of methods, `"dense"` for none.
        phases: In order; together they may train, prune, fine-tune and quantise as one likes.
        pruner: `(sparsity, key) -> Pruner`, or `None`.
        quantizer: `(bits) -> Quantizer`, or `None`.
        l2: The lane's L2 penalty stands in for the optimiser's weight decay.
        stored: Kernels that are sparse enough are trained as their kept entries alone
            (`jgc.train.stored`); for pruners that look at masks and losses only.
    """

    name: str
    phases: tuple[Phase, ...]
    pruner: Callable[[Array, Array], Pruner] | None = None
    quantizer: Callable[[Array], Quantizer] | None = None
    l2: bool = False
    stored: bool = False

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)


def is_straight_through(build: Callable[[Array, Array], Pruner]) -> bool:
    """Whether a method's pruned weights go on being trained, whatever the lane.

    Example:
        >>> from jgc.prune import global_magnitude
        >>> is_straight_through(lambda sparsity, key: global_magnitude(sparsity))
        False
    """
    return _any_lane(build).straight_through


def _any_lane(build: Callable[[Array, Array], Pruner]) -> Pruner:
    return build(jnp.float32(0), jax.random.key_data(jax.random.key(0)))


def check_method(method: Method) -> Method:
    """Returns the method if its phases can run.

    Raises:
        ValueError: for no phases, a phase without epochs, a pruning phase without pruner or a
            quantising one without quantiser, and for a pruner or quantiser that no phase uses.

    Example:
        >>> check_method(Method("dense", (Phase(200),))).epochs
        200
    """
    if not method.phases:
        raise ValueError(f"`phases` of {method.name!r} is empty; give at least one `Phase`.")
    for i, phase in enumerate(method.phases):
        if phase.epochs < 1:
            raise ValueError(f"`phases[{i}].epochs` must be >= 1, got {phase.epochs}.")
    for part, flag in (("pruner", "prune"), ("quantizer", "quantize")):
        used = any(getattr(phase, flag) for phase in method.phases)
        if used and getattr(method, part) is None:
            raise ValueError(f"A phase of {method.name!r} has `{flag}=True` but no `{part}`.")
        if not used and getattr(method, part) is not None:
            raise ValueError(f"{method.name!r} has a `{part}` but no phase with `{flag}=True`.")
    if method.stored:
        _check_stored(method)
    return method


def _check_stored(method: Method) -> None:
    if method.pruner is None or method.quantizer is not None:
        raise ValueError(f"`stored` needs a pruner and no quantiser; see {method.name!r}.")
    pruner = _any_lane(method.pruner)
    if pruner.observe or pruner.penalty or pruner.straight_through:
        raise ValueError(
            f"{method.name!r} needs the gradient of every weight in every step, so weights cannot "
            "be `stored`; leave it out."
        )
