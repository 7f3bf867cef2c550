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
    return jnp.where(mask, surprise(logits, labels), 0).sum() / jnp.maximum(mask.sum(), 1)


def surprise(logits: Array, labels: Array) -> Array:
    """Softmax cross entropy of each item, `[n, n_class]` and `[n]` to `[n]`.

    Example:
        >>> surprise(jnp.zeros((1, 2)), jnp.array([1])).round(4).tolist()
        [0.6930999755859375]
    """
    # Against one-hot labels: the gradient of picking one logit by number would be a scatter.
    hit = jax.nn.one_hot(labels, logits.shape[-1])
    return jax.nn.logsumexp(logits, -1) - (logits * hit).sum(-1)


def self_training(logits: Array, labels: Array, mask: Array, others: Array, weight: Array) -> Array:
    """Cross entropy of known labels, and of the model's own guesses where none is known.

    A guess is the class that the same logits put first; it is taken as given, so that the second
    term makes the model surer of what it says.

    Args:
        logits: `[n, n_class]`.
        labels: Class of each item, integers `[n]`; read where `mask` is True only.
        mask: True where a label is known, bool `[n]`.
        others: True where the model guesses, bool `[n]`.
        weight: Of the guesses' mean, `[]`, >= 0.

    Returns:
        A scalar.

    Example:
        >>> logits, labels = jnp.array([[0.0, 0.0], [0.0, 9.0]]), jnp.array([1, 0])
        >>> known = jnp.array([True, False])
        >>> round(float(self_training(logits, labels, known, ~known, 1.0)), 4)
        0.6933

    References:
        Izadi et al., arXiv 2008.09624, and its code.
    """
    known = cross_entropy(logits, labels, mask)
    return known + weight * cross_entropy(logits, logits.argmax(-1), others)


def rising(power: float, epochs: int) -> Array:
    """Weights of guesses that rise to 1, `((epoch + 1) / epochs) ** power`.

    Args:
        power: > 0; the larger, the later they count.
        epochs: How many, >= 1.

    Returns:
        float32 `[epochs]`.

    Example:
        >>> rising(2.0, 2).tolist()
        [0.25, 1.0]
    """
    return (jnp.arange(1, epochs + 1, dtype=jnp.float32) / epochs) ** power


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
