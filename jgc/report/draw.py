"""What each kind of figure draws on the axes of one panel."""

import itertools
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from jgc.report.look import BLUE, GREY, INK, Look, looks
from jgc.report.number import metric_name, n_bytes
from jgc.report.panel import CROWD, Panel, Point, pareto
from jgc.study.rows import FRACTION_METRICS

_FRONT = f"{GREY.colour}55"
# From the first layer to the last.
_DEPTH = LinearSegmentedColormap.from_list("depth", [BLUE, "#cc79a7", "#e69f00"])


def draw_bytes(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    """Scores against bytes on a logarithmic axis, over the band of the Pareto front."""
    _draw_front(ax, panel, look)
    ax.set_xlabel("bytes of the file (log)")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_bytes(value)))


def draw_flops(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    """Scores against computed FLOPs of the training, as `draw_bytes`."""
    _draw_front(ax, panel, look)
    ax.set_xlabel("FLOPs of the training, computed (log)")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}".replace("e+", "e")))


def _draw_front(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    front = pareto(panel.points, larger_is_better=panel.metric in FRACTION_METRICS)
    # Corners as points of the line, so that labels keep clear of the steps too.
    corners = [(b.x, a.y) for a, b in itertools.pairwise(front)]
    stairs = [(front[0].x, front[0].y)] + [
        point for corner, p in zip(corners, front[1:], strict=True)
        for point in (corner, (p.x, p.y))
    ]  # fmt: skip
    ax.plot(*zip(*stairs, strict=True), color=_FRONT, linewidth=5, solid_joinstyle="round",
            solid_capstyle="round", zorder=1.5, label="Pareto front")  # fmt: skip
    _lines(ax, panel, look)
    if len(panel.points) > CROWD:
        for point in front:
            ax.plot(point.x, point.y, look[point.line].marker, color=look[point.line].colour,
                    markersize=7, markeredgecolor=INK, markeredgewidth=0.8, zorder=3.5)  # fmt: skip
    _score_axis(ax, panel)
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    span = high / low
    steps = (1.0, 2.0, 5.0) if span < 60 else (1.0, 3.0) if span < 1000 else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=steps))
    ax.xaxis.set_minor_formatter(NullFormatter())


def draw_sparsity(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    """Scores against sparsity, with the dense model as a level line."""
    if panel.dense is not None:
        ax.axhline(panel.dense, color=GREY.colour, linewidth=1.2, linestyle=GREY.dash,
                   label="dense", zorder=2)  # fmt: skip
    _lines(ax, panel, look)
    _score_axis(ax, panel)
    _sparsity_axis(ax)


def draw_layers(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    """Kept fraction of each layer against sparsity; the layers differ by panel, as does the key."""
    del look
    ax.plot([0, 1], [1, 0], color=GREY.colour, linewidth=1.2, linestyle=GREY.dash, zorder=2,
            label="whole model")  # fmt: skip
    layers = list(looks(point.line for point in panel.points).items())
    for i, (layer, look_) in enumerate(layers):
        points = _of_line(panel, layer)
        colour = to_hex(_DEPTH(i / max(len(layers) - 1, 1)))
        x, low, high = zip(
            *((p.x, max(p.y - p.half_width, 0), min(p.y + p.half_width, 1)) for p in points),
            strict=True,
        )
        ax.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0, zorder=2.5)
        ax.plot(x, [p.y for p in points], color=colour, marker=look_.marker, markersize=4.5,
                linewidth=1.4, zorder=3, label=layer.removeprefix("encoder/"))  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=7.5,
              handlelength=2.2, handletextpad=0.5, labelspacing=0.35)  # fmt: skip
    ax.set_ylabel("kept fraction of the layer")
    ax.set_ylim(-0.04, 1.04)
    _sparsity_axis(ax, "whole model")


def draw_bits(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    """Learned bits against in-degree, whose ranges double in width."""
    _lines(ax, panel, look)
    names = dict(sorted({point.x: point.label for point in panel.points}.items()))
    # A few short names fit side by side.
    turned = {} if len(names) < 8 else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(list(names), list(names.values()), fontsize=8, **turned)
    ax.set_xlabel("in-degree of the node")
    ax.set_ylabel("learned bits of a feature")
    ax.margins(x=0.06, y=0.12)
    ax.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))


def draw_freezing(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    """A bar for each matrix as long as it trained, from the first layer down; the run in grey."""
    for point in panel.points:
        name = "whole run" if point.label == "run" else point.line
        colour = BLUE if point.line == "dense" else look[point.line].colour
        colour = GREY.colour if point.label == "run" else colour
        told = name in ax.get_legend_handles_labels()[1]
        ax.barh(point.x, point.y, xerr=point.half_width or None, height=0.7, color=colour,
                ecolor=INK, capsize=2.5, error_kw={"elinewidth": 1.0}, zorder=2.5,
                label="_" if told else name)  # fmt: skip
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, fontsize=7.5)
    names = {p.x: p.label.removeprefix("encoder/") for p in panel.points}
    ax.set_yticks(list(names), list(names.values()), fontsize=7.5)
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("epochs trained")


def _lines(ax: Axes, panel: Panel, look: Mapping[str, Look]) -> None:
    """Every line of the figure, with the panel's points; the key needs those without any, too."""
    size = 4.5 if len(panel.points) > CROWD else 6.5
    for line, (colour, marker, dash) in look.items():
        points = _of_line(panel, line)
        ax.errorbar([p.x for p in points], [p.y for p in points],
                    yerr=[p.half_width for p in points], color=colour, marker=marker,
                    markersize=size, linewidth=1.4, elinewidth=1.2, capsize=2.5, zorder=3,
                    linestyle=dash, label=line)  # fmt: skip


def _of_line(panel: Panel, line: str) -> list[Point]:
    return sorted((p for p in panel.points if p.line == line), key=lambda p: p.x)


def _score_axis(ax: Axes, panel: Panel) -> None:
    direction = "" if panel.metric in FRACTION_METRICS else " (lower is better)"
    ax.set_ylabel(f"test {metric_name(panel.metric)}{direction}")
    ax.margins(x=0.2, y=0.16)
    ax.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))


def _sparsity_axis(ax: Axes, of: str = "fraction of prunable weights removed") -> None:
    ax.set_xlabel(f"sparsity ({of})")
    ax.set_xlim(-0.04, 1.04)


def _round_bytes(value: float) -> str:
    return n_bytes(value).replace(".00", "").replace(".0", "")
