"""The pages: what was made from rows and docstrings is up to date, and the site builds."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from docs import choose, differs

ROOT = Path(__file__).parents[1]


def test_the_numbers_of_how_to_choose_are_those_of_our_rows():
    page = choose.PAGE.read_text()
    assert page == choose.filled(page), "run `python docs/choose.py`, and read the prose again"
    assert page.count("<!-- rows: ") == len(re.findall(r"^\| data .*against dense", page, re.M)) > 4


def test_a_line_without_rows_is_an_error():
    line = "| cora | node | `gcn` | `global` | 0.123 | | 0 | 0 | 0 |\n"
    table = f"<!-- rows: experiments/real -->\n\n| data |\n|---|\n{line}"
    with pytest.raises(ValueError, match="experiments/real has no rows of .*'0.123'"):
        choose.filled(table)


def test_sources_and_differences_are_those_of_the_docstrings():
    page = (ROOT / "docs" / "differs.md").read_text()
    assert page == differs.page(), "run `python docs/differs.py`"
    files = (ROOT / "jgc").rglob("*.py")
    said = sum(path.read_text().count("Differs:") for path in files)
    assert said == page.count("*Differs:*")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("furo") is None, reason="sphinx is not installed (jgc[docs])")
def test_the_site_builds_without_a_warning(tmp_path):
    words = [sys.executable, "-m", "sphinx", "-qW", "--keep-going", "-c", "docs", ".", tmp_path]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "docs" / "api" / "jgc.prune.html").exists()
