"""Files from anywhere: one clear `ValueError` with the file's name, whatever is in them."""

import hashlib
import json
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from jgc import pack
from jgc.pack import artefact
from jgc.pack.encode import entropy, file
from tests.pack.cases import channel_grids, gcn, global_masks


def small_model():
    params = gcn(30, 4, 3)
    masks = global_masks(params, 0.8)
    return params, masks, {"conv1/kernel": channel_grids(params, masks, 4)["conv1/kernel"]}


GOOD = artefact.to_bytes(*small_model(), meta={"val": 0.5})
PAYLOAD = file.from_bytes(GOOD, "good")[1]


def load_bytes(tmp_path, data):
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    return pack.load(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trust")


def test_a_truncated_file_is_named(folder):
    for length in [*range(0, len(GOOD) - 1, 7), len(GOOD) - 1]:
        with pytest.raises(ValueError, match=r"model\.safetensors` is no whole safetensors file"):
            load_bytes(folder, GOOD[:length])


def test_bytes_beyond_the_end(folder):
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load_bytes(folder, GOOD + b"\0")


def test_no_single_flipped_bit_goes_unseen(folder):
    for place in range(len(GOOD)):
        flipped = bytearray(GOOD)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"model\.safetensors`"):
            load_bytes(folder, bytes(flipped))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.binary(max_size=80), st.integers(0, len(GOOD)), st.integers(0, 80))
def test_noise_is_an_error_and_nothing_else(folder, noise, place, cut):
    data = GOOD[:place] + noise + GOOD[place + cut :]
    if data != GOOD:
        with pytest.raises(ValueError, match=r"model\.safetensors`"):
            load_bytes(folder, data)


def test_a_payload_altered_on_purpose(folder):
    altered = bytearray(GOOD)
    altered[-1] ^= 255
    with pytest.raises(ValueError, match="SHA-256 is not that of its content"):
        load_bytes(folder, bytes(altered))


def test_a_manifest_altered_on_purpose(folder):
    altered = bytearray(GOOD)
    altered[len(GOOD) - len(PAYLOAD) - 3] ^= 255
    with pytest.raises(ValueError, match="SHA-256 is not that of its content"):
        load_bytes(folder, bytes(altered))


def test_another_format(folder):
    with pytest.raises(ValueError, match="its format is '3', this jgc reads '2'"):
        load_bytes(folder, GOOD.replace(b'"jgc":"2"', b'"jgc":"3"'))


def sealed(body):
    return np.frombuffer(hashlib.sha256(body).digest() + body, np.uint8)


def told(text):
    packed = entropy.compress([text], file._COMMON)
    return sealed(len(packed).to_bytes(4, "little") + packed)


@pytest.mark.parametrize(
    ("tensors", "metadata", "match"),
    [
        ({"w": np.ones(3, np.float32)}, None, "no artefact of `jgc.pack.save`"),
        ({"payload": np.ones(3, np.uint8)}, {"jgc": "2"}, "SHA-256"),
        ({"payload": sealed(b"")}, {"jgc": "2"}, "manifest: it ends at byte 4 of 0"),
        ({"payload": sealed(b"\x09\0\0\0abc")}, {"jgc": "2"}, "manifest: it ends at byte 13 of 7"),
        ({"payload": sealed(b"\3\0\0\0abc")}, {"jgc": "2"}, "manifest: "),
        ({"payload": told(b"[1]")}, {"jgc": "2"}, "manifest: it is a list and no table"),
        ({"payload": told(b"{}")}, {"jgc": "2"}, "manifest: the list `params` is missing"),
        ({"payload": told(b"not JSON")}, {"jgc": "2"}, "manifest: "),
        ({"payload": told(b"[" * 200_000)}, {"jgc": "2"}, "manifest: "),
        ({"payload": told(b" " * (1 << 24) + b"{}")}, {"jgc": "2"}, "manifest: .*hold more than"),
    ],
)
def test_safetensors_files_of_others(folder, tensors, metadata, match):
    with pytest.raises(ValueError, match=match):
        load_bytes(folder, safetensors.numpy.save(tensors, metadata=metadata))


def test_a_pickle_is_not_opened(folder):
    with pytest.raises(ValueError, match="no whole safetensors file"):
        load_bytes(folder, b"\x80\x04cos\nsystem\n(S'true'\ntR.")


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        pack.load(tmp_path / "model.safetensors")


HEADER = {
    "__metadata__": {"jgc": "2"},
    "payload": {"dtype": "U8", "shape": [9], "data_offsets": [0, 9]},
}


def with_header(length=None, text=None, **payload):
    """A safetensors file of nine bytes whose header says anything."""
    header = HEADER | {"payload": HEADER["payload"] | payload}
    text = json.dumps(header).encode() if text is None else text
    return (len(text) if length is None else length).to_bytes(8, "little") + text + bytes(9)


