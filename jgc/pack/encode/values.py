"""The stored numbers of a tensor, bit for bit: floats, or codes at their own bit width."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jgc.pack.encode import bits, entropy


class Encoding(NamedTuple):
    """One way to write numbers.

    Attributes:
        encode: Numbers `[n]` -> bytes.
        decode: Bytes, n and dtype -> numbers `[n]`; `ValueError` where they do not fit together.
    """

    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes, int, np.dtype], np.ndarray]


def encode(numbers: np.ndarray, *, codes: bool) -> tuple[str, bytes]:
    r"""Writes numbers bit for bit in the smallest of the encodings that suit them.

    Args:
        numbers: `[n]` of any dtype of fixed width.
        codes: The numbers are whole and at most 8 bits wide: codes of a quantisation grid. Each is
            stored as its distance from the smallest present, which makes it unsigned and no wider.

    Returns:
        Name of the encoding and the bytes; no numbers, no bytes.

    Raises:
        ValueError: if codes span more than 8 bits.

    Example:
        >>> encode(np.array([-3, 0, 3, 1]), codes=True)  # lowest -3, 3 bits wide: 0 3 6 4
        ('packed', b'\xfd\xff\x03\x98\t')
        >>> encode(np.array([1.5], np.float32), codes=False)
        ('raw', b'\x00\x00\xc0?')
    """
    table = CODES if codes else PLAIN
    if codes and numbers.size and int(numbers.max()) - int(numbers.min()) > 255:
        raise ValueError(
            f"`numbers` span {numbers.min()}..{numbers.max()}; codes of at most 8 bits were due."
        )
    if not numbers.size:
        return next(iter(table)), b""
    candidates = ((name, each.encode(numbers)) for name, each in table.items())
    return min(candidates, key=lambda candidate: len(candidate[1]))


def decode(name: str, data: bytes, n: int, dtype: np.dtype) -> np.ndarray:
    r"""Reads numbers back.

    Args:
        name: A name in `PLAIN` or `CODES`.
        data: The bytes that `encode` gave with that name.
        n: How many numbers there are.
        dtype: Their dtype.

    Returns:
        The numbers, `[n]` of `dtype`.

    Raises:
        ValueError: if `name` is unknown or the bytes are not those of `n` numbers.

    Example:
        >>> decode("packed", b"\xfd\xff\x03\x98\t", 4, np.dtype(np.int32)).tolist()
        [-3, 0, 3, 1]
    """
    table = PLAIN | CODES
    if name not in table:
        raise ValueError(f"values are written as {name!r}, known are {list(table)}.")
    if not n and not len(data):
        return np.zeros(0, dtype)
    return table[name].decode(data, n, dtype)


def _encode_raw(numbers):
    return numbers.tobytes()


def _decode_raw(data, n, dtype):
    if len(data) != n * dtype.itemsize:
        raise ValueError(f"{n} values of {dtype} take {n * dtype.itemsize} bytes, not {len(data)}.")
    return np.frombuffer(data, np.uint8).view(dtype)


def _encode_planes(numbers):
    # First bytes of all numbers, then second bytes, ...: the sign and exponent of the weights that
    # pruning leaves take few values, so their plane shrinks to a quarter; mantissas do not.
    planes = np.frombuffer(numbers.tobytes(), np.uint8).reshape(numbers.size, -1).T
    return entropy.compress([plane.tobytes() for plane in planes])


def _decode_planes(data, n, dtype):
    data = entropy.decompress(data, n * dtype.itemsize)
    if len(data) != n * dtype.itemsize:
        raise ValueError(f"{n} values of {dtype} take {n * dtype.itemsize} bytes, not {len(data)}.")
    planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, n)
    return np.ascontiguousarray(planes.T).reshape(-1).view(dtype)


def _lowest(codes) -> tuple[bytes, np.ndarray]:
    low = int(codes.min())
    return low.to_bytes(2, "little", signed=True), codes - low


def _encode_packed(codes):
    head, codes = _lowest(codes)
    width = int(codes.max()).bit_length()
    return head + bytes([width]) + bits.pack(codes, width)


def _decode_packed(data, n, dtype):
    low, width = _head(data), data[2] if len(data) > 2 else 0
    return (bits.unpack(data[3:], width, n) + low).astype(dtype)


def _encode_coded(codes):
    head, codes = _lowest(codes)
    return head + entropy.compress([codes.astype(np.uint8).tobytes()])


def _decode_coded(data, n, dtype):
    low, codes = _head(data), np.frombuffer(entropy.decompress(data[2:], n), np.uint8)
    if codes.size != n:
        raise ValueError(f"{n} codes were due, {codes.size} are there.")
    return (codes.astype(np.int64) + low).astype(dtype)


def _head(data) -> int:
    if len(data) < 3:
        raise ValueError(f"codes take at least 3 bytes, got {len(data)}.")
    return int.from_bytes(data[:2], "little", signed=True)


PLAIN: dict[str, Encoding] = {
    "raw": Encoding(_encode_raw, _decode_raw),
    "planes": Encoding(_encode_planes, _decode_planes),
}
CODES: dict[str, Encoding] = {
    "packed": Encoding(_encode_packed, _decode_packed),
    "coded": Encoding(_encode_coded, _decode_coded),
}
