"""Notebooks run from top to bottom with few epochs, and their `.ipynb` twins are up to date."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOME = PROJECT["urls"]["Repository"]
# Colab's stock image, Python 3.13.
COLAB = ["jax==0.7.2", "jaxlib==0.7.2", "flax==0.11.2", "numpy==2.1.3"]
# What must be said, and what must be written.
RESULTS = {
    "first_gnn": (["| dense ", "| global ", "| qat "], "first_gnn/bytes.png"),
    "front": (["4 lanes of 6 epochs in 1 program on 2 devices (the CPU)", "\n 0.90 "], "front.png"),
    "new_pruner": (["share_magnitude: ", "global_magnitude: "], None),
    "paper": (["3,870 rows of ", "163 of 202 cells", "| global/scratch "], "paper/bytes.png"),
}
notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path) -> list[tuple[str, str]]:
    """`(kind, text)` of each cell of the percent format, as the notebook has them."""
    parts = re.split(r"^# %%(.*)\n", path.read_text(), flags=re.MULTILINE)[1:]
    found = []
    for mark, text in zip(parts[::2], parts[1::2], strict=True):
        kind = "markdown" if "[markdown]" in mark else "code"
        text = re.sub(r"^# ?", "", text, flags=re.MULTILINE) if kind == "markdown" else text
        found.append((kind, text.strip()))
    return found


@pytest.mark.notebook
@notebooks
def test_a_notebook_runs(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JGC_NB_SMOKE", "1")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "2")
    for name in ("IPython", "IPython.display"):  # As a plain script, with or without Jupyter.
        monkeypatch.setitem(sys.modules, name, None)
    exec(compile(path.read_text(), path, "exec"), {"__name__": path.stem})
    plt.close("all")
    printed = capsys.readouterr().out
    said, written = RESULTS[path.stem]
    assert [words for words in ["this runs on the CPU", *said] if words not in printed] == []
    assert written is None or (tmp_path / written).exists()
    if path.stem == "first_gnn":
        *_, accuracy, _, reported = printed.split("\n")[-2].replace(",", "").split()
        assert accuracy == reported


def test_every_notebook_is_expected_to_say_something():
    assert {path.stem for path in NOTEBOOKS} == set(RESULTS)


@notebooks
def test_the_ipynb_has_the_same_cells_and_no_outputs(path):
    twin = json.loads(path.with_suffix(".ipynb").read_text())
    theirs = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in twin["cells"]]
    assert theirs == cells(path), "out of date: notebooks/README.md says how to make it again"
    code = [cell for cell in twin["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@notebooks
def test_a_notebook_begins_with_the_one_cell_that_installs(path):
    (_, title), (kind, install), (_, device) = cells(path)[:3]
    assert title.startswith("# ") and kind == "code" and "this runs on" in device
    assert (kind, install) == cells(NOTEBOOKS[0])[1] and f'"{HOME}"' in install
    assert "pip" not in "".join(text for kind, text in cells(path)[2:] if kind == "code")


def test_the_new_method_has_twenty_lines():
    text = next(t for _, t in cells(ROOT / "notebooks/new_pruner.py") if "def share_magn" in t)
    assert len([line for line in text.split("\n") if line.strip()]) <= 20


@notebooks
def test_a_notebook_is_named_and_opens_in_colab(path):
    assert f"`{path.name}`" in (path.parent / "README.md").read_text()
    owner = HOME.removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{owner}/blob/main/notebooks/{path.stem}.ipynb"
    assert link in (ROOT / "README.md").read_text()


def test_the_install_cell_pins_what_is_there(monkeypatch):
    ran = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda words, check: ran.append(words))
    exec(cells(NOTEBOOKS[0])[1][1], {})
    clone, install = ran
    assert clone[:2] == ["git", "clone"] and HOME in clone
    pinned = {word.split("==")[0] for word in install if "==" in word}
    assert pinned == {"jax", "jaxlib", "flax", "numpy"}


@pytest.mark.network
def test_colabs_jax_numpy_and_flax_fit(tmp_path):
    """A resolver run: all of jgc's dependencies beside what Colab's image has."""
    words = ["install", "--dry-run", "--quiet", "--ignore-installed", "--python-version", "3.13"]
    words += ["--only-binary=:all:", f"--target={tmp_path / 'x'}", f"--report={tmp_path / 'plan'}"]
    words = [sys.executable, "-m", "pip", *words, *PROJECT["dependencies"], *COLAB]
    run = subprocess.run(words, capture_output=True, text=True, env=os.environ)
    assert run.returncode == 0, run.stderr
    plan = json.loads((tmp_path / "plan").read_text())["install"]
    chosen = {f"{each['metadata']['name']}=={each['metadata']['version']}" for each in plan}
    assert set(COLAB) <= chosen
    print("\n".join(sorted(chosen)))
