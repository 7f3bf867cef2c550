"""Which weights of a tensor are kept: eight ways to write a mask, the smallest wins."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jgc.pack.encode import bits, entropy


class Encoding(NamedTuple):
    """One way to write a mask.

    Attributes:
        encode: Mask (bool, any shape) -> bytes, or `None` where it cannot say this mask.
        decode: Bytes, shape and number kept -> mask of that shape; `ValueError` where they do not
            fit together.
    """

    encode: Callable[[np.ndarray], bytes | None]
    decode: Callable[[bytes, tuple[int, ...], int], np.ndarray]


def encode(mask: np.ndarray) -> tuple[str, bytes]:
    """Writes a mask in the smallest of `ENCODINGS`; of equals, the first in the table.

    Every encoding says exactly which weights are kept. A kept weight may be zero and stays kept,
    so a mask is never guessed from the values.

    Args:
        mask: True = kept, bool of any shape.

    Returns:
        Name of the encoding and the bytes.

    Example:
        >>> mask = np.zeros((64, 64), bool)
        >>> encode(~mask)
        ('dense', b'')
        >>> mask[:, 8:] = True  # whole columns: a flag an axis, 8 bytes of columns
        >>> name, data = encode(mask)
        >>> name, len(data)
        ('axes', 10)
    """
    return _smallest(mask, ENCODINGS)


def decode(name: str, data: bytes, shape: tuple[int, ...], kept: int) -> np.ndarray:
    """Reads a mask back.

    Args:
        name: A name in `ENCODINGS`.
        data: The bytes that `encode` gave with that name.
        shape: Shape of the mask.
        kept: Number of True entries.

    Returns:
        The mask, bool of shape `shape`.

    Raises:
        ValueError: if `name` is unknown or the bytes do not describe such a mask.

    Example:
        >>> decode("bitmap", bytes([0b101]), (3,), kept=2).tolist()
        [True, False, True]
    """
    if name not in ENCODINGS:
        raise ValueError(f"positions are written as {name!r}, known are {list(ENCODINGS)}.")
    return _checked(name, data, shape, kept)


def _smallest(mask: np.ndarray, table: dict[str, Encoding]) -> tuple[str, bytes]:
    candidates = ((name, each.encode(mask)) for name, each in table.items())
    return min(((name, data) for name, data in candidates if data is not None), key=_n_bytes)


def _checked(name: str, data: bytes, shape: tuple[int, ...], kept: int) -> np.ndarray:
    mask = ENCODINGS[name].decode(data, shape, kept)
    if mask.sum() != kept:
        raise ValueError(f"positions {name!r} keep {mask.sum()} weights, the manifest says {kept}.")
    return mask


def _n_bytes(candidate: tuple[str, bytes]) -> int:
    return len(candidate[1])


# dense: everything is kept, nothing to say.


def _encode_dense(mask):
    return b"" if mask.all() else None


def _decode_dense(data, shape, kept):
    if len(data):
        raise ValueError(f"positions 'dense' take no bytes, got {len(data)}.")
    return np.ones(shape, bool)


# axes: the kept weights are a sub-tensor (whole rows, columns or neurons gone). For each axis a
# flag byte, 0 = all of it, 1 = a bitmap of what is kept along it follows.


def _encode_axes(mask):
    if mask.ndim == 0 or not mask.any():
        return None
    axes = range(mask.ndim)
    kept = [mask.any(axis=tuple(other for other in axes if other != axis)) for axis in axes]
    # The mask lies inside the product of its axes; of the same size it is the product.
    if math.prod(int(k.sum()) for k in kept) != mask.sum():
        return None
    return b"".join(b"\0" if k.all() else b"\1" + _bitmap(k) for k in kept)


def _decode_axes(data, shape, kept):
    mask = np.ones(shape, bool)
    start = 0
    for axis, length in enumerate(shape):
        end = start + 1
        if data[start:end] == b"\1":
            end += bits.packed_bytes(length, 1)
            along = bits.unpack(data[start + 1 : end], 1, length).astype(bool)
            mask &= along.reshape([-1 if other == axis else 1 for other in range(len(shape))])
        elif data[start:end] != b"\0":
            raise ValueError(f"positions 'axes' have no flag 0 or 1 for axis {axis}.")
        start = end
    if start != len(data):
        raise ValueError(f"positions 'axes' take {start} bytes, got {len(data)}.")
    return mask


# bitmap: one bit a weight.


def _bitmap(mask) -> bytes:
    return np.packbits(mask.reshape(-1), bitorder="little").tobytes()


def _decode_bitmap(data, shape, kept):
    n = math.prod(shape)
    return bits.unpack(data, 1, n).astype(bool).reshape(shape)


# zbitmap: the bitmap compressed, for patterns that repeat (N:M, blocks).


def _encode_zbitmap(mask):
    return entropy.compress([_bitmap(mask)])


def _decode_zbitmap(data, shape, kept):
    n = math.prod(shape)
    return _decode_bitmap(entropy.decompress(data, bits.packed_bytes(n, 1)), shape, kept)


# index, rice, gaps: how many weights lie between one listed weight and the next. Listed are the
# fewer: the kept ones up to one half, else the pruned ones, which `kept` tells without a flag.


def _gaps(mask) -> np.ndarray:
    flat = mask.reshape(-1)
    listed = np.flatnonzero(flat if 2 * flat.sum() <= flat.size else ~flat)
    return np.diff(listed, prepend=-1) - 1


def _mask_of_gaps(gaps, shape, kept):
    n = math.prod(shape)
    listed = np.cumsum(gaps + 1) - 1
    if listed.size and listed[-1] >= n:
        raise ValueError(f"positions reach weight {listed[-1]} of a tensor of {n}.")
    mask = np.full(n, 2 * kept > n)
    mask[listed] = ~mask[listed]
    return mask.reshape(shape)


def _n_listed(shape, kept) -> int:
    return min(kept, math.prod(shape) - kept)


def _encode_index(mask):
    gaps = _gaps(mask)
    if not gaps.size:
        return b""
    width = int(gaps.max()).bit_length()
    return bytes([width]) + bits.pack(gaps, width)


def _decode_index(data, shape, kept):
    n_listed = _n_listed(shape, kept)
    if n_listed and not data:
        raise ValueError(f"positions 'index' take no bytes, {n_listed} weights were due.")
    gaps = bits.unpack(data[1:], data[0] if data else 0, n_listed)
    return _mask_of_gaps(gaps, shape, kept)


# rice: of each gap the low bits as they are, all together, then the rest in unary. Where weights
# are kept at random, gaps are geometric and this comes within about 1 % of their entropy (Golomb,
# 1966; Rice, 1979), without a table that a small tensor would pay for. The first byte is the number
# of low bits.


def _encode_rice(mask):
    gaps = _gaps(mask)
    if not gaps.size:
        return b""
    widths = range(int(gaps.max()).bit_length() + 1)
    width = min(widths, key=lambda w: int((gaps >> w).sum()) + gaps.size * w)
    ends = np.cumsum((gaps >> width) + 1) - 1
    unary = np.zeros(ends[-1] + 1, bool)
    unary[ends] = True
    return bytes([width]) + bits.pack(gaps & ((1 << width) - 1), width) + _bitmap(unary)


def _decode_rice(data, shape, kept):
    n_listed = _n_listed(shape, kept)
    if not n_listed:
        return _decode_index(data, shape, kept)
    if not data or data[0] > 32:
        raise ValueError("positions 'rice' begin with no number of bits in 0..32.")
    cut = 1 + bits.packed_bytes(n_listed, data[0])
    low = bits.unpack(data[1:cut], data[0], n_listed)
    ends = np.flatnonzero(np.unpackbits(np.frombuffer(data[cut:], np.uint8), bitorder="little"))
    if ends.size != n_listed:
        raise ValueError(f"positions 'rice' list {ends.size} weights, {n_listed} were due.")
    if (int(ends[-1]) + 1 - n_listed) << data[0] > math.prod(shape):
        raise ValueError("positions 'rice' reach beyond the last weight.")
    high = np.diff(ends, prepend=-1) - 1
    return _mask_of_gaps((high << data[0]) + low, shape, kept)


def _encode_gaps(mask):
    # A byte 255 means "255 further"; geometric gaps under zstandard come near their entropy.
    gaps = _gaps(mask)
    last = np.cumsum(gaps // 255 + 1) - 1
    text = np.full(last[-1] + 1 if gaps.size else 0, 255, np.uint8)
    text[last] = gaps % 255
    return entropy.compress([text.tobytes()])


def _decode_gaps(data, shape, kept):
    n_listed = _n_listed(shape, kept)
    most = n_listed + math.prod(shape) // 255
    text = np.frombuffer(entropy.decompress(data, most), np.uint8)
    last = np.flatnonzero(text != 255)
    if last.size != n_listed or (text.size and text[-1] == 255):
        raise ValueError(f"positions 'gaps' list {last.size} weights, {n_listed} were due.")
    return _mask_of_gaps(text[last] + 255 * np.diff(last, prepend=-1) - 255, shape, kept)


# rows: which rows keep anything at all, as one mask, and the mask of those rows, each in the
# smallest of the encodings above. The first map of a graph network has a row for every input
# feature, and those that matter little lose all their weights. The head says how many rows there
# are, how many bytes their mask takes, and the two encodings by their places in the table.


def _encode_rows(mask):
    if mask.ndim != 2 or not mask.any():
        return None
    used = mask.any(1)
    if used.all():
        return None
    (outer, first), (inner, second) = (_smallest(part, _FLAT) for part in (used, mask[used]))
    head = np.array([used.sum(), len(first)], "<u4").tobytes()
    return head + bytes([_PLACES.index(outer), _PLACES.index(inner)]) + first + second


def _decode_rows(data, shape, kept):
    if len(shape) != 2 or len(data) < _ROWS_HEAD or max(data[8:_ROWS_HEAD]) >= len(_PLACES):
        raise ValueError("positions 'rows' have no head of a matrix.")
    n_used, cut = (int(number) for number in np.frombuffer(data[:8], "<u4"))
    if n_used > shape[0] or n_used * shape[1] < kept:
        raise ValueError(f"positions 'rows' keep {n_used} rows of {shape[0]}.")
    outer, inner = (_PLACES[place] for place in data[8:_ROWS_HEAD])
    cut += _ROWS_HEAD
    used = _checked(outer, data[_ROWS_HEAD:cut], shape[:1], n_used)
    mask = np.zeros(shape, bool)
    mask[used] = _checked(inner, data[cut:], (n_used, shape[1]), kept)
    return mask


_ROWS_HEAD = 10
_FLAT: dict[str, Encoding] = {
    "dense": Encoding(_encode_dense, _decode_dense),
    "axes": Encoding(_encode_axes, _decode_axes),
    "bitmap": Encoding(_bitmap, _decode_bitmap),
    "index": Encoding(_encode_index, _decode_index),
    "rice": Encoding(_encode_rice, _decode_rice),
    "gaps": Encoding(_encode_gaps, _decode_gaps),
    "zbitmap": Encoding(_encode_zbitmap, _decode_zbitmap),
}
_PLACES = list(_FLAT)
ENCODINGS = _FLAT | {"rows": Encoding(_encode_rows, _decode_rows)}
