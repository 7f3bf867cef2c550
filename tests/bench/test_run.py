"""The comparisons: what rows say, that both sides know their measures, and what goes wrong."""

import importlib
import io
import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from jgc.bench import CASES, run, worker
from jgc.bench.cases import SIDES, Case, side_of
from jgc.bench.show import bench_table, write_figure
from jgc.bench.work import Work, repeated

running = importlib.import_module("jgc.bench.run")
TIMES = {"a": [4.0, 4.0, 10.0], "pyg-b": [8.0, 9.0, 8.0], "pyg-c": [9.0, 9.0, 9.0]}


@pytest.fixture
def two_sides(monkeypatch):
    """Stand-ins for both processes, and the order in which they were asked."""
    asked = []

    class Sides:
        def __enter__(self):
            return self.ask

        def __exit__(self, *error):
            pass

        def ask(self, side, what):
            asked.append((side, what))
            if what == "versions":
                return {"platform": "cpu", "device": "cpu", "jax": "1"}
            if what == "broken":
                raise running.Unmeasured("broken: no such file")
            return {"ms": TIMES[what], "facts": {"first_s": 1.0}}

    monkeypatch.setattr(running, "_sides", Sides)
    monkeypatch.setattr(running, "_has", lambda side: True)
    cases = {
        "ours-vs-theirs": Case("a", "PyG", ("pyg-b", "pyg-c"), "a thing"),
        "alone": Case("a", "", (), "a thing alone"),
        "missing": Case("broken", "PyG", ("pyg-b",), "a thing that is not there"),
        "elsewhere": Case("a", "", (), "a thing for a GPU", "gpu"),
    }
    monkeypatch.setattr(running, "CASES", cases)
    return asked


def test_rounds_alternate_and_the_fastest_peer_counts(two_sides):
    rows = run(["ours-vs-theirs"], rounds=2)
    assert two_sides[:3] == [("jgc", "versions"), ("peer", "versions"), ("gensim", "versions")]
    assert two_sides[3:] == 2 * [("jgc", "a"), ("peer", "pyg-b"), ("peer", "pyg-c")]
    assert (rows[0]["ours_ms"], rows[0]["peer_ms"], rows[0]["ratio"]) == (4.0, 8.0, 2.0)
    assert rows[0]["peer_measure"] == "pyg-b" and rows[0]["jax"] == "1"


def test_what_cannot_be_measured_says_so_and_the_rest_goes_on(two_sides):
    seen = []
    rows = run(rounds=1, report=seen.append)
    assert [row["what"] for row in rows] == ["ours-vs-theirs", "alone", "missing"] and seen == rows
    assert rows[2]["error"] == "broken: no such file" and "ratio" not in rows[1]
    lines = bench_table(rows).lines
    assert lines[0][2:] == ("4 (3)", "PyG", "8 (0.5)", "2.00")
    assert lines[2][:2] == ("missing", "broken: no such file")


def test_without_peers_our_side_is_measured(two_sides, monkeypatch):
    monkeypatch.setattr(running, "_has", lambda side: side == "jgc")
    rows = run(["ours-vs-theirs"], rounds=1)
    assert "ratio" not in rows[0] and rows[0]["ours_ms"] == 4.0


def test_a_data_set_and_a_model_stand_beside_pyg(two_sides, monkeypatch):
    both = [f"{side}{part}-of {what}" for side in ("", "pyg-") for part in ("epoch", "pass")
            for what in ("sbm gcn", "motif hgp-sl")]  # fmt: skip
    monkeypatch.setattr(sys.modules[__name__], "TIMES", TIMES | dict.fromkeys(both, [2.0]))
    rows = run(["sbm", "gcn"], rounds=1)
    assert [row["what"] for row in rows] == ["sbm-gcn-epoch", "sbm-gcn-pass"]
    assert two_sides[3:5] == [("jgc", "epoch-of sbm gcn"), ("peer", "pyg-epoch-of sbm gcn")]
    assert "peer" not in run(["motif", "hgp-sl"], rounds=1)[0]
    with pytest.raises(ValueError, match="gcm"):
        run(["sbm", "gcm"])
    with pytest.raises(ValueError, match="sbmm"):
        run(["sbmm", "gcn"])


@pytest.mark.parametrize(
    "words", ["epoch-of motif gin", "pass-of sbm sage", "pass-of sbm-link gcn"]
)
def test_any_model_is_measured_on_any_set(words):
    answers = io.StringIO()
    worker.serve("jgc", [f"{words}\n"], answers)
    found = json.loads(answers.getvalue())
    assert len(found["ms"]) >= 3 and min(found["ms"]) > 0


