"""Geom-GCN's text layout (chameleon) and its ten fixed splits."""

import numpy as np
import scipy.sparse as sp

from jgc.data.dataset import DataError, Parsed, Split
from jgc.data.npz import read_entries
from jgc.data.pairs import pair_graph, unique_pairs
from jgc.data.rows import check_features, normalise_rows
from jgc.data.source import Files, Source
from jgc.data.text import number_table

EDGES, NODES = "out1_graph_edges.txt", "out1_node_feature_label.txt"
_MASKS = ("train_mask", "val_mask", "test_mask")


def read_geom_gcn(files: Files) -> Parsed:
    """Reads `out1_graph_edges.txt` and `out1_node_feature_label.txt`, both with a header line.

    Args:
        files: The folder of the two files.

    Returns:
        One undirected graph without self loops, row-normalised sparse 0/1 features, labels.

    Raises:
        DataError: naming file and line, for lines that do not parse or name absent nodes.

    References:
        Pei et al., ICLR 2020. https://arxiv.org/abs/2002.05287
    """
    features, labels = _nodes(files.text(NODES))
    body = files.text(EDGES).partition("\n")[2]
    edges = number_table(body, f"{EDGES} (below the header)", np.int64)
    if edges.shape[1] != 2:
        raise DataError(f"{EDGES}: line 2 has {edges.shape[1]} columns; `node node` is needed.")
    bad = np.flatnonzero(((edges < 0) | (edges >= labels.size)).any(1))
    if bad.size:
        raise DataError(
            f"{EDGES}: line {bad[0] + 2} is an edge {tuple(edges[bad[0]].tolist())}, but there are "
            f"nodes 0..{labels.size - 1} only."
        )
    pairs = unique_pairs(*edges.T)
    graph = pair_graph(pairs, n_node=labels.size, nodes=normalise_rows(features))
    notes = (
        f"{len(edges)} edge lines made {len(pairs)} undirected edges.",
        "Features are row-normalised (each row sums to 1).",
    )
    return Parsed([graph], labels, int(labels.max()) + 1, notes)


def split_source(name: str) -> Source:
    """The ten split files of a set."""
    files = tuple(f"{name}_split_0.6_0.2_{i}.npz" for i in range(10))
    url = "https://github.com/graphdml-uiuc-jlu/geom-gcn/raw/master/splits/{file}"
    return Source("geom-gcn/splits", files, urls=(url,))


def geom_gcn_splits(files: Files, labels: np.ndarray, wanted: tuple[str, ...]) -> tuple[Split, ...]:
    """The splits in the files `wanted`; nodes without a label are left out."""
    splits = []
    for file in wanted:
        entries = read_entries(files.read(file), file)
        if any(entries.get(key, np.zeros(0)).shape != labels.shape for key in _MASKS):
            raise DataError(f"{file}: needs {', '.join(_MASKS)} of {labels.size} nodes.")
        masks = [entries[key].astype(bool) for key in _MASKS]
        if np.sum(masks, axis=0).max() > 1:
            raise DataError(f"{file}: node {np.argmax(np.sum(masks, axis=0))} is in two parts.")
        train, val, test = (np.flatnonzero(mask & (labels >= 0)) for mask in masks)
        splits.append(Split(train, val, test, f"geom-gcn-{len(splits)}"))
    return tuple(splits)


def _nodes(text: str) -> tuple[sp.csr_array, np.ndarray]:
    lines = text.rstrip().splitlines()[1:]
    if not lines:
        raise DataError(f"{NODES}: no line below the header.")
    rows: list[np.ndarray] = [np.zeros(0)] * len(lines)
    labels = np.full(len(lines), -1)
    for number, line in enumerate(lines, 2):
        try:
            node, feature, label = line.split("\t")
            place = int(node)
            if not 0 <= place < len(lines):
                raise ValueError(node)
            rows[place] = np.array(feature.split(","), np.float32)
            labels[place] = int(label)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{NODES}: line {number} is no `node feature,... label`.") from error
    widths = np.array([row.size for row in rows])
    bad = np.flatnonzero((labels < 0) | (labels >= len(lines)) | (widths != widths.max()))
    if bad.size:
        raise DataError(
            f"{NODES}: node {bad[0]} has label {labels[bad[0]]} and {widths[bad[0]]} features; "
            f"labels count from 0, and {widths.max()} features are expected."
        )
    features = sp.csr_array(np.stack(rows))
    check_features(features, NODES, first=2)
    return features, labels
