"""`jgc inspect | predict | export`: what a compressed model is, answers and becomes."""

import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from jgc.atomic import write_atomic
from jgc.cli.show import console, plain

Artefact = Annotated[Path, typer.Argument(help="A compressed model, or its folder.")]


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
    print_table(Table(held.path, header, tuple(lines)), console())
    print(f"{held.n_bytes:,} bytes in the file, header and statistics included")
    for key, value in held.meta.items():
        print(f"{key}: {plain(value)}")
    if on is not None:
        _show_layers(held, on)


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
    print_table(Table(f"Layers on {data.name}", header, lines), console())
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
