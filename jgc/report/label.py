"""Labels beside points that cover neither each other, nor the points, nor the lines."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

# Where a label may sit, in points from its dot, nearest first.
_PLACES = [
    (dx * reach, dy * reach, "left" if dx > 0 else "right" if dx < 0 else "center",
     "bottom" if dy > 0 else "top" if dy < 0 else "center")
    for reach in (1, 1.6, 2.4, 3.4)
    for dx, dy in ((7, 0), (5, 5), (5, -5), (-7, 0), (-5, 5), (-5, -5), (0, 9), (0, -9))
]  # fmt: skip


class Label(NamedTuple):
    """Text for the dot at `(x, y)`, in data units; no text, no label."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(
    ax: Axes, labels: Sequence[Label], lines: Sequence[ArrayLike], *, size: float = 7.5
) -> None:
    """Writes each label where it hides least, greedily in their order.

    Args:
        ax: Axes whose limits and layout are final.
        labels: The labels; dots are kept clear whether or not they have one.
        lines: Polylines `[n, 2]` in data units that are kept clear.
        size: Height of the letters in points.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None  # Axes of a figure; for the type checker.
    reach = 5 * figure.dpi / 72
    dots = ax.transData.transform([(label.x, label.y) for label in labels])
    taken = [Bbox([dot - reach, dot + reach]) for dot in dots]
    steps = np.concatenate([_sampled(ax.transData.transform(line)) for line in lines])
    for label in labels:
        if label.text:
            text = ax.annotate(
                label.text, (label.x, label.y), (0, 0), textcoords="offset points", size=size,
                color=label.colour, zorder=4,
            )  # fmt: skip
            taken.append(_settle(ax, text, taken, steps))


def _settle(ax: Axes, text: Annotation, taken: Sequence[Bbox], steps: np.ndarray) -> Bbox:
    """Moves the text to the place that hides least; returns the box that it takes."""
    costs = []
    for place in _PLACES:
        box = _move(text, place)
        hidden = sum(_overlap(box, other) for other in taken)
        cut = box.width * box.height - _overlap(box, ax.get_window_extent())
        inside = ((steps > box.min) & (steps < box.max)).all(axis=1).sum()
        # A step of a line hides about as much as a few pixels of another label do.
        costs.append(hidden + 4 * cut + 4 * inside)
        if costs[-1] <= 0:
            break
    return _move(text, _PLACES[int(np.argmin(costs))])


def _move(text: Annotation, place: tuple[float, float, str, str]) -> Bbox:
    dx, dy, ha, va = place
    text.set(position=(dx, dy), horizontalalignment=ha, verticalalignment=va)
    return text.get_window_extent().padded(3)


def _sampled(line: np.ndarray) -> np.ndarray:
    """Points along a polyline in pixels, one every two pixels."""
    ends = zip(line[:-1], line[1:], strict=True)
    parts = [np.linspace(a, b, 2 + int(np.hypot(*(b - a)) / 2)) for a, b in ends]
    return np.concatenate(parts) if parts else np.zeros((0, 2))


def _overlap(a: Bbox, b: Bbox) -> float:
    both = Bbox.intersection(a, b)
    return 0.0 if both is None else both.width * both.height
