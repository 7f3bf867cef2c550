"""A tiny search from end to end: one structure of two levels, then the winner with all seeds."""

import pytest

from jgc import pack
from jgc.search import find as module
from jgc.search import space, trainer
from jgc.search.budget import Budget
from jgc.search.find import search
from jgc.study import Store, load_recipe
from jgc.study import jobs as jobs_module
from jgc.study import runner as runner_module
from jgc.study.jobs import jobs
from jgc.study.method import DENSE, Method
from jgc.study.recipe import Run, Settings
from tests.search.cases import InOrder
from tests.train.cases import tiny_nodes

BASE = Run(dataset="sbm", model="mlp", settings=Settings(hidden=4, epochs=3), method=(DENSE,))
QAT = Method.checked({"name": "qat", "bits": [2, 4], "bits_values": 8}, "qat")
ROOMY = Budget(max_bytes=4000)


@pytest.fixture(scope="module", autouse=True)
def _tiny(programs):
    del programs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs_module, "load", lambda *args, **kwargs: tiny_nodes())
        patch.setattr(module, "Suggestions", InOrder)
        # As many lanes while searching as in the end, so that one program serves both.
        patch.setattr(trainer, "SEEDS", 2)
        for name in [*space.METHODS]:
            patch.delitem(space.METHODS, name)
        patch.setitem(space.METHODS, "qat", QAT)
        yield


def found_in(folder, budget=ROOMY, **more):
    lines = []
    found = search(BASE, budget, folder, trials=1, seeds=4, report=lines.append, **more)
    return found, lines


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, *found_in(folder)


def test_the_winner_is_trained_with_all_seeds_and_written(finished):
    folder, found, lines = finished
    assert found.excess <= 0 and len(found.nearest.rows) == len(found.dense.rows) == 4
    assert lines[0].startswith("dense: val ") and lines[1].startswith("1 of 1: hidden 4, qat, 2 ")
    assert lines[2].startswith("with all seeds: hidden 4, qat: val ")
    path = folder / "model.safetensors"
    assert found.artefact.n_bytes == path.stat().st_size <= ROOMY.max_bytes
    best = max(row["val"] for row in found.nearest.rows)
    assert pack.restore(path).meta["val"] == best


def test_the_rows_are_those_of_a_study(finished):
    folder, found, _ = finished
    rows = Store(folder).rows()
    assert [row["method"] for row in rows].count("dense") == 4
    assert len(rows) == 4 + 2 * 2 + 2  # Of the winner's four seeds two were there.
    recipe = load_recipe(folder / "best.toml")
    keys = [job.key(*run) for job in jobs(recipe) for run in job.runs]
    theirs = (*found.dense.rows, *found.nearest.rows)
    assert keys == [row["key"] for row in theirs] and set(keys) <= {row["key"] for row in rows}


def test_the_lines_of_a_study_which_tell_test_scores_are_not_said(finished):
    assert len(finished[2]) == 3 and not any("lanes" in line for line in finished[2])


def test_a_folder_with_rows_needs_resume(finished):
    with pytest.raises(ValueError, match="already holds 10 rows. Add --resume"):
        found_in(finished[0])


def test_resume_trains_the_winner_only(finished, monkeypatch):
    folder, first, _ = finished
    asked, run_job = [], runner_module.run_job

    def watched(job, **more):
        asked.append(job.runs)
        return run_job(job, **more)

    monkeypatch.setattr(runner_module, "run_job", watched)
    again, _ = found_in(folder, resume=True)
    assert again.nearest == first.nearest and again.artefact.n_bytes == first.artefact.n_bytes
    assert asked == [tuple((first.nearest.level, seed) for seed in range(4))]


def test_a_budget_that_nothing_meets(finished, monkeypatch):
    monkeypatch.setattr(runner_module, "run_job", None)
    found, lines = found_in(finished[0], Budget(max_bytes=100), resume=True)
    assert found.artefact is None
    assert found.nearest.most_bytes == min(each.most_bytes for each in found.front)
    assert found.excess == pytest.approx(found.nearest.most_bytes / 100 - 1)


def test_numbers_that_make_no_sense(tmp_path):
    with pytest.raises(ValueError, match="`trials` and `seeds` must be >= 1, got 0 and 10"):
        search(BASE, ROOMY, tmp_path, trials=0)
    assert not list(tmp_path.iterdir())
