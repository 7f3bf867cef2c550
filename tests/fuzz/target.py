"""`Target`: something that reads bytes from anywhere, and what it owes whoever hands it any."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LONGEST = 2000  # Characters of an error: a person should want to read it.


class Target(NamedTuple):
    """A reader under test.

    Attributes:
        name: What `tests.fuzz.run --target` calls it.
        seeds: Small inputs that it reads; others are made of them by mutation.
        read: Reads `data`; a scratch folder is its own. It raises `AssertionError` where what it
            was given back is not valid.
        refuses: The library's own error for bad input.
        place: What every such error names.
        words: Pieces that inputs of this format are made of.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], None]
    refuses: type[Exception]
    place: str = ""
    words: tuple[bytes, ...] = ()


def judge(target: Target, data: bytes, folder: Path) -> bool:
    """True: a right answer. False: a clear error. Anything else is a fault and is raised."""
    try:
        target.read(data, folder)
    except target.refuses as error:
        said = str(error)
        assert target.place in said, f"the error does not name {target.place}: {said}"
        assert 0 < len(said) <= LONGEST, f"an error of {len(said)} characters: {said[:300]}"
        return False
    return True
