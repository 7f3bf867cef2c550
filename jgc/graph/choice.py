"""Which back end `"auto"` is: what compiling and running cost, by size, type and steps to come."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jgc.graph import native

STEPS = 200  # A short training.
FEATURES = 64


class Cost(NamedTuple):
    """What a sum over edges and its gradient cost.

    Attributes:
        compile_s: Seconds to compile both.
        step_us: Microseconds of both, however small the graph.
        value_ns: Nanoseconds for each edge and feature, by type; other types are not offered.
    """

    compile_s: float
    step_us: float
    value_ns: dict[str, float]


# Medians on 2 cores of an AMD EPYC (AVX-512), jax 0.10.2, by experiments/bench/backends.py:
# power-law graphs, 10 edges a node, 64 features; compiling and `step_us` in float32 at 1e3 edges,
# `value_ns` at 1e6, where nothing fits a cache. The ranks decide, not the values, which another
# machine moves together.
COSTS = {
    "native": Cost(0.03, 16, {"float32": 0.34, "bfloat16": 0.63}),
    "bcsr": Cost(0.05, 45, {"float32": 0.82}),
    "segment": Cost(0.1, 90, {"float32": 5.3, "bfloat16": 3.7}),
}


class BackendChoice(NamedTuple):
    """Which back end `"auto"` means, and why.

    Attributes:
        backend: Its name.
        reason: In words.
        seconds: Estimate for each back end that could run: to compile, and all steps. Empty where
            nothing was weighed.

    Example:
        >>> choice = choose(1000, 16, "float32", 1)
        >>> choice.backend in choice.seconds or choice.seconds == {}
        True
    """

    backend: str
    reason: str
    seconds: dict[str, float]


def choose(n_edge: int, features: int, dtype, steps: int) -> BackendChoice:
    """The back end of least time for a product and its gradient on the present device.

    Args:
        n_edge: Entries of the pattern.
        features: Of a row.
        dtype: Of the values.
        steps: How often it will run, >= 1.

    Returns:
        The `BackendChoice`.

    Example:
        >>> choose(1_000_000, 64, "float32", 1000).backend in ("native", "bcsr", "segment")
        True
    """
    device, name = jax.default_backend(), jnp.dtype(dtype).name
    if device != "cpu":
        return BackendChoice(
            "segment", f"on {device} a sorted segment sum, XLA's own; others were never timed", {}
        )
    costs = {
        backend: cost
        for backend, cost in COSTS.items()
        if name in cost.value_ns and (backend != "native" or native.ready())
    }
    if not costs:
        return BackendChoice("segment", f"no other takes {name}", {})
    seconds = {
        backend: cost.compile_s
        + steps * (1e-6 * cost.step_us + 1e-9 * cost.value_ns[name] * n_edge * features)
        for backend, cost in costs.items()
    }
    ranked = sorted(seconds, key=lambda backend: seconds[backend])
    told = ", ".join(f"{backend} {seconds[backend]:.2g} s" for backend in ranked)
    missing = "" if native.ready() else f"; no C++ kernels: {native.why_not()}"
    return BackendChoice(
        ranked[0],
        f"to compile and {steps} steps of {n_edge} edges x {features} {name}, estimated: "
        f"{told}{missing}",
        seconds,
    )
