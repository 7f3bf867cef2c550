"""`write_atomic`: a file appears whole or not at all."""

import os
import secrets
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, all or nothing: a failure or a kill leaves what was there before.

    Processes may write the same file at once: the last one wins, whole.

    Args:
        path: The file. Its folder must exist.
        data: The bytes.

    Raises:
        OSError: if the folder is missing or read-only, or the disk is full.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomic(Path(folder, "a.txt"), b"whole")
        ...     [(path.name, path.read_bytes()) for path in Path(folder).iterdir()]
        [('a.txt', b'whole')]
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
