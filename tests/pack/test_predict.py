"""A restored model on data sets: the accepted score, and no wrong number without a word."""

import dataclasses
import importlib
import re
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import jgc
from jgc import pack
from jgc.data import Split, load
from jgc.graph import from_edges
from jgc.models import GAT, MPNN, GraphModel, link_scores
from jgc.pack.run import fit
from jgc.pack.run.predict import Prediction, predict, to_csv
from jgc.pack.run.work import on_graph
from jgc.quant.learned import ends_of
from tests.pack.restored import A2Q, QAT, SETS, all_of, restored
from tests.train.cases import N_NODE, tiny_graphs, tiny_links, tiny_nodes

runtimes = importlib.import_module("jgc.pack.run.runtime")


@pytest.fixture(autouse=True)
def _quick(programs, monkeypatch):
    """Equal programs are compiled once, and none is timed."""
    del programs
    monkeypatch.setattr(runtimes, "rounds", quicker("float"))


@pytest.fixture
def in_float(monkeypatch):
    monkeypatch.setattr(runtimes, "why_not_integer", lambda restored: "asked for")


@pytest.mark.parametrize("task, model", [("node", "mlp"), ("link", "gcn"), ("graph", "gin")])
def test_the_score_is_the_accepted_one(task, model, tmp_path, in_float):
    data = SETS[task]()
    result = jgc.compress(
        model, data, prune="global:0.5", quantize="qat:5", seeds=2, epochs=4, finetune_epochs=2,
        hidden=4, layers=2,
    )  # fmt: skip
    held = pack.restore(result.save(tmp_path))
    number = [split.name for split in data.splits].index(held.meta["config"]["split"])
    found = predict(held, data, number)
    assert (found.metric, found.split) == (held.meta["metric"], data.splits[number].name)
    assert found.score == pytest.approx(held.meta["test"], abs=1e-6)


@pytest.mark.parametrize("quantizer", [None, QAT, A2Q], ids=["float", "qat", "a2q"])
def test_a_graph_answers_alike_in_any_batch(quantizer, in_float):
    data, held = tiny_graphs(), restored("graph", quantizer)
    found = predict(held, data)
    whole = jgc.apply(held.model, held.variables, all_of(data), None, held.quant,
                      quantizer=held.quantizer)[0]  # fmt: skip
    assert found.answers.shape == (24, 3)
    np.testing.assert_allclose(found.answers, whole, rtol=1e-4, atol=1e-4)


def test_links_answer_for_the_test_pairs(in_float):
    data, held = tiny_links(), restored("link")
    found = predict(held, data, 0)
    split = data.splits[0]
    values, _ = jgc.apply(held.model, held.variables, all_of(data))
    due = link_scores(values, jnp.asarray(np.concatenate([split.test, split.test_neg])))
    np.testing.assert_allclose(found.answers[:, 0], due, rtol=1e-4, atol=1e-5)
    assert predict(held, data, 1).answers.tolist() != found.answers.tolist()


# Which runtime, and why.


def quicker(name):
    """`rounds` where one of the two is quicker."""
    seconds = {"float": 0.001, "integer": 0.001} | {name: 0.0005}
    return lambda runs: [[seconds[each]] for each, _ in zip(seconds, runs, strict=False)]


@pytest.mark.parametrize("quantizer", [QAT, A2Q], ids=["qat", "a2q"])
@pytest.mark.parametrize("task", SETS)
def test_integers_answer_as_floats_do(task, quantizer, monkeypatch):
    found = {}
    for name in ("integer", "float"):
        monkeypatch.setattr(runtimes, "rounds", quicker(name))
        found[name] = predict(restored(task, quantizer), SETS[task]())
        assert found[name].runtime.name == name
    # A sum on the edge between two codes may go to either.
    pair = (each.answers for each in found.values())
    assert np.isclose(*pair, rtol=1e-3, atol=1e-3).mean() > 0.9


@pytest.mark.parametrize("name, other", [("integer", "float"), ("float", "integer")])
def test_the_quicker_one_is_taken_and_both_times_are_told(name, other, monkeypatch):
    monkeypatch.setattr(runtimes, "rounds", quicker(name))
    chosen = pack.runtime(restored("node", QAT), on_graph(tiny_nodes().graphs[0]))
    assert chosen.explain == f"{name}: a pass takes 0.5 ms here, on {other}s 1 ms"
    assert chosen.run().shape == (N_NODE, 3)


def unseen(held):
    """The same model, as if its site `input` had never met a value."""
    site = held.quant.sites["input"]
    blank = site._replace(range=site.range._replace(count=jnp.int32(0)))
    return held._replace(quant=held.quant._replace(sites={**held.quant.sites, "input": blank}))


