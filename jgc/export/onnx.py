"""`to_onnx`: a model as one ONNX file for ONNX Runtime and its kin, sizes left open."""

from pathlib import Path
from types import ModuleType

import numpy as np

from jgc.export.check import check
from jgc.export.program import Program, Written, begin, finish
from jgc.pack import Restored


def to_onnx(model: Restored | str | Path, path: str | Path) -> Written:
    """Writes a model that any runtime of ONNX can run, on graphs of any size.

    Before the file takes its name `onnx.checker` has accepted it, and ONNX Runtime has run it on
    graphs of two sizes with the answers of `jgc.apply`. Weights on a grid are int8, or int4 up to 4
    bits, which the program decodes; values are rounded to their grids as in training, in float32.

    The file does not check its inputs: numbers of nodes that are out of range are an error of the
    runtime, or, below 0, count from the end.

    Differs: a model with a table for every node (`a2q` on one graph) keeps its number of nodes.

    Args:
        model: From `jgc.pack.restore`, or the file of an artefact.
        path: The file to write; its folder must exist.

    Returns:
        What was written.

    Raises:
        ValueError: if the model cannot be exported, its numbers differ, or onnx or onnxruntime is
            missing.
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
        ...     written = to_onnx(small, Path(folder, "model.onnx"))
        >>> written.output.name
        'logits'
    """
    made = begin(model, path)
    writer, runtime = _modules()
    data = writer.to_bytes(made)
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    check(made, _runner(made, session), "The ONNX program")
    return finish(made, data, path)


def _modules() -> tuple[ModuleType, ModuleType]:
    try:
        import onnxruntime

        from jgc.export import onnx_file
    except ImportError as error:
        raise ValueError(
            "ONNX files are written with onnx and checked with onnxruntime, which are not "
            "installed: pip install 'jgc[export]'."
        ) from error
    return onnx_file, onnxruntime


def _runner(made: Program, session):
    names = [port.name for port in made.inputs]

    def run(*arrays: np.ndarray) -> np.ndarray:
        return session.run(None, dict(zip(names, arrays, strict=True)))[0]

    return run
