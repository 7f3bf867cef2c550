"""Bad input: each a clear error that names the file and the place."""

import os
import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp

import jgc.data
from jgc.data import DataError
from jgc.data.table import _ESOL
from tests.data import cases
from tests.data.cases import BBBP, GEOM_EDGES, GEOM_NODES, TU, put

T = "tudataset/TINY/TINY_"


def _line(text: str, number: int, new: str) -> str:
    lines = text.splitlines(keepends=True)
    lines[number - 1] = new
    return "".join(lines)


def _npz(**changes) -> bytes:
    return cases.npz_bytes(cases.npz_entries() | changes)


def _x(row: int, value: float) -> bytes:
    matrix = cases.planetoid_parts()["allx"].tolil()
    matrix[row, 0] = value
    return pickle.dumps(sp.csr_matrix(matrix), protocol=4)


def _graph(**changes) -> bytes:
    graph = cases.planetoid_parts()["graph"] | {int(k[1:]): v for k, v in changes.items()}
    return pickle.dumps(graph, protocol=4)


P = pickle.dumps(cases.planetoid_parts()["ally"], protocol=4)
N = cases.npz_bytes(cases.npz_entries())
OBJECTS = np.array([{}], object)

ESOL = "moleculenet/delaney-processed.csv"
D, DGCNN = cases.DGCNN, cases.dgcnn_text()


def _dgcnn(text: str) -> bytes:
    return cases.zipped("REDDIT-BINARY.txt", text)


