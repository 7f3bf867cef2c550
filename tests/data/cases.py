"""One tiny, valid set of each raw format, written to a folder as its public files are."""

import gzip
import hashlib
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp


class Case(NamedTuple):
    """A set to load by `name` from the files that `write(folder)` leaves."""

    name: str
    write: Callable[[Path], None]
    n_graph: int
    n_node: int
    n_edge: int
    n_feature: int
    n_class: int
    split: str


def put(folder: Path, file: str, data: str | bytes, *, zipped: bool = False) -> Path:
    path = folder / (f"{file}.gz" if zipped else file)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = data.encode() if isinstance(data, str) else data
    path.write_bytes(gzip.compress(data) if zipped else data)
    return path


def digest(*arrays) -> str:
    """Pins drawn indices: the start of the SHA-256 of their decimal text."""
    text = ";".join(",".join(map(str, np.ravel(a).tolist())) for a in arrays)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def planetoid_parts() -> dict:
    """640 nodes in a ring, 2 classes of 3 features; test ids 630..639 in reverse, 635 missing."""
    n_all, test = 630, [639, 638, 637, 636, 634, 633, 632, 631, 630]
    features = sp.csr_matrix(np.eye(3, dtype=np.float32)[np.arange(n_all) % 3] * 2)
    labels = np.eye(2, dtype=np.int32)[np.arange(n_all) % 2]
    test_x = sp.csr_matrix(np.eye(3, dtype=np.float32)[np.array(test) % 3])
    test_y = np.eye(2, dtype=np.int32)[np.array(test) % 2]
    graph = {i: [(i + 1) % 640, (i - 1) % 640, i] for i in range(640)}
    return {
        "x": features[:40], "y": labels[:40], "allx": features, "ally": labels, "tx": test_x,
        "ty": test_y, "graph": graph, "test.index": "".join(f"{i}\n" for i in test),
    }  # fmt: skip


def write_planetoid(folder: Path) -> None:
    for suffix, value in planetoid_parts().items():
        data = value if isinstance(value, str) else pickle.dumps(value, protocol=4)
        put(folder, f"planetoid/ind.cora.{suffix}", data)


# Two triangles and a path; edges of the first graph given twice, one of the last one way only.
TU = {
    "A": "1, 2\n2, 1\n2, 3\n3, 2\n3, 1\n1, 3\n1, 2\n"
    "4, 5\n5, 4\n5, 6\n6, 5\n6, 4\n4, 6\n7, 8\n8, 7\n9, 9\n8, 9\n",
    "graph_indicator": "1\n1\n1\n2\n2\n2\n3\n3\n3\n",
    "graph_labels": "1\n-1\n1\n",
    "node_labels": "0\n0\n5\n5\n0\n0\n5\n0\n0\n",
    "node_attributes": "".join(f"{i}.5, -1\n" for i in range(9)),
    "edge_labels": "".join(f"{i % 2}\n" for i in range(17)),
}


def write_tu(folder: Path) -> None:
    for part, text in TU.items():
        put(folder, f"tudataset/TINY/TINY_{part}.txt", text, zipped=part == "A")


def write_rings(folder: Path) -> None:
    """20 triangles and nothing but the three files that every set has."""
    pairs = [(3 * g + i, 3 * g + (i + 1) % 3) for g in range(20) for i in range(3)]
    lines = [f"{a + 1}, {b + 1}\n{b + 1}, {a + 1}\n" for a, b in pairs]
    parts = {
        "A": "".join(lines),
        "graph_indicator": "".join(f"{g + 1}\n" * 3 for g in range(20)),
        "graph_labels": "".join(f"{g % 2}\n" for g in range(20)),
    }
    for part, text in parts.items():
        put(folder, f"tudataset/RING/RING_{part}.txt", text)


def dgcnn_text() -> str:
    """20 triangles with a tail; the first has a self loop, a double and an edge one way only."""
    first = "4 2\n2 4 0 1 1 2\n1 1 2\n3 3 0 1 3\n1 1 2\n"
    other = "4 0\n2 2 1 2\n2 2 0 2\n3 3 0 1 3\n1 1 2\n"
    return "20\n" + (first + other) * 10


