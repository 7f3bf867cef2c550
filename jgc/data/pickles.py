"""Python 2 pickles of arrays, read without running what they say."""

import io
import math
import pickletools
import re
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from jgc.data.dataset import DataError

# A pickle is a program that calls what it names. Here it only runs on a stack of plain values and
# calls are written down, to be understood afterwards: numpy's and scipy's own ways of taking up a
# pickled state check little, and a file can make them allocate or overwrite anything.
_RECONSTRUCT, _DTYPE, _MATRIX, _TABLE = "array", "dtype", "matrix", "table"
# The only names that the public files need; old and new homes of the same class are both listed
# because scipy and numpy moved them.
_ALLOWED = {
    "numpy ndarray": "ndarray",
    "numpy dtype": _DTYPE,
    "numpy.core.multiarray _reconstruct": _RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _RECONSTRUCT,
    "scipy.sparse.csr csr_matrix": _MATRIX,
    "scipy.sparse._csr csr_matrix": _MATRIX,
    "collections defaultdict": _TABLE,
    "__builtin__ list": "list",
    "builtins list": "list",
}
_KINDS = {np.ndarray: "an array", sp.csr_matrix: "a CSR matrix", dict: "a table of lists"}


class _Name(NamedTuple):
    text: str


class _Call:
    """A call that a pickle asks for, and the state that it gives to what comes back."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple):
        self.name, self.args, self.state = name, args, None


def read_pickle(data: bytes, file: str, kind: type) -> Any:
    """Reads a pickle that holds one array, one CSR matrix, or lists of whole numbers by number.

    Args:
        data: The bytes of the file; strings in it are Python 2's, read as latin-1.
        file: The file's name, for messages.
        kind: `np.ndarray`, `scipy.sparse.csr_matrix` or `dict`.

    Returns:
        The object; arrays of numbers or booleans only.

    Raises:
        DataError: if the file is damaged, holds something else, or names any other class or
            function. Nothing that it names is imported or called, and it takes no more than some
            200 times its own size of memory.

    Example:
        >>> import pickle
        >>> read_pickle(pickle.dumps({0: [1, 2]}), "x", dict)
        {0: [1, 2]}
    """
    try:
        value = _understood(_run(data, file), len(data))
    except DataError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"{file}: truncated or damaged pickle ({error}).") from error
    if type(value) is not kind:
        raise DataError(f"{file}: a pickle of {_KINDS[kind]} was due, it holds {_said(value)}.")
    return value


def _run(data: bytes, file: str) -> Any:
    """The value that a pickle ends with, calls as `_Call`."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}
    for opcode, arg, _ in pickletools.genops(io.BytesIO(data)):
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                marks.append(len(stack))
            case "STOP":
                return stack.pop()
            case "BINPUT" | "LONG_BINPUT" | "PUT":
                memo[arg] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET" | "GET":
                stack.append(memo[arg])
            case "GLOBAL":
                stack.append(_name(str(arg), file))
            case "STACK_GLOBAL":
                last, first = stack.pop(), stack.pop()
                stack.append(_name(f"{first} {last}", file))
            case "REDUCE" | "NEWOBJ":
                args, name = stack.pop(), stack.pop()
                stack.append(_called(name, args))
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case name if name in _FRESH:
                stack.append(_FRESH[name]())
            case name if name in _TUPLES:
                cut = len(stack) - _TUPLES[name]
                stack[cut:] = [tuple(stack[cut:])]
            case "TUPLE" | "LIST" | "DICT" | "APPENDS" | "SETITEMS":
                _collect(opcode.name, stack, marks.pop())
            case "APPEND" | "SETITEM":
                _collect(opcode.name + "S", stack, len(stack) - (1 + (opcode.name == "SETITEM")))
            case name if name in _SINGLETONS:
                stack.append(_SINGLETONS[name])
            case _ if isinstance(arg, int | float | str | bytes):
                stack.append(arg)
            case name:
                raise ValueError(f"opcode {name}")
    raise ValueError("it has no end")


_FRESH = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SINGLETONS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


def _collect(name: str, stack: list, cut: int) -> None:
    """Takes what lies above a mark into the container that is made of it or lies below it."""
    items = stack[cut:]
    del stack[cut:]
    if name == "TUPLE":
        stack.append(tuple(items))
    elif name == "LIST":
        stack.append(items)
    elif name == "APPENDS":
        stack[-1].extend(items)
    else:
        if name == "DICT":
            stack.append({})
        stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _name(text: str, file: str) -> _Name:
    if text not in _ALLOWED:
        raise DataError(
            f"{file}: the pickle names `{text.replace(' ', '.')[:80]}`, which is no array class. "
            "The file is not the public one and was not read further."
        )
    return _Name(_ALLOWED[text])


def _called(name: Any, args: Any) -> Any:
    if not isinstance(name, _Name) or not isinstance(args, tuple):
        raise ValueError(f"a call of {_said(name)}")
    return {} if name.text == _TABLE else _Call(name.text, args)


def _understood(value: Any, size: int) -> Any:
    """The array, matrix or table behind the values that a pickle of `size` bytes ended with."""
    if isinstance(value, _Call):
        return _matrix(value) if value.name == _MATRIX else _array(value)
    if isinstance(value, dict):
        if sum(map(len, value.values())) > size:  # One list under many keys.
            raise ValueError(f"more numbers than its {size} bytes can hold")
        numbers = [*value, *(number for each in value.values() for number in each)]
        if any(type(each) is not list for each in value.values()) or set(map(type, numbers)) > {
            int
        }:
            raise ValueError("a table that holds more than lists of whole numbers")
    return value


def _array(call: Any) -> np.ndarray:
    if not isinstance(call, _Call) or call.name != _RECONSTRUCT:
        raise ValueError(f"{_said(call)} in place of an array")
    _, shape, dtype, fortran, raw = call.state  # type: ignore[misc]
    kind = _dtype(dtype)
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw
    if not _is_shape(shape) or math.prod(shape) * kind.itemsize != len(raw):
        raise ValueError(f"an array of shape {str(shape)[:80]} in {len(raw)} bytes")
    array = np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
    return array.astype(kind.newbyteorder("="))


def _dtype(call: Any) -> np.dtype:
    if not isinstance(call, _Call) or call.name != _DTYPE:
        raise ValueError(f"{_said(call)} in place of a dtype")
    code = str(call.args[0])
    if not re.fullmatch(r"b1|[iuf][248]|[iu]1", code):
        raise ValueError(f"an array of dtype {code[:20]!r}")
    return np.dtype((">" if call.state and call.state[1] == ">" else "<") + code)


def _matrix(call: _Call) -> sp.csr_matrix:
    state = call.state
    if not isinstance(state, dict) or not _is_shape(state["_shape"]):
        raise ValueError("a matrix without a shape")
    parts = tuple(_array(state[part]) for part in ("data", "indices", "indptr"))
    matrix = sp.csr_matrix(parts, shape=state["_shape"])
    matrix.check_format(full_check=True)
    return matrix


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(type(axis) is int and axis >= 0 for axis in shape)


def _said(value: Any) -> str:
    if isinstance(value, _Call):
        return value.name
    return value.text if isinstance(value, _Name) else f"a {type(value).__name__}"
