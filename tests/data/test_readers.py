"""Every format through the same duties, then what is special to each."""

import pickle

import numpy as np
import pytest

import jgc.data
from jgc.data import coded_graph, tu
from jgc.data.molecule import parse_smiles
from jgc.data.source import Files, find_files
from jgc.graph import SparseRows
from tests.data.cases import CASES, GEOM_EDGES, TU, WRITERS, put, write_tu


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request, tmp_path, monkeypatch):
    if request.param.name.startswith("bbbp"):
        pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    request.param.write(tmp_path)
    monkeypatch.setenv("JGC_DATA_DIR", str(tmp_path))
    return request.param


def test_counts(case):
    got = jgc.data.load(case.name).summary()
    assert got["graphs"] == case.n_graph and got["outputs"] == case.n_class
    counts = got["nodes"], got["edges"], got["features"]
    assert counts == (case.n_node, case.n_edge, case.n_feature)
    assert next(iter(got["splits"])).startswith(case.split)


def test_graphs_are_simple_undirected_and_labelled(case):
    data = jgc.data.load(case.name)
    for graph in data.graphs:
        pairs = set(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
        assert len(pairs) == graph.senders.size
        assert all((j, i) in pairs and i != j for i, j in pairs)
        assert graph.globals["real"].tolist() == [True]
    assert data.labels is not None
    size = sum(g.n_node.sum() for g in data.graphs) if data.task == "node" else len(data.graphs)
    assert len(data.labels) == size
    for split in data.splits:
        parts = np.concatenate(split[:3])
        assert np.unique(parts).size == parts.size and parts.max() < size


def test_same_content_gzipped(case, tmp_path):
    before = jgc.data.load(case.name).summary()
    for path in tmp_path.rglob("*.*"):
        if path.is_file() and path.suffix != ".gz":
            put(path.parent, path.name, path.read_bytes(), zipped=True)
            path.unlink()
    assert jgc.data.load(case.name).summary() == before


def test_planetoid_places_test_rows_and_marks_missing_nodes(tmp_path):
    WRITERS["cora"](tmp_path)
    data = jgc.data.load("cora", folder=tmp_path)
    features = data.graphs[0].nodes
    assert isinstance(features, SparseRows)
    dense = np.asarray(features.todense())
    assert np.allclose(dense.sum(1), np.arange(640) != 635)  # normalised; 635 has no row
    assert dense[[630, 638]].argmax(1).tolist() == [630 % 3, 638 % 3]
    assert data.labels[[630, 635, 639]].tolist() == [0, -1, 1]
    split = data.splits[0]
    assert split.train[-1] == 39 and split.val[[0, -1]].tolist() == [40, 539]
    assert split.test.tolist() == [630, 631, 632, 633, 634, 636, 637, 638, 639]
    assert any("1 nodes have no features" in note for note in data.notes)


def test_pickle_of_python_2_is_read_as_latin_1():
    from jgc.data.pickles import read_pickle

    # The bytes of an array are text to Python 2; protocol 2 says that they are latin-1.
    array = np.array([233, 1], np.uint8)
    data = pickle.dumps(array, protocol=4).replace(b"C\x02\xe9\x01", b"U\x02\xe9\x01")
    assert data.count(b"U\x02\xe9\x01") == 1
    assert read_pickle(data, "x", np.ndarray).tolist() == [233, 1]


def _read_tiny(tmp_path, **options):
    write_tu(tmp_path)
    return tu.read_tu(Files(tmp_path / "tudataset/TINY"), "TINY", **options)


def test_tu_repairs_edges_and_says_so(tmp_path):
    parsed = _read_tiny(tmp_path)
    assert [g.n_edge.tolist() for g in parsed.graphs] == [[6], [6], [4]]
    assert parsed.labels.tolist() == [1, 0, 1] and parsed.n_class == 2
    assert parsed.notes == (
        "1 self loops dropped.",
        "1 double edges merged.",
        "1 missing reverse edges added.",
    )
    last = parsed.graphs[2]
    assert last.senders.tolist() == [0, 1, 1, 2] and last.receivers.tolist() == [1, 0, 2, 1]
    # Lines 14, 15 and 17 of A; the added reverse edge takes the label of line 17.
    assert last.edges.argmax(1).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("features", "row"),
    [
        (None, [0, 1]),
        ("labels", [0, 1]),
        ("attributes", [2.5, -1]),
        ("attributes+labels", [2.5, -1, 0, 1]),
        ("degree", [0, 1]),
        ("degree+attributes", [0, 1, 2.5, -1]),
        ("constant", [1]),
    ],
)
def test_tu_features_of_the_third_node(tmp_path, features, row):
    assert _read_tiny(tmp_path, features=features).graphs[0].nodes[2].tolist() == row


