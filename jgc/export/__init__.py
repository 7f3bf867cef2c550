"""Compressed models for others: one StableHLO or ONNX file that runs without jgc's models.

`from_stablehlo` needs jax and numpy only, so nothing here is imported before it is used.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jgc.export.onnx import to_onnx as to_onnx
    from jgc.export.program import Written as Written
    from jgc.export.reader import Exported as Exported
    from jgc.export.reader import from_stablehlo as from_stablehlo
    from jgc.export.stablehlo import to_stablehlo as to_stablehlo

_HOMES = {
    "Exported": "jgc.export.reader",
    "Written": "jgc.export.program",
    "from_stablehlo": "jgc.export.reader",
    "to_onnx": "jgc.export.onnx",
    "to_stablehlo": "jgc.export.stablehlo",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
    """Imports what is asked for at its first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jgc.export' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
