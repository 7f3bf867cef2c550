"""Small files that want a large memory, and archives and pickles that want more than to be read.

What a reader may take, measured here as the peak of what Python and numpy allocate: 64 MiB or 256
times the file for what an archive unpacks to (`jgc.data.unpack`), once more to read it, and 300
times the file for a pickle.
"""

import gzip
import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp

from jgc.data import DataError, info, load
from jgc.data.npz import read_entries
from jgc.data.pickles import read_pickle
from jgc.data.unpack import gunzipped, unzipped
from tests.data import cases

MIB = 1 << 20
ZEROS = bytes(70 * MIB)  # Packs to a thousandth.


@pytest.fixture
def peak():
    """Most bytes that were held at once since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


def zip_of(members, method=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def members(data: bytes):
    return list(unzipped(io.BytesIO(data), "x.zip", lambda name: True))


def test_a_gzip_bomb(peak):
    bomb = gzip.compress(ZEROS, 9)
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match="x.gz: [0-9]+ bytes unpack to more than"):
        gunzipped(bomb, "x.gz")
    assert peak() < 3 * max(64 * MIB, 256 * len(bomb))


def test_a_gzip_of_many_parts_is_one_bomb_still(peak):
    part = gzip.compress(bytes(4 * MIB), 9)
    with pytest.raises(DataError, match="unpack to more than"):
        gunzipped(part * 40, "x.gz")
    assert peak() < 3 * 64 * MIB


@pytest.mark.parametrize("lie", [False, True], ids=["honest about its size", "lying"])
def test_a_zip_bomb(peak, lie):
    bomb = zip_of({"a": ZEROS})
    if lie:  # Both headers say one byte; the content goes on for 70 MiB.
        bomb = bomb.replace(len(ZEROS).to_bytes(4, "little"), (1).to_bytes(4, "little"))
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match="unpack to more than|damaged .Bad CRC|damaged"):
        members(bomb)
    assert peak() < 2 * MIB + 4 * len(bomb)


def test_members_of_one_zip_are_one_bomb(peak):
    bomb = zip_of({str(i): bytes(4 * MIB) for i in range(20)})
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match="unpack to more than"):
        members(bomb)
    assert peak() < 2 * MIB


def test_a_zip_inside_a_zip_is_not_opened():
    inner = zip_of({"a": bytes(MIB)})
    assert members(zip_of({"inner.zip": inner})) == [("inner.zip", inner)]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_packings_without_a_bound(method):
    with pytest.raises(DataError, match="x.zip: 'a' is encrypted or not packed by deflate"):
        members(zip_of({"a": b"1"}, method))


def test_an_npz_bomb(peak):
    bomb = zip_of({"labels.npy": cases.npz_bytes({"a": np.zeros(1)}) + ZEROS})
    tracemalloc.reset_peak()
    with pytest.raises(DataError, match="unpack to more than"):
        read_entries(bomb, "x.npz")
    assert peak() < 2 * MIB


@pytest.mark.parametrize("shape", ["(10000000000,)", "(4, -1)", "(99999, 99999, 99999, 99999)"])
def test_an_array_that_lies_about_its_shape(peak, shape):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.zeros(4))
    head, body = buffer.getvalue()[:128], buffer.getvalue()[128:]
    head = head.replace(b"(4,), }" + b" " * len(shape), f"{shape}, }}    ".encode())
    assert len(head) == 128
    with pytest.raises(DataError, match="x.npz: a.npy: .*Is it truncated"):
        read_entries(zip_of({"a.npy": head + body}), "x.npz")
    assert peak() < MIB


def test_more_features_than_any_machine_holds(tmp_path):
    wide = cases.npz_bytes(cases.npz_entries() | {"attr_shape": np.array([600, 1 << 40])})
    cases.put(tmp_path, "gnn-benchmark/cora.npz", wide)
    with pytest.raises(DataError, match="cora.npz: 1099511627776 features a node"):
        load("cora-npz", folder=tmp_path)


LARGE = (1 << 30).to_bytes(4, "little")
PICKLES = {
    "a place in the memo beyond any": b"\x80\x02]r" + LARGE + b".",
    "a bytearray of a gigabyte": b"\x80\x05\x96" + LARGE + bytes(4) + b".",
    "bytes of a gigabyte": b"\x80\x04B" + LARGE + b".",
    "a matrix of a gigabyte": b"\x80\x02cscipy.sparse.csr\ncsr_matrix\nJ"
    + LARGE
    + b"\x85\x85\x81.",
    "an array of a gigabyte": b"\x80\x02cnumpy\nndarray\nJ" + LARGE + b"\x85R.",
    "lists of lists of lists": b"\x80\x02](lp0\n" + b"g0\ng0\ne" * 40 + b".",
    "copies of copies": b"\x80\x02c__builtin__\nlist\n" + b"(K\x01K\x02l\x85R" * 40 + b".",
    "no end": b"\x80\x02]q\x00",
    "nothing": b"",
    "an empty stack": b"\x80\x02.",
    "a state for a class": b"\x80\x02cnumpy\nndarray\n}b.",
    "an array of objects": pickle.dumps(np.array([{}], object), protocol=4),
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_that_want_more_than_to_be_read(name, peak):
    with pytest.raises(DataError, match="^x: "):
        read_pickle(PICKLES[name], "x", np.ndarray)
    assert peak() < 64 * 1024 + 300 * len(PICKLES[name])


def test_one_list_under_many_keys(peak):
    """A table of 2,000 names for one list of 2,000 numbers would be 4 million edges."""
    long = list(range(2000))
    data = pickle.dumps(dict.fromkeys(range(2000), long), protocol=2)
    with pytest.raises(DataError, match="more numbers than its [0-9]+ bytes can hold"):
        read_pickle(data, "x", dict)
    assert peak() < 300 * len(data)


def test_a_pickle_changes_no_class():
    """Unpickling sets what it likes on what it can name: here, on scipy's matrix for all time."""
    data = b"\x80\x02cscipy.sparse.csr\ncsr_matrix\nN}X\x05\x00\x00\x00nevers]s\x86b."
    with pytest.raises(DataError):
        read_pickle(data, "x", sp.csr_matrix)
    assert not hasattr(sp.csr_matrix, "never")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"test.index": "639\n99999999999\n"}, "they must agree"),
        ({"graph": {0: [1]}}, "test.index: id 639 is no node; `graph` has nodes 0..0"),
        ({"graph": {i: [10**30] for i in range(640)}}, "node 0 has an edge to node 10000"),
        ({"graph": {-i: [i] for i in range(640)}}, "node -1 has an edge to node -1"),
        ({"graph": [1]}, "a table of lists was due, it holds a list"),
        ({"allx": np.eye(630, 3)}, "a CSR matrix was due, it holds a ndarray"),
        ({"allx": sp.csr_matrix((630, 1 << 30))}, r"columns \[\(1073741824,\), \(3,\)\]"),
        ({"ally": np.eye(2, dtype=np.int32)[[0] * 630][:, :1] * 0}, "columns"),
        ({"ally": np.zeros((630, 2), np.int32)}, "ind.cora.ally: row 0 must hold one 1"),
    ],
    ids=str,
)
def test_planetoid_files_that_contradict_each_other(tmp_path, changes, match, peak):
    cases.write_planetoid(tmp_path)
    for suffix, value in changes.items():
        data = value if isinstance(value, str) else pickle.dumps(value, protocol=4)
        cases.put(tmp_path, f"planetoid/ind.cora.{suffix}", data)
    with pytest.raises(DataError, match=match):
        load("cora", folder=tmp_path)
    assert peak() < 16 * MIB


