import sys
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jgc.study import Settings, check_row, measure
from jgc.study.job import Job
from jgc.study.measure import timed
from jgc.study.method import Level
from jgc.study.plan import plan
from jgc.study.training import run_job
from jgc.study.translate import method_of
from tests.study.cases import words
from tests.train.cases import tiny_graphs, tiny_links, tiny_nodes


def measured(data, model, name, level, **settings):
    settings = Settings(hidden=4, epochs=2, finetune_epochs=1, learning_rate=0.05, **settings)
    ready = plan(data, model, settings)
    job = Job(data, model, ready, method_of(words(name), 2, 1), ((level, 0),))
    return run_job(job, measure=True).rows[0]


@pytest.mark.parametrize(
    "data, model, name, level, scores",
    [
        (tiny_nodes, "mlp", "global", Level(0.5), {"accuracy", "macro_f1", "roc_auc", "log_loss"}),
        (tiny_links, "gcn", "dense", Level(), {"accuracy", "roc_auc", "average_precision"}),
        (
            tiny_graphs,
            "mlp",
            "qat",
            Level(None, 4),
            {"accuracy", "macro_f1", "roc_auc", "log_loss"},
        ),
    ],
)
def test_a_measured_row_is_whole(data, model, name, level, scores):
    row = check_row(measured(data(), model, name, level))
    assert row["latency_ms"] > 0 and row["latency_iqr_ms"] >= 0
    assert row["memory_bytes"] > row["bytes_dense"] / 2
    assert set(row["scores"]) == scores
    # The pass answers as the loop did when validation chose this model.
    assert row["scores"][row["metric"]] == pytest.approx(row["test"])


def test_seeds_of_a_level_share_what_one_of_them_cost_and_have_scores_of_their_own(monkeypatch):
    passes = iter([(1.0, 0.0, None), (2.0, 0.0, None)])
    monkeypatch.setattr(measure, "timed", lambda run: next(passes))
    data = tiny_nodes()
    settings = Settings(hidden=4, epochs=2, finetune_epochs=1, learning_rate=0.05)
    runs = tuple((Level(sparsity), seed) for sparsity in (0.2, 0.9) for seed in (0, 1))
    job = Job(data, "mlp", plan(data, "mlp", settings), method_of(words("global"), 2, 1), runs)
    rows = run_job(job, measure=True).rows
    assert [row["latency_ms"] for row in rows] == [1e3, 1e3, 2e3, 2e3]
    assert all(row["scores"][row["metric"]] == pytest.approx(row["test"]) for row in rows)


def test_another_metric_may_choose():
    row = measured(tiny_links(), "gcn", "dense", Level(), metric="accuracy")
    assert row["metric"] == "accuracy" and row["config"]["settings"]["metric"] == "accuracy"
    assert row["scores"]["accuracy"] == pytest.approx(row["test"])


def test_only_what_the_machine_tells_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RAPL", tmp_path / "absent")
    assert timed(lambda: None)[2] is None
    monkeypatch.setattr(measure, "RAPL", tmp_path)
    joules = iter(range(0, 100, 7))
    for name in ("intel-rapl:0", "intel-rapl:0:1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("0")

    def run():
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text(str(int(next(joules) * 1e6)))

    monkeypatch.setattr(measure, "REPEATS", 6)
    assert timed(run)[2] == pytest.approx(7.0)


def test_gpus_tell_their_energy_where_their_library_is(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert timed(lambda: None)[2] is None
    joules = {0: 5.0, 1: 100.0}

    class NVMLError(Exception):
        pass

    nvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(joules),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: int(1000 * joules[gpu]),
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)

    def run():
        joules[0] += 2.0
        joules[1] += 0.5

    assert timed(run)[2] == pytest.approx(2.5)

    def absent():
        raise NVMLError("no driver")

    nvml.nvmlInit = absent
    assert timed(run)[2] is None


def test_warm_up_is_left_out(monkeypatch):
    calls = iter(range(100))
    clock = {"now": 0.0}
    monkeypatch.setattr(time, "perf_counter", lambda: clock["now"])

    def run():
        clock["now"] += 100.0 if next(calls) < measure.WARM_UP else 0.25

    middle, spread, _ = timed(run)
    assert (middle, spread) == (0.25, 0.0)


def test_every_score_of_a_kind_is_a_number():
    row = measured(tiny_nodes(), "mlp", "dense", Level())
    assert np.isfinite(list(row["scores"].values())).all()
    fractions = {name: score for name, score in row["scores"].items() if name != "log_loss"}
    assert jax.tree.all(jax.tree.map(lambda value: 0 <= value <= 1, fractions))
