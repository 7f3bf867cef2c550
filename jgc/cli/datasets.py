"""`jgc data list | get`: the data sets."""

from typing import Annotated

import typer

from jgc.cli.show import console, plain

app = typer.Typer(no_args_is_help=True, help="List and fetch data sets.")


@app.command("list")
def data_list() -> None:
    """List the data sets that jgc knows."""
    from jgc import data
    from jgc.report.table import Table, print_table

    specs = [data.info(name) for name in data.names()]
    lines = [(s.name, s.task, s.metric, s.split, s.about) for s in specs]
    header = ("name", "task", "metric", "split", "about")
    print_table(Table("Data sets", header, tuple(lines)), console())


@app.command("get")
def data_get(name: Annotated[str, typer.Argument(help="A name of `jgc data list`.")]) -> None:
    """Fetch a data set, check it and print what is in it."""
    from jgc import data
    from jgc.report.table import Table, print_table

    summary = data.load(name).summary()
    notes = summary.pop("notes", [])
    lines = [(key, plain(value)) for key, value in summary.items() if key != "name"]
    print_table(Table(str(summary["name"]), ("what", "value"), tuple(lines)), console())
    for note in notes:
        print(f"note: {note}")
