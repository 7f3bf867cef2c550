"""The words a person types: `jgc data | compress | study | report | inspect | predict | ...`."""

import os
import sys
import warnings
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from jgc.atomic import write_atomic

# Rooms are imported inside the commands: `jgc --help` answers without jax or matplotlib.


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
data_app = typer.Typer(no_args_is_help=True, help="List and fetch data sets.")
app.add_typer(data_app, name="data")

Out = Annotated[Path | None, typer.Option("--out", help="Folder for rows and report.")]
Resume = Annotated[bool, typer.Option("--resume", help="Skip what the folder already holds.")]
Artefact = Annotated[Path, typer.Argument(help="A compressed model, or its folder.")]
Seeds = Annotated[int | None, typer.Option("--seeds", help="Repeat with this many seeds.")]


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


@data_app.command("list")
def data_list() -> None:
    """List the data sets that jgc knows."""
    from jgc import data
    from jgc.report.table import Table, print_table

    specs = [data.info(name) for name in data.names()]
    lines = [(s.name, s.task, s.metric, s.split, s.about) for s in specs]
    header = ("name", "task", "metric", "split", "about")
    print_table(Table("Data sets", header, tuple(lines)), _console())


@data_app.command("get")
def data_get(name: Annotated[str, typer.Argument(help="A name of `jgc data list`.")]) -> None:
    """Fetch a data set, check it and print what is in it."""
    from jgc import data
    from jgc.report.table import Table, print_table

    summary = data.load(name).summary()
    notes = summary.pop("notes", [])
    lines = [(key, _plain(value)) for key, value in summary.items() if key != "name"]
    print_table(Table(str(summary["name"]), ("what", "value"), tuple(lines)), _console())
    for note in notes:
        print(f"note: {note}")


@app.command()
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

    pruner = None if prune is None else parse_method(prune)
    quantizer = None if quantize is None else parse_quantizer(quantize)
    folder = out or Path("runs") / f"{dataset}-{model}".replace(os.sep, "-")
    loaded = data.load(dataset, task=task or task_of(model), split=split)
    result = run(model, loaded, prune=pruner, quantize=quantizer, seeds=seeds)
    result.save(folder)
    _show(folder)


@app.command()
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
    Store(folder, report=_complain).begin(resume)
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


@app.command()
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

    budget = Budget(None if max_bytes is None else parse_bytes(max_bytes), max_loss)
    base = {"dataset": dataset, "model": model, "task": task, "split": split}
    base = Run.checked({**base, "method": [DENSE.model_dump()]}, "search")
    folder = out or Path("runs") / f"search-{dataset}-{model}".replace(os.sep, "-")
    with Progress() as progress:
        found = run(
            base, budget, folder, trials=trials, seeds=seeds, seed=seed, resume=resume,
            report=progress.line, status=progress.status,
        )  # fmt: skip
    print_table(front_table(found.front), _console())
    if found.artefact is None:
        raise ValueError(missed(budget, found.nearest, found.excess))
    print_table(winner_table(found.dense, found.nearest), _console())
    print(f"model: {found.artefact.path}, {found.artefact.n_bytes:,} bytes, all included")
    print(f"recipe: {folder / 'best.toml'}")
    print(f"rows: {folder / 'results.jsonl'}")


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="The --out of a study.")]) -> None:
    """Rebuild tables, figures and report.html from the rows of a folder."""
    _show(folder)


@app.command()
def inspect(
    artefact: Artefact,
    on: Annotated[
        str | None, typer.Option("--on", help="Measure each layer on this data set.")
    ] = None,
) -> None:
    """Show a compressed model tensor by tensor, and the time of its layers on a data set."""
    from jgc import pack
    from jgc.report.table import Table, print_table

    held = pack.load(_file(artefact))
    lines = [
        (t.path, " x ".join(map(str, t.shape)), f"{t.kept:,}", str(t.bits), t.positions, t.values,
         f"{t.n_bytes:,}")
        for t in held.tensors
    ]  # fmt: skip
    header = ("tensor", "shape", "kept", "bits", "positions", "values", "bytes")
    print_table(Table(held.path, header, tuple(lines)), _console())
    print(f"{held.n_bytes:,} bytes in the file, header and statistics included")
    for key, value in held.meta.items():
        print(f"{key}: {_plain(value)}")
    if on is not None:
        _show_layers(held, on)


