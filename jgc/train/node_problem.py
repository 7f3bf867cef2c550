"""Node tasks: all nodes of one graph at once, each part by its mask."""

import jax
import jax.numpy as jnp
import numpy as np

from jgc.data import Dataset
from jgc.graph import layout
from jgc.train.losses import LOSSES, self_training
from jgc.train.task import FITTING, Problem, Scores, mask_of


def node_problem(dataset: Dataset, metric: str, guess_weights, backend: str) -> Problem:
    """The `Problem` of a node task, see `jgc.train.problem`."""
    graph = dataset.graphs[0]
    labels = jnp.asarray(dataset.labels)
    n_node = labels.shape[0]
    masks = [[mask_of(part, n_node) for part in split[:3]] for split in dataset.splits]
    train, val, test = (jnp.asarray(np.stack(part)) for part in zip(*masks, strict=True))
    shared = (jax.tree.map(jnp.asarray, graph), layout(graph, backend), labels, guess_weights)

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
