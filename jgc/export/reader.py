"""`from_stablehlo`: reads and runs an exported model. Needs jax, numpy and this file, no more."""

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import export

MAGIC = "jgc-stablehlo"
FORMAT = "1"
# Inside a program only what XLA itself puts there for symbolic sizes; all else calls foreign code.
_HARMLESS = re.compile(r"custom_call @(shape_assertion|stablehlo\.dynamic_\w+)\(")
_PROGRAM_ANYWAY, _PROGRAM_A_BYTE = 1 << 26, 64  # A program may unpack to that much, no more.
_KINDS = {"float32": "fiub", "int32": "iu"}


class Port(NamedTuple):
    """An array that goes into a program or comes out of it.

    Attributes:
        name: Such as `"senders"`.
        dims: Of its shape: numbers, and names of sizes that every call may choose anew.
        dtype: `"float32"` or `"int32"`.
        below: The size that its numbers, counted from 0, stay below; `""`: anything goes.
        total: The size that its numbers, from 0 up, sum to; `""`: anything goes.
    """

    name: str
    dims: tuple[int | str, ...]
    dtype: str
    below: int | str = ""
    total: int | str = ""

    def __str__(self) -> str:
        """Such as `senders int32[n_edge]`."""
        return f"{self.name} {self.dtype}[{', '.join(map(str, self.dims))}]"


class Exported:
    """A model that came out of a file; call it with the arrays of `inputs`, in order or by name.

    Attributes:
        head: What the file says of itself.
        inputs: What the model takes: `nodes`, `senders`, `receivers`, ...
        output: What it gives.

    Example:
        >>> port = Port("x", (2,), "float32")
        >>> twice = export.export(jax.jit(lambda x: 2 * x))(jax.ShapeDtypeStruct((2,), "float32"))
        >>> Exported({}, (port,), port, twice)(x=[1.0, 2.0]).tolist()
        [2.0, 4.0]
    """

    def __init__(self, head: dict[str, Any], inputs, output: Port, program: export.Exported):
        self.head, self.inputs, self.output = head, inputs, output
        self._run = jax.jit(program.call)

    def __call__(self, *arrays, **named) -> np.ndarray:
        """Runs the model; a first call with new sizes compiles.

        Args:
            arrays: Of the shapes and types of `inputs`, in that order.
            named: Or by name.

        Returns:
            The logits.

        Raises:
            ValueError: naming the argument, for one that is missing or unknown, or whose shape,
                type or numbers do not fit.
        """
        given = self._by_name(arrays, named)
        sizes: dict[str, int] = {}
        fitting = [_fitting(port, given[port.name], sizes) for port in self.inputs]
        ports = zip(self.inputs, fitting, strict=True)
        return np.asarray(self._run(*(_checked(port, array, sizes) for port, array in ports)))

    def _by_name(self, arrays, named: dict[str, Any]) -> dict[str, Any]:
        names = [port.name for port in self.inputs]
        given = {**dict(zip(names, arrays, strict=False)), **named}
        if len(arrays) + len(named) != len(names) or set(given) != set(names):
            got = [*names[: len(arrays)], *named]
            raise ValueError(f"the model takes {names}, got {len(arrays) + len(named)}: {got}.")
        return given


def from_stablehlo(path) -> Exported:
    """Reads a model that `jgc.export.to_stablehlo` wrote.

    Nothing in the file is believed before its digest is right, and a program that calls code from
    outside of itself is refused.

    Args:
        path: The file.

    Returns:
        The model, ready to be called.

    Raises:
        ValueError: if the file is truncated, altered, none of ours, or of a version that this jax
            does not run.
        OSError: if it cannot be read.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     from_stablehlo(file.name)
        Traceback (most recent call last):
            ...
        ValueError: ...
    """
    return from_bytes(Path(path).read_bytes(), str(path))


def from_bytes(data: bytes, name: str) -> Exported:
    """As `from_stablehlo`, of a file's bytes; `name` is what errors call it."""
    head, body = _parts(data, name)
    try:
        inputs = tuple(_port(port) for port in head["inputs"])
        output = _port(head["output"])
        said = {key: str(head[key]) for key in ("jgc", "jax")}
        version = int(head["calling_convention"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"`{name}`, head: {error!r}.") from error
    _check_version(name, version, said)
    program = _program(name, _unpacked(name, body), said)
    _check_version(name, program.calling_convention_version, said)
    _check_program(name, program, inputs, output)
    return Exported(head, inputs, output, program)


def to_bytes(head: dict[str, Any], program: bytes) -> bytes:
    """The file: a line of format and SHA-256 of what follows, a line of JSON, the program.

    The program lies under zlib, which every Python has: codes of few bits take few bits.
    """
    body = json.dumps(head, allow_nan=False).encode() + b"\n" + zlib.compress(program, 9)
    return f"{MAGIC} {FORMAT} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def _parts(data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    first, _, body = data.partition(b"\n")
    words = first[:200].decode("ascii", "replace").split(" ")
    if words[0] != MAGIC or len(words) != 3:
        raise ValueError(f"`{name}` is no file of `jgc.export.to_stablehlo`.")
    if words[1] != FORMAT:
        raise ValueError(
            f"`{name}`: its format is {words[1]!r}, this jgc reads {FORMAT!r}. Export the model "
            "anew with this jgc, or read it with the jgc that wrote it."
        )
    if words[2] != hashlib.sha256(body).hexdigest():
        raise ValueError(
            f"`{name}`: its SHA-256 is not that of its content: it was cut off, damaged or altered."
        )
    line, _, packed = body.partition(b"\n")
    try:
        head = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"`{name}`, head: it is no JSON: {error}.") from error
    if not isinstance(head, dict):
        raise ValueError(f"`{name}`, head: it is a {type(head).__name__} and no table.")
    return head, packed


