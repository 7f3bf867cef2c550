"""Pairs of nodes as small graphs: link prediction as a question about what surrounds a pair."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from jgc.data.dataset import DataError, LinkSplit, Split
from jgc.data.links import sample_negatives
from jgc.graph import GraphsTuple, SparseRows, from_edges


def enclosing_graphs(
    graph: GraphsTuple, splits: tuple[LinkSplit, ...], *, hops: int = 2, width: int = 32
) -> tuple[list[GraphsTuple], np.ndarray, tuple[Split, ...]]:
    """Cuts out what lies around every pair that is trained on, chosen on or tested on.

    A pair's graph holds all nodes within some hops of either node and the training edges between
    them, but for the pair's own. The pair is joined in both directions whether it is linked or
    not: the one column of edge features is 1 on these two edges and 0 on all others. Every split
    has pairs of its own, and as many that are no training edge are drawn to train against, by
    `sample_negatives` from a generator seeded by the split's place.

    Args:
        graph: The whole graph, with node features.
        splits: Link splits of it.
        hops: How far, >= 1.
        width: Node features wider than this are reduced to their largest singular directions,
            scaled to a mean square of 1; labels and edges play no part. >= 1.

    Returns:
        `(graphs, labels, splits)`: graphs of all pairs of all splits, float32 `[n_graph, 1]` with 1
        where a pair is linked, and which graphs are whose part.

    Raises:
        DataError: if the graph has no node features, or `hops` or `width` is below 1.

    Example:
        >>> from jgc.data import load
        >>> data = load("sbm", task="link")
        >>> graphs, labels, (split,) = enclosing_graphs(data.graphs[0], data.splits, hops=1)
        >>> len(split.train) == 2 * len(data.splits[0].train), graphs[0].edges.sum()
        (True, np.float32(2.0))

    References:
        Zhang and Chen, NeurIPS 2018, sec. 3 (arXiv 1802.09691); the mark on the pair's own edges
        is that of Pan, Shi and Dokmanic, ICLR 2022 (arXiv 2110.04375). Differs: they start from
        raw features or from embeddings of an autoencoder that is trained before.
    """
    if graph.nodes is None or hops < 1 or width < 1:
        raise DataError("Graphs around pairs need node features, `hops` >= 1 and `width` >= 1.")
    features = _reduced(graph.nodes, width)
    n_node = features.shape[0]
    graphs, labels, parts = [], [], []
    for place, split in enumerate(splits):
        rng = np.random.default_rng(place)
        noise = sample_negatives(rng, split.train, n_node=n_node, count=len(split.train))
        groups = ((split.train, noise), (split.val, split.val_neg), (split.test, split.test_neg))
        pairs = np.concatenate([np.concatenate(group) for group in groups])
        linked = [np.repeat([1, 0], [len(p), len(n)]) for p, n in groups]
        ends = len(graphs) + np.cumsum([0, *map(len, linked)])
        train, val, test = map(np.arange, ends[:-1], ends[1:])
        parts.append(Split(train, val, test, split.name))
        labels.extend(linked)
        graphs.extend(_around(pairs, _adjacency(split.train, n_node), features, hops))
    return graphs, np.concatenate(labels).astype(np.float32)[:, None], tuple(parts)


def _adjacency(pairs: np.ndarray, n_node: int) -> Any:
    both = np.concatenate([pairs, pairs[:, ::-1]])
    ones = np.ones(len(both), bool)
    return sp.csr_array((ones, (both[:, 0], both[:, 1])), shape=(n_node, n_node))


def _around(pairs: np.ndarray, adjacency: Any, features: np.ndarray, hops: int):
    """One graph a pair; everything is found for all pairs at once, as rows of one sparse matrix."""
    n_node = len(features)
    step = (adjacency + sp.eye_array(n_node, dtype=bool)).tocsr()
    near = step
    for _ in range(hops - 1):
        near = near @ step
    inside = (near[pairs[:, 0]] + near[pairs[:, 1]]).tocsr()
    inside.sort_indices()
    n_inside = np.diff(inside.indptr)
    owner, node = np.repeat(np.arange(len(pairs)), n_inside), inside.indices.astype(np.int64)
    codes = owner * n_node + node  # ascending

    def local(owner, node):
        """Where a node stands in its pair's graph, and whether it is in there at all."""
        wanted = owner * n_node + node
        at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
        return at - inside.indptr[owner], codes[at] == wanted

    # All edges out of all nodes, of which those stay that end inside.
    degree = np.diff(adjacency.indptr)[node]
    first = np.repeat(adjacency.indptr[node] - (np.cumsum(degree) - degree), degree)
    target = adjacency.indices[first + np.arange(degree.sum())].astype(np.int64)
    owner_of = np.repeat(owner, degree)
    senders = np.repeat(np.arange(len(node)) - inside.indptr[owner], degree)
    receivers, found = local(owner_of, target)
    ends = np.stack([local(np.arange(len(pairs)), side)[0] for side in pairs.T], 1)
    own = (np.sort(np.stack([senders, receivers], 1), 1) == np.sort(ends, 1)[owner_of]).all(1)
    kept = np.flatnonzero(found & ~own)
    bounds = np.searchsorted(owner_of[kept], np.arange(len(pairs) + 1))
    for i, (a, b) in enumerate(ends):
        of = kept[bounds[i] : bounds[i + 1]]
        mark = np.zeros((len(of) + 2, 1), np.float32)
        mark[-2:] = 1
        yield from_edges(
            np.append(senders[of], [a, b]),
            np.append(receivers[of], [b, a]),
            nodes=features[node[inside.indptr[i] : inside.indptr[i + 1]]],
            edges=mark,
        )


def _reduced(nodes: Any, width: int) -> np.ndarray:
    if isinstance(nodes, SparseRows):
        parts = (nodes.values, nodes.structure.cols, nodes.structure.indptr)
        nodes = sp.csr_array(tuple(map(np.asarray, parts)), shape=nodes.shape)
    n_node, d = nodes.shape
    if min(n_node, d) <= width:
        return np.asarray(nodes.toarray() if sp.issparse(nodes) else nodes, np.float32)
    # The start vector is fixed: else the signs of the directions would differ from call to call.
    left, _, _ = svds(nodes.astype(np.float64), k=width, v0=np.ones(min(n_node, d)))
    return (left * np.sqrt(n_node)).astype(np.float32)
