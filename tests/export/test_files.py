"""The files themselves: small, the same every time, and none at all where something is wrong."""

import json
import sys
import zlib
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import export

from jgc.export import rules, to_onnx, to_stablehlo
from jgc.export.weight import Weight
from jgc.models import MLP
from tests.export.cases import FOR_ONNX, FOR_STABLEHLO, QUANTIZERS, quantised, restored
from tests.models.cases import graph

ROOT = Path(__file__).parents[2]
both = pytest.mark.parametrize(
    "write",
    [pytest.param(to_stablehlo, marks=FOR_STABLEHLO), pytest.param(to_onnx, marks=FOR_ONNX)],
)


def wide(quantizer=None):
    """33 thousand random weights."""
    model, on = MLP(hidden=512, out=64), graph()
    held = model.init(jax.random.key(0), on)
    found = quantised(model, quantizer, held, on) if quantizer else (None, None, held)
    quantizer, state, held = found
    return restored("mlp", "node")._replace(
        model=model, variables=jax.tree.map(np.asarray, held), quantizer=quantizer, quant=state
    )


@both
def test_weights_of_few_bits_make_small_files(write, tmp_path):
    n_bytes = {
        name: write(wide(QUANTIZERS.get(name)), tmp_path / "m").n_bytes
        for name in ("float", "qat, 8 bits", "qat, 4 bits")
    }
    assert n_bytes["qat, 8 bits"] < 0.33 * n_bytes["float"]
    assert n_bytes["qat, 4 bits"] < 0.22 * n_bytes["float"]


@both
def test_the_same_model_is_the_same_file(write, tmp_path):
    model = restored("gcn", "node", QUANTIZERS["qat, 8 bits"], meta={"val": 0.5})
    first = write(model, tmp_path / "a").path.read_bytes()
    assert write(model, tmp_path / "b").path.read_bytes() == first


@FOR_STABLEHLO
def test_no_folder_of_this_machine_is_in_the_file(tmp_path):
    before = jax.config.jax_traceback_in_locations_limit
    packed = to_stablehlo(restored("gcn"), tmp_path / "m").path.read_bytes().split(b"\n", 2)[2]
    assert str(ROOT).encode() not in zlib.decompress(packed)
    assert jax.config.jax_traceback_in_locations_limit == before


@both
def test_other_numbers_are_no_file(write, tmp_path, monkeypatch):
    """A writer that makes a mistake leaves what was there before."""
    path = tmp_path / "m"
    path.write_text("the file before")
    if write is to_stablehlo:
        decoded = Weight.decoded
        monkeypatch.setattr(Weight, "decoded", lambda weight: decoded(weight) * 1.01)
    else:
        pytest.importorskip("onnx")
        from jgc.export import onnx_file

        wrong = {**onnx_file.RULES, "rsqrt": rules.RULES["stop_gradient"]}
        monkeypatch.setattr(onnx_file, "RULES", wrong)
    with pytest.raises(ValueError, match="program of GCN gives other numbers than jgc: .*Nothing"):
        write(restored("gcn", "node"), path)
    assert path.read_text() == "the file before" and list(tmp_path.iterdir()) == [path]


@both
def test_a_missing_folder_is_said_before_anything_is_done(write, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        write(restored("gcn", "node"), tmp_path / "nowhere" / "m")


def test_missing_packages_are_said(tmp_path, monkeypatch):
    def refused(self, *args, **settings):
        raise ImportError("Please install 'flatbuffers'")

    monkeypatch.setattr(export.Exported, "serialize", refused)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for write, name in ((to_stablehlo, "flatbuffers"), (to_onnx, "onnxruntime")):
        with pytest.raises(ValueError, match=rf"{name}, which .* not installed: .*jgc\[export\]"):
            write(restored("mlp", "node"), tmp_path / "m")


def loaded(path):
    import onnx

    return onnx.load(path)


@FOR_ONNX
@pytest.mark.parametrize("name, dtype", [("qat, 8 bits", "INT8"), ("qat, 4 bits", "INT4")])
def test_onnx_holds_codes_and_their_steps(name, dtype, tmp_path):
    import onnx

    written = to_onnx(restored("gcn", "node", QUANTIZERS[name]), tmp_path / "m")
    file = loaded(written.path)
    held = {each.name: each for each in file.graph.initializer}
    kernel = held["params/conv1/linear/kernel/codes"]
    assert kernel.data_type == getattr(onnx.TensorProto, dtype)
    assert list(held["params/conv1/linear/kernel/scale"].dims) == [1, 4]
    # ONNX Runtime would round the factor of a DequantizeLinear, and lose sums of ScatterND.
    assert not {"DequantizeLinear", "ScatterND"} & {node.op_type for node in file.graph.node}


@FOR_ONNX
def test_onnx_says_what_it_is(tmp_path):
    meta = {"metric": "accuracy", "val": 0.5, "test": 0.25, "config": {"seed": 1}}
    written = to_onnx(restored("gin", "graph", meta=meta), tmp_path / "m")
    file = loaded(written.path)
    head = json.loads(file.metadata_props[0].value)
    assert (file.producer_name, file.metadata_props[0].key) == ("jgc", "jgc")
    assert (head["model"], head["task"], head["test"]) == ("GIN", "graph", 0.25)
    found = {
        each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in (*file.graph.input, *file.graph.output)
    }
    assert found == {
        "nodes": ["n_node", 5], "senders": ["n_edge"], "receivers": ["n_edge"],
        "graph_sizes": ["n_graph"], "logits": ["n_graph", 2],
    }  # fmt: skip
