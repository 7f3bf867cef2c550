"""Sparsemax: a softmax whose small weights are exactly zero (Martins and Astudillo, ICML 2016)."""

import jax
import jax.numpy as jnp
from jax import Array


def sparsemax(scores: Array, mask: Array) -> Array:
    """The point of the probability simplex that is nearest to the scores.

    `p_j = max(s_j - t, 0)` with the threshold `t` at which they sum to 1. The gradient is exact:
    on the support, the incoming one less its mean there; 0 outside.

    Args:
        scores: `[..., n]`, normalised over the last axis.
        mask: True where a score counts, bool `[..., n]`.

    Returns:
        Weights `[..., n]` that sum to 1 along the last axis, 0 where the mask is False; all 0
        where nothing counts.

    Example:
        >>> sparsemax(jnp.array([1.0, 0.5, -1.0]), jnp.array([True, True, True])).tolist()
        [0.75, 0.25, 0.0]

    References:
        arXiv 1602.02068, algorithm 1 and eq. 10. Differs: no sort. The support shrinks from all
        scores within 1 of the largest (Michelot, 1986), which ends after few passes at the same
        set; a sort of every row takes XLA many times longer.
    """
    return _sparsemax(scores, mask)


@jax.custom_vjp
def _sparsemax(scores: Array, mask: Array) -> Array:
    scores = jnp.where(mask, scores, -jnp.inf)
    top = scores.max(-1, keepdims=True)
    below = scores - jnp.where(jnp.isfinite(top), top, 0)

    def threshold(over: Array) -> Array:
        support = below > over
        total = jnp.where(support, below, 0).sum(-1, keepdims=True)
        return (total - 1) / jnp.maximum(support.sum(-1, keepdims=True), 1)

    # Thresholds only rise, so that rounding cannot make the set swing.
    def rise(now):
        return jnp.maximum(threshold(now[0]), now[0]), now[0]

    start = jnp.full_like(top, -1)
    over, _ = jax.lax.while_loop(lambda now: (now[0] > now[1]).any(), rise, (start, start - 1))
    return jnp.maximum(below - over, 0)


def _forward(scores: Array, mask: Array) -> tuple[Array, Array]:
    weights = _sparsemax(scores, mask)
    return weights, weights


def _backward(weights: Array, gradient: Array) -> tuple[Array, None]:
    support = weights > 0
    mean = jnp.where(support, gradient, 0).sum(-1, keepdims=True)
    mean = mean / jnp.maximum(support.sum(-1, keepdims=True), 1)
    return jnp.where(support, gradient - mean, 0), None


_sparsemax.defvjp(_forward, _backward)
