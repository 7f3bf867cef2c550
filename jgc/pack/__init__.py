"""A compressed model as a small file that restores it exactly, and what the model costs."""

from jgc.pack.artefact import Artefact, load, save
from jgc.pack.cost import Cost, Operation, aggregate, linear, total
from jgc.pack.fused import infer
from jgc.pack.integer import IntegerModel, integer_apply, integer_model
from jgc.pack.size import dense_bytes, file_bytes, values_bytes
from jgc.pack.tensor import TensorInfo

__all__ = [
    "Artefact",
    "Cost",
    "IntegerModel",
    "Operation",
    "TensorInfo",
    "aggregate",
    "dense_bytes",
    "file_bytes",
    "infer",
    "integer_apply",
    "integer_model",
    "linear",
    "load",
    "save",
    "total",
    "values_bytes",
]
