import pytest

from jgc.report.figure import CHARTS, _draw, write_figures
from tests.report.cases import CROWD, DEGREES, METHODS, RUNS, study, with_insides


@pytest.mark.parametrize(
    "runs, methods, seeds",
    [
        (RUNS[1:], METHODS, 3),
        (RUNS[:1], METHODS[:1], 1),
        (RUNS[:1], CROWD, 2),
    ],
    ids=["few", "dense", "crowd"],
)
def test_same_rows_same_bytes(tmp_path, runs, methods, seeds):
    rows = with_insides(study(runs, methods, seeds))
    one, two = write_figures(rows, tmp_path / "a"), write_figures(rows, tmp_path / "b")
    assert {p.name for p in one} >= {"bytes.svg", "bytes.png"}
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert "<dc:date>" not in one[0].read_text()


def test_no_figure_without_a_point(tmp_path):
    bare = {"dataset": "cora", "model": "gcn", "method": "dense", "metric": "accuracy", "seed": 0}
    assert write_figures([bare, bare | {"test": 0.5}], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_figure_is_written_where_rows_have_what_it_shows(tmp_path):
    def names(rows):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        return [path.stem for path in write_figures(rows, folder) if path.suffix == ".svg"]

    rows = study(RUNS[:1], (*METHODS[:2], ("a2q", None, 4, 0.0, 0.1)), 1)
    assert names(rows[:1]) == ["bytes"]
    assert names(rows) == ["bytes", "sparsity"]
    whole = with_insides(rows)
    assert names(whole[1:2]) == ["bytes", "flops", "sparsity", "layers"]
    assert names(whole[:1]) == ["bytes", "flops", "freezing"]
    assert names(whole[2:]) == ["bytes", "flops", "bits"]
    assert names(whole) == list(CHARTS)


def drawn(rows, name):
    """The axes of the first panel of a figure."""
    chart = CHARTS[name]
    figure = _draw(chart.panels(rows), chart)
    return figure, figure.axes[0]


def test_the_key_names_every_line_inside_the_figure():
    rows = with_insides(study(RUNS[:1], CROWD, 2))
    for name in CHARTS:
        figure, ax = drawn(rows, name)
        key = figure.legends[0] if CHARTS[name].key else ax.get_legend()
        lines = {point.line for point in CHARTS[name].panels(rows)[0].points}
        said = {text.get_text() for text in key.get_texts()}
        assert {line.removeprefix("encoder/") for line in lines} <= said
        box = key.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_layers_have_bands_and_stay_fractions():
    # Of two seeds the interval is 12.706 times half the difference: wider than what is possible.
    rows = [{"dataset": "cora", "task": "node", "model": "gcn", "method": "global", "seed": seed,
             "metric": "accuracy", "sparsity": 0.5, "layers": {"conv1": kept, "conv2": 0.25}}
            for seed, kept in enumerate((0.375, 0.625))]  # fmt: skip
    _, ax = drawn(rows, "layers")
    ends = [band.get_paths()[0].vertices[:, 1] for band in ax.collections]
    assert [(y.min(), y.max()) for y in ends] == [(0, 1), (0.25, 0.25)]
    assert ax.get_ylim() == (-0.04, 1.04)
    model = ax.get_lines()[0].get_xydata()
    assert model.tolist() == [[0, 1], [1, 0]]


def test_ranges_of_in_degrees_do_not_overlap():
    figure, ax = drawn(with_insides(study(RUNS[:1], CROWD, 2)), "bits")
    assert [text.get_text() for text in ax.get_xticklabels()] == list(DEGREES)
    few = [row | {"bits_by_degree": {"1": 2.0, "3-4": 3.0}}
           for row in study(RUNS[:1], CROWD, 1) if row["method"] == "a2q"]  # fmt: skip
    _, ax = drawn(few, "bits")
    assert [(t.get_position()[0], t.get_text()) for t in ax.get_xticklabels()] == [
        (0, "1"), (2, "3-4"),
    ]  # fmt: skip


def test_a_bar_is_as_long_as_its_matrix_trained():
    rows = [{"dataset": "cora", "task": "node", "model": "gcn", "method": "dense", "seed": seed,
             "metric": "accuracy", "epochs": 60, "epochs_by_layer": {"conv1": at, "conv2": 60}}
            for seed, at in enumerate((30, 40))]  # fmt: skip
    _, ax = drawn(rows, "freezing")
    assert [bar.get_width() for bar in ax.patches] == [35, 60, 60]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["conv1", "conv2", "run"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # The first layer on top.


def test_labels_cover_neither_each_other_nor_the_dots(tmp_path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from jgc.report.label import Label, place_labels

    figure = Figure(figsize=(4, 3))
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    places = ((1, 1), (1.05, 1), (1.1, 1.02), (3, 2))
    labels = [Label(x, y, f"label {x}", "black") for x, y in places]
    ax.plot([p.x for p in labels], [p.y for p in labels], "o", markersize=6)
    figure.draw_without_rendering()
    place_labels(ax, labels, [[(p.x, p.y - 0.1), (p.x, p.y + 0.1)] for p in labels])
    boxes = [text.get_window_extent() for text in ax.texts]
    dots = ax.transData.transform([(p.x, p.y) for p in labels])
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert not any(box.contains(*dot) for box in boxes for dot in dots)
    assert all(ax.get_window_extent().overlaps(box) for box in boxes)
