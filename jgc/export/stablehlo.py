"""`to_stablehlo`: a model as one StableHLO program for CPU, GPU and TPU, sizes left open."""

import contextlib
from importlib.metadata import version
from pathlib import Path

import jax
from jax import export

from jgc.export.check import check
from jgc.export.program import Program, program, shapes, traceable
from jgc.export.reader import from_bytes, to_bytes
from jgc.pack import Restored, restore
from jgc.pack.file import write_atomic

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(model: Restored | str | Path, path: str | Path) -> int:
    """Writes a model that runs without jgc's models, on graphs of any size.

    Before the file takes its name it has been read back and run on graphs of two sizes, and its
    answers were those of `jgc.apply`. Weights are constants of the program; those on a grid are
    codes of one byte, which the file's compression brings near their width.

    Args:
        model: From `jgc.pack.restore`, or the file of an artefact.
        path: The file to write; its folder must exist.

    Returns:
        Bytes of the file.

    Raises:
        ValueError: if the model cannot be exported, its numbers differ, or flatbuffers is missing.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile, jgc
        >>> from jgc.export import from_stablehlo
        >>> data = jgc.data.load("sbm")
        >>> small = jgc.compress("gcn", data, quantize="qat:8", hidden=8, epochs=10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = small.save(folder)
        ...     n_bytes = to_stablehlo(f"{folder}/model.safetensors", f"{folder}/gcn.stablehlo")
        ...     model = from_stablehlo(f"{folder}/gcn.stablehlo")
        >>> graph = data.graphs[0]
        >>> model(graph.nodes.todense(), graph.senders, graph.receivers).shape
        (2708, 7)
    """
    made = program(model if isinstance(model, Restored) else restore(model))
    exported = _lowered(made)
    head = {
        "what": "a graph neural network: jax.export, under zlib",
        "jgc": version("jgc"),
        "jax": jax.__version__,
        "calling_convention": exported.calling_convention_version,
        "platforms": PLATFORMS,
        **made.head(),
    }
    data = to_bytes(head, _serialised(exported))
    check(made, from_bytes(data, str(path)), "The StableHLO program")
    write_atomic(Path(path), data)
    return len(data)


def _lowered(made: Program) -> export.Exported:
    def run(*arrays):
        decoded = {name: weight.decoded() for name, weight in made.weights.items()}
        return made.run(made.variables(decoded), *arrays)

    with traceable(made), _nameless():
        return export.export(jax.jit(run), platforms=PLATFORMS)(*shapes(made.inputs))


@contextlib.contextmanager
def _nameless():
    """Leaves the places in source files, and so this machine's folders, out of the program."""
    before = jax.config.jax_traceback_in_locations_limit
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", before)


def _serialised(exported: export.Exported) -> bytes:
    try:
        return bytes(exported.serialize())
    except ImportError as error:
        raise ValueError(
            "A program is written with flatbuffers, which is not installed: "
            "pip install 'jgc[export]'."
        ) from error
