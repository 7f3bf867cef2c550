"""FLOPs of training, computed from shapes and masks and never measured."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jgc.pack.operations import Product

# Of one weight in one step: 2 for the decay and 2 for the move; Adam adds 3 and 4 for its moments,
# 2 for their corrections, 3 for the root and the quotient; momentum adds 2, and 2 to look ahead.
UPDATE = {"adam": 16, "sgd": 4, "momentum": 6, "nesterov": 8}


class StepFlops(NamedTuple):
    """One pass over everything that `products` was shown.

    Attributes:
        forward: Of the answers.
        values: Backward, of the slopes of values; none are formed for the features.
        weights: Backward, of the slopes of weights that are kept.
        weights_dense: Backward, of the slopes of all weights.
    """

    forward: int
    values: int
    weights: int
    weights_dense: int

    @property
    def sparse(self) -> int:
        """A step that trains the kept weights."""
        return self.forward + self.values + self.weights

    @property
    def dense(self) -> int:
        """A step that forms the gradient of all weights, on the kept ones."""
        return self.forward + self.values + self.weights_dense


def step_flops(found: list[Product], kept: Mapping[str, int]) -> StepFlops:
    """Counts two FLOPs for each multiply-accumulate; pruned weights are skipped one by one.

    Matrix products and sums over edges alone: biases, norms, activations, attention scores, the
    ranking of weights and evaluation are not counted. A layer that reads the features passes no
    slope on, nor do sums over edges before it.

    Args:
        found: From `jgc.pack.operations.products`.
        kept: Kept weights by the name of their kernel; a kernel that is not named is whole.

    Returns:
        The counts.

    Example:
        >>> from jgc.pack.cost import linear
        >>> found = [Product(linear(10, 4, 3), "a/kernel", True, "a"),
        ...          Product(linear(10, 3, 2), "b/kernel", True, "b")]
        >>> step_flops(found, {"a/kernel": 6})
        StepFlops(forward=240, values=120, weights=240, weights_dense=360)

    References:
        Evci et al., ICML 2020, app. H: a step takes 3 times the forward pass, and one that grows
        2 sparse and 1 dense. Differs: the slopes of the features, which nobody needs, are left out.
    """
    first = next((i for i, each in enumerate(found) if each.operation.kind == "linear"), 0)
    forward = values = weights = dense = 0
    for i, each in enumerate(found):
        o = each.operation
        n = kept.get(each.weights or "", o.kept)
        forward += 2 * o.rows * n
        if not _reads_features(found, i, first):
            values += 2 * o.rows * n
        if o.kind == "linear":
            weights += 2 * o.rows * n
            dense += 2 * o.macs_dense
    return StepFlops(forward, values, weights, dense)


def training_flops(
    found: list[Product],
    kept: Mapping[str, np.ndarray],
    trained: np.ndarray,
    *,
    share: float,
    steps: int,
    n_params: int,
    update: int,
    gradients: np.ndarray | None = None,
    straight_through: bool = False,
) -> float:
    """All epochs of a training.

    Args:
        found: From `jgc.pack.operations.products` for the whole data set.
        kept: Kept weights of each kernel in each epoch, `[n_epoch]` by name.
        trained: Whether the epoch trained, bool `[n_epoch]`.
        share: How much of `found` one epoch passes through: 1 for the nodes of one graph, the
            training part's share where batches are drawn.
        steps: Optimisation steps an epoch.
        n_params: All parameters, pruned ones included.
        update: Of one parameter in one step, from `UPDATE`.
        gradients: Gradients of all weights that the pruner formed in each epoch, each on one batch,
            `[n_epoch]`.
        straight_through: Pruned weights are trained too.

    Returns:
        FLOPs, the optimiser's included.

    Example:
        >>> from jgc.pack.cost import linear
        >>> found = [Product(linear(10, 4, 3), "a/kernel", True, "a")]
        >>> training_flops(found, {"a/kernel": np.array([12, 6])}, np.array([True, True]),
        ...                share=1.0, steps=1, n_params=12, update=UPDATE["adam"])
        1008.0
    """
    total = 0.0
    pruned = sum(each.operation.d_in * each.operation.d_out for each in _kernels(found, kept))
    for epoch, trains in enumerate(trained):
        now = {name: int(counts[epoch]) for name, counts in kept.items()}
        flops = step_flops(found, now)
        if trains:
            left = n_params if straight_through else n_params - pruned + sum(now.values())
            total += share * (flops.dense if straight_through else flops.sparse)
            total += steps * update * left
        if gradients is not None:
            total += float(gradients[epoch]) * flops.dense * share / steps
    return total


def _kernels(found: list[Product], kept: Mapping[str, np.ndarray]) -> list[Product]:
    """One product of each kernel that is counted, however often it is applied."""
    return list({each.weights: each for each in found if each.weights in kept}.values())


def _reads_features(found: list[Product], i: int, first: int) -> bool:
    if i <= first:
        return True
    own, head = found[i], found[first]
    room = own.path.partition("/")[0] == head.path.partition("/")[0]
    return room and own.operation.kind == "linear" and own.operation.d_in == head.operation.d_in
