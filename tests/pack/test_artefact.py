import hashlib
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jgc import pack
from jgc.pack import artefact as artefact_module
from jgc.pack.encode import entropy
from jgc.pack.encode import file as file_module
from jgc.quant import qat
from jgc.quant.grid import Grid, affine_grid, fake_quant, symmetric_grid
from tests.pack.cases import TREES, channel_grids, gcn, global_masks


def names_and_leaves(tree):
    return artefact_module.host_leaves(tree)


def assert_same_bits(back, expected):
    back, expected = names_and_leaves(back), names_and_leaves(expected)
    assert list(back) == list(expected)
    for name, leaf in expected.items():
        assert back[name].dtype == leaf.dtype, name
        assert back[name].shape == leaf.shape, name
        assert back[name].tobytes() == leaf.tobytes(), name


def random_masks(tree, density, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.random(np.shape(leaf)) < density, tree)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("any")


@pytest.mark.parametrize("density", [None, 0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("case", TREES)
def test_masked_params_come_back_bit_for_bit(path, case, density):
    tree = TREES[case]
    masks = None if density is None else random_masks(tree, density)
    saved = pack.save(path, tree, masks)
    masks = random_masks(tree, 1.0) if masks is None else masks
    loaded = pack.load(path)
    masked = jax.tree.map(lambda p, m: np.where(m, p, np.zeros((), p.dtype)), tree, masks)
    for artefact in (saved, loaded):
        assert_same_bits(artefact.params, masked)
        assert_same_bits(artefact.masks, masks)
        assert artefact.grids == {}
        assert artefact.n_bytes == path.stat().st_size


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("bits", range(2, 9))
def test_quantised_params_come_back_bit_for_bit(path, bits, sparsity):
    params = gcn(60, 8, 5)
    masks = global_masks(params, sparsity)
    grids = channel_grids(params, masks, bits)
    pack.save(path, params, masks, grids)
    loaded = pack.load(path)
    expected = jax.tree.map(lambda p: p, params)
    for name, grid in grids.items():
        layer = name.split("/")[0]
        fake = np.asarray(fake_quant(jnp.asarray(params[layer]["kernel"]), grid, symmetric=True))
        expected[layer]["kernel"] = np.where(masks[layer]["kernel"], fake, np.float32(0))
    assert_same_bits(loaded.params, expected)
    assert_same_bits(loaded.masks, masks)
    assert list(loaded.grids) == list(grids)
    for name, grid in grids.items():
        assert all(map(np.array_equal, loaded.grids[name], grid))
    assert {t.path: t.bits for t in loaded.tensors}["conv1/kernel"] == bits


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.data(), st.integers(2, 8), st.sampled_from([np.float32, jnp.bfloat16]), st.booleans())
def test_any_tensor_on_any_grid(folder, data, bits, dtype, symmetric):
    floats = st.floats(-1e3, 1e3, width=32)
    shape = data.draw(st.sampled_from([(0, 3), (1, 1), (7, 4)]))  # jax compiles for each
    w = jnp.asarray(data.draw(hnp.arrays(np.float32, shape, elements=floats)), dtype)
    mask = data.draw(hnp.arrays(bool, shape))
    grid_shape = data.draw(st.sampled_from([(1, 1), (1, shape[1]), (shape[0], 1), shape]))
    ends = hnp.arrays(np.float32, grid_shape, elements=floats)
    lo, hi = np.sort([data.draw(ends), data.draw(ends)], axis=0)
    grid = symmetric_grid(jnp.abs(hi), bits) if symmetric else affine_grid(lo, hi, bits)
    loaded = pack.save(
        folder / "any.safetensors", {"w": w}, {"w": mask}, {"w": grid}, symmetric=symmetric
    )
    expected = jnp.where(mask, fake_quant(w, grid, symmetric=symmetric), jnp.zeros((), dtype))
    assert_same_bits(loaded.params, {"w": expected})
    assert_same_bits(loaded.masks, {"w": mask})
    assert all(map(np.array_equal, loaded.grids["w"], grid))


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
def test_a_quantizer_as_it_comes(path, symmetric, per_channel):
    quantizer = qat(4, symmetric_weights=symmetric, per_channel=per_channel)
    params = jax.tree.map(jnp.asarray, gcn(30, 8, 3))
    quant = quantizer.init(params, {})
    grids = quantizer.grids(quant, params)
    loaded = pack.save(path, params, None, grids, symmetric=quantizer.symmetric_weights)
    assert_same_bits(loaded.params, quantizer.weight(quant, params))


def test_stats_and_meta_come_back(path):
    stats = {
        "batch_stats": {"norm": {"mean": np.arange(4, dtype=np.float32), "count": np.int32(9)}},
        "sites": {"conv1/input": np.float32([-1.5, 2.5])},
    }
    meta = {"recipe": {"prune": "global:0.9", "seeds": [0, 1]}, "val": 0.8125, "note": 'ü"\\'}
    pack.save(path, {"w": np.ones(3, np.float32)}, meta=meta, stats=stats)
    loaded = pack.load(path)
    assert loaded.meta == meta
    assert_same_bits(loaded.stats["batch_stats"], stats["batch_stats"])
    assert loaded.stats["sites"]["conv1"]["input"].tolist() == [-1.5, 2.5]
    assert [t.path for t in loaded.tensors] == ["w"]


def test_file_is_valid_safetensors_of_a_digest_a_manifest_and_the_tensors(path):
    pack.save(path, gcn(20, 4, 3), meta={"val": 0.5})
    blob = safetensors.numpy.load_file(path)["payload"].tobytes()
    with safetensors.safe_open(path, "numpy") as opened:
        assert opened.metadata() == {"jgc": "2"}
    digest, body = blob[:32], blob[32:]
    assert digest == hashlib.sha256(body).digest()
    length = int.from_bytes(body[:4], "little")
    text = entropy.decompress(body[4 : 4 + length], 10_000, file_module._COMMON)
    manifest = json.loads(text)
    assert manifest["meta"] == {"val": 0.5} and length < 0.4 * len(text)
    assert len(body) == 4 + length + sum(row[6] + row[8] for row in manifest["params"])


# Written by the first jgc of format 2: what that format holds must be read for ever, its text of
# common words included.
FORMAT_2 = bytes.fromhex("""
60000000000000007b225f5f6d657461646174615f5f223a7b226a6763223a2232227d2c227061796c6f616422
3a7b226474797065223a225538222c227368617065223a5b3134325d2c22646174615f6f666673657473223a5b
302c3134325d7d7d2020202020205e4eeccb41879192cd42bff66954d51fb4229144af609682743e3b857f39d9
cc410000000060e501005402345d2c34313631362c345d2c352c3433362c5b312c345d2c31362276616c223a30
2e357d7d07001d53f831fb0e938d458632785bcae81c43ae20000000000000803f0000004000004040218410f9
ff0400e00d9324493eb86ddb3d2549923c2549923d
""")


def test_a_file_of_format_2_is_read_for_ever(path):
    # Files that refer to other parts of that text are read only while all of it stays.
    assert hashlib.sha256(file_module._COMMON).hexdigest()[:16] == "10aca22937482ac1"
    path.write_bytes(FORMAT_2)
    loaded = pack.load(path)
    assert loaded.meta == {"val": 0.5} and loaded.params["conv1"]["bias"].tolist() == [0, 1, 2, 3]
    mask = np.arange(24).reshape(6, 4) % 5 == 0
    np.testing.assert_array_equal(loaded.masks["conv1"]["kernel"], mask)
    before = np.where(mask, (np.arange(24).reshape(6, 4) - 11) / 8, 0)
    # Four bits: half a step of an eighth of the largest in the column is 0.1.
    np.testing.assert_allclose(loaded.params["conv1"]["kernel"], before, atol=0.1)


def test_same_model_same_bytes(path, tmp_path):
    params = gcn(50, 8, 3)
    masks = global_masks(params, 0.9)
    pack.save(path, params, masks, meta={"a": 1, "b": 2})
    pack.save(tmp_path / "again", params, masks, meta={"a": 1, "b": 2})
    assert path.read_bytes() == (tmp_path / "again").read_bytes()


def test_other_libraries_trees(path):
    nnx = pytest.importorskip("flax.nnx", reason="NNX trees")
    state = nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)))
    masks = jax.tree.map(lambda leaf: jnp.abs(leaf) > 0.3, state)
    loaded = pack.save(path, state, masks)
    assert sorted(t.path for t in loaded.tensors) == ["bias", "kernel"]
    kernel, mask = (np.asarray(jax.tree.leaves(tree)[1]) for tree in (state, masks))
    np.testing.assert_array_equal(loaded.params["kernel"], kernel * mask)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"masks": {"v": np.ones(3, bool)}}, "`masks` must have the structure of `params`"),
        ({"masks": {"w": np.ones(2, bool)}}, r"mask of `w` must be bool \(3,\), got bool \(2,\)"),
        ({"masks": {"w": np.ones(3, int)}}, r"mask of `w` must be bool \(3,\), got int64"),
        ({"grids": {"v": None}}, r"`grids` names \['v'\]; `params` has \['w'\]"),
        ({"grids": {"w": Grid(np.float32(1), np.int32(0), np.int32(9))}}, "has 9 bits; 2..8"),
        (
            {"grids": {"w": Grid(np.ones(2, np.float32), np.zeros(2, np.int32), np.int32(8))}},
            r"grid of `w` is \(2,\), the tensor \(3,\)",
        ),
        ({"meta": {"val": float("nan")}}, "`meta` must hold what JSON can say"),
        ({"meta": {"val": np.float32(1)}}, "`meta` must hold what JSON can say"),
        ({"params": {"w": np.array(["a"])}}, "`w` has dtype <U1; a file holds"),
        ({"params": {"w": {"/": np.ones(1)}, "w/": {"": np.ones(1)}}}, "names must be unique"),
        ({"params": {"a": np.ones(1), "a/b": np.ones(1)}}, "'a/b' runs through another"),
    ],
)
def test_what_cannot_be_saved(path, arguments, match):
    arguments = {"params": {"w": np.ones(3, np.float32)}} | arguments
    with pytest.raises(ValueError, match=match):
        pack.save(path, **arguments)
    assert not path.exists()


