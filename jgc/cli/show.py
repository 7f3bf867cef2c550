"""How the commands write: tables, notes and values."""

import sys


def console():
    """The terminal that tables are printed on."""
    from rich.console import Console

    return Console()


def complain(sentence: str) -> None:
    """Prints a note beside the output."""
    print(f"note: {sentence}", file=sys.stderr)


def plain(value) -> str:
    """A value of a file or data set as a person writes it, without brackets and braces."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        numbers = all(isinstance(item, int | float) for item in value)
        return ("/" if numbers else "; ").join(map(plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
