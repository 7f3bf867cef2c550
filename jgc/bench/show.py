"""Rows of `jgc bench` as a table and as a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jgc.report.look import BLUE, INK, STYLE
from jgc.report.table import Table

Row = Mapping[str, Any]


def bench_table(rows: Sequence[Row]) -> Table:
    """A line a comparison: both times with their interquartile ranges, and their ratio.

    Example:
        >>> row = {"what": "scaling", "about": "sums", "ours_ms": 2.5, "ours_iqr_ms": 0.1}
        >>> bench_table([row]).lines
        (('scaling', 'sums', '2.5 (0.1)', '', '', ''),)
    """
    header = ("what", "about", "jgc ms", "peer", "peer ms", "times as fast")
    return Table("Measured side by side", header, tuple(map(_line, rows)))


def _line(row: Row) -> tuple[str, ...]:
    if "error" in row:
        return row["what"], row["error"], "", "", "", ""
    ours = _time(row["ours_ms"], row["ours_iqr_ms"])
    if "ratio" not in row:
        return row["what"], row["about"], ours, "", "", ""
    peer = _time(row["peer_ms"], row["peer_iqr_ms"])
    return row["what"], row["about"], ours, row["peer"], peer, f"{row['ratio']:.2f}"


def _time(middle: float, spread: float) -> str:
    return f"{middle:.3g} ({spread:.2g})" if middle < 1000 else f"{middle:.0f} ({spread:.0f})"


def write_figure(rows: Sequence[Row], path: str | Path) -> Path:
    """Draws every ratio as a bar on a logarithmic axis.

    Args:
        rows: From `run`; those without a ratio are left out.
        path: Of an `.svg` or `.png` file.

    Returns:
        The path.

    Raises:
        ValueError: if no row has a ratio.
    """
    shown = [row for row in rows if "ratio" in row]
    if not shown:
        raise ValueError("No row has a peer to draw; is the extra `bench` installed?")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.7 + 0.3 * len(shown)), layout="constrained")
        FigureCanvasAgg(figure)
        ax = figure.subplots()
        places = range(len(shown))[::-1]
        ax.barh(places, [row["ratio"] - 1 for row in shown], left=1, height=0.6, color=BLUE)
        for place, row in zip(places, shown, strict=True):
            ratio = row["ratio"]
            times = f"{ratio:.2g}" if ratio < 99.5 else f"{ratio:.0f}"
            words = f" {times} x {row['peer']}"
            ax.annotate(words, (max(ratio, 1), place), va="center", color=INK, fontsize=8)
        ax.set_yticks(places, [row["what"] for row in shown])
        ax.set_xscale("log")
        ax.set_xlim(min(0.5, *(0.8 * row["ratio"] for row in shown)),
                    6 * max(row["ratio"] for row in shown))  # fmt: skip
        ax.axvline(1, color=INK, linewidth=0.8)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.grid(visible=False, axis="y")
        ax.set_xlabel("times as fast as the peer, same run, equal threads")
        figure.savefig(path, facecolor="white", dpi=200)
    return Path(path)
