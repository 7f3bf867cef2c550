"""Metrics that run inside a compiled program, exact and with masks.

All take answers and labels of every item and a mask of the items that count, so that one program
serves every split. Each is larger when better but for losses; `larger_is_better` says which. All
are NaN where an answer that counts is NaN: a model that diverged has no score.
"""

import jax
import jax.numpy as jnp
from jax import Array

from jgc.train.losses import cross_entropy


def accuracy(logits: Array, labels: Array, mask: Array) -> Array:
    """Share of items whose largest logit is at the label.

    Args:
        logits: `[n, n_class]`.
        labels: Class of each item, integers `[n]`.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar in [0, 1]; NaN where nothing counts.

    Example:
        >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [5.0, 0.0]])
        >>> float(accuracy(logits, jnp.array([0, 1, 1]), jnp.array([True, True, False])))
        1.0
    """
    hit, no_score = logits.argmax(-1) == labels, jnp.isnan(logits).any(-1)
    # All three counts in one sum: XLA compiles three kernels for each.
    each = jnp.stack([hit, no_score, jnp.ones_like(mask)], -1)
    hits, no_scores, count = jnp.where(mask[:, None], each, False).sum(0)
    return jnp.where(no_scores > 0, jnp.nan, hits / count)


def macro_f1(logits: Array, labels: Array, mask: Array) -> Array:
    """Mean over classes of the F1 score; a class neither present nor predicted counts 0.

    Args:
        logits: `[n, n_class]`.
        labels: Class of each item, integers `[n]`.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar in [0, 1].

    Example:
        >>> logits = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(float(macro_f1(logits, jnp.array([0, 1, 1]), jnp.ones(3, bool))), 4)
        0.6667
    """
    n_class = logits.shape[-1]
    predicted = jax.nn.one_hot(logits.argmax(-1), n_class) * mask[:, None]
    actual = jax.nn.one_hot(labels, n_class) * mask[:, None]
    both = (predicted * actual).sum(0)
    f1 = (2 * both / jnp.maximum(predicted.sum(0) + actual.sum(0), 1)).mean()
    return _unless_nan(f1, logits, mask[:, None])


def roc_auc(scores: Array, labels: Array, mask: Array) -> Array:
    """Area under the ROC curve: how often a positive outranks a negative, ties counting half.

    Args:
        scores: `[n]`, or `[n, n_target]` for the mean over targets that have both classes.
        labels: 1 or 0 of the shape of `scores`; NaN is missing.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar in [0, 1]; NaN where a class is missing.

    Example:
        >>> scores, labels = jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.array([0, 0, 1, 1])
        >>> float(roc_auc(scores, labels, jnp.ones(4, bool)))
        0.875
    """
    return _over_targets(_roc_auc, scores, labels, mask)


def average_precision(scores: Array, labels: Array, mask: Array) -> Array:
    """Average precision: the mean over positives of the precision at their score.

    Args:
        scores: `[n]`, or `[n, n_target]` for the mean over targets that have positives.
        labels: 1 or 0 of the shape of `scores`; NaN is missing.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar in [0, 1], as scikit-learn's; NaN without positives.

    Example:
        >>> scores, labels = jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])
        >>> round(float(average_precision(scores, labels, jnp.ones(4, bool))), 4)
        0.8333
    """
    return _over_targets(_average_precision, scores, labels, mask)


def mae(values: Array, labels: Array, mask: Array) -> Array:
    """Mean absolute error over items and targets; NaN labels are missing.

    Args:
        values: `[n, n_target]`.
        labels: `[n, n_target]`.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar in the unit of the labels.

    Example:
        >>> float(mae(jnp.array([[1.0], [5.0]]), jnp.array([[2.0], [jnp.nan]]), jnp.ones(2, bool)))
        1.0
    """
    present = mask[:, None] & ~jnp.isnan(labels)
    return _mean(jnp.abs(values - jnp.where(present, labels, 0)), present)


def best_cut(scores: Array, labels: Array) -> Array:
    """The cut that tells two classes best when what lies above it is called positive.

    Args:
        scores: `[n]`.
        labels: 1 or 0, `[n]`.

    Returns:
        One of the scores, or `-inf` where calling everything positive is right most often.

    Example:
        >>> float(best_cut(jnp.array([0.25, 0.5, 2.0, 0.75]), jnp.array([0, 0, 1, 1])))
        0.5
    """
    cuts = jnp.append(scores, -jnp.inf)

    def at_most(label):
        ordered = jnp.sort(jnp.where(labels == label, scores, jnp.inf))
        return jnp.searchsorted(ordered, cuts, side="right")

    return cuts[(at_most(0) - at_most(1)).argmax()]


