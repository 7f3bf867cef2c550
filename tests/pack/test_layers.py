"""Where the time of a pass goes: cuts, and what is told of them."""

import importlib

import jax
import numpy as np
import pytest

from jgc.graph import layout
from jgc.models import GAT, GCN, GIN, GNAE, GraphModel
from jgc.pack.run import layers
from jgc.pack.run.layers import cut_after, layer_times, layers_of, macs_by_layer
from jgc.pack.run.runtime import float_forward, integer_forward
from tests.pack.restored import QAT, SETS, all_of, restored
from tests.train.cases import tiny_nodes

runtimes = importlib.import_module("jgc.pack.run.runtime")


@pytest.fixture(autouse=True)
def _quick(programs):
    del programs


@pytest.mark.parametrize(
    "task, model, names",
    [
        ("node", GCN(4, 3), ["conv1", "conv2"]),
        ("node", GCN(4, 3, batch_norm=True), ["conv1", "norm1", "conv2"]),
        ("node", GAT(4, 3, 2), ["conv1", "conv2"]),
        ("link", GNAE(3), ["linear"]),
        ("graph", GraphModel(GIN(4, 4, 1), 3), ["encoder/conv1", "head1", "head2"]),
    ],
    ids=["gcn", "gcn with norm", "gat", "gnae", "gin"],
)
def test_layers_come_in_the_order_of_the_pass(task, model, names):
    assert layers_of(restored(task, None, model)) == names


def test_a_cut_gives_the_values_of_its_layer():
    held, graph = restored("node"), tiny_nodes().graphs[0]
    state, forward = float_forward(held)
    _, kept = held.model.apply(held.variables, graph, capture_intermediates=True)
    for name in ("conv1", "conv2"):
        found = cut_after(forward(state), name)(graph, layout(graph))
        (due,) = kept["intermediates"][name]["__call__"]
        np.testing.assert_allclose(found, due, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("of", [float_forward, integer_forward])
def test_what_follows_a_cut_is_not_run(of):
    held, graph = restored("node", QAT), tiny_nodes().graphs[0]
    state, forward = of(held)

    def flops(wrap):
        jitted = jax.jit(lambda s, g, at: wrap(forward(s))(g, at))
        costs = jitted.lower(state, graph, layout(graph, "segment")).compile().cost_analysis()
        return costs["flops"]

    assert flops(lambda inner: cut_after(inner, "conv1")) < 0.8 * flops(lambda inner: inner)


def test_a_layer_takes_what_its_cut_takes_more(monkeypatch):
    monkeypatch.setattr(runtimes, "rounds", lambda runs: [[0.001]] * len(runs))
    monkeypatch.setattr(layers, "rounds", lambda runs, seconds: [[1.0], [4.0], [3.9], [5.9]])
    held = restored("graph", None, GraphModel(GIN(4, 4, 1), 3, head_layers=1))
    assert layers_of(held) == ["encoder/conv1", "head1"]
    found = layer_times(held, SETS["graph"]())
    assert [(each.layer, round(each.ms)) for each in found.layers] == [
        ("(batches)", 1000), ("encoder/conv1", 3000), ("head1", 0), ("(rest)", 2000),
    ]  # fmt: skip
    assert [round(each.share, 3) for each in found.layers] == [0.167, 0.5, 0.0, 0.333]
    assert (found.ms, found.runtime) == (5900.0, "float")


@pytest.mark.parametrize("task", SETS)
def test_every_task_is_measured(task):
    found = layer_times(restored(task, QAT), SETS[task]())
    assert sum(each.share for each in found.layers) == pytest.approx(1)
    assert found.ms > 0 and all(each.ms >= 0 for each in found.layers)


def test_shares_of_the_computed_operations():
    data = tiny_nodes()
    held, n_edge = restored("node"), all_of(data).senders.size
    first, second = 40 * 9 * 4 + n_edge * 4, 40 * 4 * 3 + n_edge * 3
    shares = macs_by_layer(held, data)
    assert shares == pytest.approx(
        {"conv1": first / (first + second), "conv2": second / (first + second)}
    )
