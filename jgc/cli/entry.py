"""The entry of the `jgc` command: its options, and how it says what went wrong."""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer.core import TyperGroup

from jgc.cli import artefacts, benchmarks, datasets, studies


class Commands(TyperGroup):
    """The commands; a mistake of the user ends in one sentence, never in a traceback."""

    def invoke(self, ctx):
        """Runs the command and turns its errors into `error: ...` and an exit status."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # `jgc data list | head`: typer ends that in silence.
        except (ValueError, OSError) as error:
            print(f"error: {_said(error)}", file=sys.stderr)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            print(f"\ninterrupted{_after(ctx.invoked_subcommand)}", file=sys.stderr)
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Make graph neural networks small and fast, with the measurements to prove it.",
)
app.add_typer(datasets.app, name="data")
for command in (
    studies.compress, studies.study, studies.search, studies.report,
    artefacts.inspect, artefacts.predict, artefacts.export,
    benchmarks.bench,
):  # fmt: skip
    app.command()(command)


def main() -> None:
    """Entry point of the `jgc` command."""
    # Lanes are split over one XLA device a core. Read when jax starts; what the user set stays.
    if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(_n_cores()))
    app()


def _version(asked: bool) -> None:
    if asked:
        print(f"jgc {version('jgc')}")
        raise typer.Exit()


@app.callback()
def _options(
    _asked: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _after(command: str | None) -> str:
    kept = "; rows already written stay; continue with --resume"
    return kept if command in ("study", "search") else ""


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # A container may own fewer cores than the machine has.
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
