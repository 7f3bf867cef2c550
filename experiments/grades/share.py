"""What a frozen matrix costs: an epoch with its gradient, without it, and a compilation.

    python experiments/grades/share.py

Milliseconds of an epoch of one seed, evaluation included, medians of alternating runs, on one core.
"""

import time

import jax
import numpy as np
from cases import CASES

from jgc.train import GradES, Method, Phase, Stopping, lane, lane_program

EPOCHS, ROUNDS = 40, 7


def main() -> None:
    """One line a case: each matrix closed out alone, and all of them."""
    for case in CASES:
        times = measured(case)
        whole = times[()][1]
        print(case.dataset, case.model, f"compile {times[()][0]:.2f} s, epoch {1e3 * whole:.2f} ms")
        for closed, (compile_s, epoch_s) in times.items():
            if closed:
                saved = whole - epoch_s
                pays = f"{compile_s / saved:.0f} epochs" if saved > 0 else "never"
                name = closed[0] if len(closed) == 1 else "all"
                print(f"   without {name}: {1e3 * epoch_s:.2f} ms, {100 * saved / whole:.0f} % saved;"
                      f" compile {compile_s:.2f} s, which pays after {pays}", flush=True)  # fmt: skip


def measured(case) -> dict[tuple[str, ...], tuple[float, float]]:
    """`{closed: (seconds to compile, seconds of an epoch)}`."""
    job = case.job("full", range(1))
    task, first = job.task, lane(0)
    method = Method("dense", (Phase(10_000),))

    def built(closed):
        stopping = Stopping(grades=GradES(0.0))
        return lane_program(job.plan.model, task, method, job.plan.optimiser, stopping, closed)

    init, _ = built(())
    state = jax.jit(init)(first, task.data)
    names = [(name,) for name in state.freeze.frozen_at]
    programs, compiled_s = {}, {}
    for closed in ((), *names, sum(names, ())):
        began = time.perf_counter()
        lowered = jax.jit(built(closed)[1]).lower(state, (first, None), task.data, 1, 2)
        programs[closed] = lowered.compile({"xla_backend_optimization_level": 1})
        compiled_s[closed] = time.perf_counter() - began
    spans = {closed: [] for closed in programs}
    for _ in range(ROUNDS):
        for closed, program in programs.items():
            began = time.perf_counter()
            jax.block_until_ready(program(state, (first, None), task.data, 1, 1 + EPOCHS))
            spans[closed].append((time.perf_counter() - began) / EPOCHS)
    return {closed: (compiled_s[closed], float(np.median(spans[closed]))) for closed in programs}


if __name__ == "__main__":
    main()
