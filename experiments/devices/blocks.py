"""A block model of any size: most edges lie within a class, features hint at it."""

import numpy as np

from jgc.data import Dataset, Split
from jgc.graph import from_edges

N_CLASS, N_FEATURE, WITHIN, HINT = 16, 32, 0.7, 1.0


def blocks(n_node: int, n_edge: int, *, n_split: int = 5, seed: int = 0) -> Dataset:
    """`n_edge` directed edges (both ways of each pair), heavy-tailed degrees, dense features.

    WITHIN of the pairs lie within a class, the others anywhere. A feature row is noise of variance
    1 with HINT added at its class. Splits: 1 % of the nodes to train, 1 % to choose, the rest to
    test.
    """
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, N_CLASS, n_node))
    draw = np.cumsum(rng.pareto(2.5, n_node) + 1)
    starts = np.append(0.0, draw)[np.searchsorted(labels, np.arange(N_CLASS + 1))]

    def ends(count):
        first = np.searchsorted(draw, rng.random(count) * draw[-1])
        own = labels[first]
        low, high = starts[own], starts[own + 1]
        whole = rng.random(count) > WITHIN
        low, high = np.where(whole, 0, low), np.where(whole, draw[-1], high)
        second = np.searchsorted(draw, low + rng.random(count) * (high - low))
        return np.minimum(first, second), np.maximum(first, second)

    low, high = ends(n_edge)  # Twice as many as are wanted: some fall together, some on one node.
    pairs = np.unique((low * n_node + high)[low != high])
    pairs = rng.permutation(pairs)[: n_edge // 2]
    shuffled = rng.permutation(n_node)  # Numbers of nodes say nothing about their class.
    senders, receivers = shuffled[pairs // n_node], shuffled[pairs % n_node]
    said = np.empty(n_node, int)
    said[shuffled] = labels
    features = rng.normal(size=(n_node, N_FEATURE)).astype(np.float32)
    features[np.arange(n_node), said] += HINT
    graph = from_edges(senders, receivers, n_node=n_node, nodes=features, undirected=True)
    few = n_node // 100
    orders = [rng.permutation(n_node) for _ in range(n_split)]
    splits = tuple(
        Split(np.sort(o[:few]), np.sort(o[few : 2 * few]), np.sort(o[2 * few :]), f"random-{i}")
        for i, o in enumerate(orders)
    )
    return Dataset(f"blocks-{n_edge}", "node", [graph], said, splits, "accuracy", N_CLASS)
