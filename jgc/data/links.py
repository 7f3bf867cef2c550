"""Splits of edges for link prediction, with a pinned negative sampler."""

import numpy as np

from jgc.data.dataset import DataError, Dataset, LinkSplit
from jgc.data.pairs import pair_graph, unique_pairs
from jgc.graph import GraphsTuple

# Held out for validation and test, by the word of the split.
FRACTIONS = {"link": (0.05, 0.1), "link-80": (0.05, 0.15)}


def link_split(
    pairs: np.ndarray,
    *,
    n_node: int,
    seed: int,
    fractions: tuple[float, float] = (0.05, 0.1),
    name: str = "link",
) -> LinkSplit:
    """Holds out undirected edges for validation and test, with as many non-edges each.

    One numpy PCG64 generator seeded by `seed` first shuffles the edges (validation first, then
    test, the rest trains), then draws negatives by `sample_negatives`. A test pins the SHA-256 of
    Cora's split: a change of sampler has moved Cora's published ROC-AUC from 91 to 85 before.

    Args:
        pairs: All undirected edges `[k, 2]`, as `unique_pairs` gives them.
        n_node: Number of nodes.
        seed: Seed of the generator.
        fractions: Held out for validation and test, each rounded down to whole edges.
        name: Begins the name of the split.

    Returns:
        The `LinkSplit` "NAME-SEED".

    Raises:
        DataError: if a part would be empty, or the graph is too dense for the negatives.

    Example:
        >>> ring = unique_pairs(np.arange(40), (np.arange(40) + 1) % 40)
        >>> [len(part) for part in link_split(ring, n_node=40, seed=0)[:5]]
        [34, 2, 4, 2, 4]

    References:
        Kipf and Welling, 2016, sec. 4 (85/5/10). https://arxiv.org/abs/1611.07308
    """
    n_val, n_test = (int(len(pairs) * fraction) for fraction in fractions)
    if not n_val or not n_test or n_val + n_test >= len(pairs):
        raise DataError(f"{len(pairs)} edges are too few for a link split of {fractions}.")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(pairs))
    val, test, train = (pairs[np.sort(part)] for part in np.split(order, [n_val, n_val + n_test]))
    negatives = sample_negatives(rng, pairs, n_node=n_node, count=n_val + n_test)
    return LinkSplit(train, val, test, negatives[:n_val], negatives[n_val:], f"{name}-{seed}")


def sample_negatives(
    rng: np.random.Generator, pairs: np.ndarray, *, n_node: int, count: int
) -> np.ndarray:
    """Draws distinct node pairs uniformly from all that are no edge.

    Rounds of `2 * count` pairs of node ids are drawn; self pairs, edges of any part and
    repetitions are struck out, and the first `count` that remain are kept in the order drawn.

    Args:
        rng: Generator.
        pairs: Every undirected edge `[k, 2]`, the smaller node first.
        n_node: Number of nodes.
        count: Number of pairs to draw.

    Returns:
        int64 `[count, 2]`, the smaller node first.

    Raises:
        DataError: if fewer than `count` pairs are no edge.

    Example:
        >>> edges = np.array([[0, 1], [1, 2]])
        >>> rng = np.random.default_rng(0)
        >>> sample_negatives(rng, edges, n_node=3, count=1).tolist()
        [[0, 2]]
    """
    free = n_node * (n_node - 1) // 2 - len(pairs)
    if free < count:
        raise DataError(f"The graph has {free} node pairs without an edge, {count} are needed.")
    edges = pairs[:, 0] * n_node + pairs[:, 1]
    drawn = np.zeros(0, np.int64)
    while drawn.size < count:
        new = np.sort(rng.integers(0, n_node, (2 * count, 2)), axis=1)
        codes = new[:, 0] * n_node + new[:, 1]
        codes = codes[(new[:, 0] != new[:, 1]) & ~np.isin(codes, edges)]
        drawn = np.concatenate([drawn, codes])
        drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    return np.stack(np.divmod(drawn[:count], n_node), axis=1)


def training_graph(dataset: Dataset, split: LinkSplit) -> GraphsTuple:
    """The graph of a link task with the training edges only, in both directions.

    Messages along a held-out edge would tell the model that the edge exists.

    Args:
        dataset: A `Dataset` of task "link".
        split: One of its splits.

    Returns:
        The graph with all nodes and their features, without validation and test edges.

    Example:
        >>> from jgc.data import load
        >>> data = load("sbm", task="link")
        >>> graph = training_graph(data, data.splits[0])
        >>> int(graph.n_edge[0]) == 2 * len(data.splits[0].train)
        True
    """
    whole = dataset.graphs[0]
    return pair_graph(split.train, n_node=int(whole.n_node[0]), nodes=whole.nodes)


def training_parts(dataset: Dataset, split: LinkSplit, parts: int, seed: int):
    """The training graph taken apart: as many copies of its nodes as parts, an edge in one of them.

    Differs: NESS's code drops a twentieth of the last part, and encodes with one direction of
    every edge when it scores; here parts differ by one edge at most and always have both.

    Args:
        dataset: A `Dataset` of task "link".
        split: One of its splits.
        parts: How many, >= 1; 1 gives `training_graph` without features.
        seed: Deals the edges.

    Returns:
        `(graph, pairs)`: one graph of `parts * n_node` nodes without features, and its undirected
        edges `[k, 2]` in the order of `split.train`. Node `i` of part `p` is `p * n_node + i`.

    Example:
        >>> from jgc.data import load
        >>> data = load("sbm", task="link")
        >>> graph, pairs = training_parts(data, data.splits[0], 4, seed=0)
        >>> int(graph.n_node[0]) == 4 * int(data.graphs[0].n_node[0])
        True
    """
    n_node = int(dataset.graphs[0].n_node[0])
    part = np.random.default_rng(seed).permutation(len(split.train)) % parts
    pairs = split.train + part[:, None] * n_node
    return pair_graph(pairs, n_node=parts * n_node), pairs


def graph_pairs(graph: GraphsTuple) -> np.ndarray:
    """The undirected edges of a graph, `[k, 2]`."""
    return unique_pairs(graph.senders, graph.receivers)
