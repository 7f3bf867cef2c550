"""`Store`: the result rows of a study on disk, one JSON object a line."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jgc.study.rows import check_row

LOCK_SECONDS = 60.0  # An append takes milliseconds; whoever holds the lock a minute hangs.


class Store:
    """The rows of one folder, in `results.jsonl`: the truth that every table is rebuilt from.

    Rows are only ever appended, under a file lock, and are on the disk when `append` returns. Any
    number of processes may share a folder: no line is ever torn and no key is written twice. A
    writer that was killed leaves at most one partial last line, which the next `Store` moves to
    `results.jsonl.partial` and reports. Reading takes no lock and works in a read-only folder.

    Args:
        folder: Where `results.jsonl` lies; made at the first `append`.
        report: Called with one sentence when a partial line was moved away.

    Raises:
        ValueError: naming file and line, for a line that is no row. Nothing is changed then.
        OSError: if the file cannot be read.

    Example:
        >>> import tempfile
        >>> row = {"dataset": "cora", "task": "node", "model": "gcn", "method": "dense", "seed": 0,
        ...        "metric": "accuracy", "test": 0.815, "config": {"dataset": "cora", "seed": 0}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(folder)
        ...     store.append([row, row]), store.append([row]), len(Store(folder).rows())
        (1, 0, 1)
    """

    def __init__(self, folder: str | Path, *, report: Callable[[str], None] = print):
        self.folder = Path(folder)
        self.path = self.folder / "results.jsonl"
        self._report = report
        self._rows: dict[str, dict[str, Any]] = {}
        self._end = 0  # Bytes of the file that `_rows` already holds.
        self._lines = 0
        if self._tail():
            with self._lock():
                self._repair()
        self._read()

    def rows(self) -> list[dict[str, Any]]:
        """All rows in the order of the file; of rows with one key the first."""
        self._read()
        return list(self._rows.values())

    def keys(self) -> set[str]:
        """Keys of all rows: what a resumed study need not run again."""
        self._read()
        return set(self._rows)

    def begin(self, resume: bool) -> None:
        """Refuses to mix new rows with those that are there, unless that is meant.

        Args:
            resume: It is meant.

        Raises:
            ValueError: for rows in the folder without `resume`.
        """
        if self.rows() and not resume:
            raise ValueError(
                f"{self.folder} already holds {len(self.rows())} rows. Add --resume "
                "(`resume=True`) to go on with them, or choose another folder with --out."
            )

    def append(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Writes the rows whose keys are new and forces them to the disk.

        Args:
            rows: Rows as `jgc.study.rows.check_row` takes them; all are checked before the first
                is written.

        Returns:
            The number of rows written.

        Raises:
            ValueError: for a bad row.
            OSError: if the disk is full or the folder cannot be written: rows that fitted stay,
                no partial line is left behind.
        """
        checked = [check_row(row) for row in rows]
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            self._repair()
            self._read()
            before = len(self._rows)
            self._write(checked)
            return len(self._rows) - before

    def _write(self, rows: list[dict[str, Any]]) -> None:
        # Unbuffered: what was written is known to the byte when the disk turns out to be full.
        with self.path.open("ab", buffering=0) as file:
            for row in rows:
                if row["key"] in self._rows:
                    continue
                line = json.dumps(row, separators=(",", ":"), allow_nan=False).encode() + b"\n"
                self._write_line(file, line)
                self._rows[row["key"]] = row
                self._end += len(line)
                self._lines += 1

    def _write_line(self, file, line: bytes) -> None:
        start = file.seek(0, os.SEEK_END)
        try:
            _write_all(file, line)
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(start)
            raise OSError(
                error.errno,
                f"{error.strerror or error}; the {len(self._rows)} rows already there are safe. "
                "Make space and run again with --resume",
                str(self.path),
            ) from error

    def _read(self) -> None:
        """Takes in the whole lines that were written since the last look."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._end)
            whole, newline, _ = file.read().rpartition(b"\n")
        if not newline:
            return
        for number, line in enumerate(whole.split(b"\n"), self._lines + 1):
            row = _parse(line, f"{self.path}, line {number}")
            self._rows.setdefault(row["key"], row)
            self._lines = number
        self._end += len(whole) + 1

    def _repair(self) -> None:
        """Ends the file with a whole line; only under the lock, when nobody is writing."""
        tail = self._tail()
        if not tail:
            return
        whole = self.path.stat().st_size - len(tail)
        if _is_row(tail):  # Only the newline is missing.
            with self.path.open("ab") as file:
                file.write(b"\n")
            return
        partial = self.path.with_name(self.path.name + ".partial")
        with partial.open("ab") as file:
            file.write(tail + b"\n")
        os.truncate(self.path, whole)
        self._report(
            f"{self.path}: the last line was cut short ({len(tail)} bytes, a killed run?); "
            f"moved it to {partial.name} and kept all rows before it."
        )

    def _tail(self) -> bytes:
        """Bytes after the last newline: empty unless a writer is writing, or was killed."""
        if not self.path.exists():
            return b""
        with self.path.open("rb") as file:
            file.seek(self._end)
            return file.read().rpartition(b"\n")[2]

    @contextmanager
    def _lock(self):
        lock = FileLock(self.folder / "results.jsonl.lock", timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            raise OSError(
                f"{lock.lock_file} has been held by another process for {LOCK_SECONDS:.0f} s. "
                "Is another jgc stuck? End it, or choose another folder."
            ) from None
        try:
            yield
        finally:
            lock.release()


def _write_all(file, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _parse(line: bytes, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON ({error}). Mend or remove this line.") from None
    if not isinstance(row, dict):
        raise ValueError(f"{place}: a row is an object {{...}}, got {type(row).__name__}.")
    try:
        return check_row(row)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: {error}") from None


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