def test_as_many_kinds_as_nodes(tmp_path):
    """One column a kind: 5,000 lines would become 100 MB of zeros."""
    n = 5000
    parts = {
        "A": "1, 2\n", "graph_indicator": "1\n" * n, "graph_labels": "1\n",
        "node_labels": "".join(f"{i}\n" for i in range(n)),
    }  # fmt: skip
    for part, text in parts.items():
        cases.put(tmp_path, f"tudataset/MANY/MANY_{part}.txt", text)
    with pytest.raises(DataError, match="MANY_node_labels.txt: 5000 different labels"):
        load("tu:MANY", folder=tmp_path)


@pytest.mark.parametrize("name", ["tu:../../x", "tu:/etc/passwd", "tu:..", "tu:a b", "tu:a\0"])
def test_a_name_that_climbs_out_of_the_cache(name):
    with pytest.raises(DataError, match="a TUDataset's name is letters, digits"):
        info(name)


def test_a_digest_that_was_cut_off_is_not_believed(tmp_path, monkeypatch):
    from jgc.data import source

    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.txt").write_text("1")
    (tmp_path / "set" / "a.txt.sha256").write_text("")
    monkeypatch.delenv("JGC_DATA_DIR", raising=False)
    monkeypatch.setattr(source, "_cache_folder", lambda: tmp_path)
    with pytest.raises(DataError, match="a.txt: SHA-256 is .*Delete the file"):
        source.find_files("x", source.Source("set", ("a.txt",)))