@pytest.mark.parametrize(
    "held, why",
    [
        (lambda: restored("node"), "nothing is quantised"),
        (lambda: restored("node", QAT, GAT(4, 3, 2)), "the code of GAT does more with values"),
        (lambda: restored("graph", QAT, GraphModel(GAT(4, 4, 2), 3)), "the code of GAT does more"),
        (lambda: unseen(restored("node", QAT)), r"the ranges of \['input'\] are those of the val"),
    ],
    ids=["float", "gat", "gat of graphs", "unseen"],
)
def test_what_cannot_run_on_integers_says_why(held, why):
    held = held()
    chosen = pack.runtime(held, on_graph(all_of(SETS[held.task]())))
    assert chosen.name == "float" and re.match(f"float: {why}", chosen.explain)


# What does not fit.


def changed(data, **changes):
    return dataclasses.replace(data, **changes)


def dense(graph):
    nodes = graph.nodes
    return np.asarray(nodes.todense() if hasattr(nodes, "todense") else nodes)


def with_nodes(data, nodes):
    return changed(
        data, graphs=[graph._replace(nodes=nodes(dense(graph))) for graph in data.graphs]
    )


def with_edges(width, value=1.0):
    def edges(graph):
        return np.full((graph.senders.size, width), value, np.float32)

    graphs = [graph._replace(edges=edges(graph)) for graph in tiny_graphs().graphs]
    return changed(tiny_graphs(), graphs=graphs)


def two_edge_features():
    return with_edges(2)


def spoilt(value):
    def nodes(values):
        values = values.copy()
        values[1, 0] = value
        return values

    return nodes


def larger():
    graph = from_edges([0, 1], [1, 2], nodes=np.ones((N_NODE + 1, 9), np.float32))
    return changed(tiny_nodes(), graphs=[graph], labels=np.zeros(N_NODE + 1, np.int64))


def without_features():
    return changed(tiny_nodes(), graphs=[tiny_nodes().graphs[0]._replace(nodes=None)])


def reads_edges():
    return restored("graph", None, GraphModel(MPNN(4, 4, 1), 3), two_edge_features)


