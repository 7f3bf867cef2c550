"""Node tasks over a mesh: every device holds one part of the graph, scores are sums over all."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.data import Dataset
from jgc.graph import Parts, cut, layout, partition
from jgc.graph.exchange import joined, total
from jgc.train.losses import surprise
from jgc.train.task import FITTING, Problem, Scores, mask_of

# A mean over nodes is a sum over parts; ranks of scores, such as an area under a curve, are not.
OVER_NODES: dict[str, Callable[[Array, Array], Array]] = {
    "accuracy": lambda logits, labels: jnp.where(
        jnp.isnan(logits).any(-1), jnp.nan, logits.argmax(-1) == labels
    ),
    "log_loss": surprise,
}


def part_problem(
    dataset: Dataset, metric: str, devices: int, wire: str, seed: int, backend: str
) -> Problem:
    """The `Problem` of a node task over `devices` devices, see `jgc.train.problem`."""
    check_parts(dataset, metric, devices)
    parts = deal(dataset, devices, wire, seed, backend)
    n_node = dataset.labels.shape[0]  # pyright: ignore[reportOptionalMemberAccess] - a node task
    masks = [[mask_of(part, n_node) for part in split[:3]] for split in dataset.splits]
    dealt = (np.stack([parts.rows_of(m, False) for m in part]) for part in zip(*masks, strict=True))
    fitting = [name for name in FITTING[dataset.kind] if name in OVER_NODES]

    def batch(data, epoch, step, key):
        del epoch, step, key
        (graph, layout, labels), (train, _, _) = _here(data)
        return graph, layout, (labels, train)

    def loss(answers, target):
        labels, mask = target
        summed, count = _sums(surprise, answers, labels, mask)
        return joined(summed / jnp.maximum(total(count), 1))

    def score(answers, data, metric=metric):
        (_, _, labels), (_, val, test) = _here(data)
        sums = (_sums(OVER_NODES[metric], answers, labels, mask) for mask in (val, test))
        return Scores(*(total(summed) / total(count) for summed, count in sums))

    return Problem(
        data=((parts.graph, parts.layout, parts.rows_of(dataset.labels)), tuple(dealt)),
        n_split=len(dataset.splits),
        steps=1,
        batch=batch,
        loss=loss,
        answer=lambda forward, data: forward(*_here(data)[0][:2]),
        score=score,
        metric=metric,
        metrics=tuple(fitting),
        parts=parts,
    )


def deal(dataset: Dataset, devices: int, wire: str, seed: int, backend: str) -> Parts:
    """The graph of a node task in as many parts as there are devices."""
    graph = dataset.graphs[0]
    whole = layout(graph, backend)
    return cut(graph, whole, partition(graph, devices, seed=seed), devices, wire)


def check_parts(dataset: Dataset, metric: str, devices: int) -> None:
    """Raises `ValueError` for a task that cannot be dealt to devices."""
    if dataset.task != "node" or dataset.kind != "class":
        raise ValueError(
            f"`devices` = {devices} deals the nodes of one graph, whose labels are classes; "
            f"{dataset.name!r} has task {dataset.task!r} and labels of kind {dataset.kind!r}."
        )
    if metric not in OVER_NODES:
        raise ValueError(
            f"`metric` over several devices must be a mean over nodes, {list(OVER_NODES)}; "
            f"got {metric!r}."
        )


def _here(data):
    """This device's part: the axis of parts, 1 long inside `shard_map`, goes."""
    return jax.tree.map(lambda leaf: leaf[0], data)


def _sums(each: Callable, answers: Array, labels: Array, mask: Array) -> tuple[Array, Array]:
    """Sum over the nodes that count, and their number, on this device."""
    return jnp.where(mask, each(answers, labels), 0).sum(), mask.sum()
