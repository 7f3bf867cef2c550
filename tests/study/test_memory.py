"""Between the jobs of a long study."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jgc.study.memory import give_back


def resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps what was freed; others do not")
def test_holes_between_what_is_kept_go_back_to_the_system():
    blocks = [bytes(20_000) for _ in range(10_000)]  # 190 MB, and every tenth stays
    kept = blocks[::10]
    del blocks
    before = resident()
    give_back()
    assert resident() < before - 100
    assert len(kept) == 1000


def test_compiled_programs_are_forgotten():
    run = jax.jit(lambda x: x + 1)
    run(jnp.ones(3))
    assert run._cache_size() == 1
    give_back()
    assert run._cache_size() == 0