MISFITS = {
    "task": (lambda: restored("node"), tiny_links, "the task of 'tiny' is 'link', the model is fo"),
    "kind": (
        lambda: restored("graph"), lambda: changed(tiny_graphs(), kind="value"), "kind of labels",
    ),
    "width": (
        lambda: restored("node"), lambda: with_nodes(tiny_nodes(), lambda x: x[:, :5]),
        "the number of node features of 'tiny' is 5, the model is for 9",
    ),
    "no features": (
        lambda: restored("node"), without_features,
        "the number of node features of 'tiny' is 0",
    ),
    "classes": (
        lambda: restored("node"), lambda: changed(tiny_nodes(), n_class=4),
        "the number of classes or targets of 'tiny' is 4, the model is for 3",
    ),
    "no edge features": (
        reads_edges, tiny_graphs,
        "the edges of 'tiny' have 0 features, the model was trained with 2",
    ),
    "edge features": (
        reads_edges, lambda: with_edges(3),
        "the edges of 'tiny' have 3 features, the model was trained with 2",
    ),
    "NaN": (
        lambda: restored("node", QAT), lambda: with_nodes(tiny_nodes(), spoilt(np.nan)),
        "1 node features of graph 0 of 'tiny' are NaN or infinite",
    ),
    "infinite": (
        lambda: restored("graph"), lambda: with_nodes(tiny_graphs(), spoilt(-np.inf)),
        "1 node features of graph 0 of 'tiny' are NaN or infinite",
    ),
    "NaN at an edge": (
        lambda: restored("graph"), lambda: with_edges(1, np.nan),
        "edge features of graph 0 of 'tiny' are NaN",
    ),
    "a larger graph": (
        lambda: restored("node", A2Q), larger,
        "'update1' has a step and a width for each of the 40 nodes of 'tiny'; .* 'tiny' has 41",
    ),
    "overflow": (
        lambda: restored("node"), lambda: with_nodes(tiny_nodes(), lambda x: 0 * x + 3e38),
        "of 40 answers are no numbers: features of 'tiny' are too large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("misfit", MISFITS)
def test_what_does_not_fit_is_an_error(misfit):
    held, data, message = MISFITS[misfit]
    with pytest.raises(ValueError, match=message):
        predict(held(), data())


def test_edges_that_no_model_reads_may_have_any_width(in_float):
    found = [predict(restored("graph"), data()).answers for data in (tiny_graphs, with_edges_of_3)]
    np.testing.assert_array_equal(*found)


def with_edges_of_3():
    return with_edges(3)


# What may be meant, and is said.


@pytest.mark.parametrize(
    "task, quantizer", [*((task, QAT) for task in SETS), ("graph", A2Q)], ids=[*SETS, "groups"]
)
def test_values_far_beyond_a_range_are_counted_and_clipped(task, quantizer):
    data, held = SETS[task](), restored(task, quantizer)
    odd = with_nodes(data, spoilt(1e6))
    n = sum(dense(graph).size for graph in data.graphs)
    place = "encoder/input" if task == "graph" else "input"
    told = rf"'{place}': {len(data.graphs)} of {n} values lie far outside"
    with pytest.warns(UserWarning, match=told):
        found = predict(held, odd)
    # A value at the end of the range gives the same answers.
    state = held.quant.sites[place]
    top = ends_of(state).max() if quantizer is A2Q else state.range.hi
    clipped = predict(held, with_nodes(data, spoilt(float(top))))
    np.testing.assert_allclose(found.answers, clipped.answers, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("quantizer", [QAT, A2Q], ids=["qat", "a2q"])
@pytest.mark.parametrize("task", SETS)
def test_the_data_of_training_raise_no_warning(task, quantizer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(restored(task, quantizer), SETS[task]())


def test_a_range_that_training_never_saw(in_float):
    with pytest.warns(UserWarning, match="'input' saw no value in training: its range is that of"):
        predict(unseen(restored("node", QAT)), tiny_nodes())


def test_a_table_of_nodes_on_another_set():
    with pytest.warns(UserWarning, match="each node of 'tiny'; are the nodes of 'small' the same"):
        predict(restored("node", A2Q), changed(tiny_nodes(), name="small"))


# Which split.


@pytest.mark.parametrize(
    "trained, name, asked, kind, seed, chosen",
    [
        ("public", "sbm", None, "public", 0, "public"),
        ("random-3", "sbm", None, "random", 3, "random-3"),
        ("random-3", "sbm", "public", "public", 3, "public"),
        ("public", "SBM", "random", "random", 0, "random-0"),
        ("fold-2", "motif", None, "kfold", 0, "fold-2"),
        ("link-80-1", "sbm", None, "link-80", 1, "link-80-1"),
        ("random-3", "cora", None, None, 3, "public"),
    ],
)
def test_the_split_of_the_training_is_found_again(
    trained, name, asked, kind, seed, chosen, monkeypatch
):
    calls = []

    def loaded(name, **words):
        calls.append(words)
        source = "sbm" if name == "cora" else name
        return load(source, **words)

    monkeypatch.setattr(fit, "load", loaded)
    own = "motif" if name == "motif" else "sbm"
    task = {"fold": "graph", "link": "link"}.get(trained.split("-")[0], "node")
    held = restored("node")._replace(
        dataset=own, task=task, meta={"config": {"split": trained}, "n_splits": 10}
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data, number = fit.data_for(held, name, None, asked)
    assert (calls[0]["split"], calls[0]["seed"], calls[0]["task"]) == (kind, seed, task)
    assert data.splits[number].name == chosen
    assert bool(caught) == (asked is not None)
    assert all("may have been among those" in str(each.message) for each in caught)


# Predictions as CSV.


def prediction(answers, split="random-0"):
    return Prediction(np.asarray(answers, np.float32), 0.5, "accuracy", split, None)


@pytest.mark.parametrize(
    "task, kind, answers, lines",
    [
        (
            "node", "class", [[0, np.log(3)], [2, 2], [-np.inf, 0]],
            ["node,part,predicted,p_0,p_1", "0,test,1,0.25,0.75", "1,train,0,0.5,0.5", "2,,1,0,1"],
        ),
        (
            "graph", "binary", [[0, 0], [0, 50], [0, -np.log(3)]],
            ["graph,part,p_0,p_1", "0,test,0.5,0.5", "1,train,0.5,1", "2,,0.5,0.25"],
        ),
        (
            "graph", "value", [[0.5], [-1e-9], [123456.78]],
            ["graph,part,value_0", "0,test,0.5", "1,train,-1e-09", "2,,123457"],
        ),
    ],
)  # fmt: skip
def test_predictions_are_lines_of_csv(task, kind, answers, lines):
    split = Split(np.array([1]), np.array([], int), np.array([0]), "random-0")
    data = changed(tiny_nodes(), task=task, kind=kind, splits=(split,))
    assert to_csv(prediction(answers), data).splitlines() == lines


def test_links_as_csv():
    data = tiny_links()
    split = data.splits[1]
    n = len(split.test)
    lines = to_csv(prediction(np.zeros((2 * n, 1))), data, 1).splitlines()
    u, v = split.test[0]
    assert lines[:2] == ["source,target,is_edge,p_0", f"{u},{v},1,0.5"]
    assert lines[-1] == "{},{},0,0.5".format(*split.test_neg[-1]) and len(lines) == 1 + 2 * n
