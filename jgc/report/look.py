"""The look of figures: ink, and for every line a colour, a marker and a dash."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

# Ink, hairlines and the darkest colour; the page swaps these for lighter ones in dark mode.
INK, HAIRLINE, BLUE = "#24292f", "#d8dee4", "#0072b2"
# Okabe and Ito's colours, which stay apart for colour-blind readers and in grey; no yellow, which
# vanishes on white. Mid tones, so that they read on dark paper too. Four more for crowded panels.
_COLOURS = (BLUE, "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00",
            "#8c62c7", "#a0703c", "#7f9a1e", "#d6406e")  # fmt: skip
_MARKERS = ("o", "s", "D", "^", "v", "P", "<", "p", ">", "*", "h", "d")

STYLE: dict[Any, Any] = {
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


class Look(NamedTuple):
    """How a line is drawn, in matplotlib's words."""

    colour: str
    marker: str
    dash: Any = "-"


GREY = Look("#7d8590", "X", (0, (4, 3)))


def looks(lines: Iterable[str]) -> dict[str, Look]:
    """A look for each line of a figure, grey ones first.

    Lines of one method have one colour whatever choices follow its name; what was pruned and not
    fine-tuned is dashed, what was trained from scratch dotted. Every line has a marker of its own,
    as far as they last.

    Args:
        lines: Labels of methods, in the order of the rows; repetitions count once.

    Example:
        >>> looks(["global", "global/none", "dense"])["global/none"]
        Look(colour='#0072b2', marker='s', dash=(0, (2.5, 1.5)))
    """
    names = list(dict.fromkeys(lines))
    others = [name for name in names if name != "dense"]
    families = list(dict.fromkeys(map(_family, others)))
    found = {
        name: Look(
            _COLOURS[families.index(_family(name)) % len(_COLOURS)],
            _MARKERS[i % len(_MARKERS)],
            _dash(name),
        )
        for i, name in enumerate(others)
    }
    return ({"dense": GREY._replace(dash="-")} if "dense" in names else {}) | found


def _family(name: str) -> str:
    """The name without its choices, but with its level."""
    return re.sub(r"/\S*", "", name)


def _dash(name: str) -> Any:
    if "/scratch" in name:
        return (0, (1, 1.2))
    return (0, (2.5, 1.5)) if "/none" in name else "-"
