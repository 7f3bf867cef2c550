"""Number tables in text files, with the line in every complaint."""

import io
import warnings

import numpy as np

from jgc.data.dataset import DataError


def number_table(text: str, file: str, dtype, *, delimiter: str | None = None) -> np.ndarray:
    r"""Reads lines of numbers; blank lines are allowed at the end only.

    Args:
        text: The whole file.
        file: Its name, for messages.
        dtype: `np.int64` or `np.float32`.
        delimiter: Between the columns; by default any white space.

    Returns:
        `[n_line, n_column]`; row i is line i + 1 of the file.

    Raises:
        DataError: naming file and line, for an empty file, a line that is no number or is not
            finite, or lines of different lengths.

    Example:
        >>> number_table("1, 2\n3, 4\n", "A.txt", np.int64, delimiter=",").tolist()
        [[1, 2], [3, 4]]
    """
    lines = text.rstrip().splitlines()
    if not lines:
        raise DataError(f"{file}: the file is empty.")
    try:
        if any(not line.strip() for line in lines):
            raise ValueError
        stream = io.StringIO("\n".join(lines))
        with warnings.catch_warnings():  # Before numpy 2.3 it only warns where it cuts 1.5 to 1.
            warnings.simplefilter("error", DeprecationWarning)
            table = np.loadtxt(stream, dtype, comments=None, delimiter=delimiter, ndmin=2)
    except (ValueError, DeprecationWarning) as error:
        raise _complaint(lines, file, dtype, delimiter) from error
    bad = np.argwhere(~np.isfinite(table))
    if bad.size:
        raise DataError(f"{file}: line {bad[0, 0] + 1} holds {table[*bad[0]]}; it must be finite.")
    return table


def _complaint(lines: list[str], file: str, dtype, delimiter: str | None) -> DataError:
    kind = "whole numbers" if np.issubdtype(dtype, np.integer) else "numbers"
    width = len(lines[0].split(delimiter))
    for number, line in enumerate(lines, 1):
        cells = line.split(delimiter)
        try:
            np.array([cell.strip() for cell in cells]).astype(dtype)
        except (ValueError, OverflowError):
            return DataError(f"{file}: line {number} is {line[:60]!r}, not {kind}.")
        if len(cells) != width:
            return DataError(
                f"{file}: line {number} has {len(cells)} columns, line 1 has {width}. Is the file "
                "truncated?"
            )
    return DataError(f"{file}: not a table of {kind}.")
