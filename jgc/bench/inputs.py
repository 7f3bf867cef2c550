"""The graphs that both sides of a comparison run on; numpy only, so that no side pays for it."""

import functools
from typing import NamedTuple

import numpy as np

WIDTH = 64
SMALL, LARGE = (100_000, 1_000_000), (1_000_000, 10_000_000)  # Nodes and edges.


class Graph(NamedTuple):
    """A node classification task as plain arrays.

    Attributes:
        senders: int32 `[n_edge]`, sorted by receiver.
        receivers: int32 `[n_edge]`, ascending.
        features: Stored entries of the features: row, column (int32) and value, `[n_stored]` each.
        shape: Nodes and features.
        labels: int32 `[n_node]`.
        parts: Nodes of the training, validation and test parts.
    """

    senders: np.ndarray
    receivers: np.ndarray
    features: tuple[np.ndarray, np.ndarray, np.ndarray]
    shape: tuple[int, int]
    labels: np.ndarray
    parts: tuple[np.ndarray, ...]

    def dense(self) -> np.ndarray:
        """The features as float32 `[n_node, n_feature]`."""
        x = np.zeros(self.shape, np.float32)
        x[self.features[0], self.features[1]] = self.features[2]
        return x


@functools.cache
def power_law(n_node: int, n_edge: int) -> tuple[np.ndarray, np.ndarray]:
    """A random graph whose k-th node has degrees falling as `1 / sqrt(k)`, nodes shuffled.

    Args:
        n_node: Nodes.
        n_edge: Edges.

    Returns:
        Senders and receivers, int32 `[n_edge]`, sorted by receiver.

    Example:
        >>> senders, receivers = power_law(100, 1000)
        >>> senders.shape, bool((np.diff(receivers) >= 0).all())
        ((1000,), True)
    """
    rng = np.random.default_rng(0)
    name = rng.permutation(n_node).astype(np.int32)
    ends = [name[(n_node * rng.random(n_edge) ** 2).astype(np.int64)] for _ in range(2)]
    order = np.argsort(ends[1], kind="stable")
    return ends[0][order], ends[1][order]


def offsets(rows: np.ndarray, n_row: int) -> np.ndarray:
    """Where each row's entries begin in a list sorted by row, int32 `[n_row + 1]`.

    Example:
        >>> offsets(np.array([0, 0, 2]), 3).tolist()
        [0, 2, 2, 3]
    """
    return np.searchsorted(rows, np.arange(n_row + 1)).astype(np.int32)


def values(n_node: int, width: int) -> np.ndarray:
    """Normal node values, float32 `[n_node, width]`."""
    return np.random.default_rng(1).standard_normal((n_node, width), np.float32)


@functools.cache
def cora() -> Graph:
    """Cora with its public split."""
    from jgc import data

    held = data.load("cora")
    graph, split = held.graphs[0], held.splits[0]
    order = np.argsort(graph.receivers, kind="stable")
    rows = graph.nodes
    return Graph(
        np.asarray(graph.senders)[order],
        np.asarray(graph.receivers)[order],
        (
            np.asarray(rows.structure.rows),
            np.asarray(rows.structure.cols),
            np.asarray(rows.values),
        ),
        rows.shape,
        np.asarray(held.labels),
        tuple(np.asarray(part) for part in split[:3]),
    )


WALKED = 10_000  # Nodes of the graph whose walks become vectors; ten edges each.


def temporal_edges(n_node: int = SMALL[0], n_edge: int = SMALL[1]):
    """The random graph with a time for each edge: senders, receivers, times.

    Example:
        >>> [len(column) for column in temporal_edges(100, 1000)]
        [1000, 1000, 1000]
    """
    return *power_law(n_node, n_edge), np.random.default_rng(2).random(n_edge)


@functools.cache
def walks(steps: int) -> np.ndarray:
    """Ten walks from each of some nodes, int32 `[10 * WALKED, steps + 1]`; -1 where they end."""
    import jax

    from jgc import graph

    index = graph.walk_index(*temporal_edges(WALKED, 10 * WALKED), n_node=WALKED)
    first = np.tile(np.arange(WALKED, dtype=np.int32), 10)
    return np.asarray(graph.random_walks(index, first, jax.random.key(0), steps=steps))
