import numpy as np
import pytest
import safetensors.numpy

from jgc import pack
from tests.pack.cases import TREES, channel_grids, gcn, global_masks


@pytest.mark.parametrize("case", TREES)
def test_sizes_are_those_of_files(tmp_path, case):
    tree, path = TREES[case], tmp_path / "model.safetensors"
    arguments = {"meta": {"val": 0.5}, "stats": {"mean": np.ones(2, np.float32)}}
    pack.save(path, tree, **arguments)
    assert pack.file_bytes(tree, **arguments) == path.stat().st_size


def test_values_alone_by_hand():
    params = gcn()
    masks = global_masks(params, 0.9)
    kept = sum(int(np.sum(m)) for layer in masks.values() for m in layer.values())
    assert pack.values_bytes(params, masks) == 4 * kept


def test_dense_size_is_that_of_a_plain_file(tmp_path):
    params = gcn()
    flat = {f"{layer}/{name}": w for layer, ws in params.items() for name, w in ws.items()}
    safetensors.numpy.save_file(flat, tmp_path / "dense.safetensors")
    assert pack.dense_bytes(params) == (tmp_path / "dense.safetensors").stat().st_size
    half = {name: w.astype(np.float16) for name, w in flat.items()}
    assert pack.dense_bytes(half) == pack.dense_bytes(params)


@pytest.mark.parametrize(
    ("sparsity", "bits", "ratio"),
    [(0.0, None, 1.1), (0.9, None, 9.0), (0.9, 8, 20.0), (0.9, 4, 28.0), (0.0, 4, 7.5)],
)
def test_cora_gcn_shrinks_by(sparsity, bits, ratio):
    params = gcn()
    masks = global_masks(params, sparsity)
    grids = None if bits is None else channel_grids(params, masks, bits)
    assert pack.dense_bytes(params) / pack.file_bytes(params, masks, grids) > ratio


def test_tensors_and_a_small_header_account_for_the_file(tmp_path):
    params = gcn()
    masks = global_masks(params, 0.9)
    grids = channel_grids(params, masks, 4)
    artefact = pack.save(tmp_path / "model.safetensors", params, masks, grids)
    header = artefact.n_bytes - sum(tensor.n_bytes for tensor in artefact.tensors)
    assert 0 < header < 560  # safetensors 100, digest 80, four rows of 90


def test_removed_neurons_cost_almost_nothing():
    params = gcn()
    kept = np.arange(16) < 4
    masks = {
        "conv1": {"kernel": np.broadcast_to(kept, (1433, 16)), "bias": kept},
        "conv2": {"kernel": np.broadcast_to(kept[:, None], (16, 7)), "bias": np.ones(7, bool)},
    }
    small = gcn(hidden=4)
    assert pack.file_bytes(params, masks) < pack.file_bytes(small) + 200
