"""What the back ends of a sum over edges cost: the numbers of `COSTS` in `jgc/graph/choice.py`.

python experiments/bench/backends.py
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from jgc.bench import inputs
from jgc.graph import product, structure
from jgc.graph.choice import COSTS, FEATURES


def main() -> None:
    """Prints what compiling and running a product and its gradient take."""
    for dtype in ("float32", "bfloat16"):
        for n_edge in (1_000, 10_000, 100_000, 1_000_000):
            n_node = n_edge // 10
            senders, receivers = inputs.power_law(n_node, n_edge)
            pattern = structure(receivers, senders, n_row=n_node, n_col=n_node)
            x = jnp.ones((n_node, FEATURES), dtype)
            for backend in (name for name, cost in COSTS.items() if dtype in cost.value_ns):
                compile_s, step_s = measured(backend, pattern, x)
                value_ns = 1e9 * step_s / n_edge / FEATURES
                print(
                    f"{dtype} {n_edge} edges, {backend}: compiled in {compile_s:.3f} s, a step "
                    f"takes {1e3 * step_s:.3f} ms, {value_ns:.2f} ns an edge and feature",
                    flush=True,
                )


def measured(backend, pattern, x) -> tuple[float, float]:
    """Medians of compiling and of a step."""

    def step(pattern, x):
        y, back = jax.vjp(lambda x: product(pattern, None, x, backend), x)
        return y, back(x)

    compiles, steps = [], []
    for _ in range(3):
        jax.clear_caches()
        began = time.perf_counter()
        program = jax.jit(step).lower(pattern, x).compile()
        compiles.append(time.perf_counter() - began)
    jax.block_until_ready(program(pattern, x))
    for _ in range(15):
        began = time.perf_counter()
        jax.block_until_ready(program(pattern, x))
        steps.append(time.perf_counter() - began)
    return float(np.median(compiles)), float(np.median(steps))


if __name__ == "__main__":
    main()
