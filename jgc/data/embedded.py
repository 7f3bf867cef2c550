"""Rows that a dense network learns from: vectors of walks through a temporal graph.

A set of rows is one graph without edges, whose nodes are the rows, so that all that is done to
node tasks is done to it.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jgc.data.dataset import DataError, Split, TemporalEdges
from jgc.data.splits import random_split
from jgc.graph import GraphsTuple, SkipGram, from_edges, random_walks, skip_gram, walk_index

WALKS = 10  # From every node.
LINK_STEPS, NODE_STEPS = 5, 50
LINK_WIDTH, NODE_WIDTH = 8, 64
LINK_EPOCHS, NODE_EPOCHS = 1, 5
TRAIN, VAL, TEST = 0.6, 0.2, 0.2
_TRIES = 100


def pair_rows(
    edges: TemporalEdges, seeds: Sequence[int]
) -> tuple[list[GraphsTuple], np.ndarray, tuple[Split, ...]]:
    """Will this pair be linked? Rows are pairs, as the vectors of both nodes side by side.

    The last 20 % of the edges in time are the test part. Of the others, 60 and 20 % of all edges
    are drawn for training and validation. Every edge has a negative pair beside it in its part
    (`corrupted`). Nodes get vectors of 8 numbers by skip-gram (window 10) over 10 walks of 5 edges
    from each, along training edges only; a node that these never name has zeros. Self loops are
    left out. An edge that comes again later is in both parts, as it was in the paper.

    Differs: in the authors' code training and validation are drawn independently, and walks run
    along all edges, those of the test part among them; their numbers must be higher.

    Args:
        edges: The temporal graph.
        seeds: One a split, which draws the parts, the negatives, the walks and the vectors.

    Returns:
        `(graphs, labels, splits)`: one graph without edges, all rows of all splits; float32
        `[n_row, 1]`, 1 where a pair is linked; and which rows are whose part.

    Raises:
        DataError: for fewer than 5 edges, or where all pairs are linked.

    Example:
        >>> from jgc.data.temporal_block_model import temporal_sbm
        >>> graphs, labels, (split,) = pair_rows(temporal_sbm().temporal, [0])
        >>> graphs[0].nodes.shape[1], len(split.train) / len(labels), labels.mean()
        (16, 0.6, np.float32(0.5))

    References:
        Peng et al., arXiv 2209.04766, sec. V; Talati et al., IISWC 2021, and its code,
        github.com/talnish/iiswc21_rwalk, linkpred_datapreproc_opt.h.
    """
    apart = edges.senders != edges.receivers
    pairs = np.stack([edges.senders, edges.receivers], 1)[apart]
    n = len(pairs)
    if n < 5:
        raise DataError(f"{n} edges between different nodes are too few for three parts.")
    rows, splits = [], []
    for i, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(n - int(TEST * n))
        train, val = np.split(order[: int((TRAIN + VAL) * n)], [int(TRAIN * n)])
        parts = train, val, np.arange(n - int(TEST * n), n)
        vectors = node_vectors(
            TemporalEdges(
                pairs[train, 0], pairs[train, 1], edges.times[apart][train], edges.n_node
            ),
            steps=LINK_STEPS, width=LINK_WIDTH, epochs=LINK_EPOCHS, seed=seed,
        )  # fmt: skip
        both = np.concatenate([pairs, corrupted(rng, pairs, n_node=edges.n_node)])
        rows.append(vectors[both].reshape(2 * n, 2 * LINK_WIDTH))
        # A row and its negative are n rows apart.
        begin = 2 * n * i
        train, val, test = (begin + np.sort(np.concatenate([part, part + n])) for part in parts)
        splits.append(Split(train, val, test, f"temporal-{seed}"))
    labels = np.tile(np.repeat([1, 0], n), len(splits)).astype(np.float32)[:, None]
    return [_graph(np.concatenate(rows))], labels, tuple(splits)


def node_rows(
    edges: TemporalEdges, labels: np.ndarray, seeds: Sequence[int]
) -> tuple[list[GraphsTuple], np.ndarray, tuple[Split, ...]]:
    """Which class is this node of? Rows are nodes, as vectors of 64 numbers.

    Skip-gram (window 10) over 10 walks of 50 edges from each node, with seed 0 for all splits;
    nodes are then divided at random into 60, 20 and 20 %.

    Differs: the authors' code takes the first 301 nodes of each class and one pass over the walks;
    here all nodes are kept, and five passes make up for a smaller graph.

    Args:
        edges: The temporal graph.
        labels: Class of each node, int64 `[n_node]`.
        seeds: One a split.

    Returns:
        `(graphs, labels, splits)`, as `pair_rows`.

    Example:
        >>> edges = TemporalEdges(np.array([0, 1]), np.array([1, 0]), np.array([0.0, 1.0]), 9)
        >>> graphs, labels, splits = node_rows(edges, np.arange(9) % 2, seeds=[0])
        >>> graphs[0].nodes.shape, splits[0].name
        ((9, 64), 'random-0')

    References:
        As `pair_rows`; data/node_class/dblp3/process_dataset.py of that code.
    """
    vectors = node_vectors(edges, steps=NODE_STEPS, width=NODE_WIDTH, epochs=NODE_EPOCHS, seed=0)
    splits = tuple(random_split(len(labels), seed=s, fractions=(TRAIN, VAL)) for s in seeds)
    return [_graph(vectors)], labels, splits


def node_vectors(
    edges: TemporalEdges, *, steps: int, width: int, epochs: int, seed: int
) -> np.ndarray:
    """Skip-gram vectors of nodes from walks that respect time.

    Args:
        edges: What walks run along.
        steps: Largest number of edges of a walk.
        width: Of a vector.
        epochs: Passes over the walks.
        seed: Of walks and vectors.

    Returns:
        float32 `[n_node, width]`; zeros for nodes without edges.

    Example:
        >>> edges = TemporalEdges(np.array([0, 1]), np.array([1, 0]), np.array([0.0, 1.0]), 9)
        >>> vectors = node_vectors(edges, steps=50, width=64, epochs=5, seed=0)
        >>> vectors.shape, float(vectors[2].sum())
        ((9, 64), 0.0)
    """
    index = walk_index(*edges[:3], n_node=edges.n_node)
    walk_key, key = jax.random.split(jax.random.key(seed))
    first = np.tile(np.unique(np.concatenate(edges[:2])), WALKS)
    walks = random_walks(index, jnp.asarray(first, jnp.int32), walk_key, steps=steps)
    settings = SkipGram(width=width, epochs=epochs)
    return np.asarray(skip_gram(walks, n_node=edges.n_node, key=key, settings=settings))


def corrupted(rng: np.random.Generator, pairs: np.ndarray, *, n_node: int) -> np.ndarray:
    """For every pair one that is no edge: half of them with another receiver, half with two others.

    New nodes are drawn uniformly, again until the pair names two nodes and is not among `pairs`
    (in this direction). Where a sender has hardly another receiver left both ends are drawn.

    Differs: the authors' code lets a negative pair name one node twice.

    Args:
        rng: Generator.
        pairs: Edges `[n, 2]`, each from the first to the second.
        n_node: Number of nodes.

    Returns:
        int64 `[n, 2]`.

    Raises:
        DataError: if almost all pairs are edges.

    Example:
        >>> path = np.array([[0, 1], [1, 2]])
        >>> new = corrupted(np.random.default_rng(0), path, n_node=3)
        >>> bool((new[:, 0] != new[:, 1]).all()), {(0, 1), (1, 2)} & set(map(tuple, new.tolist()))
        (True, set())
    """
    edges = np.unique(pairs @ [n_node, 1])
    both = rng.random(len(pairs)) < 0.5
    negatives = pairs.copy()
    todo = np.arange(len(pairs))
    for turn in range(2 * _TRIES):
        drawn = rng.integers(0, n_node, (todo.size, 2))
        alone = ~both[todo] & (turn < _TRIES)
        drawn[alone, 0] = pairs[todo[alone], 0]
        negatives[todo] = drawn
        place = np.searchsorted(edges, drawn @ [n_node, 1]).clip(max=edges.size - 1)
        bad = (drawn[:, 0] == drawn[:, 1]) | (edges[place] == drawn @ [n_node, 1])
        todo = todo[bad]
        if not todo.size:
            return negatives
    raise DataError(f"Of {n_node} nodes nearly all pairs are linked: no negative pairs are left.")


def _graph(rows: np.ndarray) -> GraphsTuple:
    return from_edges([], [], n_node=len(rows), nodes=rows)
