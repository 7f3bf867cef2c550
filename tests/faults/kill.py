"""`kill -9` at random moments of a work, again and again, and going on each time."""

import contextlib
import multiprocessing
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.work import WORKS, Work, child

# Children are forked from a server that has imported jgc but has not started jax.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.faults.work"])
LONGEST_S = 300.0


def kills(
    name: str, n: int, seed: int = 0, report: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Kills a work `n` times.

    Each folder sees one to three kills, each at a moment drawn over the time that a whole run
    takes, so that later ones strike a run that goes on; then the run may end.

    Args:
        name: Of the work.
        n: Kills to survive.
        seed: Of the moments.
        report: Called with a line after every kill.

    Returns:
        A row: kills, folders, seconds of a whole run, and how often a kill struck where.

    Raises:
        AssertionError: if a result differs from that of a run that was left alone.
    """
    work, rng = WORKS[name], np.random.default_rng(seed)
    where: Counter[str] = Counter()
    done = folders = 0
    with tempfile.TemporaryDirectory() as cache:
        _whole(work, cache)  # Fills the cache of compiled programs.
        wanted, took_s = _whole(work, cache)
        while done < n:
            folders += 1
            with _folder() as folder:
                for _ in range(rng.integers(1, 4)):
                    if _killed(work, folder, cache, rng.uniform(0, took_s)):
                        done += 1
                        report(f"{name}: {done} kills")
                        where.update(work.check(folder / "work"))
                _finish(work, folder, cache)
                found = work.result(folder / "work")
                assert found == wanted, f"{found} after {done} kills, seed {seed}; was {wanted}"
    return {
        "work": name, "kills": done, "folders": folders, "whole_run_s": round(took_s, 2),
        "struck": dict(sorted(where.items())),
    }  # fmt: skip


def start(name: str, folder: Path, cache: str):
    """Starts a work in a process of its own."""
    process = CONTEXT.Process(target=child, args=(name, str(folder), cache))
    process.start()
    return process


def _whole(work: Work, cache: str) -> tuple[object, float]:
    """Result and seconds of a run that is left alone."""
    with _folder() as folder:
        began = time.monotonic()
        _finish(work, folder, cache)
        return work.result(folder / "work"), time.monotonic() - began


def _finish(work: Work, folder: Path, cache: str) -> None:
    process = start(work.name, folder, cache)
    process.join(LONGEST_S)
    if process.is_alive():
        process.kill()
    assert process.exitcode == 0, f"{work.name} ended with {process.exitcode}"


def _killed(work: Work, folder: Path, cache: str, after_s: float) -> bool:
    """Whether the kill came in time."""
    process = start(work.name, folder, cache)
    process.join(after_s)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"{work.name} ended with {process.exitcode}"
    return process.exitcode != 0


@contextlib.contextmanager
def _folder():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
