"""One tensor as bytes: its positions, its values and its grid."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgc.pack.encode import positions, values
from jgc.quant.grid import Grid, dequantize, quantize

_DTYPES = {
    name: np.dtype(getattr(jnp, name, name))
    for name in "float32 bfloat16 float16 float64 int8 int16 int32 int64 uint8 uint16 uint32 "
    "uint64 bool".split()
}
_ON_A_GRID = ("float32", "bfloat16", "float16")
_MOST = 1 << 48  # of anything counted: beyond, a number is a lie and not a size


class TensorInfo(NamedTuple):
    """What an artefact says about one of its tensors; the rows of its manifest.

    Attributes:
        path: Where it belongs, such as `"conv1/kernel"`.
        dtype: Name of its dtype once loaded, such as `"float32"`.
        shape: Its shape.
        kept: Number of weights that the mask keeps.
        bits: Bits of a stored value: of its grid where it is quantised, else of its dtype.
        positions: Encoding of the mask, a name in `positions.ENCODINGS`.
        position_bytes: Bytes of the mask.
        values: Encoding of the kept values, a name in `values.PLAIN` or `values.CODES`.
        value_bytes: Bytes of the kept values.
        grid_shape: Shape of its scales and zero points, or `None` where it is not quantised.
        grid_bytes: Bytes of scales (float32) and zero points (codes; absent where all are 0).

    Example:
        >>> info, _ = encode("bias", np.arange(3, dtype=np.float32), np.ones(3, bool), None)
        >>> info.n_bytes, info.kept, info.positions
        (12, 3, 'dense')
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    kept: int
    bits: int
    positions: str
    position_bytes: int
    values: str
    value_bytes: int
    grid_shape: tuple[int, ...] | None = None
    grid_bytes: int = 0

    @property
    def size(self) -> int:
        """Number of weights, pruned ones included."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes in the file, its row of the manifest not counted."""
        return self.position_bytes + self.value_bytes + self.grid_bytes


def encode(
    path: str, array: np.ndarray, mask: np.ndarray, grid: Grid | None, *, symmetric: bool = True
) -> tuple[TensorInfo, bytes]:
    """Writes one tensor in the fewest bytes that the encodings offer.

    Args:
        path: Where the tensor belongs.
        array: The tensor, any shape; where `grid` is given, float.
        mask: True = kept, bool of the same shape.
        grid: Its quantisation grid, or `None` to store the values as they are.
        symmetric: The grid's codes are -q..q, else 0..2^bits - 1.

    Returns:
        Its row of the manifest and its bytes: positions, values, grid.

    Raises:
        ValueError: for a dtype that has no place in a file, or a grid that does not fit.
    """
    if array.dtype.name not in _DTYPES:
        raise ValueError(f"`{path}` has dtype {array.dtype}; a file holds {list(_DTYPES)}.")
    if mask.shape != array.shape or mask.dtype != bool:
        raise ValueError(
            f"the mask of `{path}` must be bool {array.shape}, got {mask.dtype} {mask.shape}."
        )
    position_name, position_bytes = positions.encode(mask)
    if grid is None:
        bits, grid_shape, grid_bytes = 8 * array.dtype.itemsize, None, b""
        value_name, value_bytes = values.encode(array[mask], codes=False)
    else:
        bits, grid_shape, grid_bytes = _encode_grid(path, array, grid, symmetric)
        codes = np.asarray(_quantize(array, grid, symmetric=symmetric))
        value_name, value_bytes = values.encode(codes[mask].astype(np.int64), codes=True)
    info = TensorInfo(
        path, array.dtype.name, array.shape, int(mask.sum()), bits,
        position_name, len(position_bytes), value_name, len(value_bytes),
        grid_shape, len(grid_bytes),
    )  # fmt: skip
    return info, position_bytes + value_bytes + grid_bytes


def decode(info: TensorInfo, data: bytes) -> tuple[np.ndarray, np.ndarray, Grid | None]:
    """Reads one tensor back.

    Args:
        info: Its row of the manifest, as `from_row` checked it.
        data: Its bytes, `info.n_bytes` of them.

    Returns:
        The tensor with 0 at pruned places, its mask, and its grid or `None`.

    Raises:
        ValueError: if the bytes are not what the row says.
    """
    cut = info.position_bytes, info.position_bytes + info.value_bytes
    mask = positions.decode(info.positions, data[: cut[0]], info.shape, info.kept)
    dtype = _DTYPES[info.dtype]
    stored = dtype if info.grid_shape is None else np.dtype(np.int32)
    numbers = np.zeros(info.shape, stored)
    numbers[mask] = values.decode(info.values, data[cut[0] : cut[1]], info.kept, stored)
    if info.grid_shape is None:
        return numbers, mask, None
    grid = _decode_grid(info, data[cut[1] :])
    array = np.asarray(dequantize(jnp.asarray(numbers), grid, dtype), dtype)
    return np.where(mask, array, np.zeros((), dtype)), mask, grid


