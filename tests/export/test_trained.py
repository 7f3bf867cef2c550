"""Trained models in the hands of a stranger: the same scores in a process without jgc's models."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import jgc
from jgc import cli
from tests.export.cases import FOR_ONNX, FOR_STABLEHLO

STRANGERS = {
    "stablehlo": "from jgc.export import from_stablehlo; run = from_stablehlo(sys.argv[1])",
    "onnx": "import onnxruntime; s = onnxruntime.InferenceSession(sys.argv[1]); "
    "run = lambda **a: s.run(None, a)[0]",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A quantised GCN on generated data: its folder, its score and what to ask it."""
    folder, data = tmp_path_factory.mktemp("trained"), jgc.data.load("sbm")
    result = jgc.compress("gcn", data, quantize="qat:8", hidden=16, epochs=30)
    result.save(folder)
    graph = data.graphs[0]
    np.savez(
        folder / "graph.npz", nodes=np.asarray(graph.nodes.todense()), senders=graph.senders,
        receivers=graph.receivers,
    )  # fmt: skip
    return folder, result.rows[-1]["test"], data


@pytest.mark.parametrize(
    "to", [pytest.param("stablehlo", marks=FOR_STABLEHLO), pytest.param("onnx", marks=FOR_ONNX)]
)
def test_a_stranger_gets_the_same_score(trained, to):
    folder, score, data = trained
    said = CliRunner().invoke(cli.app, ["export", str(folder), "--to", to])
    assert said.exit_code == 0 and "nodes float32[n_node, 1433]\n" in said.stdout, said.output
    assert "-> logits float32[n_node, 7]" in said.stdout and f"model.{to}: " in said.stdout
    program = (
        f"import sys, json, numpy as np; {STRANGERS[to]}; "
        "found = run(**np.load(sys.argv[2])).argmax(1).tolist(); "
        "print(json.dumps([found, sorted({'flax', 'jgc.models'} & set(sys.modules))]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, folder / f"model.{to}", folder / "graph.npz"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found, heavy = json.loads(done.stdout)
    test = data.splits[0].test
    assert not heavy and (np.array(found) == data.labels)[test].mean() == pytest.approx(score)


def test_a_format_that_is_none(trained):
    said = CliRunner().invoke(cli.app, ["export", str(trained[0]), "--to", "tflite"])
    assert said.exit_code == 2
    assert "`--to` must be one of ['stablehlo', 'onnx'], got 'tflite'" in said.stderr
