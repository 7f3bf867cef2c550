"""`"auto"`: the least of compiling and running, by hand."""

import jax
import jax.numpy as jnp
import pytest

from jgc import native as library
from jgc.graph import choice, explain_backend, from_edges, layout

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="weighed on CPU alone")


@pytest.fixture(autouse=True)
def _costs(monkeypatch):
    """One back end starts at once, one runs quickly."""
    monkeypatch.setattr(library, "status", lambda: library.Status(True, "here"))
    monkeypatch.setattr(
        choice,
        "COSTS",
        {
            "native": choice.Cost(3.0, 0.0, {"float32": 1.0}),
            "segment": choice.Cost(1.0, 1000.0, {"float32": 9.0, "bfloat16": 9.0}),
        },
    )


def test_seconds_by_hand():
    found = choice.choose(1_000_000, 10, "float32", 100)
    assert found.seconds == pytest.approx({"native": 3 + 1.0, "segment": 1 + 0.1 + 9.0})
    assert found.backend == "native"
    assert "100 steps of 1000000 edges x 10 float32" in found.reason
    assert "native 4 s, segment 10 s" in found.reason


@pytest.mark.parametrize("steps, backend", [(1, "segment"), (222, "segment"), (223, "native")])
def test_compiling_counts_by_the_steps_to_come(steps, backend):
    graph = from_edges([0] * 1000, [1] * 1000)
    # 2 s more to compile, 1 + 9 - 1 ms less a step.
    assert explain_backend(graph, features=1000, steps=steps).backend == backend


def test_a_type_that_one_alone_takes_is_its():
    assert choice.choose(10**9, 64, jnp.bfloat16, 10**6).backend == "segment"
    assert choice.choose(10**9, 64, jnp.int32, 10**6) == ("segment", "no other takes int32", {})


def test_what_is_missing_is_told(monkeypatch):
    monkeypatch.setattr(library, "status", lambda: library.Status(False, "no C++ compiler"))
    found = choice.choose(10**9, 64, "float32", 10**6)
    assert found.backend == "segment" and found.reason.endswith("no C++ kernels: no C++ compiler")


def test_a_layout_is_made_for_the_steps_to_come():
    graph = from_edges([0] * 100_000, [1] * 100_000)
    assert [layout(graph, steps=steps).backend for steps in (1, 1000)] == ["segment", "native"]
    with pytest.raises(ValueError, match="`steps` are those to come; must be >= 1, got 0"):
        layout(graph, steps=0)
