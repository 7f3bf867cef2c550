"""The words a person types, run in this process with stand-ins for what trains."""

import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

import jgc.search  # noqa: F401 - it takes hold of the real runner before a stand-in is there
from jgc import cli
from jgc.cli import entry
from jgc.study.method import Level
from jgc.study.store import Store
from tests.report.cases import METHODS, RUNS, study

ROOT = Path(__file__).parents[1]
ROWS = study(RUNS[:1], METHODS, 2)


def run(*words, code=0) -> SimpleNamespace:
    result = CliRunner().invoke(cli.app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return SimpleNamespace(out=result.stdout, err=result.stderr)


@pytest.fixture
def runner(monkeypatch):
    """A stand-in for the runner that writes `ROWS` and keeps what it was asked."""
    asked = []

    def run_study(recipe, folder, *, resume, seeds, report, status):
        asked.append(SimpleNamespace(recipe=recipe, resume=resume, seeds=seeds))
        report("sbm gcn dense")
        Store(folder).append(ROWS)
        return ROWS

    module = ModuleType("jgc.study.runner")
    module.run_study = run_study
    monkeypatch.setitem(sys.modules, "jgc.study.runner", module)
    return asked


def test_study_writes_rows_tables_figures_and_page(tmp_path, runner, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = run("study", "quickstart", "--seeds", 2)
    folder = tmp_path / "runs" / "quickstart"
    assert "| global+qat |" in said.out
    assert f"report: {Path('runs/quickstart/report.html')}" in said.out
    assert "sbm gcn dense" in said.err
    assert (folder / "report.html").exists() and (folder / "figures" / "bytes.png").exists()
    assert "seeds = 2" in (folder / "recipe.toml").read_text()
    assert (runner[0].recipe.seeds, runner[0].resume) == (2, False)


def test_a_folder_with_rows_needs_resume(tmp_path, runner):
    Store(tmp_path).append(ROWS[:1])
    said = run("study", "quickstart", "--out", tmp_path, code=2)
    assert "already holds 1 rows. Add --resume" in said.err and not runner
    run("study", "quickstart", "--out", tmp_path, "--resume")
    assert runner[0].resume and len(Store(tmp_path).rows()) == len(ROWS)


def test_a_recipe_of_ones_own(tmp_path, runner):
    path = tmp_path / "mine.toml"
    shipped = (ROOT / "jgc/study/recipes/quickstart.toml").read_text()
    path.write_text(shipped.replace("bits", "bots"))
    said = run("study", path, code=2)
    assert f"error: {path}: [[run]] 1, [[run.method]] 3: unknown key `bots`" in said.err
    assert "Traceback" not in said.err + said.out


def test_a_part_of_a_study_whose_recipe_lies_in_its_folder(tmp_path, runner):
    path = tmp_path / "recipe.toml"
    commented = "# Why.\n" + (ROOT / "jgc/study/recipes/quickstart.toml").read_text()
    path.write_text(commented)
    run("study", path, "--out", tmp_path, "--only", "gin")
    assert {each.model for each in runner[0].recipe.run} == {"gin"}
    assert path.read_text() == commented


@pytest.mark.parametrize(
    "words, message",
    [
        (["study", "quikstart"], "did you mean `quickstart`"),
        (["study", "nowhere.toml"], "nowhere.toml: No such file or directory"),
        (["study", "quickstart", "--seeds", "0"], "`seeds` is 0; allowed: a whole number"),
        (["study", "quickstart", "--out", __file__], "test_cli.py: File exists"),
        (["report", "nowhere"], "nowhere/results.jsonl: there are no rows to report"),
        (["inspect", "nowhere"], "nowhere: No such file or directory"),
        (["inspect", __file__], __file__),
        (["predict", "nowhere", "sbm"], "nowhere: No such file or directory"),
        (["data", "get", "corra"], "cora"),
        (["compress", "sbm", "gcn", "--prune", "global:1.2"], "`sparsity` is 1.2"),
        (["compress", "sbm", "gcn", "--quantize", "qat:1"], "`bits` is 1; allowed"),
        (["compress", "gcn", "sbm"], "'gcn' is a model: `jgc compress DATASET MODEL`"),
        (["search", "gcn", "sbm"], "'gcn' is a model: `jgc search DATASET MODEL`"),
        (["search", "sbm", "gcn"], "Give one budget, `max_bytes` or `max_loss`; got neither"),
        (["search", "sbm", "gcn", "--max-bytes", "tiny"], "`tiny` is no size"),
    ],
)  # fmt: skip
def test_mistakes_end_in_one_sentence(words, message, tmp_path, monkeypatch, runner):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "jgc.study.compress", SimpleNamespace(compress=None))
    said = run(*words, code=2)
    assert said.err.startswith("error: ") and message in said.err
    assert len(said.err.strip().splitlines()) == 1 and "Traceback" not in said.err


@pytest.mark.parametrize("words", [["bogus"], ["study"], ["study", "quickstart", "--sed", "3"]])
def test_unknown_words_are_explained(words):
    assert "Usage" in run(*words, code=2).err


def test_ctrl_c_keeps_the_rows_and_says_so(tmp_path, monkeypatch):
    def run_study(recipe, folder, **more):
        Store(folder).append(ROWS[:2])
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "jgc.study.runner", SimpleNamespace(run_study=run_study))
    said = run("study", "quickstart", "--out", tmp_path, code=130)
    assert "rows already written stay; continue with --resume" in said.err
    assert len(Store(tmp_path).rows()) == 2


