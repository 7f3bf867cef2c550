"""Compiles the kernels; run when the package is built, and at first use where that did not fit.

Imports nothing of jgc, so that a build can run it before jgc's dependencies are there.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = (
    "handlers.cc", "bytes.h", "entries.h", "fused.h", "gradients.h", "lanes.h", "pool.h",
    "product.h", "right.h", "steps.h",
)  # fmt: skip
FLAGS = ("-std=c++20", "-O3", "-fPIC", "-shared", "-Wno-psabi")


class BuildError(RuntimeError):
    """The kernels cannot be compiled here; the message says why."""


def headers() -> Path:
    """Where the installed jaxlib keeps XLA's headers.

    Raises:
        BuildError: if there is no jaxlib, or one without them.
    """
    try:
        import jaxlib
    except ImportError as error:
        raise BuildError("no jaxlib") from error
    folder = Path(str(jaxlib.__file__)).parent / "include"
    if not (folder / "xla/ffi/api/ffi.h").is_file():
        raise BuildError(f"jaxlib has no XLA headers in {folder}")
    return folder


def file_name() -> str:
    """The library's name: another for other sources, another machine, another call interface.

    Raises:
        BuildError: as `headers`.
    """
    text = (headers() / "xla/ffi/api/c_api.h").read_text("utf-8")
    version = [re.search(rf"XLA_FFI_API_{part} (\d+)", text) for part in ("MAJOR", "MINOR")]
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for source in SOURCES:
        digest.update((HERE / source).read_bytes())
    api = ".".join(found[1] for found in version if found)
    return f"kernels-{platform.machine()}-ffi{api}-{digest.hexdigest()[:12]}.so"


def build(folder: Path) -> Path:
    """Compiles the kernels into a folder, unless they are there already.

    Args:
        folder: Where to; it is made.

    Returns:
        The library.

    Raises:
        BuildError: without a C++ compiler, or if it refuses the sources.
        OSError: if the folder cannot be written.
    """
    library = folder / file_name()
    if library.exists():
        return library
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise BuildError("no C++ compiler: neither $CXX nor g++ nor clang++")
    folder.mkdir(parents=True, exist_ok=True)
    # Renamed into place, so that no other process ever loads half a library.
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        part = Path(scratch) / library.name
        command = [*compiler.split(), *FLAGS, f"-I{headers()}", str(HERE / SOURCES[0]), "-o", part]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"{compiler} failed: {done.stderr.strip()[:500]}")
        part.replace(library)
    return library
