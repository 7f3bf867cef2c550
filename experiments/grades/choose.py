"""Which threshold? One full training a seed tells for every threshold where it would have ended.

    python experiments/grades/choose.py

Prints, for the cases that are named (`cora-gcn`; all by default), epochs and best validation score
up to the end, for patience and for thresholds. Freezing a matrix changes what the others do
afterwards, so this is a forecast. It reads validation alone, of seeds that the comparison does not
use.
"""

import sys

import jax

jax.config.update("jax_num_cpu_devices", 2)

import numpy as np  # noqa: E402
from cases import CASES, GRACE, PATIENCE  # noqa: E402

from jgc.study.training import train_job  # noqa: E402

SEEDS = range(100, 103)
THRESHOLDS = [x * 10.0**-k for k in (5, 4, 3) for x in (1, 1.5, 2, 3, 5, 8)] + [1e-2]


def after_patience(val: np.ndarray) -> int:
    """Epochs that are run."""
    best = [val[: e + 1].argmax() for e in range(len(val))]
    waited = np.arange(len(val)) - best
    return int(np.append(np.flatnonzero(waited >= PATIENCE), len(val) - 1)[0]) + 1


def after_freezing(change: dict[str, np.ndarray], threshold: float) -> int:
    """Epochs that are run if nothing changes by freezing."""
    n = len(next(iter(change.values())))
    late = np.arange(n) >= max(int(GRACE * n), 1)
    at = [np.append(np.flatnonzero(late & (c < threshold)), n - 1)[0] for c in change.values()]
    return int(max(at)) + 1


def main(wanted: list[str]) -> None:
    """Prints the forecast of every case."""
    for case in CASES:
        if wanted and f"{case.dataset}-{case.model}" not in wanted:
            continue
        state = train_job(case.job("watched", SEEDS)).state
        changes = [{k: c[i] for k, c in state.freeze.change.items()} for i in range(len(SEEDS))]
        ends = [after_patience(val) for val in state.val]
        print(case.dataset, case.model, "patience", told(ends, state))
        for threshold in THRESHOLDS:
            ends = [after_freezing(change, threshold) for change in changes]
            print("   ", f"{threshold:.1e}", told(ends, state), flush=True)


def told(ends: list[int], state) -> str:
    """Mean of the epochs, and of the best validation score up to there."""
    val = np.mean([v[:end].max() for v, end in zip(state.val, ends, strict=True)])
    return f"epochs {np.mean(ends):6.1f}  validation {100 * val:.2f}"


if __name__ == "__main__":
    main(sys.argv[1:])