def roc_auc_of_classes(logits: Array, labels: Array, mask: Array) -> Array:
    """ROC-AUC of each class against the others by its probability, the mean over classes.

    Args:
        logits: `[n, n_class]`.
        labels: Class of each item, integers `[n]`.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar in [0, 1]; of two classes the plain ROC-AUC.

    Example:
        >>> logits = jnp.array([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.2, 0.8]])
        >>> float(roc_auc_of_classes(logits, jnp.array([0, 0, 1, 1]), jnp.ones(4, bool)))
        0.875
    """
    labels = jax.nn.one_hot(labels, logits.shape[-1])
    return roc_auc(jax.nn.softmax(logits), labels, mask)


def accuracy_of_signs(scores: Array, labels: Array, mask: Array) -> Array:
    """Share of yes-or-no labels that the sign of the score tells.

    Args:
        scores: `[n, n_target]`; > 0 says yes.
        labels: 1 or 0 of the shape of `scores`; NaN is missing.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar in [0, 1]; the mean over targets that have labels.

    Example:
        >>> scores, labels = jnp.array([[2.0], [-1.0], [3.0]]), jnp.array([[1.0], [1.0], [jnp.nan]])
        >>> float(accuracy_of_signs(scores, labels, jnp.ones(3, bool)))
        0.5
    """

    def one(scores, positive, negative):
        right = jnp.where(scores > 0, positive, negative)
        return right.sum() / (positive | negative).sum()

    return _over_targets(one, scores, labels, mask)


def log_loss(logits: Array, labels: Array, mask: Array) -> Array:
    """Cross entropy of held-out items: finer than the accuracy where a choice hangs on few of them.

    Args:
        logits: `[n, n_class]`.
        labels: Class of each item, integers `[n]`.
        mask: True where an item counts, bool `[n]`.

    Returns:
        A scalar >= 0; NaN where nothing counts.

    Example:
        >>> round(float(log_loss(jnp.zeros((1, 2)), jnp.array([1]), jnp.array([True]))), 4)
        0.6931
    """
    value = jnp.where(mask.any(), cross_entropy(logits, labels, mask), jnp.nan)
    return _unless_nan(value, logits, mask[:, None])


METRICS = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "log_loss": log_loss,
    "mae": mae,
}


def larger_is_better(metric: str) -> bool:
    """False for errors.

    Example:
        >>> larger_is_better("accuracy"), larger_is_better("mae")
        (True, False)
    """
    return metric not in ("mae", "log_loss")


def _roc_auc(scores: Array, positive: Array, negative: Array) -> Array:
    n_negative = negative.sum()
    below = jnp.sort(jnp.where(negative, scores, jnp.inf))

    # The bound keeps fillers from counting where a score itself is infinite.
    def beaten(side):
        return jnp.minimum(jnp.searchsorted(below, scores, side=side), n_negative)

    wins = (beaten("left") + beaten("right")) / (2 * n_negative)
    return jnp.where(positive, wins, 0).sum() / positive.sum()


def _average_precision(scores: Array, positive: Array, negative: Array) -> Array:
    def at_least(group):
        ordered = jnp.sort(jnp.where(group, scores, -jnp.inf))
        found = scores.shape[0] - jnp.searchsorted(ordered, scores, side="left")
        return jnp.minimum(found, group.sum())

    hits, misses = at_least(positive), at_least(negative)
    precision = hits / jnp.maximum(hits + misses, 1)
    return jnp.where(positive, precision, 0).sum() / positive.sum()


def _over_targets(metric, scores: Array, labels: Array, mask: Array) -> Array:
    scores, labels = (a.reshape(a.shape[0], -1).T for a in (scores, labels))
    positive, negative = mask[None] & (labels == 1), mask[None] & (labels == 0)
    mean = jnp.nanmean(jax.vmap(metric)(scores, positive, negative))
    return _unless_nan(mean, scores, positive | negative)


def _mean(values: Array, mask: Array) -> Array:
    return jnp.where(mask, values, 0).sum() / mask.sum()


def _unless_nan(value: Array, answers: Array, counts: Array) -> Array:
    return jnp.where((jnp.isnan(answers) & counts).any(), jnp.nan, value)
