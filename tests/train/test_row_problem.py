"""Batches of rows: who is drawn, what is answered, and that padding never counts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jgc import quant
from jgc.models import MLP, for_task
from jgc.train import Method, Optimiser, Phase, lane, problem, train
from tests.train.cases import N_ROW, tiny_links, tiny_nodes, tiny_rows


def first_column(graph, layout):
    return graph.nodes[:, :1]


@pytest.mark.parametrize("split", [0, 1])
def test_a_batch_is_drawn_from_its_own_training_rows(split):
    data = tiny_rows()
    task = problem(data, batch_size=16)
    assert task.steps == 4 and task.n_split == 2
    selected = task.select(task.data, split)
    x = data.graphs[0].nodes
    known = dict(zip(map(tuple, x.tolist()), data.labels[:, 0], strict=True))
    allowed = set(map(tuple, x[data.splits[split].train].tolist()))
    seen = []
    for i in range(40):
        graph, layout, labels = task.batch(selected, 0, i, jax.random.key(i))
        drawn = list(map(tuple, graph.nodes.tolist()))
        assert len(drawn) == 16 and set(drawn) <= allowed
        assert [known[row] for row in drawn] == labels[:, 0].tolist()
        seen += drawn
    # 640 draws: each of 50 rows some 13 times.
    assert len(set(seen)) == 50 and max(map(seen.count, seen)) < 32
    assert layout.node_mask.all() and layout.graph_mask.shape == (16,)
    again, _, _ = task.batch(selected, 0, 39, jax.random.key(39))
    np.testing.assert_array_equal(again.nodes, graph.nodes)


@pytest.mark.parametrize("split", [0, 1])
def test_scores_are_those_of_all_rows_at_once(split):
    data = tiny_rows()
    parts = data.splits[split]
    scores = np.asarray(data.graphs[0].nodes)[:, 0]
    for size in (7, 16, 50, 1000):
        task = problem(data, batch_size=size)
        selected = task.select(task.data, split)
        answers = jax.jit(lambda d, task=task: task.answer(first_column, d))(selected)
        for metric in ("accuracy", "roc_auc"):
            found = task.score(answers, selected, metric)
            for value, part in zip(found, (parts.val, parts.test), strict=True):
                y, s = data.labels[part, 0], scores[part]
                exact = roc_auc_score(y, s) if metric == "roc_auc" else ((s > 0) == y).mean()
                assert float(value) == pytest.approx(exact, abs=1e-6)


def test_labels_of_other_parts_change_no_loss_and_no_score():
    data = tiny_rows()
    split = data.splits[0]

    def read(labels):
        task = problem(dataclasses.replace(data, labels=labels), batch_size=50)
        selected = task.select(task.data, 0)
        graph, layout, target = task.batch(selected, 0, 0, jax.random.key(0))
        loss = task.loss(first_column(graph, layout), target)
        return [
            float(x) for x in (loss, *task.score(task.answer(first_column, selected), selected))
        ]

    base = read(data.labels)
    for i, part in enumerate(split[:3]):
        labels = data.labels.copy()
        labels[part] = 1 - labels[part]
        assert [a != b for a, b in zip(read(labels), base, strict=True)] == [
            j == i for j in range(3)
        ]


@pytest.mark.parametrize(
    ("kind", "quantizer"),
    [("binary", None), ("class", None), ("class", "qat"), ("binary", "a2q"), ("class", "degree")],
)
def test_a_network_learns_from_batches_whatever_quantises_it(kind, quantizer):
    data = tiny_rows(kind)
    model = for_task(MLP(hidden=8, dropout=0.0), "node", data.n_class)
    make = None if quantizer is None else (lambda bits: quant.METHODS[quantizer](bits))
    method = Method("m", (Phase(20, quantize=make is not None),), None, make)
    sgd = Optimiser(0.1, 0.0, rule="sgd", momentum=0.9, decay=0.98)
    done = train(
        model, problem(data, batch_size=16), method, [lane(0), lane(1, split=1)], optimiser=sgd
    )
    assert (done.state.best.test > 0.75).all() and np.isfinite(done.state.loss).all()


@pytest.mark.parametrize("size", [0, -3])
def test_sizes_below_one_are_refused(size):
    with pytest.raises(ValueError, match=f"`batch_size` must be >= 1, got {size}"):
        problem(tiny_rows(), batch_size=size)


def test_what_has_edges_is_not_dealt_in_batches():
    for data in (tiny_nodes(), tiny_links()):
        with pytest.raises(ValueError, match="'tiny' has task .* edges, and is trained on whole"):
            problem(data, batch_size=8)
    with pytest.raises(ValueError, match="`guess_weights` needs all nodes at once"):
        problem(tiny_rows("class"), batch_size=8, guess_weights=jnp.ones(2))


def test_without_a_size_all_rows_are_one_batch():
    task = problem(tiny_rows())
    graph, _, _ = task.batch(task.select(task.data, 0), 0, 0, jax.random.key(0))
    assert task.steps == 1 and graph.nodes.shape == (N_ROW, 4)
