"""jgc, JAX Graph Compression: graph neural networks made small and fast, with measurements.

    import jgc

    data = jgc.data.load("cora")
    result = jgc.compress(jgc.models.GCN(hidden=64), data, prune="global:0.9", seeds=10)
    result.save("small/")

Rooms: `graph`, `data`, `models`, `prune`, `quant`, `train`, `pack`, `export`, `study`, `report`.
They are imported when they are first used, so that `import jgc` is quick.
"""

import importlib
from importlib.metadata import version

__version__ = version("jgc")

_ROOMS = ("data", "export", "graph", "models", "pack", "prune", "quant", "report", "study", "train")
_FUNCTIONS = {"apply": "jgc.forward", "sites": "jgc.forward", "compress": "jgc.study.compress"}

__all__ = ["__version__", *_ROOMS, *_FUNCTIONS]


def __getattr__(name: str):
    """Imports a room or a function of the public face at its first use."""
    if name in _ROOMS:
        return importlib.import_module(f"jgc.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'jgc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