def test_tu_attributes_are_brought_to_one_scale_before_the_labels(tmp_path):
    def nodes(features):
        return np.concatenate([g.nodes for g in _read_tiny(tmp_path, features=features).graphs])

    raw, found = nodes("attributes+labels"), nodes("log-attributes+labels")
    small = np.sign(raw[:, :2]) * np.log(1 + np.abs(raw[:, :2]))
    changes = small.std(0) > 0
    expected = np.where(changes, (small - small.mean(0)) / np.where(changes, small.std(0), 1), 0)
    np.testing.assert_allclose(found, np.concatenate([expected, raw[:, 2:]], 1), atol=1e-6)


def test_tu_graph_without_edges_is_fine(tmp_path):
    write_tu(tmp_path)
    more = {"graph_labels": "7\n", "graph_indicator": "4\n", "node_labels": "0\n"}
    for part, line in (more | {"node_attributes": "1, 1\n"}).items():
        put(tmp_path, f"tudataset/TINY/TINY_{part}.txt", TU[part] + line)
    parsed = tu.read_tu(Files(tmp_path / "tudataset/TINY"), "TINY")
    assert parsed.graphs[3].n_node.tolist() == [1] and parsed.graphs[3].n_edge.tolist() == [0]
    assert parsed.graphs[3].edges.shape == (0, 2) and parsed.n_class == 3


def test_geom_gcn_sorts_nodes_by_id(tmp_path):
    WRITERS["chameleon"](tmp_path)
    data = jgc.data.load("chameleon", folder=tmp_path)
    assert data.labels.tolist() == [0, 1, 1, 0] and len(data.splits) == 10
    rows = np.asarray(data.graphs[0].nodes.todense()).tolist()
    assert rows == [[1, 0], [0, 1], [0.5, 0.5], [0, 0]]
    assert len(GEOM_EDGES.splitlines()) - 1 == 4  # four lines made two undirected edges
    assert data.graphs[0].n_edge.tolist() == [4]


def test_moleculenet_reports_rows(tmp_path):
    pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    WRITERS["bbbp"](tmp_path)
    data = jgc.data.load("bbbp", folder=tmp_path, split="random")
    assert data.notes == (
        "1 rows do not parse and were dropped: rows [3].",
        "1 molecules occur more than once and were kept once: [[2, 5]].",
        "1 molecules have contradictory labels, dropped: [[4, 6]].",
    )
    assert data.labels.dtype == np.float32 and data.labels.shape == (11, 1)
    assert data.labels[:3, 0].tolist()[:2] == [1, 0] and np.isnan(data.labels[2, 0])
    assert data.graphs[2].n_edge.tolist() == [0]  # methane: one atom, no bond
    assert (data.kind, data.metric) == ("binary", "roc_auc")


def test_molecules_as_codes_and_classes(tmp_path):
    pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    WRITERS["bbbp-pyg"](tmp_path)
    data = jgc.data.load("bbbp-pyg", folder=tmp_path)
    assert (data.kind, data.metric, data.n_class) == ("class", "accuracy", 2)
    assert data.labels.dtype == np.int64 and data.labels[:3].tolist() == [1, 0, 0]
    # Ethanol: carbons with 3 and 2 hydrogens, oxygen with 1; four, four and two bonds, all sp3.
    assert data.graphs[0].nodes.tolist() == [
        [6, 0, 4, 5, 3, 0, 4, 0, 0], [6, 0, 4, 5, 2, 0, 4, 0, 0], [8, 0, 2, 5, 1, 0, 4, 0, 0],
    ]  # fmt: skip
    # Benzene: bonds of type 12, conjugated.
    assert data.graphs[1].edges.tolist() == [[12, 0, 1]] * 12
    assert data.graphs[1].nodes.tolist() == [[6, 0, 3, 5, 1, 0, 3, 1, 1]] * 6


SMILES = ["C[C@H](N)C(=O)O", "F/C=C/F", "[O-][N+](=O)c1ccccc1", "FS(F)(F)(F)(F)F", "[CH3]", "C#N"]


@pytest.mark.parametrize("smiles", SMILES)
def test_codes_are_those_of_pyg(smiles):
    pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    utils = pytest.importorskip("torch_geometric.utils", reason="PyG as oracle")
    ours, theirs = coded_graph(parse_smiles(smiles)), utils.from_smiles(smiles)
    np.testing.assert_array_equal(ours.nodes, theirs.x)
    order = np.lexsort([ours.receivers, ours.senders])  # PyG sorts edges
    np.testing.assert_array_equal(
        np.stack([ours.senders, ours.receivers])[:, order], theirs.edge_index
    )
    np.testing.assert_array_equal(ours.edges[order], theirs.edge_attr.reshape(-1, 3))


def test_plain_folder_without_the_layout(tmp_path):
    for part, text in TU.items():
        put(tmp_path, f"TINY/TINY_{part}.txt", text)
    spec = jgc.data.info("tu:TINY")
    assert find_files("tu:TINY", spec.source, folder=tmp_path).folder == tmp_path / "TINY"


def test_npz_by_path(tmp_path):
    WRITERS["cora-npz"](tmp_path)
    path = tmp_path / "gnn-benchmark" / "cora.npz"
    data = jgc.data.load(f"npz:{path}")
    assert data.graphs[0].n_node.tolist() == [600] and data.name == f"npz:{path}"
