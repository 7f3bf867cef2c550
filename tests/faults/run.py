"""Kills of a work, by the hundred.

python -m tests.faults.run --work study --kills 200 --out kills.jsonl
"""

import argparse
import json
import sys
from pathlib import Path

from tests.faults.kill import kills
from tests.faults.work import WORKS


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Kills every work that was asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", action="append", choices=list(WORKS), help="all by default")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="append the rows to this file")
    words = parser.parse_args()
    for name in words.work or WORKS:
        row = json.dumps(kills(name, words.kills, words.seed, _progress))
        print(row, flush=True)
        if words.out is not None:
            with words.out.open("a") as file:
                print(row, file=file)


if __name__ == "__main__":
    main()
