"""A compressed model as a small file that restores it exactly, and what the model costs."""

from jgc.pack.artefact import Artefact, load, save
from jgc.pack.compaction.compact import Compacted, Layer, compact
from jgc.pack.cost import Cost, Operation, aggregate, linear, total
from jgc.pack.encode.tensor import TensorInfo
from jgc.pack.restore import Restored, describe, restore
from jgc.pack.run.fused import infer
from jgc.pack.run.integer import IntegerModel, integer_apply, integer_model
from jgc.pack.run.predict import Prediction, predict
from jgc.pack.run.runtime import Runtime, runtime
from jgc.pack.run.work import Work, on_dataset, on_graph
from jgc.pack.size import dense_bytes, file_bytes, values_bytes

__all__ = [
    "Artefact",
    "Compacted",
    "Cost",
    "IntegerModel",
    "Layer",
    "Operation",
    "Prediction",
    "Restored",
    "Runtime",
    "TensorInfo",
    "Work",
    "aggregate",
    "compact",
    "dense_bytes",
    "describe",
    "file_bytes",
    "infer",
    "integer_apply",
    "integer_model",
    "linear",
    "load",
    "on_dataset",
    "on_graph",
    "predict",
    "restore",
    "runtime",
    "save",
    "total",
    "values_bytes",
]