@pytest.mark.parametrize("words", ["sbm gcn", "sbm sage", "motif gin"])
def test_pygs_network_is_as_large_as_ours(words):
    pytest.importorskip("torch_geometric")
    import jax

    from jgc import data
    from jgc.bench.pyg_chosen import Network
    from jgc.study.plan import plan
    from jgc.tree import is_kernel, named_leaves

    dataset, model = words.split()
    held = data.load(dataset)
    ready = plan(held, model)
    network = Network(model, held, ready)
    graph = jax.tree.map(np.asarray, held.graphs[0])
    params = ready.model.init(jax.random.key(0), graph)["params"]
    leaves = named_leaves(params).items()
    ours = sorted(leaf.size for name, leaf in leaves if is_kernel(name, leaf))
    theirs = sorted(p.numel() for n, p in network.named_parameters() if p.ndim == 2)
    assert ours == theirs


def test_unknown_names_and_no_rounds_are_refused():
    with pytest.raises(ValueError, match="unknown comparison `scalin`, did you mean `scaling`"):
        run(["scalin"])
    with pytest.raises(ValueError, match="`rounds` must be >= 1, got 0"):
        run(rounds=0)


def test_every_case_of_ours_has_its_measure():
    ours = {name for module in SIDES["jgc"] for name in importlib.import_module(module).MEASURES}
    assert {case.ours for case in CASES.values()} <= ours
    own_peers = {p for c in CASES.values() for p in c.peers if side_of(p) == "jgc"}
    assert own_peers <= ours


def test_every_case_of_gensim_has_its_measure():
    theirs = importlib.import_module("jgc.bench.word2vec").MEASURES
    asked = {p for c in CASES.values() for p in c.peers if side_of(p) == "gensim"}
    assert asked == set(theirs)


def test_every_case_of_the_peers_has_its_measure():
    pytest.importorskip("torch")
    if not find_spec("torch_geometric"):
        pytest.skip("torch_geometric is not installed: pip install 'jgc[bench]'")
    # In a process of its own, as ever: torch warns of itself when it is imported.
    program = (
        "import importlib, jgc.bench.cases as c;"
        "print(*(n for m in c.SIDES['peer'] for n in importlib.import_module(m).MEASURES))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    asked = {p for c in CASES.values() for p in c.peers if side_of(p) == "peer"}
    assert asked <= set(said.stdout.split()), said.stderr


def test_a_worker_keeps_its_last_measure_and_survives_a_broken_one(monkeypatch):
    made = []

    def measure():
        made.append(1)
        return Work(lambda: [1.0], {"made": len(made)})

    def broken():
        raise FileNotFoundError("no cora here")

    monkeypatch.setattr(worker, "_measure", lambda side, name: {"m": measure, "b": broken}[name])
    answers = io.StringIO()
    worker.serve("jgc", ["m\n", "m\n", "b\n", "m\n"], answers)
    found = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert found[0] == found[1] == {"ms": [1.0], "facts": {"made": 1}}
    assert found[2] == {"error": "FileNotFoundError: no cora here"}
    assert found[3]["facts"] == {"made": 2}


def test_times_are_of_one_unit_and_the_first_call_is_apart():
    calls = []
    work = repeated(lambda: calls.append(1), units=4)
    assert len(calls) == 1 and "first_s" in work.facts
    assert all(0 <= ms < 1 for ms in work.sample())


def test_a_figure_of_the_ratios(tmp_path):
    row = {"what": "x", "about": "y", "ours_ms": 1.0, "ours_iqr_ms": 0.1}
    with pytest.raises(ValueError, match="No row has a peer"):
        write_figure([row], tmp_path / "none.svg")
    peer = {"peer": "PyG", "peer_ms": 8.0, "peer_iqr_ms": 1.0, "ratio": 8.0}
    path = write_figure([row, row | peer, row | peer | {"ratio": 101.4}], tmp_path / "ratios.svg")
    drawn = path.read_text("utf-8")  # What is written stands there as comments, too.
    assert " 8 x PyG" in drawn and " 101 x PyG" in drawn


@pytest.mark.slow
def test_a_real_comparison_in_processes_of_its_own():
    rows = run(["edge-gradient-vs-xla"], rounds=1)
    assert rows[0]["ratio"] > 1 and rows[0]["ours_ms"] > 0
