"""`jgc compress | study | search | report`: what trains, and the rows that it leaves."""

import os
from pathlib import Path
from typing import Annotated

import typer

from jgc.atomic import write_atomic
from jgc.cli.show import complain, console

Out = Annotated[Path | None, typer.Option("--out", help="Folder for rows and report.")]
Resume = Annotated[bool, typer.Option("--resume", help="Skip what the folder already holds.")]
Seeds = Annotated[int | None, typer.Option("--seeds", help="Repeat with this many seeds.")]


def compress(
    dataset: Annotated[str, typer.Argument(help="A name of `jgc data list`.")],
    model: Annotated[str, typer.Argument(help="gcn, gin, hgp-sl, ness, ...")],
    prune: Annotated[str | None, typer.Option(help="NAME:SPARSITY, e.g. global:0.5")] = None,
    quantize: Annotated[str | None, typer.Option(help="NAME:BITS, e.g. qat:8")] = None,
    out: Out = None,
    seeds: Annotated[int, typer.Option(help="Repeat with this many seeds.", min=1)] = 1,
    task: Annotated[str | None, typer.Option(help="node, link or graph")] = None,
    split: Annotated[str | None, typer.Option(help="e.g. public, random, kfold")] = None,
) -> None:
    """Train one model, compress it, and write the small file and its report."""
    from jgc import data
    from jgc.models import task_of
    from jgc.study.compress import compress as run
    from jgc.study.method import parse_method, parse_quantizer

    _check_order("compress", dataset)
    pruner = None if prune is None else parse_method(prune)
    quantizer = None if quantize is None else parse_quantizer(quantize)
    folder = out or Path("runs") / f"{dataset}-{model}".replace(os.sep, "-")
    loaded = data.load(dataset, task=task or task_of(model), split=split)
    result = run(model, loaded, prune=pruner, quantize=quantizer, seeds=seeds)
    result.save(folder)
    _show(folder)


def study(
    source: Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="What to run.")],
    out: Out = None,
    seeds: Seeds = None,
    resume: Resume = False,
    only: Annotated[
        str | None, typer.Option(help='Run a part of it, e.g. "cora link" or "bbbp global".')
    ] = None,
    executor: Annotated[
        str, typer.Option(help='"here", or "ray": spread over the CPUs of a Ray cluster.')
    ] = "here",
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster, HOST:PORT or auto; else a local one.")
    ] = None,
) -> None:
    """Run a recipe and write rows, tables, figures and report.html."""
    from jgc.study.progress import Progress
    from jgc.study.recipe import load_recipe, named_recipe
    from jgc.study.store import Store

    if executor not in ("here", "ray") or (address and executor == "here"):
        raise ValueError(
            f"`--executor` must be here or ray, got {executor!r}; `--address` goes with ray."
        )
    is_file = source.endswith(".toml") or os.sep in source
    recipe = load_recipe(Path(source)) if is_file else named_recipe(source)
    recipe = recipe if seeds is None else recipe.with_seeds(seeds)
    folder = out or Path("runs") / recipe.name
    Store(folder, report=complain).begin(resume)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "recipe.toml"
    if not (is_file and kept.exists() and kept.samefile(source)):  # Its comments would be lost.
        write_atomic(kept, recipe.to_toml().encode())

    recipe = recipe if only is None else recipe.only(only)
    with Progress(recipe.n_rows) as progress:
        told = {"resume": resume, "report": progress.line, "status": progress.status}
        if executor == "ray":
            from jgc.study.cluster import run_on_ray

            run_on_ray(recipe, folder, address=address, **told)
        else:
            from jgc.study.runner import run_study

            run_study(recipe, folder, seeds=seeds, **told)
    _show(folder)


def search(
    dataset: Annotated[str, typer.Argument(help="A name of `jgc data list`.")],
    model: Annotated[str, typer.Argument(help="gcn, gin, hgp-sl, ness, ...")],
    max_bytes: Annotated[
        str | None, typer.Option(help="Best model whose file is that large, e.g. 4kB.")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(help="Smallest file that loses as many points, e.g. 1.0.")
    ] = None,
    out: Out = None,
    trials: Annotated[int, typer.Option(help="Train so many structures.", min=1)] = 6,
    seeds: Annotated[int, typer.Option(help="Of the winner and the dense model.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of what is tried.", min=0)] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is there.")] = False,
    task: Annotated[str | None, typer.Option(help="node, link or graph")] = None,
    split: Annotated[str | None, typer.Option(help="e.g. public, random, kfold")] = None,
) -> None:
    """Find the best recipe under a budget; write its model and the recipe."""
    from jgc.report.table import print_table
    from jgc.search import Budget, parse_bytes
    from jgc.search import search as run
    from jgc.search.show import front_table, missed, winner_table
    from jgc.study.method import DENSE
    from jgc.study.progress import Progress
    from jgc.study.recipe import Run

    _check_order("search", dataset)
    budget = Budget(None if max_bytes is None else parse_bytes(max_bytes), max_loss)
    base = {"dataset": dataset, "model": model, "task": task, "split": split}
    base = Run.checked({**base, "method": [DENSE.model_dump()]}, "search")
    folder = out or Path("runs") / f"search-{dataset}-{model}".replace(os.sep, "-")
    with Progress() as progress:
        found = run(
            base, budget, folder, trials=trials, seeds=seeds, seed=seed, resume=resume,
            report=progress.line, status=progress.status,
        )  # fmt: skip
    print_table(front_table(found.front), console())
    if found.artefact is None:
        raise ValueError(missed(budget, found.nearest, found.excess))
    print_table(winner_table(found.dense, found.nearest), console())
    print(f"model: {found.artefact.path}, {found.artefact.n_bytes:,} bytes, all included")
    print(f"recipe: {folder / 'best.toml'}")
    print(f"rows: {folder / 'results.jsonl'}")


def report(folder: Annotated[Path, typer.Argument(help="The --out of a study.")]) -> None:
    """Rebuild tables, figures and report.html from the rows of a folder."""
    _show(folder)


def _check_order(command: str, dataset: str) -> None:
    """Refuses a model in the place of the data set, where `jgc.compress` in Python has it."""
    from jgc.models import MODELS

    if dataset in MODELS:
        raise ValueError(f"{dataset!r} is a model: `jgc {command} DATASET MODEL`, the data first.")


def _show(folder: Path) -> None:
    """Prints the tables of a folder's rows and writes its report."""
    from jgc.report.page import study_tables, write_report
    from jgc.report.table import print_tables
    from jgc.study.store import Store

    written = write_report(folder)
    rows = Store(folder, report=complain).rows()
    print_tables(study_tables(rows, folder), console())
    print(f"\nreport: {written[0]}")
