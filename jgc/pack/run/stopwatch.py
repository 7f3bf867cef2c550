"""Times of repeated calls, and the two numbers that are told of them."""

import time
from collections.abc import Callable, Sequence

import numpy as np


def rounds(
    runs: Sequence[Callable[[], object]], repeats: int = 30, seconds: float = 0.5
) -> list[list[float]]:
    """Calls several things in turn, so that what slows the machine for a while slows all of them.

    Args:
        runs: Each does its work and waits for it; called before, so that nothing is left to
            compile.
        repeats: Rounds of quick ones.
        seconds: Time for the rounds of slow ones, of which there are at least 5.

    Returns:
        Seconds of each call, by what was called.

    Example:
        >>> [len(found) for found in rounds([lambda: 1, lambda: 2], repeats=7)]
        [7, 7]
    """
    found: list[list[float]] = [[] for _ in runs]
    n, began = 0, time.perf_counter()
    while n < 5 or (n < repeats and time.perf_counter() - began < seconds):
        for run, own in zip(runs, found, strict=True):
            started = time.perf_counter()
            run()
            own.append(time.perf_counter() - started)
        n += 1
    return found


def spread(found: Sequence[float]) -> tuple[float, float]:
    """Median and interquartile range.

    Example:
        >>> spread([1.0, 2.0, 3.0, 4.0, 9.0])
        (3.0, 2.0)
    """
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
    return float(middle), float(high - low)
