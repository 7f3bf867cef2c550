"""GradES beside classic early stopping with patience, and beside training to the end.

    python experiments/grades/compare.py rows [cora-gcn ...]
    python experiments/grades/compare.py times [cora-gcn ...]

`rows` adds what is missing to results.jsonl. `times` adds two rounds to times.jsonl; in a round the
rules are run one after the other, so that what else the machine does falls on both, and the CPU
seconds of the process are taken as well as those of the clock. `table.py` reads both files.
"""

import itertools
import json
import sys
import time
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 2)

from cases import CASES, Case  # noqa: E402

from jgc.study.store import Store  # noqa: E402
from jgc.study.training import run_job, train_job  # noqa: E402

FOLDER = Path(__file__).parent
SEEDS, ROUNDS = range(10), 2


def rows(cases: list[Case]) -> None:
    """All seeds of every rule, unless they are there."""
    store = Store(FOLDER)
    for rule, case in itertools.product(("patience", "grades", "full"), cases):
        job = case.job(rule, SEEDS).without(store.keys())
        if job.runs:
            store.append(run_job(job).rows)
            print(case.dataset, case.model, rule, flush=True)


def times(cases: list[Case]) -> None:
    """Seconds of compiling and running."""
    for case, _ in itertools.product(cases, range(ROUNDS)):
        for rule in ("patience", "grades"):
            job = case.job(rule, SEEDS)
            job.task  # noqa: B018 - the data are made before the clock starts
            jax.clear_caches()
            began = time.process_time()
            done = train_job(job)
            spent = {"compile_s": done.compile_s, "run_s": done.run_s,
                     "cpu_s": time.process_time() - began}  # fmt: skip
            told = {"dataset": case.dataset, "model": case.model, "rule": rule,
                    **{name: round(seconds, 2) for name, seconds in spent.items()}}  # fmt: skip
            with (FOLDER / "times.jsonl").open("a") as file:
                file.write(json.dumps(told) + "\n")
            print(*told.values(), flush=True)


if __name__ == "__main__":
    what, *wanted = sys.argv[1:]
    named = [case for case in CASES if not wanted or f"{case.dataset}-{case.model}" in wanted]
    {"rows": rows, "times": times}[what](named)
