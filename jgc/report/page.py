"""The report of a study: tables, figures and one self-contained HTML page, from its rows alone."""

import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from jgc.atomic import write_atomic
from jgc.report.figure import write_figures
from jgc.report.look import BLUE, HAIRLINE, INK
from jgc.report.paper import beside, paper_of
from jgc.report.table import NOTES, Table, tables, to_csv, to_markdown
from jgc.study.store import Store

_CAPTIONS = {
    "bytes": "Test score against the measured bytes of the file that restores the model. "
    "The band is the Pareto front of the means over all methods; bars are 95 % intervals over "
    "seeds. On a crowded panel only the points of the front are labelled.",
    "flops": "Test score against the FLOPs of the whole training, computed from shapes and masks "
    "as if pruned weights cost nothing: the kernels of this study multiply them. The band is the "
    "Pareto front, as above.",
    "sparsity": "Test score against the fraction of prunable weights removed. "
    "The grey dashed line is the dense model; dashed colours were not fine-tuned, dotted ones "
    "trained from scratch. Bars are 95 % intervals over seeds.",
    "layers": "What one ranking over the whole model keeps of each layer. On the dashed line a "
    "layer loses as much as the model; above it less. Means over seeds with bands of 95 %.",
    "bits": "Bits that the nodes learned for their features, by in-degree: means over nodes, sites "
    "and seeds, the sign bit included. Bars are 95 % intervals over seeds.",
    "freezing": "Epochs that each matrix trained before GradES froze it, from the first layer "
    "down, and epochs of the whole run: means over seeds with 95 % intervals.",
}


def write_report(folder: str | Path) -> list[Path]:
    """Rebuilds tables, figures and page from `results.jsonl` in a folder.

    Args:
        folder: A study's folder. A `recipe.toml` in it is shown on the page.

    Returns:
        The files written: `report.html`, `table.md`, `table.csv` and `figures/*`. The same rows
        give the same bytes.

    Raises:
        ValueError: if there are no rows, or a line of the file is no row.
        OSError: if a file cannot be read or written.

    Example:
        >>> import tempfile
        >>> row = {"dataset": "cora", "task": "node", "model": "gcn", "seed": 0, "method": "dense",
        ...        "metric": "accuracy", "test": 0.81, "config": {"seed": 0}}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Store(folder).append([row])
        ...     [path.name for path in write_report(folder)]
        ['report.html', 'table.md', 'table.csv']
    """
    folder = Path(folder)
    store = Store(folder)
    rows = store.rows()
    if not rows:
        raise ValueError(
            f"{store.path}: there are no rows to report. Is this the `--out` of a study?"
        )
    figures = write_figures(rows, folder / "figures")
    recipe = folder / "recipe.toml"
    shown = study_tables(rows, folder)
    page = render_page(
        rows,
        shown,
        {path.stem: path.read_text("utf-8") for path in figures if path.suffix == ".svg"},
        name=folder.resolve().name,
        recipe=recipe.read_text("utf-8") if recipe.is_file() else None,
    )
    texts = {
        "report.html": page,
        "table.md": to_markdown(shown),
        "table.csv": to_csv(rows),
    }
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return [*(folder / name for name in texts), *figures]


def study_tables(rows: Sequence[Mapping[str, Any]], folder: Path) -> list[Table]:
    """The tables of a study, and those beside the paper that its recipe repeats."""
    recipe = folder / "recipe.toml"
    name = tomllib.loads(recipe.read_text("utf-8")).get("name", "") if recipe.is_file() else ""
    paper = paper_of(name)
    return tables(rows) + ([] if paper is None else beside(rows, paper))


def render_page(
    rows: Sequence[Mapping[str, Any]],
    shown: Sequence[Table],
    figures: Mapping[str, str],
    *,
    name: str,
    recipe: str | None = None,
) -> str:
    """The page as one HTML document that needs no other file and no network.

    Args:
        rows: Result rows.
        shown: Tables, as `study_tables` gives them.
        figures: SVG by name, as `write_figures` draws them. They are put in as they are; all
            other text is escaped.
        name: Title of the page.
        recipe: TOML that was run, if known.

    Returns:
        HTML.
    """
    # Strict: a misspelt name in the template is an error, not a blank.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    source = resources.files("jgc.report").joinpath("page.html.j2").read_text("utf-8")
    command = "jgc study recipe.toml" if recipe else None
    return environment.from_string(source).render(
        name=name,
        facts=_facts(rows),
        command=command,
        rebuild=f"jgc report {shlex.quote(name)}",
        figures=[
            (figure, _CAPTIONS[figure], _inline(svg, figure)) for figure, svg in figures.items()
        ],
        tables=shown,
        notes=NOTES,
        recipe=recipe,
    )


def _facts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What all numbers of the page rest on; unknown facts are left out."""
    facts = [("rows", str(len(rows))), ("seeds", str(len({row["seed"] for row in rows})))]
    for key in ("device", "jax", "jgc"):
        values = sorted({row[key] for row in rows if key in row})
        facts += [(key, ", ".join(values))] if values else []
    wall = [row["wall_s"] for row in rows if "wall_s" in row]
    facts += [("run time", _duration(sum(wall)))] if wall else []
    # Every row of a program carries the program's one compile time.
    names = ("dataset", "task", "model", "method", "compile_s")
    programs = {tuple(row[name] for name in names) for row in rows if "compile_s" in row}
    compiling = sum(seconds for *_, seconds in programs)
    facts += [("of that compiling", _duration(compiling))] if programs else []
    return facts


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _inline(svg: str, name: str) -> Markup:
    """An SVG as part of the page: its ids made unique, its ink that of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, variable in ((INK, "ink"), (HAIRLINE, "line"), (BLUE, "mark")):
        svg = svg.replace(colour, f"var(--{variable})")
    # The paper of the figure is its first patch; the page has its own.
    svg = re.sub(r"(fill: )(#ffffff|white)", r"\1none", svg)
    # As wide as the page allows, but neither blown up nor, on a phone, too small to read.
    width = re.search(r'<svg[^>]*? width="([\d.]+)pt"', svg)
    natural = round(1.4 * float(width[1])) if width else 900
    style = f'style="max-width: {natural}px; min-width: {min(natural, 720)}px"'
    return Markup(re.sub(r' width="[^"]*" height="[^"]*"', f" {style}", svg, count=1))
