"""Kernels in C++ that XLA calls on CPU, and whether they are here.

They are compiled when the package is installed. Where that was not possible, or was done for
another jaxlib, they are compiled at first use, which takes some ten seconds once; without a
compiler everything runs through the other back ends, several times slower on large graphs.
"""

import ctypes
import functools
from pathlib import Path
from typing import NamedTuple

import jax

from jgc.native.compiler import BuildError, build, file_name

TARGETS = (
    "product", "product_gradients", "max", "dots", "right_product", "right_dots", "entry_sum",
    "entry_max", "softmax", "softmax_gradient", "float_sum", "byte_sum", "byte_matmul",
)  # fmt: skip


class Status(NamedTuple):
    """Whether the kernels can be called, and the library, or why not.

    Attributes:
        ready: They can.
        reason: Path of the library, or what is missing.
    """

    ready: bool
    reason: str


@functools.cache
def status() -> Status:
    """Loads the kernels at the first call.

    Example:
        >>> isinstance(status().ready, bool)
        True
    """
    try:
        library = Path(__file__).parent / file_name()
        if not library.exists():
            import pooch  # slow to import, and not needed where the package brings its library

            library = build(Path(pooch.os_cache("jgc")) / "native")
        kernels = ctypes.CDLL(str(library))
        for name in TARGETS:
            handler = jax.ffi.pycapsule(getattr(kernels, f"jgc_{name}"))
            jax.ffi.register_ffi_target(f"jgc_{name}", handler, platform="cpu")
    except (BuildError, OSError) as error:
        return Status(False, str(error))
    return Status(True, str(library))
