"""Figures of a study: score against bytes and against sparsity, with 95 % intervals."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from jgc.report.label import Label, place_labels
from jgc.report.number import metric_name, n_bytes
from jgc.study.rows import FRACTION_METRICS
from jgc.study.stats import Summary, summarise

# Ink, hairlines and the darkest colour; the page swaps these for lighter ones in dark mode.
INK, HAIRLINE, BLUE = "#24292f", "#d8dee4", "#0072b2"
# Okabe and Ito's colours, which stay apart for colour-blind readers and in grey; no yellow, which
# vanishes on white. Mid tones, so that they read on dark paper too.
_COLOURS = (BLUE, "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_MARKERS = ("o", "s", "D", "^", "v", "P")
_DENSE = ("#7d8590", "X")
_FRONT = "#7d859055"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": HAIRLINE,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "jgc",
    "svg.fonttype": "path",
}


class Point(NamedTuple):
    """One method at one level, on one panel."""

    method: str
    x: float
    y: float
    half_width: float
    label: str


class Panel(NamedTuple):
    """One data set, task and model.

    Attributes:
        title: Data set and split.
        subtitle: Task and model.
        metric: Name of the metric on the y axis.
        points: In the order of the rows.
        dense: Mean score of the dense model, or `None`.
    """

    title: str
    subtitle: str
    metric: str
    points: tuple[Point, ...]
    dense: float | None


def panels(rows: Sequence[Mapping[str, Any]], x: str) -> list[Panel]:
    """What a figure shows, one panel for each data set, split, task and model.

    Args:
        rows: Result rows.
        x: `bytes_file` (every method) or `sparsity` (methods that prune; the dense model is the
            level line).

    Returns:
        Panels with at least one point. Scores are in the unit of `metric_name`.
    """
    groups: dict[tuple, list[Summary]] = {}
    for summary in summarise(rows):
        if "test" in summary.values and "metric" in summary.group:
            groups.setdefault(_where(summary), []).append(summary)
    found = [_panel(where, members, x) for where, members in groups.items()]
    return [panel for panel in found if panel.points]


def write_figures(rows: Sequence[Mapping[str, Any]], folder: str | Path) -> list[Path]:
    """Draws score against bytes and score against sparsity.

    The files are the same, byte for byte, for the same rows and the same matplotlib.

    Args:
        rows: Result rows.
        folder: Where `bytes.svg`, `bytes.png`, `sparsity.svg` and `sparsity.png` go; a figure
            without a point is not written.

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
    for name, x in (("bytes", "bytes_file"), ("sparsity", "sparsity")):
        shown = panels(rows, x)
        if not shown:
            continue
        with matplotlib.rc_context(_STYLE):
            figure = _draw(shown, log=x == "bytes_file")
            svg, png = folder / f"{name}.svg", folder / f"{name}.png"
            figure.savefig(svg, facecolor="white", metadata={"Date": None})
            figure.savefig(png, facecolor="white", dpi=200)
            written += [svg, png]
    return written


def pareto(points: Sequence[Point], *, larger_is_better: bool) -> list[Point]:
    """The points that no other beats in both bytes and score, from small to large.

    Example:
        >>> dots = [Point("a", 1.0, 0.5, 0, ""), Point("b", 2.0, 0.4, 0, ""),
        ...         Point("c", 3.0, 0.6, 0, "")]
        >>> [p.method for p in pareto(dots, larger_is_better=True)]
        ['a', 'c']
    """
    sign = 1 if larger_is_better else -1
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -sign * p.y)):
        if not front or sign * point.y > sign * front[-1].y:
            front.append(point)
    return front


def _where(summary: Summary) -> tuple:
    return tuple(
        summary.group.get(key, "")
        for key in ("dataset", "split", "task", "model", "settings", "metric")
    )


def _panel(where: tuple, members: Sequence[Summary], x: str) -> Panel:
    dataset, split, task, model, settings, metric = where
    unit = 100 if metric in FRACTION_METRICS else 1
    points, dense = [], None
    for summary in members:
        test, group = summary.values["test"], summary.group
        if group["method"] == "dense":
            dense = unit * test.mean
        at = summary.values[x].mean if x in summary.values else group.get(x)
        if at is not None:
            half = unit * (test.half_width or 0.0)
            points.append(Point(group["method"], at, unit * test.mean, half, _level(group, x)))
    of = f"{dataset} ({split})" if split else dataset
    with_ = f"{model} ({settings})" if settings else model
    return Panel(of, f"{task} / {with_}", metric, tuple(points), dense)


