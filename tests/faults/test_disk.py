"""Full disks, read-only folders and kills at every single change of a folder."""

import itertools
import resource
import signal
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jgc import pack
from jgc.report.page import write_report
from jgc.study import Store
from jgc.train import Checkpoint
from tests.faults.disk import die, fault, full, read_only
from tests.faults.kill import CONTEXT
from tests.report.cases import METHODS, RUNS, study
from tests.study.test_store import make
from tests.train.test_checkpoint import shapes_of

ROOT = Path(__file__).parents[2]
OLD, NEW = ({"w": np.full((40, 30), value, np.float32)} for value in (1, 2))
LARGE = {"w": np.random.default_rng(0).normal(size=9999)}  # Does not pack.
STATE = {"a": jnp.arange(2000.0)}


def append(folder):
    Store(folder, report=lambda line: None).append([make(seed) for seed in range(3)])


def rows(folder):
    found = Store(folder, report=lambda line: None).rows()
    assert [row["seed"] for row in found] == list(range(len(found)))
    return len(found) if len(found) < 3 else "done"


def save(folder):
    pack.save(folder / "model.safetensors", NEW)


def saved(folder):
    held = pack.load(folder / "model.safetensors").params["w"]
    return "done" if (held == NEW["w"]).all() else bool((held == OLD["w"]).all())


def note(folder):
    kept = Checkpoint(folder / "kept", "me")
    for epoch in (2, 3):
        kept.save(STATE, epoch)


def noted(folder):
    state, epoch = Checkpoint(folder / "kept", "me").restore(shapes_of(STATE))
    assert epoch == 0 or (state["a"] == STATE["a"]).all()
    return "done" if epoch == 3 else epoch


def tell(folder):
    Store(folder).append(study(RUNS[:1], METHODS[:3], 2))
    write_report(folder)


def told(folder):
    """Files of a report are whole: Markdown ends with a note, HTML with its tag."""
    for file, end in (("report.html", "</html>"), ("table.md", ".")):
        if (folder / file).exists():
            assert (folder / file).read_text().rstrip().endswith(end)
    return "done" if (folder / "table.csv").exists() else "begun"


def old(folder):
    pack.save(folder / "model.safetensors", OLD)


WORKS = {
    "rows": (lambda folder: None, append, rows),
    "artefact": (old, save, saved),
    "checkpoint": (lambda folder: None, note, noted),
    "report": (lambda folder: None, tell, told),
}
QUICK = ["rows", "artefact", pytest.param("checkpoint", marks=pytest.mark.slow),
         pytest.param("report", marks=pytest.mark.slow)]  # fmt: skip


def fresh(tmp_path, name, n):
    folder = tmp_path / f"{name}-{n}"
    folder.mkdir()
    WORKS[name][0](folder)
    return folder


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("act", [full, read_only], ids=lambda act: act.__name__)
def test_every_change_that_fails_is_a_clear_error_and_can_be_made_up_for(name, act, tmp_path):
    _, work, result = WORKS[name]
    for n in itertools.count(1):
        folder = fresh(tmp_path, name, n)
        with fault(n, act) as struck:
            try:
                work(folder)
            except OSError as error:
                assert error.errno in (28, 30) and str(error)
        result(folder)
        work(folder)
        assert result(folder) == "done"
        if not struck:
            break
    assert n > 2


def _die_at(name, folder, n):
    with fault(n, die):
        WORKS[name][1](Path(folder))


@pytest.mark.parametrize("name", QUICK)
def test_a_kill_at_every_change_loses_nothing_that_was_there(name, tmp_path):
    _, work, result = WORKS[name]
    for n in itertools.count(1):
        folder = fresh(tmp_path, name, n)
        process = CONTEXT.Process(target=_die_at, args=(name, str(folder), n))
        process.start()
        process.join(100)
        assert process.exitcode in (0, -signal.SIGKILL)
        result(folder)
        work(folder)
        assert result(folder) == "done"
        if process.exitcode == 0:
            break
    assert n > 2


def _limited(name, folder, most):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    try:
        WORKS[name][1](Path(folder))
    except OSError as error:
        assert str(error)
        sys.exit(3)


@pytest.mark.parametrize("name", QUICK)
def test_a_file_that_no_more_bytes_go_into(name, tmp_path):
    """The disk is full in the middle of a write, after any number of bytes."""
    _, work, result = WORKS[name]
    codes = []
    for most in (0, 1, 100, 300, 500, 700, 1 << 24):
        folder = fresh(tmp_path, name, most)
        process = CONTEXT.Process(target=_limited, args=(name, str(folder), most))
        process.start()
        process.join(100)
        codes.append(process.exitcode)
        result(folder)
        work(folder)
        assert result(folder) == "done"
    assert set(codes[:3]) == {3} and codes[-1] == 0, codes
