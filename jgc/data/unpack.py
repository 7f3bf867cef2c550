"""Unpacking gzip and zip: no small file may fill a large memory."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from jgc.data.dataset import DataError

# An archive may unpack to 64 MiB in any case and to 256 times its own size beyond: public files
# reach 144 (Chameleon's rows of zeros), a bomb 1000 for each layer.
_ANYWAY = 1 << 26
_A_BYTE = 256
# What gzip and zipfile raise for bytes that are no archive, or of a kind that they cannot read.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, struct.error,
)  # fmt: skip
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def gunzipped(packed: bytes, file: str) -> bytes:
    """The content of a gzip file.

    Args:
        packed: Its bytes.
        file: Its name, for messages.

    Raises:
        DataError: if it is truncated, damaged or a bomb: unpacks to more than 64 MiB and 256 times
            its own size. No more than that is ever allocated.

    Example:
        >>> gunzipped(gzip.compress(b"1 2"), "a.txt.gz")
        b'1 2'
    """
    most = _most(len(packed))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            data = stream.read(most + 1)
    except _DAMAGED as error:
        raise DataError(f"{file}: truncated or damaged ({error}).") from error
    _check_size(file, len(packed), len(data))
    return data


def unzipped(
    packed: BinaryIO, file: str, wanted: Callable[[str], bool]
) -> Iterator[tuple[str, bytes]]:
    """Members of a zip file, one at a time.

    Args:
        packed: The file, open.
        file: Its name, for messages.
        wanted: Whether to yield a member of that name.

    Yields:
        Name, as the archive has it (never write to it: it may climb out), and content.

    Raises:
        DataError: if it is truncated, damaged, encrypted, packed in another way than deflate, or a
            bomb as for `gunzipped`, all wanted members together.

    Example:
        >>> packed = io.BytesIO()
        >>> with zipfile.ZipFile(packed, "w") as archive:
        ...     archive.writestr("folder/a.txt", "1 2")
        >>> list(unzipped(packed, "a.zip", lambda name: name.endswith("a.txt")))
        [('folder/a.txt', b'1 2')]
    """
    size = packed.seek(0, io.SEEK_END)
    try:
        with zipfile.ZipFile(packed) as archive:
            members = [member for member in archive.infolist() if wanted(member.filename)]
            _check_size(file, size, sum(member.file_size for member in members))
            for member in members:
                yield member.filename, _content(archive, member, file)
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{file}: truncated or damaged ({error}).") from error


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: str) -> bytes:
    if member.compress_type not in _METHODS or member.flag_bits & 1:
        raise DataError(f"{file}: {member.filename!r} is encrypted or not packed by deflate.")
    with archive.open(member) as stream:
        # With a size zipfile stops there, even where the member goes on; one more byte lets it see
        # the end and compare the checksum.
        return stream.read(member.file_size + 1)


def _most(size: int) -> int:
    return max(_ANYWAY, _A_BYTE * size)


def _check_size(file: str, packed: int, unpacked: int) -> None:
    if unpacked > _most(packed):
        raise DataError(
            f"{file}: {packed} bytes unpack to more than {_most(packed)}; that is no data set. If "
            "you trust the file, unpack it yourself."
        )