# set, file, what it holds instead, what the message says
BAD = [
    ("reddit-binary-dgcnn", D, _dgcnn("0\n"), "line 1 says that there are 0 graphs"),
    ("reddit-binary-dgcnn", D, _dgcnn(_line(DGCNN, 4, f"1 1 {10**30}\n")), "not whole numbers"),
    ("reddit-binary-dgcnn", D, _dgcnn(DGCNN[:-6]), "BINARY.txt: the file ends early"),
    ("reddit-binary-dgcnn", D, _dgcnn(DGCNN + "3 1\n"), "line 102 comes after the last of 20"),
    ("reddit-binary-dgcnn", D, _dgcnn(_line(DGCNN, 4, "1 2 2\n")), "line 4 has 3 .* 4 were due"),
    ("reddit-binary-dgcnn", D, _dgcnn(_line(DGCNN, 4, "1 1 x\n")), "line 4 is '1 1 x', not whole"),
    ("reddit-binary-dgcnn", D, _dgcnn(_line(DGCNN, 4, "1 1 4\n")), "node 1 .* joined to 4, which"),
    ("reddit-binary-dgcnn", D, _dgcnn(_line(DGCNN, 2, "0 1\n")), "a graph has 0 nodes"),
    ("reddit-binary-dgcnn", D, cases.zipped("other.txt", ""), "holds no REDDIT-BINARY.txt"),
    ("reddit-binary-dgcnn", D, b"PK", "REDDIT-BINARY.zip: truncated or damaged"),
    ("tu:TINY", T + "A.txt", TU["A"] + "3, 99\n", r"TINY_A.txt: line 18 .*\(3, 99\).*nodes 1..9"),
    ("tu:TINY", T + "A.txt", TU["A"] + "0, 1\n", r"TINY_A.txt: line 18 .*\(0, 1\)"),
    ("tu:TINY", T + "A.txt", TU["A"] + "1, 4\n", "TINY_A.txt: line 18 is an edge between two"),
    ("tu:TINY", T + "A.txt", _line(TU["A"], 3, "2, x\n"), "line 3 is '2, x', not whole numbers"),
    ("tu:TINY", T + "A.txt", _line(TU["A"], 3, "2\n"), "line 3 has 1 columns, line 1 has 2"),
    ("tu:TINY", T + "A.txt", TU["A"][:-5], "edge_labels.txt: 17 lines for 16 edges"),
    ("tu:TINY", T + "A.txt", "", "TINY_A.txt: the file is empty"),
    ("tu:TINY", T + "graph_labels.txt", "1\n2\n", "line 7 names graph 3, .* has 2 lines"),
    ("tu:TINY", T + "graph_labels.txt", "1\n2\n1\n2\n", "graph 4 has no nodes"),
    ("tu:TINY", T + "graph_labels.txt", "1\ntwo\n1\n", "graph_labels.txt: line 2 is 'two'"),
    ("tu:TINY", T + "graph_indicator.txt", "1\n1\n1\n2\n1\n2\n3\n3\n3\n", "line 5 goes back"),
    ("tu:TINY", T + "node_labels.txt", "0\n", "node_labels.txt: 1 lines for 9 nodes"),
    (
        "tu:TINY", T + "node_attributes.txt", _line(TU["node_attributes"], 4, "nan, 1\n"),
        "node_attributes.txt: line 4 holds nan",
    ),
    (
        "tu:TINY", T + "node_attributes.txt", _line(TU["node_attributes"], 2, "1, inf\n"),
        "node_attributes.txt: line 2 holds inf",
    ),
    ("cora", "planetoid/ind.cora.ally", P[: len(P) // 2], "ind.cora.ally: truncated or damaged"),
    ("cora", "planetoid/ind.cora.allx", _x(7, np.nan), "allx/tx: row 7, column 0 is nan"),
    ("cora", "planetoid/ind.cora.allx", _x(7, np.inf), "allx/tx: row 7, column 0 is inf"),
    ("cora", "planetoid/ind.cora.graph", _graph(_3=[9999]), "ind.cora.graph: node 3 .* 9999"),
    ("cora", "planetoid/ind.cora.test.index", "639\n638\n", "they must agree"),
    ("cora", "planetoid/ind.cora.test.index", "639\n-\n", "test.index: line 2 is '-'"),
    ("cora-npz", "gnn-benchmark/cora.npz", N[: len(N) // 2], "cora.npz: truncated or damaged"),
    ("cora-npz", "gnn-benchmark/cora.npz", _npz(labels=OBJECTS), "no numeric entry `labels`"),
    ("cora-npz", "gnn-benchmark/cora.npz", _npz(labels=np.full(600, -1)), r"`labels\[0\]` is -1"),
    ("cora-npz", "gnn-benchmark/cora.npz", _npz(labels=np.zeros(5, int)), "same nodes"),
    ("cora-npz", "gnn-benchmark/cora.npz", _npz(labels=np.ones(600)), "must be whole numbers"),
    (
        "cora-npz", "gnn-benchmark/cora.npz", _npz(adj_indices=np.full(601, 600)),
        r"`adj_\*` is no CSR matrix",
    ),
    (
        "cora-npz", "gnn-benchmark/cora.npz", _npz(attr_data=np.full(600, np.nan)),
        "cora.npz: row 0, column 0 is nan",
    ),
    ("chameleon", "geom-gcn/chameleon/out1_graph_edges.txt", GEOM_EDGES + "1\t9\n", "line 6 .*9"),
    (
        "chameleon", "geom-gcn/chameleon/out1_node_feature_label.txt",
        _line(GEOM_NODES, 3, "2\t1,x\t1\n"), "out1_node_feature_label.txt: line 3",
    ),
    (
        "chameleon", "geom-gcn/chameleon/out1_node_feature_label.txt",
        _line(GEOM_NODES, 3, "2\t1,1\t9\n"), "node 2 has label 9",
    ),
    ("chameleon", "geom-gcn/chameleon/out1_graph_edges.txt", "a\tb\n0\t1\t1\n", "has 3 columns"),
    (
        "chameleon", "geom-gcn/chameleon/out1_node_feature_label.txt",
        _line(GEOM_NODES, 5, "-1\t0,0\t0\n"), "out1_node_feature_label.txt: line 5",
    ),
    (
        "chameleon", "geom-gcn/chameleon/out1_node_feature_label.txt",
        _line(GEOM_NODES, 3, f"2\t1,1\t{10**30}\n"), "out1_node_feature_label.txt: line 3",
    ),
    (
        "chameleon", "geom-gcn/splits/chameleon_split_0.6_0.2_0.npz",
        cases.zipped("train_mask.npy", "no array"), "train_mask.npy: no .npy header",
    ),
    (
        "chameleon", "geom-gcn/splits/chameleon_split_0.6_0.2_0.npz",
        cases.npz_bytes({f"{p}_mask": np.ones(4, bool) for p in ("train", "val", "test")}),
        "split_0.6_0.2_0.npz: node 0 is in two parts",
    ),
    ("bbbp", "moleculenet/BBBP.csv", BBBP.replace("1,a,1,", "1,a,yes,"), "row 1, 'p_np' is 'yes'"),
    ("bbbp", "moleculenet/BBBP.csv", BBBP.replace("2,b,0,", "2,b,3,"), "row 2.*labels are 0 or 1"),
    ("bbbp", "moleculenet/BBBP.csv", BBBP.replace("1,a,1,", "1,a,inf,"), "row 1.*finite"),
    ("bbbp", "moleculenet/BBBP.csv", BBBP.replace("p_np", "label"), "no column 'p_np'"),
    ("bbbp", "moleculenet/BBBP.csv", BBBP + "x" * 200_000, "line 17 is no CSV"),
    ("esol", ESOL, f"smiles,{_ESOL}\nC,1e39\n", "row 1.*finite"),
    ("bbbp", "moleculenet/BBBP.csv", "p_np,smiles\n1,CCN\n0,NCC\n", "no molecule is left"),
    ("bbbp", "moleculenet/BBBP.csv", BBBP + "99,z\r\n", "row 16 has too few cells"),
    ("bbbp", "moleculenet/BBBP.csv", BBBP.splitlines()[0] + "\n", "no row below the header"),
    ("bbbp", "moleculenet/BBBP.csv", "num,name,p_np,smiles\n1,a,1,C(\n", "none of the 1 SMILES"),
    ("bbbp-pyg", "moleculenet/BBBP.csv", BBBP, "row 7, 'p_np' is empty; every row needs a class"),
    ("bbbp", "moleculenet/BBBP.csv", b"\xff\xfe\x00", "BBBP.csv: not a text file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "file", "data", "match"), BAD, ids=lambda x: x if isinstance(x, str) else "data"
)
def test_bad_file(name, file, data, match, tmp_path):
    if name in ("bbbp", "bbbp-pyg", "esol"):
        pytest.importorskip("rdkit", reason="molecules are read with rdkit")
    if name in cases.WRITERS:
        cases.WRITERS[name](tmp_path)
    for path in (tmp_path / file, tmp_path / f"{file}.gz"):
        path.unlink(missing_ok=True)
    put(tmp_path, file, data)
    with pytest.raises(DataError, match=match):
        jgc.data.load(name, folder=tmp_path)


def test_truncated_gzip_names_the_file(tmp_path):
    cases.write_tu(tmp_path)
    path = tmp_path / f"{T}A.txt.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"TINY_A.txt.gz: truncated or damaged"):
        jgc.data.load("tu:TINY", folder=tmp_path)


class _Evil:
    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_runs_nothing(tmp_path):
    cases.write_planetoid(tmp_path)
    proof = tmp_path / "proof"
    data = pickle.dumps(_Evil(f"touch {proof}"), protocol=2)
    put(tmp_path, "planetoid/ind.cora.allx", data)
    message = f"ind.cora.allx: the pickle names `{os.system.__module__}.system`"
    with pytest.raises(DataError, match=re.escape(message)):
        jgc.data.load("cora", folder=tmp_path)
    assert not proof.exists()
    pickle.loads(data)  # the same bytes do harm where nothing restrains them
    assert proof.exists()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"name": "croa"}, "Unknown data set 'croa'. Did you mean 'cora'"),
        ({"name": "zzzzqqqq"}, r"Unknown data set 'zzzzqqqq'. Known: \['amazon-computers'"),
        ({"name": "motif", "task": "link"}, "`task` is 'link'; 'motif' is a data set for 'graph'"),
        ({"name": "sbm", "task": "edge"}, "`task` is 'edge'"),
        ({"name": "motif-link"}, "Unknown data set 'motif-link'"),
        ({"name": "sbm", "split": "kfold"}, r"`split` is 'kfold'.*\['public', 'random', 'last'\]"),
        ({"name": "motif", "split": "scaffold"}, r"may be \['random', 'kfold'\]"),
        ({"name": "sbm", "n_splits": 0}, "`n_splits` must be at least 1, got 0"),
        ({"name": "sbm", "n_splits": 3}, "one 'public' split only"),
        ({"name": "sbm", "split": "last", "n_splits": 2}, "one 'last' split only"),
        ({"name": "sbm-link", "split": "last"}, r"may be \['link', 'link-80'\]"),
        ({"name": "motif", "split": "kfold", "n_splits": 900}, "900 folds; allowed are 2..200"),
        ({"name": "cora", "folder": "/no/such/folder"}, "`folder` is '/no/such/folder'"),
        ({"name": "npz:/no/such.npz"}, "/no/such.npz: no such file"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(DataError, match=match):
        jgc.data.load(**arguments)


def test_without_rdkit_one_sentence(monkeypatch):
    import sys

    from jgc.data.molecule import chemistry

    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(DataError, match=re.escape("pip install 'jgc[chem]'")):
        chemistry()
