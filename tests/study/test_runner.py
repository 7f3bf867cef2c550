"""A tiny recipe from end to end: one dense job, one pruned job of two levels."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jgc.study import Store, check_row, load_recipe
from jgc.study import jobs as jobs_module
from jgc.study import runner as module
from jgc.study import store as store_module
from jgc.study.jobs import jobs
from jgc.study.runner import run_study
from tests.study.cases import tiny_recipe
from tests.train.cases import tiny_links, tiny_nodes

ROOT = Path(__file__).parents[2]
RECIPE = tiny_recipe()


def tiny(*args, **kwargs):
    return tiny_nodes()


def recipe(*changes: tuple[str, str]):
    text = RECIPE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load_recipe(text)


@pytest.fixture(autouse=True)
def _tiny_data(programs, monkeypatch):
    del programs
    monkeypatch.setattr(jobs_module, "load", tiny)


@pytest.fixture(scope="module")
def finished(programs, tmp_path_factory):
    """A whole study: its folder, its rows, what it said."""
    folder, said = tmp_path_factory.mktemp("study"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs_module, "load", tiny)
        before = programs.compilations
        rows = run_study(recipe(), folder, report=said.append)
        return folder, rows, said, programs.compilations - before


def copied(finished, folder, keep=lambda row: True):
    """The study's rows in another folder, but for some."""
    lines = (finished[0] / "results.jsonl").read_text().splitlines(keepends=True)
    folder.mkdir(exist_ok=True)
    (folder / "results.jsonl").write_text("".join(x for x in lines if keep(json.loads(x))))
    return folder


def told(row):
    """What a row says but for times."""
    return {name: row[name] for name in row if name not in ("compile_s", "wall_s")}


def test_all_rows_of_the_recipe_whole_and_valid(finished):
    folder, rows, said, _ = finished
    assert len(rows) == recipe().n_rows == 6 and Store(folder).rows() == rows
    found = [(row["method"], row.get("sparsity"), row["seed"]) for row in rows]
    pruned = [("global", s, seed) for s in (0.5, 0.896) for seed in range(2)]
    assert found == [("dense", None, 0), ("dense", None, 1), *pruned]
    for row in rows:
        assert check_row(row) == row
    assert len(said) == 3 and "accuracy" in said[0] and "over 4 lanes" in said[1]


def test_one_compilation_a_data_set_model_and_method(finished):
    *_, said, compilations = finished
    assert said[-1] == "2 compilations for 2 (data set, model, method)"
    assert compilations == 2


def test_compressed_rows_are_paired_with_the_dense_one_of_their_seed(finished):
    dense = {row["seed"]: row["test"] for row in finished[1] if row["method"] == "dense"}
    pruned = [row for row in finished[1] if row["method"] == "global"]
    assert [row["dense_test"] for row in pruned] == [dense[row["seed"]] for row in pruned]
    assert not any("dense_test" in row for row in finished[1] if row["method"] == "dense")


def test_nothing_but_rows_and_locks_is_left(finished):
    left = [path for path in finished[0].rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".jsonl", ".lock"}


def test_a_folder_with_rows_needs_resume(finished):
    with pytest.raises(ValueError, match="already holds 6 rows"):
        run_study(recipe(), finished[0])


def test_resume_runs_nothing_that_is_there(finished, tmp_path, monkeypatch):
    folder, said = copied(finished, tmp_path), []
    monkeypatch.setattr(module, "run_job", None)
    assert run_study(recipe(), folder, resume=True, report=said.append) == finished[1]
    assert said[0].endswith("all 2 rows are there") and said[1].endswith("all 4 rows are there")


def test_resume_adds_missing_lanes_only_and_they_are_the_same(finished, tmp_path, monkeypatch):
    def keep(row):
        return row["method"] == "dense" or (row["sparsity"], row["seed"]) == (0.5, 1)

    folder, seen = copied(finished, tmp_path, keep), []
    run_job = module.run_job

    def watched(job, **settings):
        seen.extend(job.runs)
        return run_job(job, **settings)

    monkeypatch.setattr(module, "run_job", watched)
    rows = run_study(recipe(), folder, resume=True, report=lambda line: None)
    assert [(level.sparsity, seed) for level, seed in seen] == [(0.5, 0), (0.9, 0), (0.9, 1)]
    assert len(rows) == 6
    by_key = {row["key"]: told(row) for row in finished[1]}
    assert all(by_key[row["key"]] == told(row) for row in rows)


