"""What figures show, from rows alone: panels of points, one for each data set, task and model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jgc.study.rows import FRACTION_METRICS
from jgc.study.stats import Summary, summarise

# A panel of more points is crowded: it says the levels of those on its front only.
CROWD = 12


class Point(NamedTuple):
    """One level of one line, on one panel.

    Attributes:
        line: What its line is of: a method, a layer.
        x: Where it lies.
        y: Mean over seeds.
        half_width: Of the 95 % interval of the mean; 0 for one seed.
        label: What is written beside it, or where it lies on an axis of words.
    """

    line: str
    x: float
    y: float
    half_width: float
    label: str


class Panel(NamedTuple):
    """One data set, task and model.

    Attributes:
        title: Data set and split.
        subtitle: Task and model.
        metric: Name of the metric.
        points: In the order of the rows.
        dense: Mean score of the dense model in the unit of `metric_name`, or `None`.
    """

    title: str
    subtitle: str
    metric: str
    points: tuple[Point, ...]
    dense: float | None


def score_panels(rows: Sequence[Mapping[str, Any]], x: str) -> list[Panel]:
    """Scores of methods against what they cost.

    Args:
        rows: Result rows.
        x: `bytes_file` or `train_flops` (every method), or `sparsity` (methods that prune; the
            dense model is the level line).

    Returns:
        Panels with points to compare; where none has more than one, those with one. Scores are in
        the unit of `metric_name`.
    """
    shown = _panels(rows, lambda members: _scores(members, x))
    return [panel for panel in shown if len(panel.points) > 1] or shown


def layer_panels(rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Kept fraction of each layer against sparsity, where one ranking prunes all layers.

    Of several methods that prune so (`global`, `global/none`, ...) the first to have a sparsity
    speaks for all: they differ in what follows.

    Returns:
        Panels with at least one point; lines are layers.
    """
    return _panels(rows, _layers)


def bit_panels(rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Learned bits against in-degree.

    Returns:
        Panels with at least one point; lines are methods and levels. Each range of in-degrees is
        one step on the x axis, and `label` is its name.
    """
    return _panels(rows, _bits)


def freeze_panels(rows: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """Epochs that each matrix trained before GradES froze it, and epochs of the whole run.

    Returns:
        Panels with at least one point; lines are methods. Each matrix is one step on the x axis, in
        the order of the model, and `label` is its name; the run is the last step of its method.
    """
    return _panels(rows, _freezing)


def pareto(points: Sequence[Point], *, larger_is_better: bool) -> list[Point]:
    """The points that no other beats in both cost and score, from small to large.

    Example:
        >>> dots = [Point("a", 1.0, 0.5, 0, ""), Point("b", 2.0, 0.4, 0, ""),
        ...         Point("c", 3.0, 0.6, 0, "")]
        >>> [p.line for p in pareto(dots, larger_is_better=True)]
        ['a', 'c']
    """
    sign = 1 if larger_is_better else -1
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -sign * p.y)):
        if not front or sign * point.y > sign * front[-1].y:
            front.append(point)
    return front


def _panels(
    rows: Sequence[Mapping[str, Any]], points_of: Callable[[Sequence[Summary]], list[Point]]
) -> list[Panel]:
    groups: dict[tuple, list[Summary]] = {}
    for summary in summarise(rows):
        if "metric" in summary.group:
            groups.setdefault(_where(summary), []).append(summary)
    found = [_panel(where, members, points_of(members)) for where, members in groups.items()]
    return [panel for panel in found if panel.points]


def _where(summary: Summary) -> tuple:
    return tuple(
        summary.group.get(key, "")
        for key in ("dataset", "split", "task", "model", "settings", "metric")
    )


def _panel(where: tuple, members: Sequence[Summary], points: list[Point]) -> Panel:
    dataset, split, task, model, settings, metric = where
    dense = [
        _unit(s) * s.values["test"].mean
        for s in members
        if s.group["method"] == "dense" and "test" in s.values
    ]
    of = f"{dataset} ({split})" if split else dataset
    with_ = f"{model} ({settings})" if settings else model
    return Panel(of, f"{task} / {with_}", metric, tuple(points), dense[-1] if dense else None)


def _scores(members: Sequence[Summary], x: str) -> list[Point]:
    points = []
    for summary in members:
        values, group = summary.values, summary.group
        at = values[x].mean if x in values else group.get(x)
        if at is not None and "test" in values:
            y, half = values["test"].mean, values["test"].half_width or 0.0
            # What is pruned and quantised has a line for each width.
            line = _line(group, "bits") if "sparsity" in group else group["method"]
            label = _level(group, "sparsity", "bits", "l2") if x != "sparsity" else ""
            unit = _unit(summary)
            points.append(Point(line, at, unit * y, unit * half, label))
    if len(points) <= CROWD:
        return points
    larger = members[0].group["metric"] in FRACTION_METRICS
    front = pareto(points, larger_is_better=larger)
    return [p if p in front else p._replace(label="") for p in points]


def _layers(members: Sequence[Summary]) -> list[Point]:
    by_sparsity: dict[float, Summary] = {}
    for summary in members:
        prunes_all = summary.group["method"].partition("/")[0].partition("+")[0] == "global"
        if prunes_all and "sparsity" in summary.group and _entries(summary, "layers"):
            by_sparsity.setdefault(summary.group["sparsity"], summary)
    return [
        Point(layer, sparsity, kept.mean, kept.half_width or 0.0, "")
        for sparsity, summary in by_sparsity.items()
        for layer, kept in _entries(summary, "layers").items()
    ]


def _bits(members: Sequence[Summary]) -> list[Point]:
    return [
        Point(_line(summary.group, "sparsity", "bits"), _step(name), bits.mean,
              bits.half_width or 0.0, name)
        for summary in members
        for name, bits in _entries(summary, "bits_by_degree").items()
    ]  # fmt: skip


def _freezing(members: Sequence[Summary]) -> list[Point]:
    points: list[Point] = []
    for summary in members:
        trained = _entries(summary, "epochs_by_layer")
        if trained:
            bars = {**trained, "run": summary.values["epochs"]}
            group = summary.group
            dense = group["method"] == "dense"
            line = "dense" if dense else _line(group, "sparsity", "bits")
            points += [
                Point(line, len(points) + i, bar.mean, bar.half_width or 0.0, name)
                for i, (name, bar) in enumerate(bars.items())
            ]
    return points


def _entries(summary: Summary, table: str) -> dict[str, Any]:
    start = f"{table}/"
    return {
        key.removeprefix(start): value
        for key, value in summary.values.items()
        if key.startswith(start)
    }


def _step(name: str) -> int:
    """Place of a range of in-degrees: "0" at -1, "1" at 0, "2" at 1, "3-4" at 2, "5-8" at 3."""
    return int(name.rpartition("-")[2]).bit_length() - 1


def _unit(summary: Summary) -> int:
    return 100 if summary.group["metric"] in FRACTION_METRICS else 1


def _line(group: Mapping[str, Any], *amounts: str) -> str:
    return " ".join(word for word in (group["method"], _level(group, *amounts)) if word)


def _level(group: Mapping[str, Any], *amounts: str) -> str:
    """What sets a point apart within its method."""
    formats = {"sparsity": "{:g}", "bits": "{:g} bit", "l2": "L2 {:g}"}
    words = [formats[key].format(group[key]) for key in amounts if key in group]
    return ", ".join(words) or ("dense" if group["method"] == "dense" else "")
