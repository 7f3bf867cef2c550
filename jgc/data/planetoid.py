"""Cora, CiteSeer and PubMed in the Planetoid files `ind.NAME.{x,tx,allx,y,ty,ally,graph}`."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from jgc.data.dataset import DataError, Parsed, Split
from jgc.data.pairs import pair_graph, unique_pairs
from jgc.data.pickles import read_pickle
from jgc.data.rows import check_features, normalise_rows
from jgc.data.source import Files
from jgc.data.text import number_table

N_VAL = 500


def read_planetoid(files: Files, name: str) -> Parsed:
    """Reads one citation network with its public split.

    `allx` and `ally` hold the first rows; row k of `tx` and `ty` is node `test.index[k]`, in no
    order. CiteSeer lacks 15 test ids: those nodes have edges, but no features, and get the
    label -1.

    Args:
        files: The eight files.
        name: "cora", "citeseer" or "pubmed", as in the file names.

    Returns:
        One undirected graph without double edges or self loops, its features sparse and
        row-normalised; the public split: the rows of `y`, the next 500, the test ids.

    Raises:
        DataError: for files that are damaged, contradict one another, or name absent nodes.

    References:
        Yang, Cohen and Salakhutdinov, ICML 2016. https://arxiv.org/abs/1603.08861
    """
    part = lambda suffix, kind: read_pickle(  # noqa: E731
        files.read(f"ind.{name}.{suffix}"), f"ind.{name}.{suffix}", kind
    )
    index_name = f"ind.{name}.test.index"
    test = number_table(files.text(index_name), index_name, np.int64)[:, 0]
    graph = part("graph", dict)
    all_x, test_x = (part(suffix, sp.csr_matrix) for suffix in ("allx", "tx"))
    all_y, test_y = (part(suffix, np.ndarray) for suffix in ("ally", "ty"))
    n_node = len(graph)
    _check_rows(name, all_x, all_y, test_x, test_y, test, n_node)
    rows = np.concatenate([np.arange(all_x.shape[0]), test])
    features = _place(sp.vstack([all_x, test_x]), rows, n_node)
    check_features(features, f"ind.{name}.allx/tx")
    labels = np.full(n_node, -1)
    labels[rows] = np.concatenate([all_y, test_y]).argmax(1)
    pairs, notes = _edges(graph, n_node, f"ind.{name}.graph")
    n_train = len(part("y", np.ndarray))
    if n_train + N_VAL > all_x.shape[0]:
        raise DataError(f"ind.{name}.allx: {all_x.shape[0]} rows are too few for the public split.")
    public = Split(np.arange(n_train), np.arange(n_train, n_train + N_VAL), np.sort(test), "public")
    missing = n_node - rows.size
    if missing:
        notes += (f"{missing} nodes have no features and no label; their label is -1.",)
    graph = pair_graph(pairs, n_node=n_node, nodes=normalise_rows(features))
    notes += ("Features are row-normalised (each row sums to 1).",)
    return Parsed([graph], labels, all_y.shape[1], notes, public)


def _check_rows(name, all_x, all_y, test_x, test_y, test, n_node: int):
    widths = [matrix.shape[1:] for matrix in (all_x, test_x, all_y, test_y)]
    if widths[0] != widths[1] or widths[2] != widths[3] or len(widths[2]) != 1:
        raise DataError(
            f"ind.{name}.*: `allx`, `tx` have columns {widths[:2]}, `ally`, `ty` {widths[2:]}; "
            "they must agree."
        )
    for suffix, one_hot in (("ally", all_y), ("ty", test_y)):
        bad = np.flatnonzero((one_hot == 1).sum(1) != 1)
        if bad.size:
            raise DataError(f"ind.{name}.{suffix}: row {bad[0]} must hold one 1, its class.")
    counts = [m.shape[0] for m in (all_x, test_x)], [len(all_y), len(test_y)]
    if counts[0] != counts[1] or counts[0][1] != test.size or np.unique(test).size != test.size:
        raise DataError(
            f"ind.{name}.*: `allx`, `tx` have {counts[0]} rows, `ally`, `ty` {counts[1]} and "
            f"`test.index` {test.size}; they must agree and no test id may occur twice."
        )
    if test.min() < all_x.shape[0]:
        raise DataError(f"ind.{name}.test.index: id {test.min()} is a row of `allx` already.")
    if test.max() >= n_node:
        raise DataError(
            f"ind.{name}.test.index: id {test.max()} is no node; `graph` has nodes 0..{n_node - 1}."
        )


def _place(matrix: Any, rows: np.ndarray, n_node: int) -> sp.csr_array:
    coo = sp.coo_array(matrix)
    places = (rows[coo.coords[0]], coo.coords[1])
    return sp.coo_array((coo.data, places), shape=(n_node, matrix.shape[1])).tocsr()


def _edges(graph: dict, n_node: int, file: str) -> tuple[np.ndarray, tuple[str, ...]]:
    for node, near in graph.items():
        bad = next((other for other in (node, *near) if not 0 <= other < n_node), None)
        if bad is not None:
            raise DataError(
                f"{file}: node {node} has an edge to node {bad}, but there are nodes "
                f"0..{n_node - 1} only."
            )
    senders = np.repeat(list(graph), [len(near) for near in graph.values()])
    receivers = np.array([other for near in graph.values() for other in near], np.int64)
    pairs = unique_pairs(senders, receivers)
    loops = np.unique(senders[senders == receivers]).size
    double = senders.size - (senders == receivers).sum() - 2 * len(pairs)
    notes = (f"{loops} nodes with self loops and {double} double adjacency entries were dropped.",)
    return pairs, notes if loops or double else ()
