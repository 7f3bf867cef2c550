"""`Problem`: a data set and a model's task as pure functions, the same for nodes, links and graphs.

The loop knows nothing of tasks: it asks a problem for a batch, a loss, the answers to everything
and their scores. All arrays are arguments of the compiled program; those that differ between
splits are stacked, so that the folds of a cross-validation are lanes of one program.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from jgc.graph import GraphsTuple, Layout, Parts
from jgc.train.metrics import (
    METRICS,
    accuracy,
    accuracy_of_signs,
    average_precision,
    log_loss,
    macro_f1,
    mae,
    roc_auc,
    roc_auc_of_classes,
)

Forward = Callable[[GraphsTuple, Layout], Array]

# How each kind of labels, or links, is scored: `(answers, labels, mask) -> []` by name.
FITTING: dict[str, dict[str, Callable]] = {
    "link": {name: METRICS[name] for name in ("roc_auc", "average_precision", "accuracy")},
    "class": {
        "accuracy": accuracy, "macro_f1": macro_f1, "roc_auc": roc_auc_of_classes,
        "log_loss": log_loss,
    },
    "binary": {
        "roc_auc": roc_auc, "average_precision": average_precision, "accuracy": accuracy_of_signs,
    },
    "value": {"mae": mae},
}  # fmt: skip


class Scores(NamedTuple):
    """The metric on the two held-out parts, scalars `[]` in the metric's unit.

    Example:
        >>> Scores(val=0.81, test=0.80).val
        0.81
    """

    val: Array
    test: Array


class Problem(NamedTuple):
    """Pure functions and arrays of one task.

    Attributes:
        data: `(shared, per_split)`: pytrees; leaves of the second have a leading split axis.
        n_split: Number of splits.
        steps: Optimisation steps an epoch.
        batch: `(data, epoch, step, key) -> (graph, layout, target)`.
        loss: `(answers, target) -> scalar`.
        answer: `(forward, data) -> answers` to everything that is scored.
        score: `(answers, data, metric=metric) -> Scores`; any of `metrics` may be asked for.
        metric: Name of the metric that reports, and that chooses unless `choose` names another.
        metrics: Names of all metrics that fit.
        counted: `(target) -> []`: how many items the loss counts, a guess by its weight; `None`
            where answers are not those of single nodes.
        choose: Name of the metric whose validation score chooses the epoch; `None`: `metric`.
        parts: Those of a graph that is dealt to devices, one each; `None` where it is not. With
            them leaves of `shared` have a leading axis of parts, those that differ between splits
            have it behind the splits', and the functions run on a device's own share, inside
            `shard_map`.

    Example:
        >>> import jgc.data
        >>> from jgc.train import problem
        >>> task = problem(jgc.data.load("sbm"))
        >>> task.metric, task.steps, task.n_split
        ('accuracy', 1, 1)
    """

    data: Any
    n_split: int
    steps: int
    batch: Callable
    loss: Callable
    answer: Callable
    score: Callable
    metric: str
    metrics: tuple[str, ...] = ()
    counted: Callable | None = None
    choose: str | None = None
    parts: Parts | None = None

    @property
    def n_part(self) -> int:
        """How many devices share the graph."""
        return 1 if self.parts is None else self.parts.sent.shape[0]

    def select(self, data: Any, split: Array) -> tuple[Any, Any]:
        """The arrays of one split, `split` an integer scalar."""
        shared, per_split = data
        return shared, jax.tree.map(lambda leaf: leaf[split], per_split)


def mask_of(ids: np.ndarray, n: int) -> np.ndarray:
    """Where the ids are, bool `[n]`."""
    mask = np.zeros(n, bool)
    mask[ids] = True
    return mask