def _level(group: Mapping[str, Any], x: str) -> str:
    """What sets a point apart within its method; what the x axis already says is left out."""
    words = [f"{group['sparsity']:g}"] if "sparsity" in group and x != "sparsity" else []
    words += [f"{group['bits']:g} bit"] if "bits" in group else []
    return ", ".join(words) or ("dense" if group["method"] == "dense" else "")


def _draw(shown: Sequence[Panel], *, log: bool) -> Figure:
    columns = min(len(shown), 3)
    lines = -(-len(shown) // columns)
    figure = Figure(figsize=(0.4 + 3.9 * columns, 0.55 + 3.1 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, columns, squeeze=False)
    look = _looks(shown)
    for ax, panel in zip(axes.flat, shown, strict=False):
        _draw_panel(ax, panel, look, log=log)
    for ax in axes.flat[len(shown) :]:
        ax.set_axis_off()
    _legend(figure, axes.flat[0], look)
    # Labels are placed last: they must know where everything else came to lie.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax, panel in zip(axes.flat, shown, strict=False):
        labels = [Label(p.x, p.y, p.label, look[p.method][0]) for p in panel.points]
        bars = [[(p.x, p.y - p.half_width), (p.x, p.y + p.half_width)] for p in panel.points]
        lines = [line.get_xydata() for line in ax.get_lines() if len(line.get_xydata()) > 1]
        place_labels(ax, labels, [*bars, *lines])
    return figure


def _looks(shown: Sequence[Panel]) -> dict[str, tuple[str, str]]:
    methods = dict.fromkeys(point.method for panel in shown for point in panel.points)
    others = [method for method in methods if method != "dense"]
    looks = {
        method: (_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)])
        for i, method in enumerate(others)
    }
    return ({"dense": _DENSE} if "dense" in methods else {}) | looks


def _draw_panel(ax: Axes, panel: Panel, look: Mapping[str, tuple[str, str]], *, log: bool) -> None:
    is_larger_better = panel.metric in FRACTION_METRICS
    if log:
        front = pareto(panel.points, larger_is_better=is_larger_better)
        # Corners as points of the line, so that labels keep clear of the steps too.
        corners = [(b.x, a.y) for a, b in itertools.pairwise(front)]
        steps = [(front[0].x, front[0].y)] + [
            point for corner, p in zip(corners, front[1:], strict=True)
            for point in (corner, (p.x, p.y))
        ]  # fmt: skip
        ax.plot(*zip(*steps, strict=True), color=_FRONT, linewidth=5, solid_joinstyle="round",
                solid_capstyle="round", zorder=1.5, label="Pareto front")  # fmt: skip
    elif panel.dense is not None:
        ax.axhline(panel.dense, color=_DENSE[0], linewidth=1.2, linestyle=(0, (4, 3)),
                   label="dense", zorder=2)  # fmt: skip
    for method, (colour, marker) in look.items():
        points = sorted((p for p in panel.points if p.method == method), key=lambda p: p.x)
        ax.errorbar([p.x for p in points], [p.y for p in points],
                    yerr=[p.half_width for p in points], color=colour, marker=marker,
                    markersize=6.5, linewidth=1.4, elinewidth=1.2, capsize=2.5, zorder=3,
                    label=method)  # fmt: skip
    subtitle = textwrap.wrap(panel.subtitle, 48)
    ax.set_title(panel.title, pad=6 + 12 * len(subtitle))
    ax.annotate("\n".join(subtitle), (0, 1), (0, 5), "axes fraction", textcoords="offset points")
    direction = "" if is_larger_better else " (lower is better)"
    ax.set_ylabel(f"test {metric_name(panel.metric)}{direction}")
    ax.margins(x=0.2, y=0.16)
    ax.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    (_byte_axis if log else _sparsity_axis)(ax)


def _byte_axis(ax: Axes) -> None:
    ax.set_xscale("log")
    ax.set_xlabel("bytes of the file (log)")
    low, high = ax.get_xlim()
    steps: Sequence[float] = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_bytes(value)))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _sparsity_axis(ax: Axes) -> None:
    ax.set_xlabel("sparsity (fraction of prunable weights removed)")
    ax.set_xlim(-0.04, 1.04)


def _round_bytes(value: float) -> str:
    return n_bytes(value).replace(".00", "").replace(".0", "")


def _legend(figure: Figure, ax: Axes, look: Mapping[str, Any]) -> None:
    handles, names = ax.get_legend_handles_labels()
    by_name = dict(zip(names, handles, strict=True))
    order = [*look, *(name for name in names if name not in look)]
    figure.legend(
        [by_name[name] for name in order], order, loc="outside upper left", frameon=False,
        ncols=max(2, int(figure.get_figwidth() / 1.25)), handletextpad=0.5, columnspacing=1.6,
    )  # fmt: skip
