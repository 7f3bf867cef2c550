"""TUDataset's raw text: `NAME_A.txt`, `NAME_graph_indicator.txt`, `NAME_graph_labels.txt`, ..."""

from typing import NamedTuple

import numpy as np

from jgc.data.dataset import DataError, Parsed
from jgc.data.source import Files
from jgc.data.text import number_table
from jgc.graph import from_edges

REQUIRED = ("A", "graph_indicator", "graph_labels")
MOST_KINDS = 1024  # One column each: more are no classes, and would fill a memory.
OPTIONAL = ("node_labels", "node_attributes", "edge_labels", "edge_attributes")


class _Edges(NamedTuple):
    senders: np.ndarray
    receivers: np.ndarray
    features: np.ndarray | None


def read_tu(files: Files, name: str, *, features: str | None = None) -> Parsed:
    """Reads a graph classification set.

    Double entries of `A` are merged, self loops dropped and missing reverse edges added, each with
    a note. Labels become 0..C-1 in the order of their values; node and edge labels become one-hot
    columns.

    Args:
        files: The files `NAME_*.txt`.
        name: NAME, as the files spell it.
        features: Node features, one or more joined by "+", in their order: "labels" (one-hot),
            "attributes", "log-attributes" (of each `sign(a) log(1 + |a|)` at mean 0 and variance 1
            over all nodes), "degree" (one-hot, over the degrees of the set), "constant" (1).
            `None`: labels if the set has them, else attributes, else "constant".

    Returns:
        The graphs in the order of the files.

    Raises:
        DataError: naming file and line, for an edge to a node that is not there or between two
            graphs, a graph without nodes, a line that is no number, files of different lengths, or
            more than 1024 kinds of node or edge labels.

    References:
        Morris et al., 2020, sec. 3 and the format's README. https://arxiv.org/abs/2007.08663
    """
    table = lambda part, dtype: _table(files, f"{name}_{part}.txt", dtype)  # noqa: E731
    graph_of = _ids(table("graph_indicator", np.int64), f"{name}_graph_indicator.txt")
    values, labels = np.unique(table("graph_labels", np.int64)[:, 0], return_inverse=True)
    n_node = _graph_sizes(graph_of, labels.size, name)
    pairs = _ids(table("A", np.int64), f"{name}_A.txt", width=2)
    _check_edges(pairs, graph_of, f"{name}_A.txt")
    parts = {part: _optional(files, name, part) for part in OPTIONAL}
    _check_lengths(name, parts, graph_of.size, len(pairs))
    edges, notes = _simple(pairs, _edge_features(parts), graph_of.size)
    nodes = _node_features(parts, features, edges, graph_of.size, name)
    return Parsed(_graphs(edges, nodes, graph_of, n_node), labels, values.size, notes)


def _table(files: Files, file: str, dtype) -> np.ndarray:
    text = files.text(file)
    return number_table(text, file, dtype, delimiter="," if "," in text else None)


def _optional(files: Files, name: str, part: str) -> np.ndarray | None:
    file = f"{name}_{part}.txt"
    dtype = np.int64 if part.endswith("labels") else np.float32
    if files.path(file) is None:
        return None
    table = _table(files, file, dtype)
    kinds = max(np.unique(column).size for column in table.T) if dtype is np.int64 else 0
    if kinds > MOST_KINDS:
        raise DataError(
            f"{file}: {kinds} different labels; a column is made of {MOST_KINDS} at most."
        )
    return table


def _ids(table: np.ndarray, file: str, width: int = 1) -> np.ndarray:
    """Ids counted from 1 in the file, from 0 here."""
    if table.shape[1] != width:
        raise DataError(f"{file}: expected {width} columns, line 1 has {table.shape[1]}.")
    return (table[:, 0] if width == 1 else table) - 1


def _graph_sizes(graph_of: np.ndarray, n_graph: int, name: str) -> np.ndarray:
    file = f"{name}_graph_indicator.txt"
    bad = np.flatnonzero((graph_of < 0) | (graph_of >= n_graph))
    if bad.size:
        raise DataError(
            f"{file}: line {bad[0] + 1} names graph {graph_of[bad[0]] + 1}, but {name}_graph_labels"
            f".txt has {n_graph} lines. Is it truncated?"
        )
    back = np.flatnonzero(np.diff(graph_of) < 0)
    if back.size:
        raise DataError(f"{file}: line {back[0] + 2} goes back to an earlier graph.")
    n_node = np.bincount(graph_of, minlength=n_graph)
    if (n_node == 0).any():
        raise DataError(f"{file}: graph {np.argmin(n_node) + 1} has no nodes.")
    return n_node


