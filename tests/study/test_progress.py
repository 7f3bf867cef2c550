import io

from rich.console import Console

from jgc.study.progress import Progress


def test_plain_lines_where_there_is_no_terminal():
    out = io.StringIO()
    with Progress(3, console=Console(file=out)) as progress:
        progress.advance("cora [gcn]", 2)
        progress.line("x" * 200)
        progress.advance("last")
    assert out.getvalue() == f"[2/3] cora [gcn]\n{'x' * 200}\n[3/3] last\n"


def test_a_bar_on_a_terminal():
    out = io.StringIO()
    with Progress(console=Console(file=out, force_terminal=True, width=100)) as progress:
        progress.advance("cora [gcn]")
        progress.line("kept [line]")
    assert progress.done == 1 and "kept [line]" in out.getvalue()
    assert "[1/?]" not in out.getvalue()
