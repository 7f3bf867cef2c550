import pytest

from jgc.report.panel import CROWD as MANY
from jgc.report.panel import Point, bit_panels, freeze_panels, layer_panels, pareto, score_panels
from tests.report.cases import CROWD, METHODS, RUNS, study


def test_panels_hold_the_means_in_the_unit_of_the_axis():
    shown = score_panels(study(), "bytes_file")
    assert [p.title for p in shown] == ["sbm (public)", "motif (random)", "esol (random)"]
    assert all(len(p.points) == len(METHODS) for p in shown)
    assert 80 < shown[0].points[0].y < 84 and 0.6 < shown[2].points[0].y < 0.8
    assert shown[0].points[1].x == round(0.56 * 92_240)
    assert [p.label for p in shown[0].points] == [
        "dense", "0.5", "0.9", "8 bit", "4 bit", "0.9, 4 bit",
    ]  # fmt: skip


def test_sparsity_shows_what_prunes_and_dense_as_a_level():
    shown = score_panels(study(), "sparsity")[0]
    assert [(p.line, p.x) for p in shown.points] == [
        ("global", 0.5), ("global", 0.9), ("global+qat 4 bit", 0.9),
    ]  # fmt: skip
    assert shown.dense == pytest.approx(score_panels(study(), "bytes_file")[0].points[0].y)


def test_pareto_by_hand():
    def at(*pairs):
        return [Point(str(i), x, y, 0.0, "") for i, (x, y) in enumerate(pairs)]

    points = at((1, 0.5), (2, 0.5), (3, 0.4), (4, 0.9), (1, 0.6))
    assert [p.line for p in pareto(points, larger_is_better=True)] == ["4", "3"]
    assert [p.line for p in pareto(points, larger_is_better=False)] == ["0", "2"]
    assert pareto([], larger_is_better=True) == []


def test_a_crowded_panel_labels_its_front_alone():
    shown = score_panels(study(RUNS, CROWD, 2), "bytes_file")
    for panel, larger in zip(shown, (True, True, False), strict=True):
        assert len(panel.points) == len(CROWD) > MANY
        front = pareto(panel.points, larger_is_better=larger)
        assert [p.label != "" for p in panel.points] == [p in front for p in panel.points]


def test_what_is_pruned_and_quantised_has_a_line_for_each_width():
    panel = score_panels(study(RUNS[:1], CROWD, 1), "sparsity")[0]
    joint = [(p.line, p.x) for p in panel.points if p.line.startswith("global+qat")]
    assert joint == [(f"global+qat {bits} bit", s) for s in (0.5, 0.9) for bits in (8, 4)]


def row(method, seed, **more):
    return {"dataset": "cora", "task": "node", "model": "gcn", "method": method, "seed": seed,
            "metric": "accuracy", "config": {}, **more}  # fmt: skip


def test_layers_by_hand():
    rows = [
        row("fine", 0, sparsity=0.5, layers={"conv1": 0.5, "conv2": 0.5}),
        row("global", 0, sparsity=0.5, layers={"conv1": 0.25, "conv2": 1.0}),
        row("global", 1, sparsity=0.5, layers={"conv1": 0.75, "conv2": 1.0}),
        # The same masks once more, and a level that only these rows have.
        row("global/none", 0, sparsity=0.5, layers={"conv1": 0.25, "conv2": 1.0}),
        row("global+qat", 0, sparsity=0.75, bits=4, layers={"conv1": 0.125, "conv2": 0.5}),
        row("global", 0, sparsity=0.9),
    ]
    (panel,) = layer_panels(rows)
    # Of two values the interval is 12.706 deviations over the root of 2; here that is .25 * 12.706.
    half = pytest.approx(0.25 * 12.706, rel=1e-4)
    assert panel.points == (
        Point("conv1", 0.5, 0.5, half, ""), Point("conv2", 0.5, 1.0, 0.0, ""),
        Point("conv1", 0.75, 0.125, 0.0, ""), Point("conv2", 0.75, 0.5, 0.0, ""),
    )  # fmt: skip
    assert (panel.title, panel.subtitle) == ("cora", "node / gcn")
    assert layer_panels(rows[:1]) == [] and layer_panels(rows[-1:]) == []


def test_bits_by_hand():
    table = {"0": 1.0, "1": 2.0, "2": 3.0, "3-4": 4.0, "9-16": 5.0}
    rows = [
        row("a2q", 0, bits=4, bits_by_degree=table),
        row("a2q", 1, bits=4, bits_by_degree={"3-4": 6.0}),
        row("global+a2q", 0, sparsity=0.5, bits=4, bits_by_degree={"2": 2.0}),
        row("qat", 0, bits=4),
    ]
    (panel,) = bit_panels(rows)
    assert [(p.line, p.x, p.y, p.label) for p in panel.points] == [
        ("a2q 4 bit", -1, 1.0, "0"), ("a2q 4 bit", 0, 2.0, "1"), ("a2q 4 bit", 1, 3.0, "2"),
        ("a2q 4 bit", 2, 5.0, "3-4"), ("a2q 4 bit", 4, 5.0, "9-16"),
        ("global+a2q 0.5, 4 bit", 1, 2.0, "2"),
    ]  # fmt: skip
    assert panel.points[3].half_width == pytest.approx(12.706, rel=1e-4)
    assert bit_panels(rows[-1:]) == []


def test_freezing_by_hand():
    rows = [
        row("dense", 0, epochs=50, epochs_by_layer={"conv1": 20, "conv2": 50}),
        row("dense", 1, epochs=50, epochs_by_layer={"conv1": 30, "conv2": 50}),
        row("qat", 0, bits=8, epochs=40, epochs_by_layer={"conv1": 10, "conv2": 40}),
        row("global", 0, sparsity=0.5, epochs=90),
    ]
    (panel,) = freeze_panels(rows)
    assert [(p.line, p.x, p.y, p.label) for p in panel.points] == [
        ("dense", 0, 25, "conv1"), ("dense", 1, 50, "conv2"), ("dense", 2, 50, "run"),
        ("qat 8 bit", 3, 10, "conv1"), ("qat 8 bit", 4, 40, "conv2"), ("qat 8 bit", 5, 40, "run"),
    ]  # fmt: skip
    assert panel.points[0].half_width == pytest.approx(5 * 12.706, rel=1e-4)
    assert freeze_panels(rows[-1:]) == []


def test_a_panel_has_something_to_compare_where_any_has():
    two, one = study(RUNS[:1], METHODS[:2], 1), study(RUNS[1:2], METHODS[:1], 1)
    titles = [panel.title for panel in score_panels(two + one, "bytes_file")]
    assert titles == [score_panels(two, "bytes_file")[0].title]
    assert len(score_panels(one, "bytes_file")) == 1
