"""`to_stablehlo`: a model as one StableHLO program for CPU, GPU and TPU, sizes left open."""

import contextlib
from importlib.metadata import version
from pathlib import Path

import jax
from jax import export

from jgc.export.check import check
from jgc.export.program import Program, Written, begin, finish
from jgc.export.reader import from_bytes, to_bytes
from jgc.pack import Restored

PLATFORMS = ("cpu", "cuda", "tpu")


def to_stablehlo(model: Restored | str | Path, path: str | Path) -> Written:
    """Writes a model that runs without jgc's models, on graphs of any size.

    Before the file takes its name it has been read back and run on graphs of two sizes, with the
    answers of `jgc.apply`. Weights are constants of the program; those on a grid are codes of one
    byte, which the file's compression brings near their width.

    Differs: a model with a table for every node (`a2q` on one graph) keeps its number of nodes.

    Args:
        model: From `jgc.pack.restore`, or the file of an artefact.
        path: The file to write; its folder must exist.

    Returns:
        What was written.

    Raises:
        ValueError: if the model cannot be exported, its numbers differ, or flatbuffers is missing.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> import jax
        >>> import jgc
        >>> data, model = jgc.data.load("sbm"), jgc.models.GCN(hidden=2, out=7, layers=1)
        >>> params = model.init(jax.random.key(0), data.graphs[0])["params"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     small = Path(folder, "model.safetensors")
        ...     _ = jgc.pack.save(small, params, meta=jgc.pack.describe(model, data))
        ...     written = to_stablehlo(small, Path(folder, "model.stablehlo"))
        >>> [port.name for port in written.inputs]
        ['nodes', 'senders', 'receivers']
    """
    made = begin(model, path)
    exported = _lowered(made)
    head = {
        "what": "a graph neural network: jax.export under zlib",
        "jgc": version("jgc"),
        "jax": jax.__version__,
        "calling_convention": exported.calling_convention_version,
        "platforms": PLATFORMS,
        **made.head(),
    }
    data = to_bytes(head, _serialised(exported))
    check(made, from_bytes(data, str(path)), "The StableHLO program")
    return finish(made, data, path)


def _lowered(made: Program) -> export.Exported:
    def run(*arrays):
        decoded = {name: weight.decoded() for name, weight in made.weights.items()}
        return made.run(made.variables(decoded), *arrays)

    with made.traceable(), _nameless():
        return export.export(jax.jit(run), platforms=PLATFORMS)(*made.shapes())


@contextlib.contextmanager
def _nameless():
    """Leaves the places in source files, and so this machine's folders, out of the program."""
    limit = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, limit)
    jax.config.update(limit, 0)
    try:
        yield
    finally:
        jax.config.update(limit, before)


def _serialised(exported: export.Exported) -> bytes:
    try:
        return bytes(exported.serialize())
    except ImportError as error:
        raise ValueError(
            "A StableHLO program is written with flatbuffers, which is not installed: "
            "pip install 'jgc[export]'."
        ) from error
