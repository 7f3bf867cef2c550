"""Killed at random moments, a work goes on and ends as one that was left alone."""

import pytest

from tests.faults.kill import kills
from tests.faults.work import WORKS

SLOW = [pytest.param("study", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", ["artefact", "training", *SLOW])
def test_a_few_kills(name):
    assert kills(name, 3)["kills"] >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_two_hundred_kills(name):
    assert kills(name, 200, seed=1)["kills"] >= 200
