"""Every model and every quantiser in both formats: neither is written unless its numbers agree."""

import jax
import numpy as np
import pytest

from jgc import apply
from jgc.export import from_stablehlo, to_onnx, to_stablehlo
from jgc.graph import batch, from_edges, layout
from jgc.models import link_scores
from tests.export.cases import (
    FOR_ONNX,
    FOR_STABLEHLO,
    QUANTIZERS,
    named,
    onnx_runner,
    restored,
)  # fmt: skip
from tests.models.cases import EDGES, SETTINGS, TABLE, graph, wave

# One row a model, less those that are others with settings of their own.
SAME = {"gnnnet", "ssp", "graphconv"}
MODELS = {name: key for key, (name, _) in reversed(SETTINGS.items()) if name not in SAME}.values()
SLOW = {"walkpool", "hgp-sl"}
ROWS = [pytest.param(key, marks=pytest.mark.slow) if key in SLOW else key for key in MODELS]


def two():
    """A graph with loops, an edge twice and a node without edges, and one without any edge."""
    first = from_edges(
        [0, 1, 1, 2, 2, 3, 0, 0], [1, 0, 2, 1, 2, 1, 3, 3], n_node=5,
        nodes=wave((5, 5), 0), edges=np.vstack([EDGES, EDGES[:1]]),
    )  # fmt: skip
    alone = from_edges([], [], n_node=1, nodes=wave((1, 5), 1), edges=EDGES[:0])
    return batch([first, alone])


def expected(model, graph, pairs):
    graph = graph if model.task == "graph" else one(graph)
    run = jax.jit(
        lambda v, q, g, places: apply(
            model.model, v, g, None, q, quantizer=model.quantizer, layout=places
        )[0]
    )
    answers = run(model.variables, model.quant, graph, layout(graph, "segment"))
    return link_scores(answers, pairs) if model.task == "link" else answers


def one(graph):
    """The batch as a single graph, as node and link tasks see it."""
    counts = {"n_node": graph.n_node.sum(keepdims=True), "n_edge": graph.n_edge.sum(keepdims=True)}
    return graph._replace(globals=None, **counts)


def compare(model, call, inputs, graph=None):
    graph = two() if graph is None else graph
    pairs = _PAIRS % graph.n_node.sum()
    found = call(**named(inputs, graph, pairs))
    # Float32 sums of a few dozen numbers in another order.
    due = np.asarray(expected(model, graph, pairs))
    np.testing.assert_allclose(found, due, rtol=1e-4, atol=1e-5 * np.abs(due).max())


_PAIRS = np.array([[0, 3], [5, 5], [2, 1], [0, 3]], np.int32)
FORMATS = {"stablehlo": (to_stablehlo, from_stablehlo), "onnx": (to_onnx, onnx_runner)}
both = pytest.mark.parametrize(
    "to", [pytest.param("stablehlo", marks=FOR_STABLEHLO), pytest.param("onnx", marks=FOR_ONNX)]
)


@FOR_STABLEHLO
@pytest.mark.parametrize("key", ROWS)
def test_stablehlo_of_every_model(key, tmp_path):
    # Numbers are compared by the writer; here by those of other formats and tests.
    written = to_stablehlo(restored(key), tmp_path / "m.stablehlo")
    loaded = from_stablehlo(written.path)
    assert loaded.inputs == written.inputs and loaded.output == written.output


@FOR_ONNX
@pytest.mark.parametrize("key", [key for key in TABLE if key not in SLOW])
def test_onnx_of_every_model(key, tmp_path):
    model = restored(key)
    written = to_onnx(model, tmp_path / "m.onnx")
    compare(model, onnx_runner(written.path), written.inputs)


@FOR_ONNX
@pytest.mark.slow
def test_onnx_of_walks(tmp_path):
    model = restored("walkpool")
    written = to_onnx(model, tmp_path / "m.onnx")
    compare(model, onnx_runner(written.path), written.inputs)


@FOR_ONNX
def test_onnx_has_no_form_for_sorting(tmp_path):
    with pytest.raises(ValueError, match="HGPSL cannot be exported to ONNX: the operation `sort`"):
        to_onnx(restored("hgp-sl"), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@both
@pytest.mark.parametrize("key, task", [("gat", "graph"), ("sage", "link"), ("mpnn", "node")])
def test_a_graph_without_edges(key, task, to, tmp_path):
    write, read = FORMATS[to]
    model = restored(key, task)
    written = write(model, tmp_path / "m")
    alone = from_edges([], [], n_node=1, nodes=wave((1, 5), 1), edges=EDGES[:0])
    compare(model, read(written.path), written.inputs, alone)


@both
@pytest.mark.parametrize(
    "key, task, name",
    [
        ("gat", "node", "qat, 8 bits"),
        ("gin", "graph", "qat, 4 bits"),
        ("sage", "link", "qat, affine"),
        ("gcn", "graph", "degree"),
        ("gin", "graph", "a2q"),
    ],
)
def test_quantised_models(key, task, name, to, tmp_path):
    write, read = FORMATS[to]
    model = restored(key, task, QUANTIZERS[name])
    written = write(model, tmp_path / "m")
    assert written.inputs[0].dims[0] == "n_node"
    if to == "onnx":
        compare(model, read(written.path), written.inputs)


@both
def test_a_table_for_every_node_fixes_their_number(to, tmp_path):
    write, read = FORMATS[to]
    model = restored("gcn", "node", QUANTIZERS["a2q"])
    written = write(model, tmp_path / "m")
    assert written.inputs[0].dims == (5, 5) and written.output.dims == (5, 3)
    compare(model, read(written.path), written.inputs, graph())
