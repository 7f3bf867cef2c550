"""Losses, each a mean over the items that count."""

import jax
import jax.numpy as jnp
import optax
from jax import Array


def cross_entropy(logits: Array, labels: Array, mask: Array) -> Array:
    """Softmax cross entropy.

    Args:
        logits: `[n, n_class]`.
        labels: Class of each item, integers `[n]`.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar, 0 where nothing counts.

    Example:
        >>> round(float(cross_entropy(jnp.zeros((1, 2)), jnp.array([1]), jnp.ones(1, bool))), 4)
        0.6931
    """
    # Against one-hot labels: the gradient of picking one logit by number would be a scatter.
    hit = jax.nn.one_hot(labels, logits.shape[-1])
    each = jax.nn.logsumexp(logits, -1) - (logits * hit).sum(-1)
    return jnp.where(mask, each, 0).sum() / jnp.maximum(mask.sum(), 1)


def binary_cross_entropy(logits: Array, labels: Array, mask: Array) -> Array:
    """Sigmoid cross entropy over all targets that have a label.

    Args:
        logits: `[n, n_target]`.
        labels: 1 or 0, `[n, n_target]`; NaN is missing.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar, 0 where nothing counts.

    Example:
        >>> labels = jnp.array([[1.0, jnp.nan]])
        >>> round(float(binary_cross_entropy(jnp.zeros((1, 2)), labels, jnp.ones(1, bool))), 4)
        0.6931
    """
    present = mask[:, None] & ~jnp.isnan(labels)
    each = optax.sigmoid_binary_cross_entropy(logits, jnp.where(present, labels, 0))
    return jnp.where(present, each, 0).sum() / jnp.maximum(present.sum(), 1)


def squared_error(values: Array, labels: Array, mask: Array) -> Array:
    """Mean squared error over all targets that have a label.

    Args:
        values: `[n, n_target]`.
        labels: `[n, n_target]`; NaN is missing.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar, 0 where nothing counts.

    Example:
        >>> float(squared_error(jnp.array([[3.0]]), jnp.array([[1.0]]), jnp.ones(1, bool)))
        4.0
    """
    present = mask[:, None] & ~jnp.isnan(labels)
    return (jnp.where(present, values - labels, 0) ** 2).sum() / jnp.maximum(present.sum(), 1)


def link_loss(positive: Array, negative: Array) -> Array:
    """Sigmoid cross entropy of true pairs against sampled ones, each kind weighing half.

    Args:
        positive: Logits of linked pairs, `[n]`.
        negative: Logits of sampled pairs, `[m]`.

    Returns:
        A scalar.

    Example:
        >>> round(float(link_loss(jnp.zeros(2), jnp.zeros(2))), 4)
        1.3863
    """
    ones, zeros = jnp.ones_like(positive), jnp.zeros_like(negative)
    return (
        optax.sigmoid_binary_cross_entropy(positive, ones).mean()
        + optax.sigmoid_binary_cross_entropy(negative, zeros).mean()
    )


LOSSES = {
    "class": cross_entropy,
    "binary": binary_cross_entropy,
    "value": squared_error,
}
