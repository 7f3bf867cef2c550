"""The public files themselves: counts as published, splits pinned."""

import numpy as np
import pytest

from jgc.data import load
from jgc.data.links import graph_pairs
from tests.data.cases import digest

# name: graphs, nodes, directed edges, features, edge features, outputs
COUNTS = {
    "cora": (1, 2708, 10556, 1433, 0, 7),
    "citeseer": (1, 3327, 9104, 3703, 0, 6),
    "cora-npz": (1, 2708, 10556, 1433, 0, 7),
    "citeseer-npz": (1, 3312, 9072, 3703, 0, 6),
    "chameleon": (1, 2277, 62742, 2325, 0, 5),
    "mutag": (188, 3371, 7442, 7, 4, 2),
    "proteins": (1113, 43471, 162088, 3, 0, 2),
    "proteins-lengths": (1113, 43471, 162088, 4, 0, 2),
    "proteins-degrees": (1113, 43471, 162088, 21, 0, 2),
    "enzymes": (600, 19580, 74564, 21, 0, 6),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name, data_dir):
    got = load(name, folder=data_dir).summary()
    keys = ("graphs", "nodes", "edges", "features", "edge_features", "outputs")
    assert tuple(got[key] for key in keys) == COUNTS[name]


def test_planetoid(data_dir):
    cora, citeseer = load("cora", folder=data_dir), load("citeseer", folder=data_dir)
    assert cora.graphs[0].nodes.values.size == 49216
    assert [len(p) for p in cora.splits[0][:3]] == [140, 500, 1000]
    assert np.bincount(cora.labels).tolist() == [351, 217, 418, 818, 426, 298, 180]
    assert np.bincount(cora.labels[cora.splits[0].train]).tolist() == [20] * 7
    assert [len(p) for p in citeseer.splits[0][:3]] == [120, 500, 1000]
    assert citeseer.graphs[0].nodes.values.size == 105165
    assert (citeseer.labels == -1).sum() == 15
    absent = np.flatnonzero(citeseer.labels == -1)
    # They have edges, though the literature calls them isolated; it is features they lack.
    assert np.isin(absent, citeseer.graphs[0].senders).all()
    rows = np.asarray(citeseer.graphs[0].nodes.structure.indptr)
    assert (np.diff(rows)[absent] == 0).all()
    assert not np.isin(absent, np.concatenate(citeseer.splits[0][:3])).any()


def test_the_two_coras_agree(data_dir):
    """Two publishers' files, in different node orders, hold the same degrees, words and classes."""
    first, second = load("cora", folder=data_dir), load("cora-npz", folder=data_dir)
    for data in (first, second):
        words = np.diff(np.asarray(data.graphs[0].nodes.structure.indptr))
        degree = np.bincount(data.graphs[0].senders, minlength=2708)
        order = np.lexsort([words, degree])
        rows = np.stack([degree, words])[:, order]
        counts = np.sort(np.bincount(data.labels))
        if data is first:
            expected = rows, counts
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(counts, expected[1])


def test_geom_gcn_splits(data_dir):
    cora = load("cora", split="geom-gcn", folder=data_dir)
    assert len(cora.splits) == 10
    assert [len(p) for p in cora.splits[0][:3]] == [1192, 796, 497]
    citeseer = load("citeseer", split="geom-gcn", n_splits=1, folder=data_dir).splits[0]
    assert sum(len(p) for p in citeseer[:3]) <= 3327 - 15


def test_cora_link_split_is_pinned(data_dir):
    data = load("cora-link", folder=data_dir)
    assert (data.task, data.labels, data.metric, data.name) == ("link", None, "roc_auc", "cora")
    assert [len(p) for p in data.splits[0][:5]] == [4488, 263, 527, 263, 527]
    assert len(graph_pairs(data.graphs[0])) == 5278
    assert digest(*data.splits[0][:5]) == "cafe01ef68d8d862"


def test_folds_of_proteins_are_pinned(data_dir):
    data = load("proteins", folder=data_dir)
    assert len(data.splits) == 10 and np.bincount(data.labels).tolist() == [663, 450]
    assert {len(f.test) for f in data.splits} <= {111, 112}
    assert {len(f.val) for f in data.splits} == {100}
    assert digest(*(part for fold in data.splits for part in fold[:3])) == "e7bfcb4de6050035"


def test_bbbp(data_dir):
    pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    data = load("bbbp", folder=data_dir)
    assert data.notes[0] == (
        "11 rows do not parse and were dropped: rows "
        "[60, 62, 392, 615, 643, 646, 647, 648, 649, 650, 686]."
    )
    # 2050 rows - 11, of which 64 repeat a kept molecule or contradict one.
    assert len(data.graphs) == 1965 and "10 molecules have contradictory" in data.notes[2]
    assert set(np.unique(data.labels)) == {0, 1} and data.labels.shape == (1965, 1)
    split = data.splits[0]
    assert [len(p) for p in split[:3]] == [1572, 196, 197]
    # A part with one class only could not be scored.
    assert all(len(np.unique(data.labels[part])) == 2 for part in split[:3])
    assert [digest(part) for part in split[:3]] == [
        "48c62875ba5d09f5",
        "76b1ccce56b38b34",
        "247a65397e0e3c55",
    ]


def test_splits_of_the_paper(data_dir):
    """arXiv 2510.22058: Cora's last nodes, 80/5/15 of its edges, BBBP with nine features."""
    cora = load("cora", split="last", folder=data_dir).splits[0]
    assert [len(p) for p in cora[:3]] == [1708, 500, 500] and cora.test[0] == 2208
    links = load("cora-link", split="link-80", folder=data_dir).splits[0]
    assert [len(p) for p in links[:3]] == [4224, 263, 791]
    pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    bbbp = load("bbbp-pyg", folder=data_dir)
    assert len(bbbp.graphs) == 1965 and np.bincount(bbbp.labels).tolist() == [465, 1500]
    assert bbbp.graphs[0].nodes.shape[1] == 9 and bbbp.graphs[0].edges.shape[1] == 3
    assert [len(p) for p in bbbp.splits[0][:3]] == [1572, 196, 197]


def test_esol_targets(data_dir):
    pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    esol = load("esol", folder=data_dir)
    assert (esol.kind, esol.metric, esol.n_class) == ("value", "mae", 1)
    assert esol.labels.dtype == np.float32 and len(esol.graphs) == len(esol.labels) == 1111