def zipped(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"folder/{name}", text)
    return buffer.getvalue()


DGCNN = "dgcnn/REDDIT-BINARY/REDDIT-BINARY.zip"


def write_dgcnn(folder: Path) -> None:
    put(folder, DGCNN, zipped("REDDIT-BINARY.txt", dgcnn_text()))


def npz_entries() -> dict[str, np.ndarray]:
    """A ring of 600 nodes with one self loop, three classes, four features."""
    n = 600
    ring = np.roll(np.eye(n, dtype=np.float32), 1, axis=1)
    ring[0, 0] = 1
    features = sp.csr_array(np.eye(4, dtype=np.float32)[np.arange(n) % 4])
    adjacency = sp.csr_array(ring)
    entries = {"labels": (np.arange(n) % 3).astype(np.int8)}
    for prefix, matrix in (("adj", adjacency), ("attr", features)):
        for part in ("data", "indices", "indptr"):
            entries[f"{prefix}_{part}"] = getattr(matrix, part)
        entries[f"{prefix}_shape"] = np.array(matrix.shape)
    return entries


def npz_bytes(entries: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **entries)  # pyright: ignore[reportArgumentType]
    return buffer.getvalue()


def write_npz(folder: Path) -> None:
    put(folder, "gnn-benchmark/cora.npz", npz_bytes(npz_entries()))


GEOM_NODES = "node_id\tfeature\tlabel\n0\t1,0\t0\n2\t1,1\t1\n1\t0,1\t1\n3\t0,0\t0\n"
GEOM_EDGES = "node_id\tnode_id\n0\t1\n1\t0\n1\t2\n3\t3\n"


def write_geom(folder: Path) -> None:
    put(folder, "geom-gcn/chameleon/out1_node_feature_label.txt", GEOM_NODES, zipped=True)
    put(folder, "geom-gcn/chameleon/out1_graph_edges.txt", GEOM_EDGES)
    masks = {f"{part}_mask": np.arange(4) == i for i, part in enumerate(("train", "val", "test"))}
    for i in range(10):
        put(folder, f"geom-gcn/splits/chameleon_split_0.6_0.2_{i}.npz", npz_bytes(masks))


# Row 3 does not parse; 2 and 5 are one molecule; 4 and 6 are one with two labels; 7 is one atom.
BBBP = (
    "num,name,p_np,smiles\r\n1,a,1,CCO\r\n2,b,0,c1ccccc1\r\n3,c,1,C(C\r\n4,d,1,CCN\r\n"
    "5,e,0,C1=CC=CC=C1\r\n6,f,0,NCC\r\n7,g,,C\r\n"
    + "".join(f"{i},x,{i % 2},{'C' * i}O\r\n" for i in range(8, 16))
)


def write_bbbp(folder: Path) -> None:
    put(folder, "moleculenet/BBBP.csv", BBBP)


def write_bbbp_classes(folder: Path) -> None:
    put(folder, "moleculenet/BBBP.csv", BBBP.replace("7,g,,C", "7,g,0,C"))


CASES = [
    Case("cora", write_planetoid, 1, 640, 1280, 3, 2, "public"),
    Case("tu:RING", write_rings, 20, 60, 120, 1, 2, "fold-0"),
    Case("reddit-binary-dgcnn", write_dgcnn, 20, 80, 160, 1, 2, "fold-0"),
    Case("cora-npz", write_npz, 1, 600, 1200, 4, 3, "random"),
    Case("chameleon", write_geom, 1, 4, 4, 2, 2, "geom-gcn"),
    Case("bbbp", write_bbbp, 11, 110, 200, 47, 1, "scaffold"),
    Case("bbbp-pyg", write_bbbp_classes, 11, 110, 200, 9, 2, "random"),
]
WRITERS = {case.name: case.write for case in CASES} | {"tu:TINY": write_tu}
