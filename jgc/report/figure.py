"""Figures of a study as files: what it cost, what it scored, and what happened inside."""

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jgc.atomic import write_atomic
from jgc.report.draw import (
    draw_bits,
    draw_bytes,
    draw_flops,
    draw_freezing,
    draw_layers,
    draw_sparsity,
)
from jgc.report.label import Label, place_labels
from jgc.report.look import STYLE, Look, looks
from jgc.report.panel import Panel, bit_panels, freeze_panels, layer_panels, score_panels


class Chart(NamedTuple):
    """One kind of figure.

    Attributes:
        panels: What it shows of rows.
        draw: Draws one panel, `(axes, panel, {line: look})`.
        width: Of a panel in inches.
        key: One key above all panels; else each panel has its own.
        labels: Whether the points' labels are written beside them.
    """

    panels: Callable[[Sequence[Mapping[str, Any]]], list[Panel]]
    draw: Callable[[Axes, Panel, Mapping[str, Look]], None]
    width: float = 3.9
    key: bool = True
    labels: bool = False


CHARTS = {
    "bytes": Chart(partial(score_panels, x="bytes_file"), draw_bytes, labels=True),
    "flops": Chart(partial(score_panels, x="train_flops"), draw_flops, labels=True),
    "sparsity": Chart(partial(score_panels, x="sparsity"), draw_sparsity),
    "layers": Chart(layer_panels, draw_layers, width=4.7, key=False),
    "bits": Chart(bit_panels, draw_bits),
    "freezing": Chart(freeze_panels, draw_freezing, width=4.7, key=False),
}


def write_figures(rows: Sequence[Mapping[str, Any]], folder: str | Path) -> list[Path]:
    """Draws score against bytes and sparsity, and what happened inside.

    The files are the same, byte for byte, for the same rows and the same matplotlib.

    Args:
        rows: Result rows.
        folder: Where `NAME.svg` and `NAME.png` go for each `NAME` of `CHARTS`; a figure without a
            point is not written.

    Returns:
        The paths written.

    Example:
        >>> import tempfile
        >>> row = {"dataset": "cora", "task": "node", "model": "gcn", "seed": 0, "test": 0.81,
        ...        "method": "global", "metric": "accuracy", "sparsity": 0.5, "bytes_file": 9000}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in write_figures([row], folder)]
        ['bytes.svg', 'bytes.png', 'sparsity.svg', 'sparsity.png']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, chart in CHARTS.items():
        shown = chart.panels(rows)
        if not shown:
            continue
        with matplotlib.rc_context(STYLE):
            figure = _draw(shown, chart)
            svg = _save(figure, folder / f"{name}.svg", metadata={"Date": None})
            png = _save(figure, folder / f"{name}.png", dpi=200)
            written += [svg, png]
    return written


def _save(figure: Figure, path: Path, **settings: Any) -> Path:
    drawn = io.BytesIO()
    figure.savefig(drawn, format=path.suffix[1:], facecolor="white", **settings)
    write_atomic(path, drawn.getvalue())
    return path


def _draw(shown: Sequence[Panel], chart: Chart) -> Figure:
    columns = min(len(shown), 3)
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(0.4 + chart.width * columns, 0.55 + 3.1 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False)
    look = looks(point.line for panel in shown for point in panel.points)
    for ax, panel in zip(axes.flat, shown, strict=False):
        chart.draw(ax, panel, look)
        _title(ax, panel)
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    if chart.key:
        _key(figure, axes.flat[0], look)
    # Labels are placed last: they must know where everything else came to lie.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    if chart.labels:
        for ax, panel in zip(axes.flat, shown, strict=False):
            _label(ax, panel, look)
    return figure


def _title(ax: Axes, panel: Panel) -> None:
    subtitle = textwrap.wrap(panel.subtitle, 48)
    ax.set_title(panel.title, pad=6 + 12 * len(subtitle))
    ax.annotate("\n".join(subtitle), (0, 1), (0, 5), "axes fraction", textcoords="offset points")


def _label(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    labels = [Label(p.x, p.y, p.label, look[p.line].colour) for p in panel.points]
    bars = [[(p.x, p.y - p.half_width), (p.x, p.y + p.half_width)] for p in panel.points]
    lines = [xy for line in ax.get_lines() if len(xy := np.asarray(line.get_xydata())) > 1]
    place_labels(ax, labels, [*bars, *lines])


def _key(figure: Figure, ax: Axes, look: Mapping[str, Look]) -> None:
    handles, names = ax.get_legend_handles_labels()
    by_name = dict(zip(names, handles, strict=True))
    order = [*look, *(name for name in names if name not in look)]
    # A column takes about half an inch and what the longest name needs.
    column = 0.75 + 0.075 * max(map(len, order))
    dashed = any(line.dash != "-" for line in look.values())
    figure.legend(
        [by_name[name] for name in order], order, loc="outside upper left", frameon=False,
        ncols=max(1, int(figure.get_figwidth() / column)), handletextpad=0.5, columnspacing=1.6,
        handlelength=3.4 if dashed else None,
    )  # fmt: skip