def _port(said: Any) -> Port:
    port = Port(**{**said, "dims": tuple(said["dims"])})
    known = isinstance(port.name, str) and port.dtype in _KINDS
    if not known or not all(isinstance(dim, int | str) for dim in port.dims):
        raise ValueError(f"{said} is no array that a model takes")
    return port


def _check_version(name: str, version: int, said: dict[str, str]) -> None:
    oldest = export.minimum_supported_calling_convention_version
    newest = export.maximum_supported_calling_convention_version
    if not oldest <= version <= newest:
        cure = "a newer jax" if version > newest else f"jax {said['jax']}, which wrote it,"
        raise ValueError(
            f"`{name}`: its calling convention is {version}, jax {jax.__version__} runs {oldest} "
            f"to {newest}. Run it with {cure} or export the model anew with this jax."
        )


def _unpacked(name: str, packed: bytes) -> bytes:
    most = _PROGRAM_ANYWAY + _PROGRAM_A_BYTE * len(packed)
    stream = zlib.decompressobj()
    try:
        program = stream.decompress(packed, most)
    except zlib.error as error:
        raise ValueError(f"`{name}`, program: {error}.") from error
    if not stream.eof or stream.unused_data:
        raise ValueError(f"`{name}`, program: it does not end where it should, or is too large.")
    return program


def _program(name: str, data: bytes, said: dict[str, str]) -> export.Exported:
    """The program, parsed: a file may be older or newer than this jax can follow."""
    try:
        program = export.deserialize(bytearray(data))
        text = program.mlir_module()
    except ImportError as error:
        raise ValueError(
            "An exported program is read with flatbuffers, which is not installed: "
            "pip install 'jgc[export]'."
        ) from error
    except Exception as error:  # The parsers of flatbuffers and of MLIR raise whatever they meet.
        raise ValueError(
            f"`{name}`: jax {jax.__version__} cannot read its program, which jax {said['jax']} "
            f"wrote. Read it with that one, or export the model anew with this. ({error})"
        ) from error
    if "custom_call" in _HARMLESS.sub("", text):
        raise ValueError(f"`{name}`: its program calls code from outside of itself; it is not run.")
    return program


def _check_program(name: str, program: export.Exported, inputs, output: Port) -> None:
    due = [(*map(_fixed, port.dims), port.dtype) for port in (*inputs, output)]
    avals = (*program.in_avals, *program.out_avals)
    found = [(*map(_fixed, aval.shape), aval.dtype.name) for aval in avals]
    if due != found or program.nr_devices != 1:
        raise ValueError(f"`{name}`: its head names arrays {due}, its program has {found}.")


def _fixed(dim: Any) -> int | None:
    return dim if isinstance(dim, int) else None


def _fitting(port: Port, given: Any, sizes: dict[str, int]) -> np.ndarray:
    """The array; sizes that it is the first to have are noted."""
    array = np.asarray(given)
    if array.size and array.dtype.kind not in _KINDS[port.dtype]:
        raise ValueError(f"`{port.name}` must be {port.dtype}, got {array.dtype}.")
    due = [sizes.get(dim, dim) if isinstance(dim, str) else dim for dim in port.dims]
    if array.ndim != len(due) or any(
        _fixed(want) not in (None, size) for want, size in zip(due, array.shape, strict=True)
    ):
        raise ValueError(f"`{port.name}` must be `{port}`, with {sizes}; got {list(array.shape)}.")
    for dim, size in zip(port.dims, array.shape, strict=True):
        if size == 0 and dim != "n_edge":
            raise ValueError(f"`{port.name}` is empty: `{dim}` must be at least 1.")
        if isinstance(dim, str):
            sizes[dim] = size
    return array


def _checked(port: Port, array: np.ndarray, sizes: dict[str, int]) -> np.ndarray:
    """The array in the type of the program, its numbers found possible."""
    below, total = (_number(size, sizes) for size in (port.below, port.total))
    if below is not None or total is not None:
        bad = (array < 0) | (array >= (np.inf if below is None else below))
        if bad.any():
            place = np.argwhere(bad)[0].tolist()
            due = "0 or more" if below is None else f"in 0..{below - 1}"
            raise ValueError(f"`{port.name}{place}` is {array[tuple(place)]}; it must be {due}.")
        if total is not None and array.sum() != total:
            raise ValueError(f"`{port.name}` sums to {array.sum()}; there are {total} nodes.")
    with np.errstate(over="ignore"):  # Said below.
        array = array.astype(port.dtype)
    if not np.isfinite(array).all():
        raise ValueError(f"`{port.name}` holds numbers that are not finite as {port.dtype}.")
    return array


def _number(size: int | str, sizes: dict[str, int]) -> int | None:
    return sizes.get(size) if isinstance(size, str) else size