@pytest.mark.parametrize("dtype", [np.int8, np.float64])
def test_dtypes_without_a_grid(path, dtype):
    grid = Grid(np.float32(1), np.int32(0), np.int32(8))
    with pytest.raises(ValueError, match="`w` has a grid but dtype"):
        pack.save(path, {"w": np.ones(3, dtype)}, grids={"w": grid})


def test_zero_points_need_an_affine_grid(path):
    grid = affine_grid(jnp.float32(-1), jnp.float32(2), 4)
    with pytest.raises(ValueError, match="`w` has zero points: save it with `symmetric=False`"):
        pack.save(path, {"w": np.ones(3, np.float32)}, grids={"w": grid})


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        pack.save(tmp_path / "not" / "there", {"w": np.ones(3, np.float32)})


class FullDisk:
    """A file that takes a few bytes and then has no space left."""

    def __init__(self, stream):
        self._stream = stream

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stream.close()

    def write(self, data):
        self._stream.write(data[:10])
        raise OSError(28, "No space left on device")


def fill_the_disk(monkeypatch):
    opened = open
    monkeypatch.setattr("builtins.open", lambda *a, **k: FullDisk(opened(*a, **k)))


def refuse_the_sync(monkeypatch):
    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)


def refuse_the_folder(monkeypatch):
    def fail(*arguments, **keywords):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", fail)


def interrupt_the_rename(monkeypatch):
    def fail(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (fill_the_disk, OSError),
        (refuse_the_sync, OSError),
        (refuse_the_folder, PermissionError),
        (interrupt_the_rename, KeyboardInterrupt),
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch, trouble, error):
    old = pack.save(path, {"w": np.ones(3, np.float32)})
    with monkeypatch.context() as patch:
        trouble(patch)
        with pytest.raises(error):
            pack.save(path, {"w": np.zeros(300, np.float32)})
    assert pack.load(path).n_bytes == old.n_bytes
    assert [entry.name for entry in Path(path).parent.iterdir()] == [path.name]
