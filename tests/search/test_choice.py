"""The choice among candidates whose scores are known, with a trainer that only looks them up."""

import pytest

from jgc.search import choice as module
from jgc.search.budget import Budget
from jgc.search.choice import Choice
from jgc.search.space import Structure
from jgc.search.trainer import Final
from jgc.study.method import Level
from tests.search.cases import InOrder, candidate

DENSE = candidate(0.8, 40_000)
ONE = Structure(4, "qat")


class Known:
    """A trainer of one structure: by bits, what few seeds say and what all do."""

    def __init__(self, few, full):
        self.few, self.full, self.asked = few, full, []

    def known(self, structure):
        return []

    def trained(self, structure):
        if structure != ONE:
            raise ValueError("it diverged")
        return [candidate(*pair, level=Level(bits=b)) for b, pair in self.few.items()]

    def final(self, wanted):
        bits = wanted.level.bits
        self.asked.append(bits)
        val, n_bytes = self.full[bits]
        return Final(candidate(val, n_bytes, level=wanted.level), 0, {"n_bytes": n_bytes})


def chosen(budget, few, full, space=(ONE,), trials=5):
    """The winner's bits, what was trained with all seeds, and the lines."""
    trainer, lines, led = Known(few, full), [], InOrder(None, "sbm", space, 0)
    choice = Choice(budget, DENSE, trainer, lines.append)
    choice.look(list(space), led, trials)
    final = choice.settled()
    return None if final is None else final.candidate.level.bits, trainer.asked, lines, led


@pytest.fixture
def plain(monkeypatch):
    """Files that say nothing of themselves."""
    monkeypatch.setattr(module.pack, "file_bytes", lambda n_bytes: n_bytes)


def test_the_best_score_that_fits_wins_if_it_holds_with_all_seeds(plain):
    few = {2: (0.70, 100), 3: (0.75, 200), 4: (0.79, 300), 8: (0.90, 900)}
    assert chosen(Budget(max_bytes=500), few, few)[:2] == (4, [4])
    lucky = {**few, 4: (0.74, 300)}
    assert chosen(Budget(max_bytes=500), few, lucky)[:2] == (3, [4, 3])


def test_luck_is_only_followed_so_far(plain, monkeypatch):
    monkeypatch.setattr(module, "FINALISTS", 2)
    few = {bits: (0.9 - bits / 100, 100) for bits in range(2, 9)}
    full = {bits: (0.5 + bits / 100, 100) for bits in range(2, 9)}
    assert chosen(Budget(max_bytes=500), few, full)[:2] == (3, [2, 3])


def test_the_smallest_within_the_loss_wins_and_all_are_tried(plain):
    few = {2: (0.795, 100), 3: (0.791, 200), 4: (0.792, 300), 5: (0.79, 400), 6: (0.79, 450),
           8: (0.80, 900)}  # fmt: skip
    full = {**{bits: (0.78, size) for bits, (_, size) in few.items()}, 8: (0.79, 900)}
    assert chosen(Budget(max_loss=1.0), few, full)[:2] == (8, [2, 3, 4, 5, 6, 8])


def test_what_is_known_counts_as_tried():
    class Resumed(Known):
        def known(self, structure):
            return super().trained(structure) if structure == ONE else []

    lines, few = [], {4: (0.8, 100)}
    other = Structure(8, "qat")
    choice = Choice(Budget(max_bytes=500), DENSE, Resumed(few, few), lines.append)
    choice.look([ONE, other], InOrder(None, "sbm", (ONE, other), 0), 2)
    assert [line[:7] for line in lines] == ["2 of 2:"] and len(choice.candidates) == 1


def test_what_a_file_says_of_itself_counts(monkeypatch):
    monkeypatch.setattr(module.pack, "file_bytes", lambda n_bytes: n_bytes + 50)
    few = {2: (0.7, 100), 4: (0.8, 451)}
    assert chosen(Budget(max_bytes=500), few, few)[:2] == (2, [4, 2])
    assert chosen(Budget(max_bytes=501), few, few)[:2] == (4, [4])


def test_nothing_in_the_budget(plain):
    few = {2: (0.7, 100), 4: (0.8, 300)}
    winner, asked, lines, led = chosen(Budget(max_bytes=50), few, few)
    assert winner is None and asked == [] and "nothing in the budget" in lines[0]
    assert [excess for _, excess in led.told] == [1.0, 5.0]


def test_a_structure_that_cannot_be_trained_is_left_out_and_said(plain):
    few = {2: (0.7, 100)}
    space = (Structure(64, "qat"), ONE)
    winner, _, lines, _ = chosen(Budget(max_bytes=500), few, few, space)
    assert winner == 2 and lines[0] == "1 of 5: hidden 64, qat is left out: it diverged"
    with pytest.raises(ValueError, match="No structure could be trained"):
        chosen(Budget(max_bytes=500), few, few, space[:1])


def test_no_more_structures_than_trials(plain):
    few = {2: (0.7, 100)}
    lines = chosen(Budget(max_bytes=500), few, few, (ONE, Structure(64, "qat")), trials=1)[2]
    assert len(lines) == 2 and "1 of 1" in lines[0] and "with all seeds" in lines[1]
