"""Restored models of every kind, small: trained ones of other rooms would take too long."""

from importlib.util import find_spec

import jax
import numpy as np
import pytest

from jgc import apply, quant, sites
from jgc.graph import batch
from jgc.models import MODELS, GraphModel
from jgc.pack import Restored
from jgc.quant import spec as quant_spec
from tests.models.cases import SETTINGS, TABLE, WIDTH, graph, variables

TASKS = ("node", "graph", "link")


def task_of(key):
    """A task for each row of the table of models, dealt in turn where it has no own."""
    return getattr(TABLE[key], "task", TASKS[list(TABLE).index(key) % len(TASKS)])


def fitted(key, task):
    """The model of a row for a task."""
    made_for_graphs = getattr(TABLE[key], "task", None) == "graph"
    return GraphModel(TABLE[key], 2) if task == "graph" and not made_for_graphs else TABLE[key]


def restored(key="gcn", task=None, quantizer=None, n_edge_feature=2, meta=None):
    """A model with weights by formula, and quantised by ranges of one batch."""
    task = task_of(key) if task is None else task
    model, on = fitted(key, task), batch([graph(), graph()]) if task == "graph" else graph()
    held = jax.tree.map(np.asarray, variables(model, on))
    state = None
    if quantizer is not None:
        quantizer, state, held = quantised(model, quantizer, held, on)
    return Restored(
        model=model, variables=held, masks={}, quant=state, quantizer=quantizer, task=task,
        kind="class", dataset="toy", n_feature=WIDTH, n_edge_feature=n_edge_feature,
        meta=meta or {}, path="model.safetensors",
    )  # fmt: skip


def quantised(model, quantizer, held, on):
    """Quantiser and state as they come out of a file, and the rounded variables."""
    state = quantizer.init(held["params"], sites(model, held, on))
    rngs = {"dropout": jax.random.key(0)}
    _, state, _ = apply(
        model, held, on, None, state,
        quantizer=quantizer, train=True, rngs=rngs, mutable=("batch_stats",),
    )  # fmt: skip
    grids = quantizer.grids(state, held["params"])
    rounded = {**held, "params": quantizer.weight(state, held["params"])}
    said = quant_spec.spec_of(quantizer, state)
    stored = jax.tree.map(np.asarray, quantizer.stored(state))
    nested = stored if said["name"] != "a2q" else _nested(stored)
    return *quant_spec.from_spec(said, nested, grids), rounded


def _nested(by_path):
    tree = {}
    for path, state in by_path.items():
        *folders, last = path.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = _fields(state)
    return tree


def _fields(state):
    if not hasattr(state, "_asdict"):
        return state
    return {name: _fields(value) for name, value in state._asdict().items()}


QUANTIZERS = {
    "qat, 8 bits": quant.qat(8),
    "qat, 4 bits": quant.qat(4),
    "qat, affine": quant.qat(8, symmetric_weights=False, symmetric_values=True),
    "degree": quant.degree(8),
    "a2q": quant.a2q(4),
}
assert set(MODELS) == {name for name, _ in SETTINGS.values()}
FOR_STABLEHLO = pytest.mark.skipif(
    find_spec("flatbuffers") is None, reason="flatbuffers is not installed (jgc[export])"
)
FOR_ONNX = pytest.mark.skipif(
    not (find_spec("onnx") and find_spec("onnxruntime")),
    reason="onnx or onnxruntime is not installed (jgc[export])",
)


def named(inputs, graph, pairs=None):
    """A graph as the arrays that a program takes, by name."""
    every = {**graph._asdict(), "graph_sizes": graph.n_node, "pairs": pairs}
    return {port.name: np.asarray(every[port.name], port.dtype) for port in inputs}


def onnx_runner(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda **arrays: session.run(None, arrays)[0]