def test_more_seeds_and_another_split_are_more_rows(finished, tmp_path):
    folder = copied(finished, tmp_path, lambda row: row["method"] == "dense")
    only_dense = ("""[[run.method]]
name = "global"
sparsity = [0.5, 0.9]
""", "")  # fmt: skip
    rows = run_study(recipe(only_dense), folder, resume=True, seeds=3, report=lambda line: None)
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert [row["split"] for row in rows] == ["random-0", "random-1", "random-0"]


def test_a_full_disk_loses_no_row_and_resume_ends_the_study(finished, tmp_path, monkeypatch):
    write, written = store_module._write_all, []

    def nearly_full(file, data):
        written.append(data)
        if len(written) == 4:
            file.write(data[:50])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_write_all", nearly_full)
        with pytest.raises(OSError, match="the 3 rows already there are safe"):
            run_study(recipe(), tmp_path, report=lambda line: None)
    assert len(Store(tmp_path).rows()) == 3
    rows = run_study(recipe(), tmp_path, resume=True, report=lambda line: None)
    assert sorted(map(str, map(told, rows))) == sorted(map(str, map(told, finished[1])))


def test_diverged_training_is_an_error_and_rows_of_other_jobs_stay(tmp_path):
    second = RECIPE[RECIPE.index("[[run]]") :].replace("finetune", "learning_rate = 1e30, finetune")
    wild = load_recipe(RECIPE + second)
    with pytest.raises(ValueError, match="tiny node mlp dense: training diverged.*learning_rate"):
        run_study(wild, tmp_path, report=lambda line: None)
    assert len(Store(tmp_path).rows()) == 6


@pytest.mark.parametrize(
    "change, message",
    [
        (('"sbm"', '"sbn"'), "Unknown data set 'sbn'. Did you mean 'sbm'"),
        (('model = "mlp"', 'model = "mlpp"'), "Unknown model 'mlpp'.*did you mean 'mlp'"),
        (("hidden = 4", "hidden = 4, heads = 2"), "Unknown setting of mlp 'heads'"),
    ],
)
def test_wrong_words_are_told_before_anything_runs(tmp_path, monkeypatch, change, message):
    monkeypatch.setattr(module, "run_job", None)
    good = RECIPE
    bad = RECIPE[RECIPE.index("[[run]]") :].replace(*change)
    with pytest.raises(ValueError, match=message):
        run_study(load_recipe(good + bad), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change, message",
    [
        (('model = "mlp"', 'model = "mpnn"'), "`mpnn` reads `graph.edges`, which this data set"),
        (("hidden = 4", 'hidden = 4, choose = "mae"'), "`choose` of 'tiny'.*got 'mae'"),
    ],
)
def test_data_that_a_model_cannot_take_are_told_before_anything_runs(
    tmp_path, monkeypatch, change, message
):
    test_wrong_words_are_told_before_anything_runs(tmp_path, monkeypatch, change, message)


def test_jobs_are_one_a_method_with_all_levels(finished):
    found = list(jobs(recipe()))
    assert [job.title for job in found] == ["tiny node mlp dense", "tiny node mlp global"]
    assert [len(job.runs) for job in found] == [2, 4]


PROCESS = """
import sys, jax
jax.config.update("jax_num_cpu_devices", 2)
from tests.study import test_runner as test
from tests.train.programs import shared_programs
test.jobs_module.load = test.tiny
with shared_programs():
    rows = test.run_study(test.recipe(), sys.argv[1], resume=True)
print("rows", len(rows))
"""


def test_two_processes_share_a_folder(finished, tmp_path):
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    pipe = subprocess.STDOUT
    started = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=pipe, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    assert all("rows 6" in text for text in said), said
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert len(lines) == 6 and len({json.loads(line)["key"] for line in lines}) == 6
    assert sorted(map(str, map(told, map(json.loads, lines)))) == sorted(
        map(str, map(told, finished[1]))
    )
    # Each job ran once: what one process did, the other found.
    assert "\n".join(said).count("over 2 lanes") == "\n".join(said).count("over 4 lanes") == 1


def test_a_model_made_for_one_task_needs_no_word_for_it(monkeypatch):
    asked = []

    def load(name, *, task, split, n_splits):
        asked.append(task)
        return tiny_links()

    monkeypatch.setattr(jobs_module, "load", load)
    ready = list(jobs(recipe(('"mlp"', '"ness"'))))
    assert asked == ["link"] and {job.plan.model.out for job in ready} == {4}
