"""Does the memory of a process that runs studies stay flat?

Runs the same small study again and again in one process, each into a new folder, and writes a row
of memory after every one.

    python experiments/trust/soak.py --minutes 30
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from jgc.study import load_recipe
from jgc.study.runner import run_study

ROWS = Path(__file__).with_name("soak.jsonl")
RECIPE = """
name = "soak"
seeds = 2
[[run]]
dataset = "sbm"
model = "gcn"
settings = { hidden = 16, epochs = 40, finetune_epochs = 20 }
method = [
  { name = "dense" },
  { name = "global+qat", sparsity = [0.5, 0.9], bits = 8 },
]
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


def soak(minutes: float):
    """Yields a row after every study."""
    recipe, began, count = load_recipe(RECIPE), time.monotonic(), 0
    while time.monotonic() < began + 60 * minutes:
        with tempfile.TemporaryDirectory() as folder:
            rows = run_study(recipe, folder, report=lambda line: None)
        count += 1
        elapsed = time.monotonic() - began
        yield {
            "study": count, "s": round(elapsed, 1), "rows": len(rows),
            "mb": round(resident_mb(), 1), "files": len(list(Path("/proc/self/fd").iterdir())),
        }  # fmt: skip


def slope(rows: list[dict]) -> float:
    """Growth in MB an hour, by least squares."""
    line = statistics.linear_regression([r["s"] / 3600 for r in rows], [r["mb"] for r in rows])
    return line.slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    rows = []
    with ROWS.open("w") as file:
        for row in soak(parser.parse_args().minutes):
            rows.append(row)
            print(json.dumps(row), file=file, flush=True)
    late = rows[len(rows) // 3 :]  # The first studies fill the caches of jax and malloc.
    print(
        f"{len(rows)} studies, {rows[0]['mb']} MB after the first, {rows[-1]['mb']} MB at the end"
    )
    if len(late) > 1:
        print(f"last two thirds: {slope(late):+.1f} MB an hour")


if __name__ == "__main__":
    main()
