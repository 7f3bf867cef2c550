"""The space: every structure is a run of a recipe, every level one of its lanes."""

import pytest

from jgc.search.space import METHODS, SPARSITY, Structure, front, structures
from jgc.study import load_recipe
from jgc.study.method import DENSE, Level
from jgc.study.recipe import Recipe, Run, Settings
from tests.search.cases import candidate

BASE = Run(dataset="sbm", model="gcn", settings=Settings(epochs=7), method=(DENSE,))


def test_structures_are_widths_times_methods():
    space = structures(64)
    assert len(space) == len(set(space)) == 5 * len(METHODS)
    assert sorted({each.hidden for each in space}) == [4, 8, 16, 32, 64]
    assert {each.hidden for each in structures(1)} == {1}


@pytest.mark.parametrize("name", METHODS)
def test_a_level_of_a_structure_is_a_recipe_that_can_be_read(name):
    levels = METHODS[name].levels
    assert len(levels) == len(set(levels)) and {2, 3, 4} <= {level.bits for level in levels}
    run = Structure(8, name).run(BASE, levels[-1])
    again = load_recipe(Recipe(name="best", seeds=2, run=(run,)).to_toml()).run[0]
    assert again.method[0].levels == (levels[-1],)
    assert again.settings == Settings(epochs=7, hidden=8)
    assert again.method[0].bits_values == 8
    assert Structure(8, name).run(BASE).method[0].levels == levels
    assert BASE.method == (DENSE,) and BASE.settings.hidden is None


def test_the_front_leaves_out_what_is_larger_and_no_better():
    a, b, c = candidate(0.5, 10), candidate(0.6, 20), candidate(0.7, 30)
    assert front([c, candidate(0.6, 25), b, candidate(0.4, 10), a]) == [a, b, c]
    errors = [candidate(2.0, 10, metric="mae"), candidate(3.0, 20, metric="mae")]
    assert front(errors) == errors[:1]


def test_a_candidate_is_the_mean_of_its_seeds():
    each = candidate([0.5, 0.75], [100, 300], level=Level(SPARSITY[0], 4))
    assert (each.quality, each.n_bytes, each.most_bytes) == (0.625, 200, 300)
    assert candidate([1.0, 2.0], 1, metric="mae").quality == -1.5
