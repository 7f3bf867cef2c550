"""Notebooks run from top to bottom, as plain scripts, with few epochs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    run = subprocess.run(
        [sys.executable, path],
        cwd=tmp_path,
        env={**os.environ, "JGC_NB_SMOKE": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    for said in ("this runs on", "\n| dense ", "\n| global ", "\n| qat "):
        assert said in run.stdout
    *_, accuracy, _, reported = run.stdout.split("\n")[-2].replace(",", "").split()
    assert accuracy == reported
    assert (tmp_path / "first_gnn" / "bytes.png").exists()


def test_notebooks_are_in_the_percent_format_and_named_in_the_readme():
    readme = (NOTEBOOKS[0].parent / "README.md").read_text()
    for path in NOTEBOOKS:
        text = path.read_text()
        assert "format_name: percent" in text and "\n# %%\n" in text, path
        assert f"`{path.name}`" in readme, path
