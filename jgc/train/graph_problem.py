"""Graph tasks: shuffled batches of static size, drawn by number from the set on the device."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.data import Dataset
from jgc.graph import Budget, collection, draw, pack
from jgc.train.losses import LOSSES
from jgc.train.task import FITTING, Problem, Scores, mask_of


def graph_problem(
    dataset: Dataset, metric: str, batch_size: int, shuffles: int, seed: int, backend: str
) -> Problem:
    """The `Problem` of a graph task, see `jgc.train.problem`."""
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
        jnp.asarray(np.stack([mask_of(getattr(split, part), n_graph) for split in dataset.splits]))
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
