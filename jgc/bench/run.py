"""`run`: the table of comparisons, side beside side in one run, as rows."""

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from jgc.bench.cases import CASES, NEEDS, Case, chosen, side_of
from jgc.study.rows import did_you_mean

Row = dict[str, Any]


def run(
    only: Sequence[str] = (), rounds: int = 5, report: Callable[[Row], None] | None = None
) -> list[Row]:
    """Measures ours beside theirs: both sides stay ready, and rounds of them alternate.

    Each side is a process with the same cores. A time is the median over rounds of the median in a
    round. Without torch and PyG, or gensim (the extra `bench`), rows have our side only. What
    cannot be measured here, such as a data set that is not there, becomes a row that says why.

    Args:
        only: Names of `CASES`, or of a data set and a model; by default all that fit the device.
        rounds: How often each side runs, >= 1.
        report: Called with each row as it is finished.

    Returns:
        Rows: `what, about, ours_ms, ours_iqr_ms, threads, device`, versions and, with a peer,
        `peer, peer_ms, peer_iqr_ms, ratio` (theirs over ours: above 1 we are faster); or `what`
        and `error`.

    Raises:
        ValueError: for an unknown name, or rounds below 1.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be >= 1, got {rounds}.")
    cases = CASES
    if len(only) == 2 and not set(only) & set(CASES):
        cases = chosen(*only)
        only = list(cases)
    for name in only:
        if name not in cases:
            raise ValueError(f"unknown comparison `{name}`{did_you_mean(name, cases)}")
    rows = []
    with _sides() as ask:
        versions = {}
        for side in filter(_has, NEEDS):
            versions |= ask(side, "versions")
        for name in only or _fitting(versions["platform"]):
            try:
                found = _compared(cases[name], rounds, ask)
            except Unmeasured as error:
                found = {"error": str(error)}
            row = {"what": name, **found, **_machine(versions)}
            rows.append(row)
            if report is not None:
                report(row)
    return rows


class Unmeasured(Exception):
    """A side could not measure what it was asked for; the message says why."""


def _fitting(platform: str) -> list[str]:
    return [name for name, case in CASES.items() if case.platform == platform]


def _compared(case: Case, rounds: int, ask) -> Row:
    """One row, but for the machine."""
    peers = [name for name in case.peers if _has(side_of(name))]
    ours, theirs = [], {name: [] for name in peers}
    for _ in range(rounds):
        ours.append(ask("jgc", case.ours))
        for name in peers:
            theirs[name].append(ask(side_of(name), name))
    middle, spread = _times(ours)
    row = {"about": case.about, "ours_ms": middle, "ours_iqr_ms": spread, **ours[-1]["facts"]}
    if peers:
        times = {name: _times(found) for name, found in theirs.items()}
        best = min(times, key=lambda name: times[name][0])
        row |= {
            "peer": case.peer, "peer_measure": best, "peer_ms": times[best][0],
            "peer_iqr_ms": times[best][1], "ratio": times[best][0] / middle,
            "peer_facts": theirs[best][-1]["facts"],
        }  # fmt: skip
    return row


def _times(rounds: list[dict]) -> tuple[float, float]:
    """Median over rounds of their medians, and the quartiles' distance over all samples."""
    low, high = np.quantile(np.concatenate([r["ms"] for r in rounds]), (0.25, 0.75))
    return float(np.median([np.median(r["ms"]) for r in rounds])), float(high - low)


def _machine(versions: dict[str, str]) -> Row:
    return {"threads": threads(), "machine": platform.machine(), **versions}


def threads() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has(side: str) -> bool:
    return all(find_spec(name) for name in NEEDS[side])


@contextlib.contextmanager
def _sides() -> Iterator[Callable[[str, str], dict]]:
    """A function that asks a side, whose process is started when it is first asked."""
    running: dict[str, subprocess.Popen] = {}

    def ask(side: str, what: str) -> dict:
        if side not in running:
            running[side] = _start(side)
        process = running[side]
        assert process.stdin and process.stdout
        process.stdin.write(what + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            status = running.pop(side).wait()
            raise Unmeasured(f"{what}: its process ended with status {status}")
        found = json.loads(answer)
        if "error" in found:
            raise Unmeasured(f"{what}: {found['error']}")
        return found

    try:
        yield ask
    finally:
        for process in running.values():
            process.kill()
            process.communicate()


# Has glibc keep freed memory on both sides. Otherwise it hands a result of 25 MB back to the system
# or not, as it happens, and the page faults of the next one take longer than a pass on bytes.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_TOP_PAD_": str(1 << 27),
}


def _start(side: str) -> subprocess.Popen:
    count = str(threads())
    settings = {"OMP_NUM_THREADS": count, "JAX_NUM_CPU_DEVICES": count, **KEEP_MEMORY}
    return subprocess.Popen(
        [sys.executable, "-m", "jgc.bench.worker", side],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | settings,
    )  # fmt: skip
