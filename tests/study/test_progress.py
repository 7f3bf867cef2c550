import io

from rich.console import Console

from jgc.study.progress import Progress


def test_plain_lines_where_there_is_no_terminal():
    out = io.StringIO()
    with Progress(3, console=Console(file=out)) as progress:
        progress.status("cora [gcn]: epoch 50 of 200", 2)
        progress.line("x" * 200)
    assert out.getvalue() == f"{'x' * 200}\n" and progress.done == 2


def test_a_bar_on_a_terminal():
    out = io.StringIO()
    with Progress(4, console=Console(file=out, force_terminal=True, width=100)) as progress:
        progress.status("cora [gcn]", 1)
        progress.line("kept [line]")
        progress.status("cora [gat]", 2)
    assert progress.done == 3 and "kept [line]" in out.getvalue()
    assert "3/4" in out.getvalue() and "cora [gat]" in out.getvalue()
