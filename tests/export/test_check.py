"""`check`: how far a written model may be from jgc, and that further is refused."""

import numpy as np
import pytest

from jgc.export.check import check
from jgc.export.program import begin
from tests.export.cases import QUANTIZERS, restored

MADE = {
    "float": begin(restored("mlp", "graph"), "m"),
    "quantised": begin(restored("mlp", "graph", QUANTIZERS["qat, 8 bits"]), "m"),
}


def run_with(made, change):
    """The program as it is, and its answers changed by a function."""
    variables = made.variables({name: weight.decoded() for name, weight in made.weights.items()})
    return lambda *arrays: change(np.array(made.run(variables, *arrays)))


def moved(share, by):
    """Adds to a share of the answers a part of the largest."""

    def change(answers):
        answers.ravel()[: round(share * answers.size)] += by * np.abs(answers).max()
        return answers

    return change


@pytest.mark.parametrize(
    "kind, change",
    [
        ("float", moved(0, 0)),
        ("float", moved(1, 2e-6)),
        ("quantised", moved(0.2, 0.02)),
        ("quantised", moved(1, 2e-6)),
    ],
)
def test_what_is_near_enough_passes(kind, change):
    check(MADE[kind], run_with(MADE[kind], change), "The program")


@pytest.mark.parametrize(
    "kind, change",
    [
        ("float", moved(0.2, 1e-3)),
        ("quantised", moved(0.6, 1e-3)),
        ("quantised", moved(0.2, 0.5)),
        ("float", lambda answers: answers * np.nan),
        ("quantised", lambda answers: answers[:, :1]),
        ("float", lambda answers: answers.T),
    ],
)
def test_what_is_not_is_refused(kind, change):
    with pytest.raises(ValueError, match=r"The program of MLP gives other numbers .* Nothing was"):
        check(MADE[kind], run_with(MADE[kind], change), "The program")
