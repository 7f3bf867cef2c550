"""Does the memory of a process that runs studies stay flat?

Does the same small work again and again in one process, each time in a new folder, and writes a row
of memory after every time: what the process has (`mb`), what is left when the allocator has handed
back what it can (`held_mb`), and what of it is in use (`used_mb`, by the allocator's own count).
glibc keeps hundreds of MB of freed memory in pieces after XLA has compiled, which is no leak. What
grows in `used_mb` or in `objects` would be: Python's small objects have an allocator of their own,
which `used_mb` does not see and `objects` does, as far as the garbage collector tracks them.

    python experiments/trust/soak.py --minutes 30           # studies of three programs: soak.jsonl
    python experiments/trust/soak.py checkpoint --times 200
    python experiments/trust/soak.py metrics --times 200    # what orbax asks tensorstore at a save
"""

import argparse
import ctypes
import gc
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import tensorstore

from jgc.study import load_recipe
from jgc.study.runner import run_study
from jgc.train.checkpoint import Checkpoint

HERE = Path(__file__).parent
RECIPE = """
name = "soak"
seeds = 2

[[run]]
dataset = "sbm"
model = "gcn"
settings = { hidden = 16, epochs = 40, finetune_epochs = 20 }
method = [{ name = "dense" }, { name = "global+qat", sparsity = [0.5, 0.9], bits = 8 }]

[[run]]
dataset = "motif"
model = "gin"
settings = { hidden = 16, layers = 2, epochs = 4, finetune_epochs = 2 }
method = [{ name = "dense" }]
"""


def resident_mb() -> float:
    """Memory of this process that is in RAM now, not the most that it ever was."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Mallinfo(ctypes.Structure):
    """What glibc's `mallinfo2` answers, in bytes: `uordblks` is in use, `hblkhd` mapped apart."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks "
        "keepcost".split()
    ]


def used_mb() -> float:
    """Memory that someone has asked the allocator for and not given back (glibc 2.33 and newer)."""
    libc = ctypes.CDLL("libc.so.6")
    libc.mallinfo2.restype = Mallinfo
    found = libc.mallinfo2()
    return (found.uordblks + found.hblkhd) / 1e6


def hand_back() -> None:
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def work(what: str) -> Callable[[str], object]:
    """What is done in a folder: a study, a checkpoint or a question to tensorstore."""
    if what in ("checkpoint", "metrics"):

        def save(folder: str) -> None:
            Checkpoint(folder, what).save({str(i): jnp.arange(100.0) for i in range(40)}, 1)

        if what == "checkpoint":
            return save
        with tempfile.TemporaryDirectory() as folder:
            save(folder)  # Before, there is little to ask for.
        return lambda folder: tensorstore.experimental_collect_matching_metrics("/tensorstore/")
    recipe = load_recipe(RECIPE)
    return lambda folder: run_study(recipe, folder, report=lambda line: None)


def soak(what: str, times: float, minutes: float):
    """Yields a row after every time."""
    do, began, count = work(what), time.monotonic(), 0
    while count < times and time.monotonic() < began + 60 * minutes:
        with tempfile.TemporaryDirectory() as folder:
            do(folder)
        count += 1
        elapsed, mb = time.monotonic() - began, resident_mb()
        hand_back()
        yield {
            "count": count, "s": round(elapsed, 1), "mb": round(mb, 1),
            "held_mb": round(resident_mb(), 1), "used_mb": round(used_mb(), 1),
            "objects": len(gc.get_objects()),
            "files": len(list(Path("/proc/self/fd").iterdir())),
        }  # fmt: skip


def slope(rows: list[dict], what: str) -> float:
    """Growth of a column in MB an hour, by least squares."""
    hours = [row["s"] / 3600 for row in rows]
    return statistics.linear_regression(hours, [row[what] for row in rows]).slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what", nargs="?", default="soak", choices=["soak", "checkpoint", "metrics"]
    )
    parser.add_argument("--times", type=float, default=math.inf)
    parser.add_argument("--minutes", type=float, default=math.inf)
    given = parser.parse_args()
    if math.isinf(given.times) and math.isinf(given.minutes):
        parser.error("for how long? Say --times or --minutes.")
    rows = []
    with (HERE / f"{given.what}.jsonl").open("w") as file:
        for row in soak(given.what, given.times, given.minutes):
            rows.append(row)
            print(json.dumps(row), file=file, flush=True)
    late = rows[len(rows) // 3 :]  # The first ones fill the caches of jax and malloc.
    for what in ("held_mb", "used_mb"):
        growth = f", last two thirds {slope(late, what):+.1f} an hour" if len(late) > 1 else ""
        print(f"{what}: {rows[0][what]} after the first of {len(rows)}, {rows[-1][what]}{growth}")


if __name__ == "__main__":
    main()
