"""Where the time of a front of 200 lanes goes: wall and processor seconds of every part.

JGC_DATA_DIR=... python experiments/search/front.py --out runs/front
"""

import os
import time

START = time.perf_counter()
os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(len(os.sched_getaffinity(0))))

import argparse  # noqa: E402 - the clock runs
import json  # noqa: E402
from pathlib import Path  # noqa: E402

from jgc.study import jobs, load_recipe, runner, training  # noqa: E402
from jgc.train import checkpoint, program  # noqa: E402

SPENT: dict[str, list[float]] = {}


def timed(part: str, owner, name: str) -> None:
    """Adds the time of a function to a part; parts lie side by side, none in another."""
    function = getattr(owner, name)

    def run(*args, **kwargs):
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent = SPENT.setdefault(part, [0.0, 0.0])
            spent[0] += time.perf_counter() - wall
            spent[1] += time.process_time() - cpu

    setattr(owner, name, run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parent / "front.toml")
    parser.add_argument("--out", type=Path, required=True)
    told = parser.parse_args()
    SPENT["start and imports"] = [time.perf_counter() - START, time.process_time()]
    timed("data set", jobs, "load")
    timed("compiling", program._Programs, "_compile")
    timed("training", program.jax, "block_until_ready")
    timed("checkpoints", checkpoint.Checkpoint, "save")
    timed("packing: what is pruned whole goes", training, "packable")
    timed("packing: bytes and operations", training, "sizes")
    timed("rows", runner.Store, "append")
    runner.run_study(load_recipe(told.recipe), told.out)
    total = [time.perf_counter() - START, time.process_time()]
    SPENT["the rest"] = [
        whole - sum(part[i] for part in SPENT.values()) for i, whole in enumerate(total)
    ]
    SPENT["in all"] = total
    print(json.dumps({"load": os.getloadavg()}))
    for part, (wall, cpu) in SPENT.items():
        print(f"| {part} | {wall:.1f} | {cpu:.1f} |")


if __name__ == "__main__":
    main()
