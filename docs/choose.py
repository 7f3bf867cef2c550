"""Fills the tables of `choose.md` with the numbers of our rows; what a line is about stays.

python docs/choose.py
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jgc.study import Estimate, Store, Summary, summarise

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "choose.md"
KEYS = ("dataset", "task", "model", "method", "sparsity", "bits")


def filled(text: str) -> str:
    """The page with the numbers of the rows."""
    return re.sub(r"<!-- rows: (\S+) -->\n\n((?:\|.*\n)+)", _table, text)


def _table(found: re.Match) -> str:
    folder, (header, rule, *lines) = found[1], found[2].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    new = [[*keys[: len(KEYS)], *numbers(folder, keys[: len(KEYS)])] for keys in cells]
    text = [" ".join(["|", *(f"{cell} |".lstrip() for cell in line)]) for line in new]
    return "\n".join([f"<!-- rows: {folder} -->", "", header, rule, *text, ""])


def numbers(folder: str, keys: Sequence[str]) -> list[str]:
    """Test score, difference to the dense model and how many times smaller the file is.

    Raises:
        ValueError: if the folder has no such rows.
    """
    about = [key.strip("`") or None for key in keys]
    for found in _summaries(folder):
        group = [found.group.get(key) for key in KEYS]
        if [None if value is None else f"{value}" for value in group] == about:
            less = "" if found.difference is None else _percent(found.difference, "+")
            return [_percent(found.values["test"]), less, f"{found.values['ratio'].mean:.1f} x"]
    raise ValueError(f"{folder} has no rows of {about}.")


@cache
def _summaries(folder: str) -> list[Summary]:
    return summarise(Store(ROOT / folder).rows())


def _percent(estimate: Estimate, sign: str = "") -> str:
    mean = f"{100 * estimate.mean:{sign}.1f}".replace("-", "\N{MINUS SIGN}")
    return f"{mean} ± {100 * (estimate.half_width or 0):.1f}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
