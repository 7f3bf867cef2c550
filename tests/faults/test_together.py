"""Two `jgc study` of one folder at the same time: both end well, and the rows are those of one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.study.cases import tiny_recipe

ROOT = Path(__file__).parents[2]
RECIPE = tiny_recipe(seeds=1)


def study(recipe, folder):
    command = [sys.executable, "-m", "jgc", "study", str(recipe), "--out", str(folder), "--resume"]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.slow
def test_both_finish(tmp_path):
    recipe = tmp_path / "both.toml"
    recipe.write_text(RECIPE)
    started = [study(recipe, tmp_path / "together") for _ in range(2)]
    said = [process.communicate(timeout=600)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    alone = study(recipe, tmp_path / "alone")
    said.append(alone.communicate(timeout=600)[0])
    assert alone.returncode == 0, said[-1]
    assert told(tmp_path / "together") == told(tmp_path / "alone")
    assert "report.html" in said[0] and "report.html" in said[1]
    assert not list((tmp_path / "together").rglob("*.tmp"))


def told(folder):
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    times = {"compile_s", "wall_s"}
    return sorted(
        json.dumps({name: row[name] for name in row if name not in times}) for row in rows
    )
