"""Temporal edge lists of SNAP and of the network repository."""

import io
from typing import Any

import numpy as np

from jgc.data.dataset import DataError, Parsed, TemporalEdges
from jgc.data.source import Files

_COMMENTS = ("#", "%")


def read_temporal(files: Files, file: str) -> Parsed:
    """Reads edges with times: lines of `from to time`, or of `from to weight time`.

    Columns are set apart by blanks, tabs or commas; lines that begin with `#` or `%` are comments.
    Edges are sorted by time, those of equal times stay in the order of the file, and repetitions
    and self loops stay too. Nodes are numbered anew from 0 in the order of their ids, so that a gap
    in the ids leaves no node without edges. Weights are not kept.

    Args:
        files: Where the file is.
        file: Its name.

    Returns:
        What was found, as `temporal`, with a note if there are gaps in the ids.

    Raises:
        DataError: naming file and line, for a line without a time, times that are negative or no
            numbers, ids that are not whole numbers in 0..2^53 - 1, and lines of different lengths.

    References:
        https://snap.stanford.edu/data (section "Temporal networks"), https://networkrepository.com.
    """
    edges, n_id = temporal_edges(files.text(file), file)
    notes = ()
    if n_id > edges.n_node:
        notes = (f"{file}: {n_id - edges.n_node} ids have no edge; nodes are numbered anew.",)
    return Parsed([], np.zeros(0), 1, notes, temporal=edges)


def temporal_edges(text: str, file: str) -> tuple[TemporalEdges, int]:
    r"""Edges of a text, and how many ids there are from the smallest to the largest.

    Args:
        text: The whole file.
        file: Its name, for messages.

    Raises:
        DataError: as `read_temporal`.

    Example:
        >>> edges, n_id = temporal_edges("% asym\r\n7\t3 20\n3 9  10\n", "a.edges")
        >>> edges.senders.tolist(), edges.receivers.tolist(), edges.times.tolist(), n_id
        ([0, 1], [2, 0], [10.0, 20.0], 7)
    """
    table = _table(text, file)
    if table.shape[1] not in (3, 4):
        line, words = next(_lines(text))
        raise DataError(
            f"{file}: line {line} has {len(words)} columns; `from to time` or `from to weight "
            "time` is needed. Are the times missing?"
        )
    ids, times = table[:, :2], table[:, -1]
    _refuse(text, file, ~np.isfinite(table).all(1), "a number that is not finite")
    _refuse(text, file, (ids != np.floor(ids)).any(1), "a node that is no whole number")
    _refuse(text, file, (ids < 0).any(1), "a negative node; what is unknown is no node")
    _refuse(text, file, (ids >= 2**53).any(1), "a node of 2^53 or more, which float64 rounds")
    _refuse(text, file, times < 0, "a negative time; times count from a start")
    order = np.argsort(times, kind="stable")
    known, nodes = np.unique(ids[order], return_inverse=True)
    senders, receivers = nodes.reshape(-1, 2).astype(np.int64).T
    edges = TemporalEdges(senders, receivers, times[order], known.size)
    return edges, int(known[-1] - known[0]) + 1


def _table(text: str, file: str) -> np.ndarray:
    """All lines as float64, which is exact for whole numbers below 2^53, `[n_edge, n_column]`."""
    if next(_lines(text), None) is None:
        raise DataError(f"{file}: the file has no edges.")
    plain = text.replace(",", " ") if "," in text else text
    try:
        lines = io.StringIO(plain, newline=None)  # \r ends a line here as in `_lines`.
        return np.loadtxt(lines, np.float64, comments=_COMMENTS, ndmin=2)
    except ValueError as error:
        raise _complaint(text, file) from error


def _complaint(text: str, file: str) -> DataError:
    first = None
    for line, words in _lines(text):
        first = first or (line, len(words))
        if len(words) != first[1]:
            return DataError(
                f"{file}: line {line} has {len(words)} columns, line {first[0]} has {first[1]}. Is "
                "a time missing, or the file truncated?"
            )
        try:
            np.array(words, float)
        except ValueError:
            return DataError(f"{file}: line {line} is {' '.join(words)[:60]!r}, not numbers.")
    return DataError(f"{file}: not a table of numbers.")


def _refuse(text: str, file: str, bad: Any, what: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        line, words = next(found for i, found in enumerate(_lines(text)) if i == row)
        raise DataError(f"{file}: line {line} is {' '.join(words)[:60]!r}, with {what}.")


def _lines(text: str):
    """Number and words of every line with words, but for comments."""
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        for mark in _COMMENTS:
            line = line.partition(mark)[0]
        words = line.replace(",", " ").split()
        if words:
            yield number, words