@pytest.mark.parametrize(
    "data",
    [
        with_header(length=2**63),
        with_header(length=2**40),
        with_header(length=10**8),
        with_header(length=0),
        with_header(data_offsets=[0, 2**40]),
        with_header(data_offsets=[5, 9]),
        with_header(data_offsets=[9, 0]),
        with_header(data_offsets=[-1, 8]),
        with_header(shape=[2**62, 2**62, 16], data_offsets=[0, 9]),
        with_header(shape=[2**40], data_offsets=[0, 2**40]),
        with_header(shape=[-9]),
        with_header(dtype="F64"),
        with_header(dtype="PICKLE"),
        with_header(text=b"[" * 100_000),
        with_header(text=b'{"payload": 1}'),
        with_header(text=b'{"__metadata__": {"jgc": ' + b"9" * 5000 + b"}}"),
        with_header(text=b"\xff\xfe"),
    ],
    ids=range(17),
)
def test_a_header_that_lies(folder, data):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"model\.safetensors`"):
            load_bytes(folder, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


# Liars that know how to compute a digest. The two rows are honest, with zeros for a payload.
DENSE = ["w", "float32", [2, 3], 6, 32, "dense", 0, "raw", 24]
GRID = ["w", "float32", [2, 3], 6, 4, "dense", 0, "packed", 3, [1, 1], 4]


def row(base, **changes):
    names = pack.TensorInfo._fields
    return [changes.get(name, item) for name, item in zip(names, base, strict=False)]


LIES = {
    "no rows": ({"params": None}, "the list `params` is missing"),
    "no meta": ({"params": [DENSE], "meta": []}, "`meta` is missing"),
    "a row of text": ({"params": ["w"]}, r"`params\[0\]`: a row has 9 or 11 items"),
    "ten items": ({"params": [[*DENSE, [1]]]}, "a row has 9 or 11 items"),
    "path of numbers": ({"params": [row(DENSE, path=3)]}, "a name is no text"),
    "dtype of a list": ({"params": [row(DENSE, dtype=[])]}, "a name is no text"),
    "dtype object": ({"params": [row(DENSE, dtype="object")]}, "the dtype is 'object'"),
    "negative axis": ({"params": [row(DENSE, shape=[-2, -3])]}, r"the shape is \[-2, -3\]"),
    "axis of text": ({"params": [row(DENSE, shape=["2"])]}, "the shape is"),
    "axis beyond any": ({"params": [row(DENSE, shape=[2**63, 0], kept=0)]}, "the shape is"),
    "40 axes": ({"params": [row(DENSE, shape=[1] * 40, kept=1)]}, "the shape is"),
    "kept a bool": ({"params": [row(DENSE, kept=True)]}, "no whole number"),
    "kept too many": ({"params": [row(DENSE, kept=7)]}, "7 weights are kept of 6"),
    "kept too few": ({"params": [row(DENSE, kept=5)]}, "keep 6 weights, the manifest says 5"),
    "bytes negative": ({"params": [row(DENSE, value_bytes=-24)]}, "no whole number"),
    "bytes past the end": ({"params": [row(DENSE, value_bytes=2**40)]}, "it holds 24"),
    "bytes left over": ({"params": [row(DENSE, value_bytes=20)]}, "take 20 bytes, it holds 24"),
    "unknown positions": ({"params": [row(DENSE, positions="x")]}, "tensor `w`: positions are"),
    "unknown values": ({"params": [row(DENSE, values="x")]}, "tensor `w`: values are"),
    "values of another size": ({"params": [row(DENSE, dtype="int8")]}, "tensor `w`: 6 values"),
    "codes for floats": ({"params": [row(DENSE, values="packed")]}, "tensor `w`: "),
    "path twice": (
        {"params": [DENSE, row(DENSE, value_bytes=0, shape=[0], kept=0)]},
        "a path of `params` is there twice",
    ),
    "path through a tensor": (
        {"params": [DENSE, row(DENSE, path="w/v", value_bytes=0, shape=[0], kept=0)]},
        "'w/v' runs through another",
    ),
    "huge shape": (
        {"params": [row(DENSE, shape=[10**6, 10**6], kept=6)]},
        r"unpacks to 1000000000000 weights.*max_weights=1000000000000",
    ),
    "huge empty shape": ({"params": [row(DENSE, shape=[0, 10**12], kept=0)]}, "unpacks to"),
    "grid of 9 bits": ({"params": [row(GRID, bits=9)]}, "suits no tensor"),
    "grid of a wrong shape": ({"params": [row(GRID, grid_shape=[1, 10**6])]}, "tensor `w`: "),
    "grid of more axes": ({"params": [row(GRID, grid_shape=[1, 1, 1])]}, "suits no tensor"),
    "grid longer than its bytes": ({"params": [row(GRID, grid_shape=[2, 3])]}, "takes 24 bytes"),
    "grid of whole numbers": ({"params": [row(GRID, dtype="int32")]}, "a grid suits .*, not int32"),
    "grid in words": ({"params": [row(GRID, grid_shape="1,1")]}, "the shape is 1,1"),
}


def crafted(changes, payload):
    return file.to_bytes({"params": [DENSE], "stats": [], "meta": {}, **changes}, payload)


@pytest.mark.parametrize(("honest", "n_bytes"), [(DENSE, 24), (GRID, 7)])
def test_the_honest_rows_load(folder, honest, n_bytes):
    loaded = load_bytes(folder, crafted({"params": [honest]}, bytes(n_bytes)))
    assert loaded.params["w"].tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("lie", LIES)
def test_lies_with_a_right_digest(folder, lie):
    changes, match = LIES[lie]
    data = crafted(changes, bytes(7 if lie.startswith("grid") else 24))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=match) as caught:
            load_bytes(folder, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "model.safetensors`" in str(caught.value)
    assert peak < 2_000_000


def test_a_frame_that_unpacks_to_gigabytes(folder):
    bomb = entropy.compress([bytes(50_000_000)])
    with pytest.raises(ValueError, match="tensor `w`: the compressed bytes hold more than"):
        load_bytes(
            folder,
            crafted({"params": [row(DENSE, values="planes", value_bytes=len(bomb))]}, bomb),
        )


def test_a_large_sparse_model_loads_once_it_is_trusted(tmp_path):
    path = tmp_path / "model.safetensors"
    mask = np.zeros((5000, 4000), bool)
    pack.save(path, {"w": np.zeros((5000, 4000), np.int8)}, {"w": mask})
    with pytest.raises(ValueError, match=r"unpacks to 20000000 weights, more than 16777216"):
        pack.load(path)
    assert pack.load(path, max_weights=20_000_000).params["w"].shape == (5000, 4000)
