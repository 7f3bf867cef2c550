"""What holds of every data set that a reader lets through, whatever the files said."""

import json

import numpy as np

from jgc.data import Dataset
from jgc.data.dataset import Parsed
from jgc.graph import GraphsTuple, SparseRows


def check_dataset(data: Dataset) -> None:
    """Raises `AssertionError` unless graphs, labels and splits fit together."""
    assert data.graphs and data.splits
    for graph in data.graphs:
        check_graph(graph)
    n_item = len(data.graphs) if data.task == "graph" else int(data.graphs[0].n_node[0])
    check_labels(data, n_item)
    for split in data.splits:
        parts = [np.asarray(part) for part in split[:3]]
        if data.task != "link":
            together = np.concatenate(parts)
            assert np.unique(together).size == together.size, "an item is in two parts"
            assert ((together >= 0) & (together < n_item)).all(), "a part names an absent item"
            assert data.kind != "class" or (data.labels[together] >= 0).all()
    json.dumps(data.summary(), allow_nan=False)


def check_graph(graph: GraphsTuple) -> None:
    n_node, n_edge = int(np.sum(graph.n_node)), int(np.sum(graph.n_edge))
    ends = np.concatenate([np.asarray(graph.senders), np.asarray(graph.receivers)])
    assert ends.size == 2 * n_edge, "edges are miscounted"
    assert ((ends >= 0) & (ends < n_node)).all(), "an edge to a missing node"
    for features, n_row in ((graph.nodes, n_node), (graph.edges, n_edge)):
        if features is not None:
            assert features.shape[0] == n_row, "rows and items differ"
            values = features.values if isinstance(features, SparseRows) else features
            assert np.isfinite(np.asarray(values)).all(), "a feature is no finite number"


def check_labels(data: Dataset, n_item: int) -> None:
    if data.task == "link":
        assert data.labels is None
        return
    labels = np.asarray(data.labels)
    assert len(labels) == n_item, "labels and items differ"
    if data.kind == "class":
        assert labels.dtype.kind == "i" and labels.shape == (n_item,)
        assert ((labels >= -1) & (labels < data.n_class)).all(), "a label beyond the classes"
    else:
        assert labels.shape == (n_item, data.n_class) and not np.isinf(labels).any()


def check_temporal(parsed: Parsed) -> None:
    """The same of edges in time."""
    edges = parsed.temporal
    assert edges is not None and edges.senders.size == edges.receivers.size == edges.times.size > 0
    ends = np.concatenate([edges.senders, edges.receivers])
    assert ((ends >= 0) & (ends < edges.n_node)).all(), "an edge to a missing node"
    assert (np.diff(edges.times) >= 0).all() and np.isfinite(edges.times).all()
    assert parsed.labels.size in (0, edges.n_node)
    assert ((parsed.labels >= 0) & (parsed.labels < parsed.n_class)).all()
