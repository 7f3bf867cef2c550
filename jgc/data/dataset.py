"""`Dataset` and the splits: what every loader hands to training."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jgc.graph import GraphsTuple


class DataError(ValueError):
    """A data set that cannot be found or read; the message names the file and the place in it.

    Example:
        >>> issubclass(DataError, ValueError)
        True
    """


class Split(NamedTuple):
    """Nodes (node tasks) or graphs (graph tasks) of the three parts: indices, int64 `[n]`, rising.

    Attributes:
        train: Indices to fit on.
        val: Indices to choose on.
        test: Indices to report on, once.
        name: For example "public", "random-3" (seed 3) or "fold-0".

    Example:
        >>> parts = Split(np.array([0, 2]), np.array([1]), np.array([3]), "random-0")
        >>> parts.train.tolist(), parts.name
        ([0, 2], 'random-0')
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    name: str


class LinkSplit(NamedTuple):
    """Undirected node pairs `[k, 2]`, each once, the smaller node first.

    Attributes:
        train: Edges to fit on; the only ones that messages may travel along (`training_graph`).
        val: Held-out edges to choose on.
        test: Held-out edges to report on.
        val_neg: As many pairs that are no edge of the whole graph.
        test_neg: The same for the test; no pair is in both.
        name: For example "link-0" (seed 0).

    Example:
        >>> import jgc
        >>> split = jgc.data.load("sbm", task="link").splits[0]
        >>> split.name, split.test.shape == split.test_neg.shape
        ('link-0', True)
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    val_neg: np.ndarray
    test_neg: np.ndarray
    name: str


class TemporalEdges(NamedTuple):
    """Directed edges with times, in the order of their times.

    Attributes:
        senders: Source node of each edge, int64 `[n_edge]`.
        receivers: Target node of each edge, int64 `[n_edge]`.
        times: Of each edge, ascending, float64 `[n_edge]`, >= 0, in the unit of the file.
        n_node: Number of nodes.

    Example:
        >>> edges = TemporalEdges(np.array([0, 1]), np.array([1, 2]), np.array([0.5, 3.0]), 3)
        >>> edges.times.tolist()
        [0.5, 3.0]
    """

    senders: np.ndarray
    receivers: np.ndarray
    times: np.ndarray
    n_node: int


class Parsed(NamedTuple):
    """What a reader found in the files, before any split is chosen.

    With `temporal` there are no graphs yet: they are made of the walks of each split.
    """

    graphs: list[GraphsTuple]
    labels: np.ndarray
    n_class: int
    notes: tuple[str, ...] = ()
    public: Split | None = None
    smiles: tuple[str, ...] = ()
    temporal: TemporalEdges | None = None


@dataclass(frozen=True)
class Dataset:
    """Graphs, labels and splits of one task.

    Attributes:
        name: The name it was loaded by, lower case.
        task: "node", "link" or "graph".
        graphs: One graph for node and link tasks (for links it still holds the edges of the
            validation and test parts: train on `training_graph(graph, split)`), else one a sample.
        labels: Node task: int `[n_node]`, -1 = no label is known (in no split). Graph task of kind
            "class": int `[n_graph]`; of kind "binary" or "value": float32 `[n_graph, n_target]`,
            NaN = missing. Link task: `None`.
        splits: One or more `Split` (or `LinkSplit`).
        metric: "accuracy", "roc_auc" (mean over the targets) or "mae".
        n_class: Outputs of a model: classes, or targets of kinds "binary" and "value"; 1 for links.
        kind: "class", "binary" (several yes-no targets) or "value" (regression).
        notes: What was repaired, normalised or dropped while reading, one sentence each.

    Example:
        >>> import jgc
        >>> data = jgc.data.load("sbm")
        >>> data.task, data.labels.shape, data.n_class, data.splits[0].name
        ('node', (2708,), 7, 'public')
    """

    name: str
    task: str
    graphs: list[GraphsTuple]
    labels: np.ndarray | None
    splits: tuple
    metric: str
    n_class: int
    kind: str = "class"
    notes: tuple[str, ...] = ()

    def summary(self) -> dict:
        """Counts for a listing: plain numbers and strings; edges are directed ones."""
        nodes: Any = self.graphs[0].nodes
        edges: Any = self.graphs[0].edges
        return {
            "name": self.name,
            "task": self.task,
            "graphs": len(self.graphs),
            "nodes": int(sum(g.n_node.sum() for g in self.graphs)),
            "edges": int(sum(g.n_edge.sum() for g in self.graphs)),
            "features": 0 if nodes is None else int(nodes.shape[1]),
            "edge_features": 0 if edges is None else int(edges.shape[1]),
            "outputs": self.n_class,
            "kind": self.kind,
            "metric": self.metric,
            "splits": {
                s.name: [len(part) for part in (s.train, s.val, s.test)] for s in self.splits
            },
            "notes": list(self.notes),
        }
