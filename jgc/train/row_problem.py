"""Node tasks without edges: batches of rows, each a graph of one node."""

import jax
import jax.numpy as jnp
import numpy as np

from jgc.data import Dataset
from jgc.graph import GraphsTuple, hash_bits, layout
from jgc.train.losses import LOSSES
from jgc.train.task import FITTING, Problem, Scores, mask_of


def row_problem(dataset: Dataset, metric: str, batch_size: int) -> Problem:
    """The `Problem` of a node task whose nodes are rows of a table.

    A batch is drawn with replacement; an epoch has as many draws as there are rows to fit on, to a
    whole batch. Answers are those of the held-out rows alone, validation first.

    Differs: torch's loaders deal a shuffled epoch; here no order of millions of rows is kept, and
    an epoch meets 63 % of the rows, some of them again.
    """
    splits = dataset.splits
    least = min(len(split.train) for split in splits)
    size = min(batch_size, least)
    train = _padded([split.train for split in splits], 1)
    held_out = _padded([np.concatenate([s.val, s.test]) for s in splits], size)
    n_held = held_out.shape[1]
    masks = tuple(
        np.stack([mask_of(np.arange(*ends), n_held) for ends in _ends(splits, part)])
        for part in ("val", "test")
    )
    blank = _rows_graph(jnp.zeros((size, dataset.graphs[0].nodes.shape[1])))
    shared = (
        jnp.asarray(dataset.graphs[0].nodes), jnp.asarray(dataset.labels), blank, layout(blank),
    )  # fmt: skip
    counts = jnp.array([len(split.train) for split in splits], jnp.uint32)
    per_split = (*map(jnp.asarray, (train, counts, held_out)), tuple(map(jnp.asarray, masks)))
    scored = FITTING[dataset.kind]

    def batch(data, epoch, step, key):
        del epoch, step
        (rows, labels, blank, layout), (train, count, _, _) = data
        ids = train[hash_bits(key, (size,)) % count]
        return blank._replace(nodes=rows[ids]), layout, labels[ids]

    def answer(forward, data):
        (rows, _, blank, layout), (_, _, held_out, _) = data

        def one(ids):
            return forward(blank._replace(nodes=rows[ids]), layout)

        answers = jax.lax.map(one, held_out.reshape(-1, size))
        return answers.reshape(n_held, *answers.shape[2:])

    def score(answers, data, metric=metric):
        (_, labels, _, _), (_, _, held_out, masks) = data
        return Scores(*(scored[metric](answers, labels[held_out], mask) for mask in masks))

    return Problem(
        data=(shared, per_split),
        n_split=len(splits),
        steps=-(-least // size),
        batch=batch,
        loss=lambda answers, labels: LOSSES[dataset.kind](answers, labels, jnp.ones(size, bool)),
        answer=answer,
        score=score,
        metric=metric,
        metrics=tuple(scored),
    )


def _rows_graph(nodes) -> GraphsTuple:
    """A graph of one node for each row: what a quantiser learns is then not tied to a row."""
    n, none = len(nodes), np.zeros(0, np.int32)
    ones = np.ones(n, np.int32)
    return GraphsTuple(nodes, None, none, none, {"real": np.ones(n, bool)}, ones, 0 * ones)


def _padded(parts: list[np.ndarray], multiple: int) -> np.ndarray:
    """All of the largest one's length, up to a multiple, int32 `[n_split, n]`."""
    n = -(-max(map(len, parts)) // multiple) * multiple
    return np.stack([np.pad(part, (0, n - len(part))) for part in parts]).astype(np.int32)


def _ends(splits, part: str) -> list[tuple[int, int]]:
    """Where a part lies among the held-out rows of each split."""
    begins = [0 if part == "val" else len(split.val) for split in splits]
    sizes = [len(getattr(split, part)) for split in splits]
    return [(begin, begin + n) for begin, n in zip(begins, sizes, strict=True)]
