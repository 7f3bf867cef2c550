"""Dealing the nodes of a graph to parts, so that few edges run between two parts."""

from importlib.util import find_spec

import numpy as np
import scipy.sparse as sp

from jgc.graph.edges import in_degree
from jgc.graph.graphs_tuple import GraphsTuple

METHODS = ("auto", "metis", "stream")
SLACK = 1.05  # The heaviest part may weigh so many times the mean.
PASSES = 5  # Of the stream; later ones move few nodes.


def partition(graph: GraphsTuple, n_part: int, *, method: str = "auto", seed: int = 0):
    """Deals nodes to parts of like weight, a node weighing 1 + its incoming edges.

    Args:
        graph: One concrete graph. The direction of edges does not count.
        n_part: Number of parts, in `1..n_node`.
        method: `"metis"` (the extra `partition`), `"stream"` (no dependency: each node goes to the
            part that holds most of its neighbours and has room, several times over), or `"auto"`,
            METIS where it is installed.
        seed: Of the order in which nodes come (stream), or of METIS.

    Returns:
        Part of each node, int32 `[n_node]`; the same for the same seed. A part may be empty where
        parts have but a few nodes.

    Raises:
        ValueError: for more parts than nodes, an unknown method, or METIS where it is missing.

    Example:
        >>> from jgc.graph import from_edges
        >>> two_pairs = from_edges([0, 2], [1, 3], undirected=True)
        >>> a, b, c, d = partition(two_pairs, 2).tolist()
        >>> a == b, c == d, a != c
        (True, True, True)

    References:
        METIS: Karypis and Kumar, SIAM J. Sci. Comput. 20, 1998. Stream: Stanton and Kliot, KDD
        2012, sec. 3 (linear deterministic greedy); passes: Nishimura and Ugander, KDD 2013.
        Differs: parts have room for work (1 + incoming edges), not for a number of nodes.
    """
    n_node = int(np.sum(graph.n_node))
    if not 1 <= n_part <= n_node:
        raise ValueError(
            f"`n_part` must be in 1..{n_node}, the number of nodes, got {n_part}. More devices "
            "than nodes have nothing to do."
        )
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {list(METHODS)}, got {method!r}.")
    if method == "auto":
        method = "metis" if find_spec("pymetis") else "stream"
    near, weights = _neighbours(graph, n_node), 1 + in_degree(graph)
    if n_part == 1:
        return np.zeros(n_node, np.int32)
    return (_metis if method == "metis" else _stream)(near, weights, n_part, seed)


def _neighbours(graph: GraphsTuple, n_node: int):
    """The adjacency both ways, each pair once and no loops, CSR `[n_node, n_node]`."""
    apart = graph.senders != graph.receivers
    ends = np.stack([graph.senders[apart], graph.receivers[apart]])
    both = np.concatenate([ends, ends[::-1]], 1)
    ones = np.ones(both.shape[1], np.int8)
    near = sp.csr_array((ones, tuple(both)), shape=(n_node, n_node))
    near.sum_duplicates()
    return near


def _metis(near, weights: np.ndarray, n_part: int, seed: int) -> np.ndarray:
    try:
        import pymetis  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise ValueError(
            '`method="metis"` needs pymetis: `pip install "jgc[partition]"`, or take "stream".'
        ) from None
    options = pymetis.Options(seed=seed)
    adjacency = pymetis.CSRAdjacency(near.indptr, near.indices)
    found = pymetis.part_graph(n_part, adjacency, vweights=weights.tolist(), options=options)
    return np.asarray(found[1], np.int32)


def _stream(near, weights: np.ndarray, n_part: int, seed: int) -> np.ndarray:
    part = np.full(weights.size, n_part, np.int32)  # The last number is: nowhere yet.
    load, room = np.zeros(n_part), SLACK * weights.sum() / n_part
    order = _order(near, np.random.default_rng(seed))
    for _ in range(PASSES):
        before = part.copy()
        for node in order:
            weight = weights[node]
            if part[node] < n_part:
                load[part[node]] -= weight
            there = near.indices[near.indptr[node] : near.indptr[node + 1]]
            held = np.bincount(part[there], minlength=n_part + 1)[:n_part]
            part[node] = best = _best(held, load, weight, room)
            load[best] += weight
        if (part == before).all():
            break
    return part


def _best(held: np.ndarray, load: np.ndarray, weight, room: float) -> int:
    """The part with most neighbours by its share of free room; of equal ones the lightest."""
    fits = load + weight <= room
    if not fits.any():
        return int(load.argmin())
    score = np.where(fits, held * (1 - load / room), -1.0)
    return int(np.where(score == score.max(), load, np.inf).argmin())


def _order(near, rng: np.random.Generator) -> np.ndarray:
    """Breadth first from random nodes: who comes next has neighbours that are placed."""
    seen, order = np.zeros(near.shape[0], bool), []
    for start in rng.permutation(near.shape[0]):
        if not seen[start]:
            reached = sp.csgraph.breadth_first_order(near, start, return_predecessors=False)
            seen[reached] = True
            order.append(reached)
    return np.concatenate(order)
