import pytest

from jgc.report.figure import Point, panels, pareto, write_figures
from tests.report.cases import METHODS, RUNS, study


def test_panels_hold_the_means_in_the_unit_of_the_axis():
    shown = panels(study(), "bytes_file")
    assert [p.title for p in shown] == ["sbm (public)", "motif (random)", "esol (random)"]
    assert all(len(p.points) == len(METHODS) for p in shown)
    assert 80 < shown[0].points[0].y < 84 and 0.6 < shown[2].points[0].y < 0.8
    assert shown[0].points[1].x == round(0.56 * 92_240)
    assert [p.label for p in shown[0].points] == [
        "dense", "0.5", "0.9", "8 bit", "4 bit", "0.9, 4 bit",
    ]  # fmt: skip


def test_sparsity_shows_what_prunes_and_dense_as_a_level():
    shown = panels(study(), "sparsity")[0]
    assert [(p.method, p.x) for p in shown.points] == [
        ("global", 0.5), ("global", 0.9), ("global+qat", 0.9),
    ]  # fmt: skip
    assert shown.dense == pytest.approx(panels(study(), "bytes_file")[0].points[0].y)


def test_pareto_by_hand():
    def at(*pairs):
        return [Point(str(i), x, y, 0.0, "") for i, (x, y) in enumerate(pairs)]

    points = at((1, 0.5), (2, 0.5), (3, 0.4), (4, 0.9), (1, 0.6))
    assert [p.method for p in pareto(points, larger_is_better=True)] == ["4", "3"]
    assert [p.method for p in pareto(points, larger_is_better=False)] == ["0", "2"]
    assert pareto([], larger_is_better=True) == []


@pytest.mark.parametrize(
    "runs, methods, seeds",
    [
        (RUNS[1:], METHODS, 3),
        (RUNS[:1], METHODS[:1], 1),
    ],
)
def test_same_rows_same_bytes(tmp_path, runs, methods, seeds):
    rows = study(runs, methods, seeds)
    one, two = write_figures(rows, tmp_path / "a"), write_figures(rows, tmp_path / "b")
    assert {p.name for p in one} >= {"bytes.svg", "bytes.png"}
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
    assert "<dc:date>" not in one[0].read_text()


def test_no_figure_without_a_point(tmp_path):
    bare = {"dataset": "cora", "model": "gcn", "method": "dense", "metric": "accuracy", "seed": 0}
    assert write_figures([bare, bare | {"test": 0.5}], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


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
