"""Suggestions with optuna: a file that remembers, a seed that decides."""

import sys

import pytest

from jgc.search.space import METHODS, structures
from jgc.search.suggest import Suggestions
from tests.search.cases import candidate

SPACE = structures(64)


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna", reason="optuna is missing: pip install 'jgc[search]'")


def fronts(structure):
    """All candidates of a structure; those of width 8 are good."""
    good = structure.hidden == 8
    return [
        candidate(0.8 if good else 0.5, 100 if good else 900,
                  hidden=structure.hidden, method=structure.method, level=level)
        for level in METHODS[structure.method].levels
    ]  # fmt: skip


def walked(path, seed, n, done=None, stop_after=None):
    """The first `n` structures; the file is opened anew after some of them."""
    led, order = Suggestions(path, "sbm", SPACE, seed), []
    done = set() if done is None else done
    while len(order) < n:
        if len(order) == stop_after:
            led = Suggestions(path, "sbm", SPACE, seed)
        structure = led.next(done)
        done.add(structure)
        order.append(structure)
        found = fronts(structure)
        led.tell(found, [0.0] * len(found))
    return order


def test_the_same_seed_walks_the_same_way_though_it_was_stopped(tmp_path, optuna):
    way = walked(tmp_path / "a", 0, 7)
    assert way[0].hidden == 16 and way[0].method == "global+qat" and len(set(way)) == 7
    assert walked(tmp_path / "b", 0, 7, stop_after=5) == way
    assert walked(tmp_path / "c", 1, 7) != way


def test_what_was_good_is_followed(tmp_path, optuna):
    good = [each for each in SPACE if each.hidden == 8]
    seen = [SPACE[0], SPACE[-1], good[0], SPACE[8]]
    for seed in range(3):
        led = Suggestions(tmp_path / f"{seed}", "sbm", SPACE, seed)
        for structure in seen:
            found = fronts(structure)
            led.tell(found, [0.0] * len(found))
        assert led.next({*seen}).hidden == 8


def test_every_structure_once_and_then_none(tmp_path, optuna):
    led, done = Suggestions(tmp_path / "a", "sbm", SPACE[:5], 0), set()
    while (structure := led.next(done)) is not None:
        assert structure not in done
        done.add(structure)
    assert done == set(SPACE[:5])


def test_lanes_are_trials_told_once(tmp_path, optuna):
    path = tmp_path / "new" / "a"
    for _ in range(2):
        found = fronts(SPACE[0])
        Suggestions(path, "sbm", SPACE, 0).tell(found, [0.5] * len(found))
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    (study,) = optuna.get_all_study_summaries(storage)
    assert study.n_trials == len(METHODS[SPACE[0].method].levels)
    trial = optuna.load_study(study_name="sbm", storage=storage).trials[0]
    assert trial.values == [0.5, 900.0] and trial.constraints == {"budget": 0.5}
    assert trial.params == {"hidden": 64, "method": "global+qat", "sparsity": 0.5, "bits": 2}


def test_without_optuna_the_cure_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'jgc\[search\]'"):
        Suggestions(tmp_path / "a", "sbm", SPACE, 0)