@app.command()
def predict(
    artefact: Artefact,
    dataset: Annotated[str, typer.Argument(help="A name of `jgc data list`.")],
    task: Annotated[str | None, typer.Option(help="By default the model's.")] = None,
    split: Annotated[str | None, typer.Option(help="By default the model's own.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV for all predictions.")] = None,
) -> None:
    """Run a compressed model on a data set: its score, its time, its predictions."""
    from jgc import pack
    from jgc.pack.run.fit import data_for
    from jgc.pack.run.predict import to_csv
    from jgc.report.number import metric_name, score

    with _warnings_as_notes():
        restored = pack.restore(_file(artefact))
        data, number = data_for(restored, dataset, task, split)
        found = pack.predict(restored, data, number)
    print(f"{data.name} ({found.split}), {data.task}: {metric_name(found.metric)}")
    print(f"  test part      {score(found.score, found.metric)}")
    if "test" in restored.meta:
        there = "" if data.name == restored.dataset else f"  (on {restored.dataset})"
        print(f"  accepted with  {score(restored.meta['test'], found.metric)}{there}")
    ms, iqr_ms = found.runtime.ms, found.runtime.iqr_ms
    print(f"a pass takes {ms:.3g} ms (median; interquartile range {iqr_ms:.2g})")
    print(f"runs on {found.runtime.explain}")
    if out is not None:
        write_atomic(out, to_csv(found, data, number).encode())
        print(f"predictions: {out}")


@app.command()
def export(
    artefact: Artefact,
    to: Annotated[str, typer.Option("--to", help="stablehlo or onnx")],
    out: Annotated[Path | None, typer.Option("--out", help="By default beside it.")] = None,
) -> None:
    """Write a compressed model as a file that runs without jgc's models."""
    from jgc.export import to_onnx, to_stablehlo

    formats = {"stablehlo": to_stablehlo, "onnx": to_onnx}
    if to not in formats:
        raise ValueError(f"`--to` must be one of {list(formats)}, got {to!r}.")
    path = _file(artefact)
    written = formats[to](path, out or path.with_suffix(f".{to}"))
    print(*written.inputs, sep="\n")
    print(f"-> {written.output}")
    print(f"{written.path}: {written.n_bytes:,} bytes, its answers checked against jgc's")


@app.command()
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
    """Measure jgc on this machine, beside torch and PyG where they are installed."""
    import json

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
    print_table(bench_table(rows), _console())
    told = ("device", "threads", "kernels", "jax", "jgc", "peer_device", "torch", "torch_geometric")
    print(", ".join(f"{key} {rows[0][key]}" for key in told if key in rows[0]))
    if "torch" not in rows[0]:
        _complain("no peers: `pip install 'jgc[bench]'` brings torch and PyG.")
    if figure is not None:
        print(f"figure: {write_figure(rows, figure)}")


def _compared(row: dict) -> str:
    ours = f"{row['ours_ms']:.3g} ms"
    return f"{ours}, {row['ratio']:.2f} x {row['peer']}" if "ratio" in row else ours


def _show(folder: Path) -> None:
    """Prints the tables of a folder's rows and writes its report."""
    from jgc.report.page import study_tables, write_report
    from jgc.report.table import print_tables
    from jgc.study.store import Store

    written = write_report(folder)
    rows = Store(folder, report=_complain).rows()
    print_tables(study_tables(rows, folder), _console())
    print(f"\nreport: {written[0]}")


def _show_layers(held, name: str) -> None:
    """Prints what each layer of a model takes of a pass over a data set."""
    from jgc.pack.restore import restore
    from jgc.pack.run.fit import check_data, data_for
    from jgc.pack.run.layers import layer_of, layer_times
    from jgc.report.table import Table, print_table

    with _warnings_as_notes():
        restored = restore(held)
        data, split = data_for(restored, name)
        check_data(restored, data)
        found = layer_times(restored, data, split)
    n_bytes: dict[str, int] = {}
    for tensor in held.tensors:
        layer = layer_of(tensor.path)
        n_bytes[layer] = n_bytes.get(layer, 0) + tensor.n_bytes
    lines = tuple(
        (each.layer, f"{n_bytes.get(each.layer, 0):,}", f"{each.ms:.3g}", f"{100 * each.share:.0f}",
         f"{100 * each.macs:.0f}")
        for each in found.layers
    )  # fmt: skip
    header = ("layer", "bytes", "ms, measured", "% of the time", "% of the MACs, computed")
    print_table(Table(f"Layers on {data.name}", header, lines), _console())
    print(
        f"a pass takes {found.ms:.3g} ms on {found.runtime}s; a layer takes what the pass cut off "
        "after it takes more than the one cut off before it"
    )


def _file(artefact: Path) -> Path:
    return artefact / "model.safetensors" if artefact.is_dir() else artefact


@contextmanager
def _warnings_as_notes():
    """Prints warnings as sentences, without the line of code that they come from."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            yield
        finally:
            for warning in caught:
                print(f"warning: {warning.message}", file=sys.stderr)


def _console():
    from rich.console import Console

    return Console()


def _complain(sentence: str) -> None:
    print(f"note: {sentence}", file=sys.stderr)


def _plain(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        numbers = all(isinstance(item, int | float) for item in value)
        return ("/" if numbers else "; ").join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


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
