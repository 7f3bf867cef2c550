"""`Problem`: a data set and a model's task as pure functions, the same for nodes, links and graphs.

The loop knows nothing of tasks: it asks a problem for a batch, a loss, the answers to everything
and their scores. All arrays are arguments of the compiled program; those that differ between
splits are stacked, so that the folds of a cross-validation are lanes of one program.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.data import Dataset, training_graph
from jgc.graph import Budget, GraphsTuple, Layout, collection, draw, hash_bits, layout, pack
from jgc.models import link_scores
from jgc.train.losses import LOSSES, link_loss
from jgc.train.metrics import METRICS

Forward = Callable[[GraphsTuple, Layout], Array]

# Which metrics can score which kind of labels; those of links are yes or no.
FITTING = {
    "class": ("accuracy", "macro_f1"),
    "binary": ("roc_auc", "average_precision"),
    "value": ("mae",),
}


class Scores(NamedTuple):
    """The metric on the two held-out parts, scalars in the metric's unit."""

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
        score: `(answers, data) -> Scores`.
        metric: Name of the metric that chooses and reports.
    """

    data: Any
    n_split: int
    steps: int
    batch: Callable
    loss: Callable
    answer: Callable
    score: Callable
    metric: str

    def select(self, data: Any, split: Array) -> tuple[Any, Any]:
        """The arrays of one split, `split` an integer scalar."""
        shared, per_split = data
        return shared, jax.tree.map(lambda leaf: leaf[split], per_split)


def problem(
    dataset: Dataset,
    *,
    metric: str | None = None,
    batch_size: int = 32,
    shuffles: int = 32,
    seed: int = 0,
    backend: str = "auto",
) -> Problem:
    """Turns a data set into a `Problem`.

    Args:
        dataset: From `jgc.data`.
        metric: A name of `METRICS` that fits the labels; by default the data set's own.
        batch_size: Graphs a batch on average (graph tasks).
        shuffles: Number of distinct shuffled epochs, used in turn (graph tasks).
        seed: Of the shuffling.
        backend: Of the aggregation, see `jgc.graph.layout`.

    Returns:
        The `Problem`.

    Raises:
        ValueError: for a metric that does not fit the labels, or sizes below 1.

    Example:
        >>> import jgc.data
        >>> problem(jgc.data.load("sbm")).metric
        'accuracy'
    """
    metric = metric or dataset.metric
    if metric not in FITTING[dataset.kind]:
        raise ValueError(
            f"`metric` of {dataset.name!r}, whose labels are of kind {dataset.kind!r}, must be one "
            f"of {list(FITTING[dataset.kind])}, got {metric!r}."
        )
    if shuffles < 1:
        raise ValueError(f"`shuffles` must be >= 1, got {shuffles}.")
    if dataset.task == "node":
        return _node_problem(dataset, metric, backend)
    if dataset.task == "link":
        return _link_problem(dataset, metric, backend)
    return _graph_problem(dataset, metric, batch_size, shuffles, seed, backend)


def _node_problem(dataset: Dataset, metric: str, backend: str) -> Problem:
    graph = dataset.graphs[0]
    labels = jnp.asarray(dataset.labels)
    n_node = labels.shape[0]
    masks = [[_mask(part, n_node) for part in split[:3]] for split in dataset.splits]
    train, val, test = (jnp.asarray(np.stack(part)) for part in zip(*masks, strict=True))
    shared = (_on_device(graph), layout(graph, backend), labels)

    def score(answers, data):
        (_, _, labels), (_, val, test) = data
        return Scores(*(METRICS[metric](answers, labels, mask) for mask in (val, test)))

    return Problem(
        data=(shared, (train, val, test)),
        n_split=len(dataset.splits),
        steps=1,
        batch=lambda data, epoch, step, key: (*data[0][:2], (data[0][2], data[1][0])),
        loss=lambda answers, target: LOSSES[dataset.kind](answers, *target),
        answer=lambda forward, data: forward(*data[0][:2]),
        score=score,
        metric=metric,
    )


def _link_problem(dataset: Dataset, metric: str, backend: str) -> Problem:
    parts = [_link_arrays(dataset, split, backend) for split in dataset.splits]
    per_split = jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)
    nodes = jax.tree.map(jnp.asarray, dataset.graphs[0].nodes)

    def graph_of(data):
        nodes, ((senders, receivers, n_edge, n_node), layout, _, _) = data
        graph = GraphsTuple(nodes, None, receivers, senders, None, n_node, n_edge)
        return graph, layout

    def batch(data, epoch, step, key):
        del epoch, step
        graph, layout = graph_of(data)
        pairs = data[1][2]
        # Uniform pairs, as Kipf and Welling's weighted loss over all pairs has in expectation.
        # Differs: PyG's sampler rejects the few that are edges or name one node twice.
        noise = hash_bits(key, pairs.shape) % np.uint32(layout.n_node)
        return graph, layout, (pairs, noise.astype(jnp.int32))

    def loss(values, target):
        return link_loss(*(link_scores(values, pairs) for pairs in target))

    def score(values, data):
        return Scores(*(_link_score(metric, values, *held_out) for held_out in data[1][3]))

    return Problem(
        data=(nodes, per_split),
        n_split=len(parts),
        steps=1,
        batch=batch,
        loss=loss,
        answer=lambda forward, data: forward(*graph_of(data)),
        score=score,
        metric=metric,
    )


def _link_arrays(dataset: Dataset, split, backend: str):
    graph = training_graph(dataset, split)
    ends = tuple(map(jnp.asarray, (graph.senders, graph.receivers, graph.n_edge, graph.n_node)))
    held_out = tuple(
        (jnp.asarray(np.concatenate(pair), jnp.int32), _ones_then_zeros(*map(len, pair)))
        for pair in ((split.val, split.val_neg), (split.test, split.test_neg))
    )
    return ends, layout(graph, backend), jnp.asarray(split.train, jnp.int32), held_out


def _link_score(metric: str, values: Array, pairs: Array, labels: Array) -> Array:
    everything = jnp.ones(labels.shape, bool)
    return METRICS[metric](link_scores(values, pairs), labels, everything)


def _graph_problem(
    dataset: Dataset, metric: str, batch_size: int, shuffles: int, seed: int, backend: str
) -> Problem:
    graphs = collection(dataset.graphs)
    sizes = np.array([[g.nodes.shape[0], g.senders.size] for g in dataset.graphs])
    budget = batch_budget(sizes, batch_size)
    labels = jnp.asarray(dataset.labels)
    n_graph = len(dataset.graphs)
    rng = np.random.default_rng(seed)
    train = _stack(
        [
            [pack(sizes, rng.permutation(split.train), budget) for _ in range(shuffles)]
            for split in dataset.splits
        ],
        n_graph,
    )
    held_out = _stack(
        [[pack(sizes, np.concatenate([s.val, s.test]), budget)] for s in dataset.splits], n_graph
    )[:, 0]
    masks = tuple(
        jnp.asarray(np.stack([_mask(getattr(split, part), n_graph) for split in dataset.splits]))
        for part in ("val", "test")
    )
    # Batches hold one graph slot for padding; its label is read but never counts.
    labels = jnp.concatenate([labels, jnp.zeros_like(labels[:1])])

    def batch(data, epoch, step, key):
        del key
        (graphs, labels), (train, _, _) = data
        ids = train[epoch % shuffles, step]
        graph, layout = draw(graphs, ids, budget, backend)
        return graph, layout, (labels[jnp.append(ids, n_graph)], layout.graph_mask)

    def answer(forward, data):
        (graphs, _), (_, held_out, _) = data

        def one(answers, ids):
            out = forward(*draw(graphs, ids, budget, backend))
            return answers.at[ids].set(out[:-1]), None

        blank = jnp.zeros((n_graph + 1, dataset.n_class))
        return jax.lax.scan(one, blank, held_out)[0]

    def score(answers, data):
        (_, labels), (_, _, masks) = data
        return Scores(*(METRICS[metric](answers[:-1], labels[:-1], mask) for mask in masks))

    return Problem(
        data=((graphs, labels), (train, held_out, masks)),
        n_split=len(dataset.splits),
        steps=train.shape[2],
        batch=batch,
        loss=lambda answers, target: LOSSES[dataset.kind](answers, *target),
        answer=answer,
        score=score,
        metric=metric,
    )


def batch_budget(sizes: np.ndarray, batch_size: int) -> Budget:
    """Static size of batches of `batch_size` graphs: a tenth above their mean, so nearly full.

    Args:
        sizes: Nodes and edges of each graph, int `[n_graph, 2]`.
        batch_size: Graphs a batch on average, >= 1.

    Returns:
        The `Budget`; the largest graph always fits.

    Raises:
        ValueError: if `batch_size` is below 1.

    Example:
        >>> batch_budget(np.array([[10, 20], [30, 60]]), 2)
        Budget(n_node=45, n_edge=88, n_graph=4)
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1, got {batch_size}.")
    batch_size = min(batch_size, len(sizes))
    mean = np.ceil(1.1 * batch_size * sizes.mean(0)).astype(int)
    n_node, n_edge = np.maximum(mean, sizes.max(0)).tolist()
    return Budget(n_node + 1, n_edge, int(np.ceil(1.5 * batch_size)) + 1)


def _stack(packed: list[list[np.ndarray]], empty: int) -> Array:
    """`[n_split, n_epoch, n_batch, n]`: all epochs get the largest number of batches."""
    n_batch = max(len(batches) for epochs in packed for batches in epochs)
    filled = [
        [np.pad(b, ((0, n_batch - len(b)), (0, 0)), constant_values=empty) for b in epochs]
        for epochs in packed
    ]
    return jnp.asarray(np.stack(filled))


def _mask(ids: np.ndarray, n: int) -> np.ndarray:
    mask = np.zeros(n, bool)
    mask[ids] = True
    return mask


def _ones_then_zeros(n_one: int, n_zero: int) -> Array:
    return jnp.asarray(np.repeat([1, 0], [n_one, n_zero]))


def _on_device(graph: GraphsTuple) -> GraphsTuple:
    return jax.tree.map(jnp.asarray, graph)
