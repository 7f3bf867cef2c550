"""Whole numbers packed at their own bit width, and what that takes."""

import numpy as np


def pack(numbers, width: int) -> bytes:
    """Packs unsigned whole numbers at `width` bits each, lowest bit first, no gaps between them.

    Args:
        numbers: Whole numbers in `0..2^width - 1`, `[n]`.
        width: Bits per number, 0..32. Zero bits hold only zeros.

    Returns:
        `packed_bytes(n, width)` bytes; the spare bits of the last byte are 0.

    Raises:
        ValueError: if `width` is outside 0..32 or a number does not fit.

    Example:
        >>> pack([1, 2, 3], width=2).hex()  # 0b11_10_01
        '39'
        >>> unpack(bytes.fromhex("39"), width=2, n=3).tolist()
        [1, 2, 3]
    """
    _check_width(width)
    numbers = np.asarray(numbers, np.int64).reshape(-1)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= 1 << width):
        raise ValueError(
            f"`numbers` must be in 0..{(1 << width) - 1} for {width} bits, got "
            f"{numbers.min()}..{numbers.max()}."
        )
    planes = (numbers[:, None] >> np.arange(width)) & 1
    return np.packbits(planes.astype(np.uint8), bitorder="little").tobytes()


def unpack(data, width: int, n: int) -> np.ndarray:
    """Reads back what `pack` wrote.

    Args:
        data: The packed bytes.
        width: Bits per number, 0..32.
        n: How many numbers there are.

    Returns:
        The numbers, int64 `[n]`.

    Raises:
        ValueError: if `data` is not exactly `packed_bytes(n, width)` long.

    Example:
        >>> unpack(b"", width=0, n=3).tolist()
        [0, 0, 0]
    """
    _check_width(width)
    if len(data) != packed_bytes(n, width):
        raise ValueError(
            f"{n} numbers of {width} bits are {packed_bytes(n, width)} bytes, got {len(data)}."
        )
    planes = np.unpackbits(np.frombuffer(data, np.uint8), count=n * width, bitorder="little")
    numbers = np.zeros(n, np.int64)
    for bit, plane in enumerate(planes.reshape(n, width).T):
        numbers |= plane.astype(np.int64) << bit
    return numbers


def packed_bytes(n: int, width: int) -> int:
    """Bytes of `n` numbers packed at `width` bits each.

    Example:
        >>> packed_bytes(3, width=3)
        2
    """
    return (n * width + 7) // 8


def _check_width(width: int) -> None:
    if not 0 <= width <= 32:
        raise ValueError(f"`width` must be 0..32 bits, got {width}.")
