"""Heads: nodes, links, graphs; and models by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import batch, layout, pad
from jgc.models import (
    A2QGIN,
    GCN,
    GIN,
    MODELS,
    MPNN,
    GNNNet,
    GraphModel,
    SplineCNN,
    for_task,
    link_scores,
    named,
)
from tests.models.cases import WIDTHS, edgeless, graph, variables


def test_link_scores_by_hand_and_symmetric():
    values = jnp.array([[1.0, 2.0], [3.0, -1.0], [0.0, 4.0]])
    pairs = jnp.array([[0, 1], [1, 0], [2, 2], [0, 2]])
    assert link_scores(values, pairs).tolist() == [1, 1, 16, 8]
    assert link_scores(values, jnp.zeros((0, 2), int)).shape == (0,)


@pytest.mark.parametrize("readout, train", [("sum", True), ("mean", False), ("max", True)])
def test_padding_graphs_change_no_answer(readout, train):
    model = GraphModel(GIN(hidden=4, out=3, layers=2), out=2, readout=readout, dropout=0.0)
    joined = batch([graph(), edgeless()])
    padded = pad(joined, n_node=12, n_edge=11, n_graph=5)
    nodes = np.where(np.arange(12)[:, None] < 8, padded.nodes, 100).astype(np.float32)
    weights = variables(model, joined)
    run = jax.jit(lambda g, at: model.apply(weights, g, at, train=train, mutable=["batch_stats"]))
    got, stats = run(padded._replace(nodes=nodes), layout(padded))
    expected, expected_stats = run(joined, layout(joined))
    assert got.shape == (5, 2)
    # Sums of a dozen float32 numbers near 1 in another order.
    np.testing.assert_allclose(got[:2], expected, rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), stats, expected_stats)


@pytest.mark.parametrize("readout, shrunk", [("sum", False), ("mean", True), ("max", True)])
def test_readouts_see_the_size_of_a_graph_only_in_the_sum(readout, shrunk):
    model = GraphModel(named("mlp", hidden=4, out=3), out=2, readout=readout)
    few, many = (edgeless(n)._replace(nodes=np.ones((n, 5), np.float32)) for n in (2, 6))
    weights = variables(model, few)
    same = np.allclose(model.apply(weights, few), model.apply(weights, many), atol=1e-6)
    assert same == shrunk


@pytest.mark.parametrize("name", MODELS)
def test_for_task_fits_every_model(name):
    model = named(name, out=6, **WIDTHS[name])
    shapes, tasks = {}, ("node", "link", "graph")
    for task in (only,) if (only := getattr(model, "task", None)) else tasks:
        fitted = for_task(model, task, 2)
        shapes[task] = jax.eval_shape(
            lambda key, m=fitted: m.init_with_output(key, graph())[0], jax.random.key(0)
        ).shape
    expected = {"node": (5, 2), "link": (5, 6), "graph": (1, 2)}
    assert shapes and shapes.items() <= expected.items()


@pytest.mark.parametrize(
    "model, features, n",
    [
        # Features of Cora, BBBP (PyG's nine) and PROTEINS. First and last are the numbers of arXiv
        # 2510.22058, table 3; for the second it says 34,530, which no width of input explains.
        (SplineCNN(hidden=16, out=7), 1433, 69143),
        (GraphModel(GNNNet(), 2, "max", head_layers=1), 9, 34562),
        (GraphModel(A2QGIN(), 2, "mean"), 3, 43271),
    ],
)
def test_parameters_of_published_networks(model, features, n):
    on = graph()._replace(nodes=np.zeros((5, features), np.float32))
    shapes = jax.eval_shape(model.init, jax.random.key(0), on)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == n


def test_a_head_of_one_map_by_hand():
    model = GraphModel(GCN(out=3, layers=1), out=2, readout="max", head_layers=1)
    weights = variables(model, graph())
    top = GCN(out=3, layers=1).apply({"params": weights["params"]["encoder"]}, graph()).max(0)
    head = weights["params"]["head1"]
    expected = np.maximum(top, 0) @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(model.apply(weights, graph())[0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="`head_layers` must be 1 or 2, got 3"):
        model.clone(head_layers=3).init(jax.random.key(0), graph())


def test_mpnn_says_what_it_lacks():
    with pytest.raises(ValueError, match="`mpnn` reads `graph.edges`, which this data set lacks"):
        MPNN().init(jax.random.key(0), graph()._replace(edges=None))


def test_for_task_keeps_settings_and_widens_a_graph_model():
    assert for_task(GCN(hidden=16, dropout=0.1), "node", 7) == GCN(hidden=16, dropout=0.1, out=7)
    own = GraphModel(GIN(hidden=4), out=1, readout="mean")
    fitted = for_task(own, "graph", 9)
    assert isinstance(fitted, GraphModel) and (fitted.out, fitted.readout) == (9, "mean")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: for_task(GCN(), "edge", 2), r"`task` must be one of .*'graph'.*got 'edge'"),
        (lambda: named("gcnn"), "Unknown model 'gcnn': known are .*; did you mean 'gcn'"),
        (lambda: named("gcn", hiden=3), "Unknown setting of gcn 'hiden'.*; did you mean 'hidden'"),
        (lambda: named("gcn", parent=None), "Unknown setting of gcn 'parent'"),
        (lambda: named("transformer"), "Unknown model 'transformer': known are"),
    ],
)
def test_unknown_words_are_refused_with_the_nearest(call, message):
    with pytest.raises(ValueError, match=message):
        call()
