"""What an epoch is spent on: the gradient of each matrix, the evaluation, and a compilation.

    python experiments/grades/share.py

Milliseconds of an epoch of one seed, evaluation included: CPU time, medians of alternating runs. A
program without a gradient is what a rebuild makes; a phase of rate 0 evaluates and does no more.
"""

import sys
import time
from typing import Any

import jax
import numpy as np
from cases import CASES

from jgc.train import GradES, Method, Phase, Stopping, lane, lane_program
from jgc.train.stage import Rebuilt

EPOCHS, ROUNDS = 40, 7


def main(wanted: list[str]) -> None:
    """One line a case: each matrix closed out alone, and all of them."""
    for case in CASES:
        if wanted and f"{case.dataset}-{case.model}" not in wanted:
            continue
        times = measured(case)
        whole, evaluation = times[()][1], times["evaluation"][1]
        print(
            f"{case.dataset} {case.model}: compile {times[()][0]:.1f} s, "
            f"epoch {1e3 * whole:.1f} ms, {100 * evaluation / whole:.0f} % of it evaluation"
        )
        for closed, (compile_s, epoch_s) in times.items():
            if closed not in ((), "evaluation"):
                saved = whole - epoch_s
                pays = f"{compile_s / saved:.0f} epochs" if saved > 0 else "never"
                name = closed[0] if len(closed) == 1 else "all"
                print(
                    f"   without {name}: {1e3 * epoch_s:.2f} ms, {100 * saved / whole:.0f} % less;"
                    f" compile {compile_s:.2f} s, which pays after {pays}",
                    flush=True,
                )


def measured(case) -> dict[Any, tuple[float, float]]:
    """`{closed: (seconds to compile, seconds of an epoch)}`."""
    job = case.job("full", range(1))
    task, first = job.task, lane(0)
    stopping = Stopping(grades=GradES(0.0))

    def built(closed):
        rate, left_out = (0.0, ("no matrix",)) if closed == "evaluation" else (1.0, closed)
        method = Method("dense", (Phase(10_000, rate=rate),))
        rebuilt = Rebuilt(left_out)
        return lane_program(job.plan.model, task, method, job.plan.optimiser, stopping, rebuilt)

    init, _ = built(())
    state = jax.jit(init)(first, task.data)
    names = [(name,) for name in state.freeze.frozen_at]
    programs, compiled_s = {}, {}
    for closed in ((), *names, sum(names, ()), "evaluation"):
        began = time.process_time()
        lowered = jax.jit(built(closed)[1]).lower(state, (first, None), task.data, 1, 2)
        programs[closed] = lowered.compile({"xla_backend_optimization_level": 1})
        compiled_s[closed] = time.process_time() - began
    spans = {closed: [] for closed in programs}
    for _ in range(ROUNDS):
        for closed, program in programs.items():
            began = time.process_time()
            jax.block_until_ready(program(state, (first, None), task.data, 1, 1 + EPOCHS))
            spans[closed].append((time.process_time() - began) / EPOCHS)
    return {closed: (compiled_s[closed], float(np.median(spans[closed]))) for closed in programs}


if __name__ == "__main__":
    main(sys.argv[1:])
