"""The package as it is installed: its data files, its version, its public names."""

import importlib
import inspect
import re
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import get_args

import jax
import numpy as np
import pytest

import jgc

ROOT = Path(__file__).parents[1]
FACE = [f"jgc.{room}" for room in jgc._ROOMS] + ["jgc"]


@pytest.mark.parametrize(
    "name",
    [
        "py.typed",
        "data/digests.sha256",
        "report/page.html.j2",
        "study/recipes/quickstart.toml",
    ],
)
def test_package_data_is_installed(name):
    assert files("jgc").joinpath(name).is_file()


def test_one_version_everywhere():
    words = [sys.executable, "-c", "from jgc.cli import main; main()", "--version"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert said == f"jgc {version('jgc')}\n"
    assert jgc.__version__ == version("jgc")
    assert f"version: {version('jgc')}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{version('jgc')}]" in (ROOT / "CHANGELOG.md").read_text()


def public(module: str) -> dict[str, object]:
    """Our own classes and functions on the face of a room."""
    face = importlib.import_module(module)
    names = getattr(face, "__all__", None) or [n for n in vars(face) if not n.startswith("_")]
    members = {name: getattr(face, name) for name in names}
    mine = {n: m for n, m in members.items() if getattr(m, "__module__", "").startswith("jgc")}
    return {n: m for n, m in mine.items() if inspect.isclass(m) or inspect.isroutine(m)}


def arrays_of(member) -> list[str]:
    """What of a function's arguments and result, or of a class's fields, is an array; no keys."""
    said = dict(getattr(member, "__annotations__", {}))
    return [
        name
        for name, kind in said.items()
        if name != "key"
        and any(each in (jax.Array, np.ndarray) for each in (kind, *get_args(kind)))
    ]


@pytest.mark.parametrize("module", FACE)
def test_every_public_name_has_a_docstring_with_shapes_and_an_example(module):
    assert public(module)
    lacking = {}
    for name, member in public(module).items():
        said = member.__doc__ or ""
        # A dataclass or NamedTuple without a docstring of its own gets `Name(field, ...)`.
        missing = ["docstring"] if not said or said.startswith(f"{name}(") else []
        missing += (
            [] if re.search(r"Example:\n(?:.*\n)*?\s+>>>", said) else ["an example that runs"]
        )
        shapes = re.search(r"`[^`]*\[[^`]*\][^`]*`", said)
        missing += arrays_of(member) if shapes is None else []
        if missing:
            lacking[name] = missing
    assert not lacking
