"""`Work`: something that can be timed again and again, set up once."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

SECONDS = 0.5  # Of timing in a round; what takes longer runs `LEAST` times.
LEAST, MOST = 3, 50


class Work(NamedTuple):
    """A prepared measurement.

    Attributes:
        sample: Runs it for a round and returns its times in milliseconds.
        facts: What a row says beside the times: `compile_s`, `bytes`, `test`, ...
    """

    sample: Callable[[], list[float]]
    facts: dict[str, Any]


def repeated(run: Callable[[], Any], units: int = 1, **facts) -> Work:
    """Calls something once to warm up, and then, for each round, for about half a second.

    Args:
        run: Does the work and waits for it.
        units: How many steps a call takes; times are of one.
        facts: Of the `Work`; `first_s` is added, the seconds of the first call with compiling.

    Returns:
        The `Work`.

    Example:
        >>> work = repeated(lambda: sum(range(1000)), units=10)
        >>> len(work.sample()) >= LEAST, work.facts["first_s"] >= 0
        (True, True)
    """
    first = _seconds(run)

    def sample() -> list[float]:
        times: list[float] = []
        while len(times) < LEAST or (len(times) < MOST and sum(times) < SECONDS):
            times.append(_seconds(run))
        return [1e3 * seconds / units for seconds in times]

    return Work(sample, {"first_s": round(first, 3), **facts})


def _seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began
