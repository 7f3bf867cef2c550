"""Scores: how much each weight is worth keeping; larger = keep."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.types import Params


class Score(NamedTuple):
    """A ranking of weights.

    Attributes:
        init: `(params) -> memory`, what the score carries in `PruneState.memory`; arrays only.
        scores: `(params, memory, **signals) -> scores`, float32 leaves in the structure of the
            parameters; larger = more worth keeping. Called only when masks are refreshed.
        observe: `(memory, params, grads) -> memory`, called after every gradient; `None` where
            the score looks at the present alone.
        gradients: How many gradients of all weights `scores` forms.

    Example:
        >>> largest = Score(init=lambda params: (), scores=lambda params, memory, **signals: params)
        >>> largest.scores({"kernel": 2.0}, ())
        {'kernel': 2.0}
    """

    init: Callable[[Params], Any]
    scores: Callable[..., Any]
    observe: Callable[[Any, Params, Params], Any] | None = None
    gradients: int = 0


def _magnitudes(params: Params, memory, **signals):
    del memory, signals
    return jax.tree.map(lambda p: jnp.abs(p).astype(jnp.float32), params)


# |w|; Han et al., NeurIPS 2015, sec. 3. https://arxiv.org/abs/1506.02626
magnitude = Score(init=lambda params: (), scores=_magnitudes)


def random(key: Array) -> Score:
    """Scores drawn once, uniform in [0, 1): the control that every method must beat.

    Args:
        key: A jax key, typed or raw. It is carried in `PruneState.memory`; the same key gives the
            same scores at every step, so that masks at rising sparsity are nested.

    Returns:
        The `Score`.

    Example:
        >>> params = {"kernel": jnp.zeros((2, 2))}
        >>> score = random(jax.random.key(0))
        >>> score.scores(params, score.init(params))["kernel"].shape
        (2, 2)
    """

    def scores(params: Params, memory, **signals):
        del signals
        leaves, treedef = jax.tree.flatten(params)
        keys = [jax.random.fold_in(memory, i) for i in range(len(leaves))]
        return treedef.unflatten(
            [jax.random.uniform(k, p.shape) for k, p in zip(keys, leaves, strict=True)]
        )

    # A copy, so that donating the state leaves the caller his key.
    return Score(init=lambda params: jnp.copy(key), scores=scores)


def remembered(note: Callable[[Array, Array, Array], Array]) -> Score:
    """The score that `note` gathers from the gradients of training; 0 before the first.

    Args:
        note: `(score so far, weights, gradients) -> score`, of one leaf.

    Returns:
        The `Score`.

    Example:
        >>> score = remembered(lambda m, w, g: m - w * g)
        >>> params = {"w": jnp.array([2.0])}
        >>> memory = score.observe(score.init(params), params, {"w": jnp.array([3.0])})
        >>> score.scores(params, memory)
        {'w': Array([-6.], dtype=float32)}
    """

    def observe(memory, params: Params, grads: Params):
        noted = jax.tree.map(note, memory, params, grads)
        return jax.tree.map(lambda score: score.astype(jnp.float32), noted)

    return Score(
        init=lambda params: jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params),
        scores=lambda params, memory, **signals: memory,
        observe=observe,
    )


def slopes(params: Params, signals: dict[str, Any], score: str) -> Params:
    """The gradient of the signal `loss`, also with respect to weights that are pruned.

    Args:
        params: Where it is taken; pruned weights are 0.
        signals: As `Pruner.update` receives them.
        score: Who asks, for the message.

    Returns:
        The structure of the parameters.

    Raises:
        ValueError: without `loss` among the signals.

    Example:
        >>> slopes({"w": jnp.array([3.0])}, {"loss": lambda p: (p["w"] ** 2).sum()}, "saliency")
        {'w': Array([6.], dtype=float32)}
    """
    return jax.grad(signal(signals, "loss", score))(params)


def signal(signals: dict[str, Any], name: str, score: str) -> Callable[[Params], Array]:
    """One of the functions that `Pruner.update` receives.

    Raises:
        ValueError: if it is missing.

    Example:
        >>> signal({}, "loss", "saliency")
        Traceback (most recent call last):
        ...
        ValueError: `saliency` needs `loss=`, a function of the parameters alone: ...
    """
    if name not in signals:
        raise ValueError(
            f"`{score}` needs `{name}=`, a function of the parameters alone: call "
            f"`prune.update(state, params, {name}=lambda params: ...)`."
        )
    return signals[name]
