"""Bytes under zstandard, without what the manifest of an artefact already says."""

from collections.abc import Sequence

import zstandard

# Weights hold little to match and much to weigh: on a Cora GCN and on 2e6 normal weights level 9
# gives the bytes of level 19 within 2 % at 25 times the speed. No magic number, length or checksum
# is written: the manifest knows the lengths and carries one digest of everything.
_LEVEL = 9
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS
_MAX_WINDOW = 1 << 27


def compress(parts: Sequence[bytes], known: bytes = b"") -> bytes:
    """Compresses `parts` one after the other, each with statistics of its own.

    Args:
        parts: Byte strings that are unlike each other, such as the exponents and the mantissas of
            floats.
        known: Text to refer back to, as if it had just been written; whoever reads must know it.

    Returns:
        One frame that unpacks to the parts joined.

    Example:
        >>> frame = compress([bytes(100), bytes(range(100))])
        >>> len(frame) < 130, decompress(frame, most=200) == bytes(100) + bytes(range(100))
        (True, True)
    """
    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, format=_FORMAT, write_content_size=False, write_checksum=False, write_dict_id=False
    )
    stream = zstandard.ZstdCompressor(
        compression_params=settings, dict_data=_dictionary(known)
    ).compressobj()
    frame = bytearray()
    for i, part in enumerate(parts):
        if i:
            frame += stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        frame += stream.compress(part)
    return bytes(frame + stream.flush())


def decompress(frame, most: int, known: bytes = b"") -> bytes:
    """Unpacks a frame of `compress`.

    Args:
        frame: The compressed bytes.
        most: The largest length that makes sense; nothing beyond is ever allocated.
        known: As `compress` was given it.

    Returns:
        The bytes.

    Raises:
        ValueError: if `frame` is no such frame or holds more than `most` bytes.
    """
    reader = zstandard.ZstdDecompressor(
        format=_FORMAT, max_window_size=_MAX_WINDOW, dict_data=_dictionary(known)
    ).stream_reader(frame)
    try:
        data = reader.read(most + 1)
    except zstandard.ZstdError as error:
        raise ValueError(f"the compressed bytes are damaged: {error}.") from error
    if len(data) > most:
        raise ValueError(f"the compressed bytes hold more than the {most} bytes they may.")
    return data


def _dictionary(known: bytes) -> zstandard.ZstdCompressionDict | None:
    if not known:
        return None
    return zstandard.ZstdCompressionDict(known, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
