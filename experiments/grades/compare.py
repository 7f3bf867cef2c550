"""GradES beside classic early stopping with patience, and beside training to the end.

    python experiments/grades/compare.py [cora-gcn ...]

Adds rows to results.jsonl, and times to times.jsonl: every rule is run once a round, one after the
other, so that what else the machine does falls on all of them. `table.py` reads both.
"""

import json
import sys
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 2)

from cases import CASES  # noqa: E402

from jgc.study.job import run_job  # noqa: E402
from jgc.study.rows import row_key  # noqa: E402
from jgc.study.store import Store  # noqa: E402

FOLDER = Path(__file__).parent
SEEDS, ROUNDS = range(10), 3


def main(wanted: list[str]) -> None:
    """Runs what is wanted, or everything."""
    for case in CASES:
        name = f"{case.dataset}-{case.model}"
        if not wanted or name in wanted:
            for i in range(ROUNDS):
                for rule in ("patience", "grades", *(("full",) if i == 0 else ())):
                    run(case, rule, i)


def run(case, rule: str, i: int) -> None:
    """One training of all seeds; its rows are kept in the first round, its time in each."""
    job = case.job(rule, SEEDS)
    jax.clear_caches()
    outcome = run_job(job)
    done = outcome.trained
    told = {"dataset": case.dataset, "model": case.model, "rule": rule, "round": i,
            "compile_s": round(done.compile_s, 2), "run_s": round(done.run_s, 2)}  # fmt: skip
    with (FOLDER / "times.jsonl").open("a") as file:
        file.write(json.dumps(told) + "\n")
    tests = [row["test"] for row in outcome.rows]
    print(*told.values(), f"test {sum(tests) / len(tests):.4f}", flush=True)
    if i == 0:
        store = Store(FOLDER)
        there = store.keys()
        store.append([row for row in outcome.rows if row_key(row["config"]) not in there])


if __name__ == "__main__":
    main(sys.argv[1:])
