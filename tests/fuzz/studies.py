"""Targets: what a person types or writes, and the rows of a study."""

import json
from pathlib import Path

from jgc.data import info
from jgc.models import task_of
from jgc.report.table import tables, to_csv, to_markdown
from jgc.study import Store, load_recipe
from jgc.study.method import parse_method, parse_quantizer
from jgc.study.plan import build
from jgc.study.recipe import named_recipe
from tests.fuzz.target import Target
from tests.report.cases import METHODS, RUNS, study

TOML = (
    b"[[run]]\n", b"[[run.method]]\n", b"[run.settings]\n", b"name = ", b"seeds = ", b"model = ",
    b"dataset = ", b"sparsity = ", b"bits = ", b'"gcn"', b'"global"', b'"qat"', b'"motif"', b"[",
    b"]", b"{", b"}", b"nan", b"-1", b"1e999", b"true", b"9" * 30, b'"""', b"1979-05-27",
    b"\\u0000", b"hidden = ", b"epochs = ", b"batch_size = ", b"task = ", b'"link"',
)  # fmt: skip
JSON = (
    b"null", b"NaN", b"1e999", b"-1", b"9" * 400, b"true", b"{", b"}", b"[", b"]", b'"', b"\n",
    b",", b'\\ud800', b"{}", b"[]", b'"config":', b'"layers":', b'"scores":', b'"metric":',
    b'"mae"', b"0.5", b'"bits":', b'"sparsity":', b'"test":', b'"l2":', b'"seed":',
    b'"latency_ms":', b"\0", b"\xff",
)  # fmt: skip


def read_recipe(data: bytes, folder: Path) -> None:
    path = folder / "fuzz.toml"
    path.write_bytes(data)
    recipe = load_recipe(path)
    assert recipe.n_rows >= 1 and all(run.titles() for run in recipe.run)
    assert load_recipe(recipe.to_toml()) == recipe


def read_words(data: bytes, folder: Path) -> None:
    """The words of a command line, and those of a recipe that name things."""
    del folder
    text = data.decode("utf-8", "surrogateescape")
    first, _, second = text.partition(" ")
    for read in (parse_method, parse_quantizer, info, named_recipe, _build):
        try:
            read(first)
        except ValueError as error:
            assert str(error), read
    for read in (parse_method, parse_quantizer):
        try:
            read(second)
        except ValueError as error:
            assert str(error), read


def _build(model: str) -> None:
    build(task_of(model) or "node", model, None)


def read_rows(data: bytes, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "results.jsonl").write_bytes(data)
    rows = Store(folder, report=lambda line: None).rows()
    for row in rows:
        json.dumps(row, allow_nan=False)
    to_markdown(tables(rows)).encode()
    to_csv(rows).encode()
    assert Store(folder, report=lambda line: None).rows() == rows


def _lines(rows) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _rows() -> list[dict]:
    rows = study(RUNS, METHODS[:5:2], 2)
    rows[0] |= {"layers": {"conv1": 0.5, "conv2": 1.0}, "scores": {"macro_f1": 0.5}, "l2": 0.1}
    return rows


def _recipe(name: str) -> bytes:
    return named_recipe(name).to_toml().encode()


STUDIES = (
    Target(
        "recipe", (_recipe("quickstart"), b'name = "a"\n[[run]]\ndataset = "sbm"\nmodel = "gcn"\n'
        b'[[run.method]]\nname = "dense"\n'),
        read_recipe, ValueError, "fuzz.toml", TOML,
    ),
    Target(
        "words", (b"global:0.5 qat:8", b"tu:MUTAG rigl:0.9"), read_words, ValueError,
        words=(b":", b"+", b"tu:", b"npz:", b"../", b"\0", b"-link", b"nan", b"degree"),
    ),
    Target("results", (_lines(_rows()[:1]), _lines(_rows())), read_rows, ValueError,
           "results.jsonl", JSON),
)  # fmt: skip
