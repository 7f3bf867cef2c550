"""Undirected node pairs: the form in which a simple graph is read, counted and split."""

import numpy as np

from jgc.graph import GraphsTuple, from_edges


def unique_pairs(senders, receivers) -> np.ndarray:
    """The undirected edges of an edge list, each once, without self loops.

    Args:
        senders: Source node of each edge, `[n_edge]`.
        receivers: Target node of each edge, `[n_edge]`.

    Returns:
        int64 `[k, 2]` in lexical order, the smaller node first.

    Example:
        >>> unique_pairs([1, 0, 2, 2], [0, 1, 2, 1]).tolist()
        [[0, 1], [1, 2]]
    """
    pairs = np.sort(np.stack([senders, receivers], 1).astype(np.int64), axis=1)
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def pair_graph(pairs: np.ndarray, *, n_node: int, nodes=None) -> GraphsTuple:
    """The graph with both directions of every pair `[k, 2]` as edges."""
    return from_edges(pairs[:, 0], pairs[:, 1], n_node=n_node, nodes=nodes, undirected=True)