def test_ctrl_c_elsewhere_promises_nothing(tmp_path, monkeypatch):
    def stopped(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("jgc.report.page.write_report", stopped)
    assert run("report", tmp_path, code=130).err.strip() == "interrupted"


@pytest.fixture
def searched(monkeypatch):
    """A stand-in for the search that keeps what it was asked and finds what it is told to."""
    from jgc.search import Found
    from tests.search.cases import candidate

    asked, near = SimpleNamespace(meets=True), candidate([0.7, 0.8], 900)

    def search(base, budget, folder, *, report, status, **more):
        asked.base, asked.budget, asked.folder, asked.more = base, budget, folder, more
        report("1 of 2: hidden 4, qat")
        status("epoch 50 of 200")
        artefact = SimpleNamespace(path="small/model.safetensors", n_bytes=1234)
        dense = candidate([0.8, 0.9], 40_000)
        return Found([near], dense, near, 0.5, artefact if asked.meets else None)

    monkeypatch.setattr(jgc.search, "search", search)
    return asked


def test_search_shows_the_front_the_winner_and_the_files(tmp_path, searched):
    said = run("search", "sbm", "gcn", "--max-bytes", "4kB", "--out", tmp_path, "--trials", 2)
    assert (searched.base.dataset, searched.base.model) == ("sbm", "gcn")
    assert searched.budget == (4000, None) and searched.folder == tmp_path
    assert searched.more == {"trials": 2, "seeds": 10, "seed": 0, "resume": False}
    assert "1 of 2: hidden 4, qat" in said.err
    assert "| 900 B |" in said.out and "| winner |" in said.out
    assert "model: small/model.safetensors, 1,234 bytes" in said.out
    assert f"recipe: {tmp_path / 'best.toml'}" in said.out


def test_a_budget_that_nothing_meets_shows_the_nearest(tmp_path, searched):
    searched.meets = False
    said = run("search", "sbm", "gcn", "--max-loss", 1, "--out", tmp_path, code=2)
    assert searched.budget == (None, 1.0) and "| 900 B |" in said.out
    assert said.err.splitlines()[-1].startswith("error: Nothing meets `--max-loss 1`. The nearest")


def test_report_repairs_and_says_so(tmp_path):
    Store(tmp_path).append(ROWS)
    path = tmp_path / "results.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    said = run("report", tmp_path)
    assert "cut short" in said.out + said.err and "report:" in said.out


def test_compress_saves_and_reports(tmp_path, monkeypatch):
    asked = {}

    def compress(model, data, *, prune, quantize, seeds):
        asked.update(model=model, data=data.name, prune=prune, quantize=quantize, seeds=seeds)
        return SimpleNamespace(save=lambda folder: Store(folder).append(ROWS))

    monkeypatch.setitem(sys.modules, "jgc.study.compress", SimpleNamespace(compress=compress))
    run("compress", "sbm", "gcn", "--prune", "global:0.5", "--quantize", "qat:8", "--out", tmp_path)
    assert (asked["model"], asked["data"], asked["seeds"]) == ("gcn", "sbm", 1)
    assert asked["prune"].levels == (Level(0.5),) and asked["quantize"].levels == (Level(None, 8),)
    assert (tmp_path / "report.html").exists()


def test_inspect_goes_tensor_by_tensor(tmp_path):
    import numpy as np

    from jgc import pack

    kernel = np.eye(8, dtype=np.float32)
    params, masks = {"conv": {"kernel": kernel}}, {"conv": {"kernel": kernel > 0}}
    pack.save(tmp_path / "model.safetensors", params, masks, meta={"val": 0.8})
    said = run("inspect", tmp_path).out
    assert "conv/kernel" in said and "8 x 8" in said and "bytes in the file" in said
    assert "val: 0.8" in said


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A compressed model of a tiny data set, which any name loads."""
    from tests.pack.restored import QAT, SETS, file

    monkeypatch.setattr("jgc.pack.run.fit.info", lambda name: SimpleNamespace(name=name))
    monkeypatch.setattr("jgc.pack.run.fit.load", lambda name, task, **words: SETS[task]())
    path = tmp_path / "model.safetensors"
    path.write_bytes(file("node", QAT))
    return path


def test_predict_says_score_time_and_runtime(small, tmp_path):
    said = run("predict", tmp_path, "tiny", "--out", tmp_path / "answers.csv").out
    assert re.match(r"tiny \(random-0\), node: accuracy %\n  test part      \d+\.\d\d\n", said)
    assert re.search(r"a pass takes .* ms \(median; interquartile range .*\)", said)
    assert re.search(r"runs on (integer|float): a pass takes", said)
    lines = (tmp_path / "answers.csv").read_text().splitlines()
    assert lines[0] == "node,part,predicted,p_0,p_1,p_2" and len(lines) == 41


def test_inspect_measures_layers_on_a_data_set(small):
    said = run("inspect", small, "--on", "tiny").out
    header, first = re.search(r"Layers on tiny\n\n(.*)\n.*\n(.*)\n", said).groups()
    columns = [cell.strip() for cell in header.strip("|").split("|")]
    assert columns == ["layer", "bytes", "ms, measured", "% of the time", "% of the MACs, computed"]
    assert first.startswith("| conv1 ") and "; a layer takes what" in said


def test_warnings_are_sentences(small, monkeypatch):
    from jgc.pack.run import fit

    inner = fit.load

    def scaled(name, **words):
        data = inner(name, **words)
        graph = data.graphs[0]
        graph = graph._replace(nodes=graph.nodes._replace(values=1e6 * graph.nodes.values))
        return dataclasses.replace(data, graphs=[graph])

    monkeypatch.setattr(fit, "load", scaled)
    said = run("predict", small, "tiny")
    assert re.match(r"warning: site 'input': \d+ of \d+ values lie far outside 0\.\.1", said.err)
    assert len(said.err.splitlines()) == 1 and "test part" in said.out


@pytest.mark.parametrize("command", ["predict", "inspect"])
@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda data: data[:-9], "is no whole safetensors file"),
        (lambda data: data[:-9] + bytes(9), "SHA-256 is not that of its content"),
        (lambda data: data.replace(b'"jgc":"2"', b'"jgc":"3"'), "its format is '3', this jgc re"),
        (lambda data: b"\x80\x04cos\nsystem\n(S'true'\ntR.", "is no whole safetensors file"),
    ],
    ids=["truncated", "edited", "newer", "pickle"],
)
def test_a_damaged_artefact_ends_in_one_sentence(small, command, damage, message):
    small.write_bytes(damage(small.read_bytes()))
    said = run(command, small, *(["tiny"] if command == "predict" else []), code=2)
    assert said.err.startswith(f"error: `{small}`") and message in said.err
    assert len(said.err.splitlines()) == 1


def test_predict_on_another_task_or_without_words(small, tmp_path):
    from jgc import pack

    said = run("predict", small, "tiny", "--task", "link", code=2)
    assert "error: the task of 'tiny' is 'link', the model is for 'node'" in said.err
    held = pack.load(small)
    pack.save(small, held.params, held.masks, held.grids, stats=held.stats, meta={"val": 0.5})
    said = run("predict", small, "tiny", code=2)
    assert "does not say which model this is" in said.err and "compress the model anew" in said.err


@pytest.mark.parametrize("peers", [{}, {"torch": "2.9"}], ids=["alone", "beside torch"])
def test_bench_writes_its_rows_and_says_when_peers_are_missing(tmp_path, monkeypatch, peers):
    row = {"what": "sum", "about": "sums", "ours_ms": 2.0, "ours_iqr_ms": 0.1, **peers}
    measure = importlib.import_module("jgc.bench.run")
    monkeypatch.setattr(measure, "run", lambda what, rounds, report: report(row))
    said = run("bench", "sum", "--json", tmp_path / "rows.json")
    assert "Measured side by side" in said.out and "sum: 2 ms" in said.err
    assert ("no peers" in said.err) == (not peers)
    assert json.loads((tmp_path / "rows.json").read_text()) == [row]


def test_data_list_and_get():
    listed = run("data", "list").out
    assert "cora" in listed and "sbm" in listed
    assert "2708" in run("data", "get", "sbm").out


def test_version(monkeypatch):
    monkeypatch.setattr(entry, "version", lambda name: "1.2.3")
    assert run("--version").out == "jgc 1.2.3\n"


def test_help_needs_neither_jax_nor_matplotlib():
    heavy = "{'jax', 'matplotlib', 'scipy', 'pydantic'}"
    code = f"import sys; from jgc import cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_one_device_a_core_unless_the_user_chose(monkeypatch):
    monkeypatch.setattr(entry, "app", lambda: None)
    forced = "--xla_force_host_platform_device_count=3"
    cases = ((None, "", str(entry._n_cores())), ("7", "", "7"), (None, forced, None))
    for before, flags, after in cases:
        monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
        monkeypatch.setenv("XLA_FLAGS", flags)
        if before:
            monkeypatch.setenv("JAX_NUM_CPU_DEVICES", before)
        cli.main()
        assert os.environ.get("JAX_NUM_CPU_DEVICES") == after
