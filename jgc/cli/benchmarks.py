"""`jgc bench`: what this machine takes, beside what others take."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from jgc.atomic import write_atomic
from jgc.cli.show import complain, console


def bench(
    what: Annotated[
        list[str] | None, typer.Argument(help="Names of comparisons, or DATASET MODEL; all.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the rows to this file.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the ratios to this .svg or .png file.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="How often both sides run in turn.", min=1)] = 5,
) -> None:
    """Measure jgc on this machine, beside torch, PyG and gensim where they are installed."""
    import json

    from jgc.bench.cases import NEEDS
    from jgc.bench.run import run
    from jgc.bench.show import bench_table, write_figure
    from jgc.report.table import print_table

    rows = []

    def note(row) -> None:
        rows.append(row)
        print(f"{row['what']}: {row.get('error') or _compared(row)}", file=sys.stderr, flush=True)
        if json_file is not None:  # As they come: what is measured is not measured again.
            write_atomic(json_file, (json.dumps(rows, indent=1) + "\n").encode())

    run(what or (), rounds, note)
    print_table(bench_table(rows), console())
    peers = (package for needs in NEEDS.values() for package in needs)
    told = ("device", "threads", "kernels", "jax", "jgc", "peer_device", *peers)
    print(", ".join(f"{key} {rows[0][key]}" for key in told if key in rows[0]))
    if "torch" not in rows[0]:
        complain("no peers: `pip install 'jgc[bench]'` brings torch, PyG and gensim.")
    if figure is not None:
        print(f"figure: {write_figure(rows, figure)}")


def _compared(row: dict) -> str:
    ours = f"{row['ours_ms']:.3g} ms"
    return f"{ours}, {row['ratio']:.2f} x {row['peer']}" if "ratio" in row else ours
