"""One side of the comparisons, as a process: reads names of measures, answers their times.

    python -m jgc.bench.worker SIDE

A line of standard input is a measure's name, or "versions"; the answer is a line of JSON. The
last measure stays set up, so that rounds of both sides can alternate.
"""

import importlib
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version

from jgc.bench.cases import NEEDS, SIDES


def serve(side: str, asked, answers) -> None:
    """Answers each line of `asked` on `answers` until there are no more."""
    name, work = "", None
    for line in map(str.strip, asked):
        if line == "versions":
            found = versions(side)
        else:
            try:
                if line != name:
                    work = None  # Before the next one is set up: two large graphs need not fit.
                    measure, *words = line.split()
                    name, work = line, _measure(side, measure)(*words)
                assert work is not None
                found = {"ms": work.sample(), "facts": work.facts}
            except Exception as error:  # Whatever it is, the other comparisons go on.
                name, work, found = "", None, {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def versions(side: str) -> dict[str, str]:
    """What runs: packages, device and number of threads."""
    if side == "jgc":
        import jax

        from jgc import native

        found = {"platform": jax.default_backend(), "device": jax.devices()[0].device_kind}
        if found["platform"] == "cpu":
            found["kernels"] = "native" if native.status().ready else native.status().reason
    elif side == "gensim":
        found = {}
    else:
        torch = importlib.import_module("torch")  # No dependency: only here where it is installed.
        found = {"peer_device": "cpu"}
        if torch.cuda.is_available():
            found = {"peer_device": torch.cuda.get_device_name(0)}
    for package in NEEDS[side] or ("jax", "jgc"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _measure(side: str, name: str):
    for module in SIDES[side]:
        measures = importlib.import_module(module).MEASURES
        if name in measures:
            return measures[name]
    raise ValueError(f"No file of side {side!r} measures {name!r}.")


if __name__ == "__main__":
    # What libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1] == "jgc":
        import jax

        # In the thread that calls, as torch: another that is woken and waited for costs a third of
        # a pass over Cora, and glibc keeps less of its freed memory, whatever it is told.
        jax.config.update("jax_cpu_enable_async_dispatch", False)
    serve(sys.argv[1], sys.stdin, answers)
