"""Pieces of a study; Ray itself where the extra is installed."""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from jgc.study import check_row, load_recipe, named_recipe
from jgc.study import jobs as jobs_module
from jgc.study.cluster import _check_answers, run_on_ray
from jgc.study.pieces import Piece, outcomes, pieces
from jgc.study.runner import run_study
from tests.study.cases import tiny_recipe
from tests.study.test_runner import recipe, tiny

SCORES = ("key", "val", "test", "test_oracle", "dense_test", "bytes_file")
# Embedded data, which a worker finds by its name; long enough for a worker to be killed at work.
FOR_RAY = tiny_recipe(hidden=8, epochs=20, finetune=5, sparsity=[0.5])


def scores(rows):
    return sorted(tuple(row.get(name) for name in SCORES) for row in rows)


@pytest.mark.parametrize("n_worker", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("seeds", [1, 2, 10])
def test_pieces_are_all_lanes_each_once(n_worker, seeds):
    plan = named_recipe("quickstart").with_seeds(seeds)
    found = pieces(plan, n_worker)
    lanes = [(piece.run, seed) for piece in found for seed in piece.seeds]
    assert lanes == [(run, seed) for run in range(len(plan.run)) for seed in range(seeds)]
    assert len(found) >= min(n_worker, seeds * len(plan.run)) or n_worker > len(plan.run)


@pytest.mark.parametrize("n_worker", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_rows_of_pieces_are_those_of_the_study(n_worker, programs, monkeypatch, tmp_path):
    """Bit for bit: a lane does not know what is trained beside it."""
    del programs
    monkeypatch.setattr(jobs_module, "load", tiny)
    whole = run_study(recipe(), tmp_path / "whole", report=lambda line: None)
    done, found = set(), []
    for piece in pieces(recipe(), n_worker):
        for rows in outcomes(recipe(), piece, done, tmp_path / str(piece.seeds)):
            found += rows
    assert scores(map(check_row, found)) == scores(whole)
    keys = {row["key"] for row in whole}
    # What is there already is not trained again.
    assert list(outcomes(recipe(), Piece(0, (0, 1)), keys, tmp_path)) == []


def test_where_ray_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r'needs Ray: `pip install "jgc\[cluster\]"`'):
        run_on_ray(recipe(), tmp_path)


def test_an_address_that_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(
        OSError, match=f"No Ray cluster answers at 127.0.0.1:{port} .Connection refused"
    ):
        _check_answers(f"127.0.0.1:{port}")
    with pytest.raises(ValueError, match='must be "host:port" or "auto", got \'here\''):
        _check_answers("here")


@pytest.mark.slow
def test_a_worker_that_dies_loses_no_row(tmp_path):
    pytest.importorskip("ray", reason="Ray: pip install 'jgc[cluster]'")
    said, plan = [], load_recipe(FOR_RAY)
    killer = threading.Thread(target=_kill_a_worker, daemon=True)
    killer.start()
    rows = run_on_ray(plan, tmp_path / "ray", report=said.append)
    here = run_study(plan, tmp_path / "here", report=lambda line: None)
    assert any("its worker died; what is left of it runs again" in line for line in said)
    assert scores(rows) == scores(here)


def _kill_a_worker() -> None:
    """The first process that names itself after the work, as Ray's workers do."""
    for _ in range(1200):
        time.sleep(0.1)
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if entry.joinpath("cmdline").read_bytes().startswith(b"ray::_work"):
                    time.sleep(1)
                    return os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue
