"""Progress of a long run: a bar on a terminal, plain lines anywhere else."""

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichProgress


class Progress:
    """Says how far a study is; a context manager.

    Args:
        total: Number of steps to come, or `None` if unknown.
        console: Where to write; by default standard error, so that standard output stays clean.

    Example:
        >>> import sys
        >>> with Progress(2, console=Console(file=sys.stdout)) as progress:
        ...     progress.status("cora gcn dense: epoch 50 of 200")
        ...     progress.line("cora gcn dense: 0.815")
        ...     progress.status("cora gcn dense", 1)
        ...     progress.done
        cora gcn dense: 0.815
        1
    """

    def __init__(self, total: int | None = None, *, console: Console | None = None):
        self.done = 0
        self._console = console or Console(stderr=True)
        self._bar = RichProgress(
            SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.description}"), console=self._console, transient=True,
            disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *exception) -> None:
        self._bar.stop()

    def status(self, text: str, steps: int = 0) -> None:
        """Says what is going on where that can be overwritten: only on a terminal."""
        self.done += steps
        self._bar.update(self._task, advance=steps, description=escape(text))

    def line(self, text: str) -> None:
        """Writes a line of its own, above the bar where there is one."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
