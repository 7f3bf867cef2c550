"""A compressed model as a small file that restores it exactly, and what the model costs."""

from jgc.pack.artefact import Artefact, load, save
from jgc.pack.cost import Cost, Operation, aggregate, linear, total
from jgc.pack.integer import IntegerModel, integer_apply, integer_model
from jgc.pack.restore import Restored, describe, restore
from jgc.pack.size import dense_bytes, file_bytes, values_bytes
from jgc.pack.tensor import TensorInfo

__all__ = [
    "Artefact",
    "Cost",
    "IntegerModel",
    "Operation",
    "Restored",
    "TensorInfo",
    "aggregate",
    "dense_bytes",
    "describe",
    "file_bytes",
    "integer_apply",
    "integer_model",
    "linear",
    "load",
    "restore",
    "save",
    "total",
    "values_bytes",
]
