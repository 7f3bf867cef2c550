"""Times of repeated calls, and the two numbers that are told of them."""

import time
from collections.abc import Callable

import numpy as np


def times(run: Callable[[], object], repeats: int = 30, seconds: float = 0.5) -> list[float]:
    """Calls until there are `repeats` times, or at least 5 that together take `seconds`.

    Args:
        run: Does the work and waits for it; called before, so that nothing is left to compile.
        repeats: Calls of a quick one.
        seconds: Time for the calls of a slow one.

    Returns:
        Seconds of each call.

    Example:
        >>> len(times(lambda: None, repeats=7))
        7
    """
    found: list[float] = []
    while len(found) < 5 or (len(found) < repeats and sum(found) < seconds):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return found


def spread(found: list[float]) -> tuple[float, float]:
    """Median and interquartile range.

    Example:
        >>> spread([1.0, 2.0, 3.0, 4.0, 9.0])
        (3.0, 2.0)
    """
    low, middle, high = np.quantile(found, (0.25, 0.5, 0.75))
    return float(middle), float(high - low)
