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

from jgc.data import Dataset, training_graph, training_parts
from jgc.graph import (
    Budget,
    GraphsTuple,
    Layout,
    collection,
    draw,
    hash_bits,
    layout,
    pack,
    repeat_rows,
)
from jgc.models import link_scores
from jgc.train.losses import LOSSES, link_loss, self_training
from jgc.train.metrics import (
    METRICS,
    accuracy,
    accuracy_of_signs,
    average_precision,
    best_cut,
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
        score: `(answers, data, metric=metric) -> Scores`; any of `metrics` may be asked for.
        metric: Name of the metric that reports, and that chooses unless `choose` names another.
        metrics: Names of all metrics that fit.
        counted: `(target) -> []`: how many items the loss counts, a guess by its weight; `None`
            where answers are not those of single nodes.
        choose: Name of the metric whose validation score chooses the epoch; `None`: `metric`.
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

    def select(self, data: Any, split: Array) -> tuple[Any, Any]:
        """The arrays of one split, `split` an integer scalar."""
        shared, per_split = data
        return shared, jax.tree.map(lambda leaf: leaf[split], per_split)


def problem(
    dataset: Dataset,
    *,
    metric: str | None = None,
    choose: str | None = None,
    batch_size: int = 32,
    shuffles: int = 32,
    parts: int = 1,
    guess_weights: Array | None = None,
    seed: int = 0,
    backend: str = "auto",
) -> Problem:
    """Turns a data set into a `Problem`.

    Args:
        dataset: From `jgc.data`.
        metric: A name of `METRICS` that fits the labels; by default the data set's own. The
            accuracy of links is taken at the cut that is best on the validation part.
        choose: Another such name, whose validation score chooses the epoch in the place of
            `metric`, such as "log_loss" where the validation part is small.
        batch_size: Graphs a batch on average (graph tasks).
        shuffles: Number of distinct shuffled epochs, used in turn (graph tasks).
        parts: Into how many static subgraphs the training edges are dealt (link tasks). Each is
            encoded with its own edges only and trained to tell them (NESS, arXiv 2303.08958).
            Differs: NESS answers with the mean of the parts' node values; here the whole training
            graph answers, which scores higher on validation and costs one small pass.
        guess_weights: Of the loss against the model's own guesses for nodes outside the training
            part (node tasks with classes; `jgc.train.losses.self_training`), one an epoch, float
            `[n_epoch]`; the last holds from then on.
        seed: Of the shuffling and the parts.
        backend: Of the aggregation, see `jgc.graph.layout`.

    Returns:
        The `Problem`.

    Raises:
        ValueError: for a metric that does not fit the labels, sizes below 1, or guesses where
            there are no classes of nodes.

    Example:
        >>> import jgc.data
        >>> problem(jgc.data.load("sbm")).metric
        'accuracy'
    """
    check_metrics(dataset, metric, choose)
    metric = metric or dataset.metric
    for name, count in (("shuffles", shuffles), ("parts", parts)):
        if count < 1:
            raise ValueError(f"`{name}` must be >= 1, got {count}.")
    if guess_weights is not None and (dataset.task, dataset.kind) != ("node", "class"):
        raise ValueError(
            "`guess_weights` needs nodes with classes to guess; "
            f"{dataset.name!r} has task {dataset.task!r} and labels of kind {dataset.kind!r}."
        )
    if dataset.task == "node":
        made = _node_problem(dataset, metric, guess_weights, backend)
    elif dataset.task == "link":
        made = _link_problem(dataset, metric, parts, seed, backend)
    else:
        made = _graph_problem(dataset, metric, batch_size, shuffles, seed, backend)
    return made._replace(choose=choose)


def check_metrics(dataset: Dataset, metric: str | None, choose: str | None = None) -> None:
    """Raises `ValueError` for a metric that does not fit the labels of a data set.

    Example:
        >>> import jgc.data
        >>> check_metrics(jgc.data.load("sbm"), "mae")
        Traceback (most recent call last):
            ...
        ValueError: `metric` of 'sbm', whose labels are of kind 'class', must be one of ...
    """
    kind = "link" if dataset.task == "link" else dataset.kind
    for name, word in (("metric", metric), ("choose", choose)):
        if word is not None and word not in FITTING[kind]:
            raise ValueError(
                f"`{name}` of {dataset.name!r}, whose labels are of kind {kind!r}, must be one "
                f"of {list(FITTING[kind])}, got {word!r}."
            )


def _node_problem(dataset: Dataset, metric: str, guess_weights, backend: str) -> Problem:
    graph = dataset.graphs[0]
    labels = jnp.asarray(dataset.labels)
    n_node = labels.shape[0]
    masks = [[_mask(part, n_node) for part in split[:3]] for split in dataset.splits]
    train, val, test = (jnp.asarray(np.stack(part)) for part in zip(*masks, strict=True))
    shared = (_on_device(graph), layout(graph, backend), labels, guess_weights)

    scored = FITTING[dataset.kind]
    loss = LOSSES[dataset.kind] if guess_weights is None else self_training

    def batch(data, epoch, step, key):
        del step, key
        (graph, layout, labels, weights), (train, _, _) = data
        if weights is None:
            return graph, layout, (labels, train)
        weight = weights[jnp.minimum(epoch, weights.shape[0] - 1)]
        return graph, layout, (labels, train, layout.node_mask & ~train, weight)

    def counted(target):
        _, train, *guessed = target
        others, weight = guessed or (0, 0)
        return jnp.sum(train) + weight * jnp.sum(others)

    def score(answers, data, metric=metric):
        (_, _, labels, _), (_, val, test) = data
        return Scores(*(scored[metric](answers, labels, mask) for mask in (val, test)))

    return Problem(
        data=(shared, (train, val, test)),
        n_split=len(dataset.splits),
        steps=1,
        batch=batch,
        loss=lambda answers, target: loss(answers, *target),
        answer=lambda forward, data: forward(*data[0][:2]),
        score=score,
        metric=metric,
        metrics=tuple(scored),
        counted=counted,
    )


def _link_problem(dataset: Dataset, metric: str, parts: int, seed: int, backend: str) -> Problem:
    splits = [_link_arrays(dataset, split, parts, seed, backend) for split in dataset.splits]
    per_split = jax.tree.map(lambda *leaves: jnp.stack(leaves), *splits)
    # The parts are one graph, in which every node is there once a part.
    nodes = dataset.graphs[0].nodes, repeat_rows(dataset.graphs[0].nodes, parts)

    def graph_of(nodes, edges):
        (senders, receivers, n_edge, n_node), layout = edges
        return GraphsTuple(nodes, None, receivers, senders, None, n_node, n_edge), layout

    def batch(data, epoch, step, key):
        del epoch, step
        (_, nodes), (_, edges, pairs, _) = data
        graph, layout = graph_of(nodes, edges)
        n_node = layout.n_node // parts
        # Uniform pairs, as Kipf and Welling's weighted loss over all pairs has in expectation.
        # Differs: PyG's sampler rejects the few that are edges or name one node twice.
        noise = hash_bits(key, pairs.shape) % np.uint32(n_node)
        own_part = pairs[:, :1] // n_node * n_node
        return graph, layout, (pairs, noise.astype(jnp.int32) + own_part)

    def loss(values, target):
        return link_loss(*(link_scores(values, pairs) for pairs in target))

    def answer(forward, data):
        (nodes, _), (edges, _, _, _) = data
        return forward(*graph_of(nodes, edges))

    def score(values, data, metric=metric):
        parts = tuple((link_scores(values, pairs), labels) for pairs, labels in data[1][-1])
        if metric == "accuracy":
            cut = best_cut(*parts[0])
            parts = tuple((_against(scores, cut), labels) for scores, labels in parts)
        return Scores(*(METRICS[metric](*part, jnp.ones(part[1].shape, bool)) for part in parts))

    return Problem(
        data=(jax.tree.map(jnp.asarray, nodes), per_split),
        n_split=len(splits),
        steps=1,
        batch=batch,
        loss=loss,
        answer=answer,
        score=score,
        metric=metric,
        metrics=tuple(FITTING["link"]),
    )


def _link_arrays(dataset: Dataset, split, parts: int, seed: int, backend: str):
    """Edges of the whole training graph and of its parts, the parts' pairs, and held-out pairs."""
    graph, pairs = training_parts(dataset, split, parts, seed)
    edges = tuple(_edges(g, backend) for g in (training_graph(dataset, split), graph))
    held_out = tuple(
        (jnp.asarray(np.concatenate(pair), jnp.int32), _ones_then_zeros(*map(len, pair)))
        for pair in ((split.val, split.val_neg), (split.test, split.test_neg))
    )
    return *edges, jnp.asarray(pairs, jnp.int32), held_out


def _edges(graph: GraphsTuple, backend: str):
    ends = tuple(map(jnp.asarray, (graph.senders, graph.receivers, graph.n_edge, graph.n_node)))
    return ends, layout(graph, backend)


def _against(scores: Array, cut: Array) -> Array:
    """Logits of two classes, of which the second wins above the cut."""
    return jnp.stack([jnp.full_like(scores, cut), scores], -1)


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

    scored = FITTING[dataset.kind]

    def score(answers, data, metric=metric):
        (_, labels), (_, _, masks) = data
        return Scores(*(scored[metric](answers[:-1], labels[:-1], mask) for mask in masks))

    return Problem(
        data=((graphs, labels), (train, held_out, masks)),
        n_split=len(dataset.splits),
        steps=train.shape[2],
        batch=batch,
        loss=lambda answers, target: LOSSES[dataset.kind](answers, *target),
        answer=answer,
        score=score,
        metric=metric,
        metrics=tuple(scored),
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
