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

from jgc.bench.cases import SIDES


def serve(side: str, asked, answers) -> None:
    """Answers each line of `asked` on `answers` until there are no more."""
    name, work = "", None
    for line in map(str.strip, asked):
        if line == "versions":
            found = versions(side)
        else:
            if line != name:
                work = None  # Before the next one is set up: two large graphs need not fit.
                name, work = line, _measure(side, line)()
            assert work is not None
            found = {"ms": work.sample(), "facts": work.facts}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def versions(side: str) -> dict[str, str]:
    """What runs: packages, device and number of threads."""
    if side == "jgc":
        import jax

        device = jax.devices()[0].device_kind
    else:
        import torch

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    packages = ("jax", "jgc") if side == "jgc" else ("torch", "torch_geometric")
    found = {"device": device}
    for package in packages:
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
    serve(sys.argv[1], sys.stdin, answers)