def _check_edges(pairs: np.ndarray, graph_of: np.ndarray, file: str) -> None:
    bad = np.flatnonzero(((pairs < 0) | (pairs >= graph_of.size)).any(1))
    if bad.size:
        row = bad[0]
        raise DataError(
            f"{file}: line {row + 1} is an edge {tuple((pairs[row] + 1).tolist())}, but there are "
            f"nodes 1..{graph_of.size} only."
        )
    crossing = np.flatnonzero(graph_of[pairs[:, 0]] != graph_of[pairs[:, 1]])
    if crossing.size:
        raise DataError(f"{file}: line {crossing[0] + 1} is an edge between two graphs.")


def _check_lengths(name: str, parts: dict, n_node: int, n_edge: int) -> None:
    for part, table in parts.items():
        wanted = n_node if part.startswith("node") else n_edge
        if table is not None and len(table) != wanted:
            raise DataError(
                f"{name}_{part}.txt: {len(table)} lines for {wanted} {part[:4]}s. Is it truncated?"
            )


def _edge_features(parts: dict) -> np.ndarray | None:
    attributes, labels = parts["edge_attributes"], parts["edge_labels"]
    columns = [] if attributes is None else [attributes]
    columns += [] if labels is None else [_one_hot(labels)]
    return np.concatenate(columns, axis=1) if columns else None


def _simple(pairs: np.ndarray, features, n_node: int) -> tuple[_Edges, tuple[str, ...]]:
    """Both directions of every edge once, sorted by sender; first features win."""
    loops = pairs[:, 0] == pairs[:, 1]
    kept = np.flatnonzero(~loops)
    # Reversed copies come last, so that a direction that the file has keeps its own features.
    both = np.concatenate([pairs[kept], pairs[kept, ::-1]])
    place = np.concatenate([kept, kept])
    codes, first = np.unique(both[:, 0] * n_node + both[:, 1], return_index=True)
    n_given = np.unique(both[: kept.size, 0] * n_node + both[: kept.size, 1]).size
    counts = {
        "self loops dropped": int(loops.sum()),
        "double edges merged": kept.size - n_given,
        "missing reverse edges added": codes.size - n_given,
    }
    notes = tuple(f"{count} {what}." for what, count in counts.items() if count)
    values = None if features is None else features[place[first]]
    return _Edges(codes // n_node, codes % n_node, values), notes


def _node_features(
    parts: dict, features: str | None, edges: _Edges, n_node: int, name: str
) -> np.ndarray:
    if features is None:
        given = [kind for kind in ("labels", "attributes") if parts[f"node_{kind}"] is not None]
        features = given[0] if given else "constant"
    kinds = features.split("+")
    return np.concatenate([_columns(kind, parts, edges, n_node, name) for kind in kinds], axis=1)


def _columns(kind: str, parts: dict, edges: _Edges, n_node: int, name: str) -> np.ndarray:
    if kind == "constant":
        return np.ones((n_node, 1), np.float32)
    if kind == "degree":
        return _one_hot(np.bincount(edges.senders, minlength=n_node)[:, None])
    in_logs = kind == "log-attributes"
    part = "node_attributes" if in_logs else f"node_{kind}"
    table = parts.get(part)
    if table is None:
        raise DataError(f"{name}_{part}.txt: not found; the features {kind!r} need it.")
    if kind == "labels":
        return _one_hot(table)
    return _standard(np.sign(table) * np.log1p(np.abs(table))) if in_logs else table


def _standard(table: np.ndarray) -> np.ndarray:
    """Columns at mean 0 and variance 1; one that never changes becomes 0."""
    spread = table.std(0)
    return ((table - table.mean(0)) / np.where(spread > 0, spread, 1)).astype(np.float32)


def _one_hot(table: np.ndarray) -> np.ndarray:
    """One block of 0/1 columns for each column of labels, in the order of the labels' values."""
    codes = [np.unique(column, return_inverse=True) for column in table.T]
    return np.concatenate([np.eye(len(v), dtype=np.float32)[i] for v, i in codes], axis=1)


def _graphs(edges: _Edges, nodes: np.ndarray, graph_of: np.ndarray, n_node: np.ndarray) -> list:
    starts = np.concatenate([[0], np.cumsum(n_node)])
    bounds = np.searchsorted(graph_of[edges.senders], np.arange(n_node.size + 1))
    graphs = []
    for i in range(n_node.size):
        of = slice(bounds[i], bounds[i + 1])
        graphs.append(
            from_edges(
                edges.senders[of] - starts[i],
                edges.receivers[of] - starts[i],
                nodes=nodes[starts[i] : starts[i + 1]],
                edges=None if edges.features is None else edges.features[of],
            )
        )
    return graphs
