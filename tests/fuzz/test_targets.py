"""Every reader on mutated inputs: a right answer or a clear error, never anything else."""

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.target import judge
from tests.fuzz.targets import TARGETS

SECONDS = 5.0  # An input of a few kB that takes longer hangs.


def mutated(target):
    """Seeds, each cut and pasted at up to four places."""
    pieces = st.binary(max_size=8) | st.sampled_from(target.words or (b"",))
    edit = st.tuples(st.floats(0, 1), st.integers(0, 12), pieces)
    return st.builds(edited, st.sampled_from(target.seeds), st.lists(edit, min_size=1, max_size=4))


def edited(data: bytes, edits) -> bytes:
    """The first byte says which file an input stands for and stays."""
    for place, cut, piece in edits:
        start = 1 + int(place * (len(data) - 1))
        data = data[:start] + piece + data[start + cut :]
    return data


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name, folder):
    for seed in TARGETS[name].seeds:
        assert judge(TARGETS[name], seed, folder)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs(name, folder):
    @settings(
        derandomize=True, deadline=None, max_examples=100, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(mutated(TARGETS[name]))
    def judged(data):
        began = time.monotonic()
        judge(TARGETS[name], data, folder)
        assert time.monotonic() - began < SECONDS

    judged()