def to_row(info: TensorInfo) -> list:
    """The row as JSON holds it; a tensor without a grid leaves the grid's two items out."""
    return list(info[:9] if info.grid_shape is None else info)


def from_row(row) -> TensorInfo:
    """Checks a row of a manifest that may say anything.

    Args:
        row: What JSON gave.

    Returns:
        The row, with every number a possible one.

    Raises:
        ValueError: if an item is missing, of another type, negative or unknown.

    Example:
        >>> from_row(["w", "float32", [2, -3], 6, 32, "dense", 0, "raw", 24])
        Traceback (most recent call last):
        ...
        ValueError: the shape is [2, -3].
    """
    if not isinstance(row, list) or len(row) not in (9, 11):
        raise ValueError(f"a row has 9 or 11 items, not {str(row)[:80]}.")
    info = TensorInfo(*row)
    names = (info.path, info.dtype, info.positions, info.values)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"a name is no text: {str(names)[:80]}.")
    counts = (info.kept, info.bits, info.position_bytes, info.value_bytes, info.grid_bytes)
    if not all(_is_count(count) for count in counts):
        raise ValueError(f"a count is no whole number >= 0: {counts}.")
    for shape in (info.shape, info.grid_shape or []):
        if not isinstance(shape, list) or len(shape) > 32 or not all(map(_is_count, shape)):
            raise ValueError(f"the shape is {shape}.")
    if info.dtype not in _DTYPES:
        raise ValueError(f"the dtype is {info.dtype!r}; a file holds {list(_DTYPES)}.")
    if info.kept > math.prod(info.shape):
        raise ValueError(f"{info.kept} weights are kept of {math.prod(info.shape)}.")
    grid_shape = None if len(row) == 9 else tuple(info.grid_shape or ())
    return info._replace(shape=tuple(info.shape), grid_shape=grid_shape)


def _is_count(number) -> bool:
    return type(number) is int and 0 <= number < _MOST


# As one program: step by step every shape would compile a dozen.
_quantize = jax.jit(quantize, static_argnames="symmetric")


def _encode_grid(path: str, array: np.ndarray, grid: Grid, symmetric: bool):
    scale = np.asarray(grid.scale, np.float32)
    zero_point = np.broadcast_to(np.asarray(grid.zero_point), scale.shape).reshape(-1)
    bits = int(grid.bits)
    if not 2 <= bits <= 8:
        raise ValueError(f"the grid of `{path}` has {bits} bits; 2..8 can be packed.")
    if array.dtype.name not in _ON_A_GRID:
        raise ValueError(f"`{path}` has a grid but dtype {array.dtype}, not {_ON_A_GRID}.")
    if symmetric and zero_point.any():
        raise ValueError(f"the grid of `{path}` has zero points: save it with `symmetric=False`.")
    if not _suits(scale.shape, array.shape):
        raise ValueError(f"the grid of `{path}` is {scale.shape}, the tensor {array.shape}.")
    zeros = b""
    if zero_point.any():
        zeros = values.CODES["packed"].encode(zero_point.astype(np.int64))
    return bits, scale.shape, scale.tobytes() + zeros


def _decode_grid(info: TensorInfo, data: bytes) -> Grid:
    shape = info.grid_shape or ()
    n, end = math.prod(shape), 4 * math.prod(shape)
    if not 2 <= info.bits <= 8 or not _suits(shape, info.shape):
        raise ValueError(f"a grid {shape} of {info.bits} bits suits no tensor {info.shape}.")
    if info.dtype not in _ON_A_GRID:
        raise ValueError(f"a grid suits {_ON_A_GRID}, not {info.dtype}.")
    if len(data) < end:
        raise ValueError(f"a grid {shape} takes {end} bytes, got {len(data)}.")
    int32 = np.dtype(np.int32)
    zero_point = np.zeros(n, int32)
    if data[end:]:
        zero_point = values.decode("packed", data[end:], n, int32)
    return Grid(
        scale=jnp.asarray(np.frombuffer(data[:end], np.float32).reshape(shape)),
        zero_point=jnp.asarray(zero_point.reshape(shape)),
        bits=jnp.asarray(info.bits, jnp.int32),
    )


def _suits(grid_shape: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    ends = zip(reversed(grid_shape), reversed(shape), strict=False)
    return len(grid_shape) <= len(shape) and all(g in (1, axis) for g, axis in ends)
