"""Faults of a disk: the n-th change of a folder fails, or the process dies at it."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable

# What Python announces before it changes a folder; bytes that go into an open file are not among
# them. See https://docs.python.org/3/library/audit_events.html.
CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_fault: Callable[[], None] | None = None


def _hook(event: str, args: tuple) -> None:
    if _fault is not None and (event in CHANGES or event == "open" and (args[2] or 0) & WRITES):
        _fault()


sys.addaudithook(_hook)  # It cannot be taken away again; without a fault it does nothing.


class Struck(list):
    """What a fault did: empty until it came."""


@contextlib.contextmanager
def fault(n: int, act: Callable[[], None]):
    """The n-th change of any folder runs `act` first; yields what tells whether it came so far."""
    global _fault
    struck, seen = Struck(), []

    def step() -> None:
        seen.append(1)
        if len(seen) == n:
            struck.append(n)
            act()

    _fault = step
    try:
        yield struck
    finally:
        _fault = None


def full() -> None:
    """No byte is left."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_only() -> None:
    """Nobody may write."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def die() -> None:
    """As `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
