"""jgc beside PyG on one CPU, the same work and the same number of threads, in turn.

    JGC_DATA_DIR=... python experiments/bench/run.py --rounds 3 --out experiments/bench/rows.json

Takes about 10 minutes on 2 cores; needs the extra `bench`. Expect: train-step and ten-seeds far
above 25, gin-epoch above 1. Each round runs one process a side; a figure is the median over rounds
of the median in a round.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def side(script: str, *args: str) -> dict:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(HERE / script), *args], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]) | {"process_s": time.perf_counter() - began}


def median(rounds: list[dict], what: str, key: str | None = None) -> float:
    values = [r[what][key] if key else statistics.median(r[what]) for r in rounds]
    return statistics.median(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10, help="seeds that PyG really runs")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    ours, theirs = [], []
    for _ in range(args.rounds):
        ours.append(side("ours.py", str(threads)))
        theirs.append(side("pyg.py", str(threads), str(args.seeds)))
    rows = []
    for what, key in (("train-step", None), ("ten-seeds", "seconds"), ("gin-epoch", None)):
        mine, other = median(ours, what, key), median(theirs, what, key)
        unit = 1000 if key else 1
        rows.append(
            {
                "what": f"{what}-vs-pyg", "ours_ms": mine * unit, "peer": "pyg",
                "peer_ms": other * unit, "ratio": other / mine, "threads": threads,
                "rounds": args.rounds, "jax": ours[0]["jax"], "torch": theirs[0]["torch"],
                "pyg": theirs[0]["pyg"], "machine": platform.processor() or platform.machine(),
            }
        )  # fmt: skip
    rows[1] |= {
        "compile_s": median(ours, "ten-seeds", "compile_s"),
        "ours_test": ours[0]["ten-seeds"]["test"],
        "peer_test": theirs[0]["ten-seeds"]["test"],
        "peer_seeds_run": args.seeds,
    }
    for row in rows:
        print(f"{row['what']:20} {row['ours_ms']:10.2f} {row['peer_ms']:10.2f} ms"
              f"  {row['ratio']:6.1f} x")  # fmt: skip
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
