"""The package as it is installed: its data files, its version, its public names."""

import importlib
import inspect
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

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
    """Classes and functions of a room's face."""
    face = importlib.import_module(module)
    names = getattr(face, "__all__", None) or [n for n in vars(face) if not n.startswith("_")]
    members = {name: getattr(face, name) for name in names}
    return {n: m for n, m in members.items() if inspect.isclass(m) or inspect.isfunction(m)}


@pytest.mark.parametrize("module", FACE)
def test_every_public_name_has_a_docstring(module):
    assert public(module)
    # A dataclass or NamedTuple without one of its own gets `Name(field, ...)`.
    bare = [n for n, m in public(module).items() if (m.__doc__ or f"{n}(").startswith(f"{n}(")]
    assert not bare, f"{module} has public names without a docstring: {bare}"
