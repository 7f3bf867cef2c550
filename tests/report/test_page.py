import re
import xml.etree.ElementTree as ET

import pytest

from jgc.report.figure import CHARTS
from jgc.report.page import render_page, write_report
from jgc.report.table import tables
from jgc.study.store import Store
from tests.report.cases import METHODS, RUNS, study, with_insides

NAMES = {"report.html", "table.md", "table.csv", "bytes.svg", "bytes.png", "sparsity.svg",
         "sparsity.png"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    Store(folder).append(study(RUNS[:1], seeds=2))
    (folder / "recipe.toml").write_text('name = "<demo> & co"\n')
    assert {path.name for path in write_report(folder)} == NAMES
    return folder


def test_one_file_that_needs_no_other(folder):
    html = (folder / "report.html").read_text()
    # Names of XML dialects are no addresses: nothing is fetched from them.
    linked = re.findall(r'(?:src|href)="(?!#)([^"]*)"', html)
    assert linked == [] and "@import" not in html and "<script" not in html
    assert html.count("<svg") == 2 and "prefers-color-scheme: dark" in html


def test_the_page_says_what_its_numbers_are(folder):
    html = (folder / "report.html").read_text()
    for text in ("cpu x2", "0.10.2", "jgc study recipe.toml", "oracle (best test epoch)",
                 "computed, not measured", "measured bytes", "95 % interval",
                 "&lt;demo&gt; &amp; co"):  # fmt: skip
        assert text in html, text


def test_ids_are_unique_and_references_meet_them(folder):
    html = (folder / "report.html").read_text()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', html)) <= set(ids)


def test_inline_figures_take_the_ink_of_the_page(folder):
    html = (folder / "report.html").read_text()
    svgs = re.findall(r"<svg.*?</svg>", html, flags=re.S)
    for svg in svgs:
        ET.fromstring(svg)
        assert "var(--ink)" in svg and "#24292f" not in svg and "fill: #ffffff" not in svg


def test_every_figure_has_a_caption():
    rows = with_insides(study(RUNS[:1], (METHODS[1], ("a2q", None, 4, 0.0, 0.1)), 2))
    html = render_page(rows, [], dict.fromkeys(CHARTS, "<svg></svg>"), name="study")
    assert html.count("<svg") == len(re.findall("<figcaption>[A-Z]", html)) == len(CHARTS)
    for word in ("Pareto front", "not fine-tuned", "keeps of each layer", "by in-degree"):
        assert word in html


def test_everything_but_the_figures_is_escaped():
    evil = "<script>alert(1)</script>"
    rows = study(RUNS[:1], METHODS[:1], 1)
    rows[0] |= {"dataset": evil, "device": evil, "method": evil}
    html = render_page(rows, tables(rows), {}, name=evil, recipe=evil)
    assert "<script" not in html and html.count("&lt;script&gt;") >= 5


def test_same_rows_same_page(folder):
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*.*"))}
    write_report(folder)
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*.*"))} == before


def test_no_rows_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(ValueError, match="results.jsonl: there are no rows"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
