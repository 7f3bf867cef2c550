"""The pages: `sphinx-build -W -c docs . docs/_build/html`, from the root of the repository.

The root is the source folder, so that README, notebooks and experiments are pages where they lie,
and a link means the same here and in the repository.
"""

import importlib
import inspect
import re
from pathlib import Path

import jgc

project, author, copyright = "jgc", "The jgc authors", "The jgc authors"
release = jgc.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
root_doc = "docs/index"
include_patterns = [
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md",
    "docs/*.md", "docs/api/*.md", "notebooks/*.ipynb",
    "experiments/README.md", "experiments/*/README.md", "experiments/*/table.md",
]  # fmt: skip
suppress_warnings = ["myst.header"]  # Tables of a study begin at the second level.
html_theme, html_title = "furo", f"jgc {release}"
# Tests run the notebooks; `-D nb_execution_mode=auto` fills the pages with their outputs.
nb_execution_mode = "off"
myst_enable_extensions, myst_heading_anchors = ["linkify"], 3
autodoc_member_order, autodoc_typehints = "bysource", "none"
napoleon_use_ivar, napoleon_use_rtype = True, False

ROOMS = [f"jgc.{room}" for room in jgc._ROOMS]


def public_names(module: str) -> list[str]:
    """The names of a room's face, functions and classes and tables, without its submodules."""
    face = importlib.import_module(module)
    names = getattr(face, "__all__", None) or [n for n in vars(face) if not n.startswith("_")]
    return sorted(n for n in names if not inspect.ismodule(getattr(face, n)))


def write_reference(app) -> None:
    """One page a room, with every public name in it."""
    folder = Path(app.srcdir) / "docs" / "api"
    folder.mkdir(exist_ok=True)
    for module in [*ROOMS, "jgc"]:
        names = [n for n in public_names(module) if n != "__version__" and n not in jgc._ROOMS]
        text = "\n".join(_directive(module, name) for name in names)
        page = f"# {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n\n{text}```\n"
        (folder / f"{module}.md").write_text(page)


def _directive(module: str, name: str) -> str:
    value = getattr(importlib.import_module(module), name)
    kind = "class" if inspect.isclass(value) else "function" if callable(value) else "data"
    members = "   :members:\n" if kind == "class" and value.__module__.startswith("jgc") else ""
    fields = getattr(value, "_fields", ())
    hidden = f"   :exclude-members: {', '.join(fields)}\n" if members and fields else ""
    brief = "   :no-value:\n" if kind == "data" else ""
    return f".. auto{kind}:: {module}.{name}\n{members}{hidden}{brief}\n"


def as_written(app, what, name, thing, options, lines: list[str]) -> None:
    """Reads docstrings as they are meant: `code` is code, and no other mark means anything."""
    if isinstance(thing, dict):
        lines[:] = ["A table by name: " + ", ".join(f"``{key}``" for key in thing) + "."]
        return
    text = "\n".join(lines)
    parts = re.split(r"((?:^ *(?:>>>|\.\.\.).*\n?)+|(?<!`)`[^`]+`(?!`))", text, flags=re.MULTILINE)
    for i, part in enumerate(parts):
        if i % 2 and part.startswith("`"):
            parts[i] = f"`{part}`" + ("\\ " if parts[i + 1][:1].isalnum() else "")
        elif i % 2 == 0:
            parts[i] = re.sub(r"([*|\\]|_(?=\W|$))", r"\\\1", part)
    lines[:] = "".join(parts).split("\n")


def setup(app) -> None:
    """Hooks of the build."""
    app.connect("builder-inited", write_reference)
    app.connect("autodoc-process-docstring", as_written, priority=100)
