import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jgc.data import Split, load
from jgc.graph import SparseRows
from jgc.models import link_scores
from jgc.train import METRICS, problem
from jgc.train import problem as make
from jgc.train.problem import batch_budget
from tests.train.cases import N_NODE, tiny_graphs, tiny_links, tiny_nodes

KEY = jax.random.key(0)


def whole_epoch(task, split, epoch=0):
    data, batch = task.select(task.data, split), jax.jit(task.batch)
    return [batch(data, epoch, step, KEY) for step in range(task.steps)]


def pairs_of(graph):
    senders, receivers = graph.senders.tolist(), graph.receivers.tolist()
    return {tuple(sorted(pair)) for pair in zip(senders, receivers, strict=True)}


def as_set(pairs):
    return {tuple(sorted(pair)) for pair in np.asarray(pairs).tolist()}


# Nodes.


@pytest.mark.parametrize("split", [0, 1])
def test_node_loss_and_score_read_the_labels_of_their_own_part_only(split):
    data = tiny_nodes()
    task, parts = make(data), data.splits[split]
    answers = np.random.default_rng(0).normal(size=(N_NODE, 3)).astype(np.float32)
    right = answers.argmax(1) == data.labels

    def read(labels):
        changed = make(dataclasses.replace(data, labels=labels))
        ((_, _, target),) = whole_epoch(changed, split)
        scores = changed.score(answers, changed.select(changed.data, split))
        return [float(x) for x in (changed.loss(answers, target), *scores)]

    base = read(data.labels)
    assert base[1:] == pytest.approx([right[parts.val].mean(), right[parts.test].mean()])
    for i, part in enumerate((parts.train, parts.val, parts.test)):
        labels = data.labels.copy()
        labels[part] = (labels[part] + 1) % 3
        changed = [a != b for a, b in zip(read(labels), base, strict=True)]
        assert changed == [i == 0, i == 1, i == 2]
    assert task.n_split == 2 and task.steps == 1


@pytest.mark.parametrize("epoch, weight", [(0, 0.25), (2, 1.0), (9, 1.0)])
def test_nodes_outside_the_training_part_are_guessed(epoch, weight):
    data = tiny_nodes()
    task, train = make(data, guess_weights=jnp.array([0.25, 0.5, 1.0])), data.splits[1].train
    answers = np.random.default_rng(0).normal(size=(N_NODE, 3)).astype(np.float32)
    ((_, _, target),) = whole_epoch(task, 1, epoch)
    likely = np.log(np.exp(answers) / np.exp(answers).sum(1, keepdims=True))
    others = np.setdiff1d(np.arange(N_NODE), train)
    expected = -likely[train, data.labels[train]].mean() - weight * likely[others].max(1).mean()
    assert task.loss(answers, target) == pytest.approx(expected, rel=1e-5)
    assert task.counted(target) == pytest.approx(len(train) + weight * len(others))
    plain = make(data)
    ((_, _, target),) = whole_epoch(plain, 1, epoch)
    assert plain.counted(target) == len(train)


def test_guesses_need_classes_of_nodes():
    for data in (tiny_links(), tiny_graphs()):
        with pytest.raises(ValueError, match="`guess_weights` needs nodes with classes"):
            make(data, guess_weights=jnp.ones(1))


# Links.


@pytest.mark.parametrize("split", [0, 1, 2])
def test_links_send_messages_along_training_edges_only(split):
    data = tiny_links()
    task, parts = make(data), data.splits[split]
    selected = task.select(task.data, split)
    ((graph, layout, (positive, noise)),) = whole_epoch(task, split)
    held_out = as_set(parts.val) | as_set(parts.test)
    assert held_out and not pairs_of(graph) & held_out
    assert pairs_of(graph) == as_set(parts.train) == as_set(positive)
    walked = set(zip(layout.edges.rows.tolist(), layout.edges.cols.tolist(), strict=True))
    assert {tuple(sorted(pair)) for pair in walked} == as_set(parts.train)
    assert isinstance(graph.nodes, SparseRows) and graph.nodes.shape[0] == N_NODE
    assert noise.shape == positive.shape and 0 <= noise.min() and noise.max() < N_NODE
    seen = []

    def forward(graph, layout):
        seen.append((graph, layout))
        return jnp.zeros((N_NODE, 1))

    task.answer(forward, selected)
    assert pairs_of(seen[0][0]) == as_set(parts.train)


@pytest.mark.parametrize("split", [0, 1, 2])
def test_link_scores_use_held_out_pairs_only(split):
    data = tiny_links()
    task, parts = make(data), data.splits[split]
    values = np.random.default_rng(0).normal(size=(N_NODE, 4)).astype(np.float32)
    found = task.score(values, task.select(task.data, split))
    for score, yes, no in zip(
        found, (parts.val, parts.test), (parts.val_neg, parts.test_neg), strict=True
    ):
        pairs = np.concatenate([yes, no])
        truth = np.repeat([1, 0], [len(yes), len(no)])
        expected = roc_auc_score(truth, link_scores(jnp.asarray(values), jnp.asarray(pairs)))
        assert score == pytest.approx(expected, abs=1e-6)


def test_sampled_pairs_change_with_the_key_and_are_uniform():
    task = make(tiny_links())
    data = task.select(task.data, 0)
    batch = jax.jit(task.batch)
    draws = [batch(data, 0, 0, jax.random.key(i))[2][1] for i in range(60)]
    assert (draws[0] != draws[1]).any()
    assert (batch(data, 0, 0, jax.random.key(0))[2][1] == draws[0]).all()
    counts = np.bincount(np.concatenate(draws).ravel(), minlength=N_NODE)
    # Each count is binomial, about 4 sigma wide.
    expected = np.mean(counts)
    assert np.abs(counts - expected).max() < 4.5 * np.sqrt(expected)


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_deal_the_edges_and_their_negatives(parts):
    data = tiny_links()
    task, split = make(data, parts=parts), data.splits[1]
    ((graph, layout, (pairs, noise)),) = whole_epoch(task, 1)
    assert layout.n_node == parts * N_NODE == graph.nodes.shape[0]
    part = np.asarray(pairs) // N_NODE
    for ends in (part, np.asarray(noise) // N_NODE):
        assert (ends == part[:, :1]).all()
    assert np.ptp(np.bincount(part[:, 0], minlength=parts)) <= 1
    assert (np.asarray(pairs) % N_NODE == split.train).all()
    assert pairs_of(graph) == as_set(pairs) and 2 * len(split.train) == graph.senders.size
    dense = graph.nodes.todense().reshape(parts, N_NODE, -1)
    assert (dense == data.graphs[0].nodes.todense()[None]).all()


def test_the_whole_training_graph_answers_whatever_the_parts():
    data = tiny_links()
    task, seen = make(data, parts=3), []

    def forward(graph, layout):
        seen.append((graph, layout))
        return jnp.zeros((N_NODE, 1))

    task.answer(forward, task.select(task.data, 1))
    ((graph, layout),) = seen
    assert pairs_of(graph) == as_set(data.splits[1].train)
    assert layout.n_node == N_NODE == graph.nodes.shape[0]


def test_link_accuracy_is_taken_at_the_cut_of_the_validation_part():
    data = tiny_links()
    task, parts = make(data, metric="accuracy"), data.splits[0]
    values = np.random.default_rng(3).normal(size=(N_NODE, 4)).astype(np.float32)

    def scored(yes, no):
        pairs = np.concatenate([yes, no])
        return (values[pairs[:, 0]] * values[pairs[:, 1]]).sum(1), np.repeat([1, 0], len(yes))

    scores, labels = scored(parts.val, parts.val_neg)
    rates = [((scores > cut) == labels).mean() for cut in scores]
    cut = scores[int(np.argmax(rates))]
    found = task.score(jnp.asarray(values), task.select(task.data, 0))
    assert found.val == pytest.approx(max(rates))
    scores, labels = scored(parts.test, parts.test_neg)
    assert found.test == pytest.approx(((scores > cut) == labels).mean())
    # The test part has a better cut of its own, which is not used.
    assert found.test < max(((scores > c) == labels).mean() for c in scores)


# Graphs.


@pytest.mark.parametrize("split", [0, 1, 2])
def test_every_training_graph_is_seen_once_an_epoch_with_its_own_label(split):
    data = tiny_graphs()
    task = make(data, batch_size=5, shuffles=3)
    sizes = np.array([g.nodes.shape[0] for g in data.graphs])
    orders = []
    for epoch in range(4):
        seen = []
        for graph, layout, (labels, mask) in whole_epoch(task, split, epoch):
            assert (mask == layout.graph_mask).all() and not mask[-1]
            starts = np.cumsum(graph.n_node) - graph.n_node
            for i in np.flatnonzero(mask):
                nodes = graph.nodes[int(starts[i]) : int(starts[i] + graph.n_node[i])]
                (found,) = [
                    g for g in np.flatnonzero(sizes == graph.n_node[i])
                    if np.array_equal(data.graphs[g].nodes, nodes)
                ]  # fmt: skip
                assert labels[i] == data.labels[found]
                seen.append(int(found))
        assert sorted(seen) == sorted(data.splits[split].train)
        orders.append(seen)
    # Three distinct shuffles, then again from the first.
    assert orders[0] == orders[3] and orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize("split", [0, 1, 2])
def test_every_held_out_graph_is_answered_in_its_own_place(split):
    data = tiny_graphs()
    task, parts = make(data, batch_size=5), data.splits[split]
    selected = task.select(task.data, split)

    def totals(graph, layout):
        summed = jax.ops.segment_sum(graph.nodes, layout.node_graph, graph.n_node.shape[0])
        return jnp.pad(summed, ((0, 0), (0, 1)))

    answers = jax.jit(partial(task.answer, totals))(selected)
    by_hand = np.stack([g.nodes.sum(0) for g in data.graphs])
    held_out = np.concatenate([parts.val, parts.test])
    np.testing.assert_allclose(answers[held_out, :2], by_hand[held_out], atol=1e-5)
    found = task.score(answers, selected)
    right = np.asarray(answers[:-1]).argmax(1) == data.labels
    assert list(map(float, found)) == pytest.approx(
        [right[parts.val].mean(), right[parts.test].mean()]
    )


def test_a_larger_budget_changes_no_loss_and_no_score():
    """Fewer, larger batches hold more padding; the mean over them is the same mean."""
    data = tiny_graphs()
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3)), jnp.float32)

    def forward(graph, layout):
        pooled = jax.ops.segment_sum(graph.nodes, layout.node_graph, graph.n_node.shape[0])
        return pooled @ weights

    losses, scores = [], []
    for batch_size in (3, 100):
        task = make(data, batch_size=batch_size)
        selected = task.select(task.data, 0)
        total = count = 0
        for graph, layout, target in whole_epoch(task, 0):
            n = int(target[1].sum())
            total, count = total + n * float(task.loss(forward(graph, layout), target)), count + n
        losses.append(total / count)
        answers = jax.jit(partial(task.answer, forward))(selected)
        scores.append([float(s) for s in jax.jit(task.score)(answers, selected)])
    assert losses == pytest.approx([losses[0]] * 2, rel=1e-5)
    assert scores[0] == scores[1]


def test_splits_of_unequal_length_share_one_shape_and_pad_with_empty_batches():
    data = tiny_graphs()
    train, val, test, _ = data.splits[0]
    short = Split(train[:2], val, test, "short")
    task = make(dataclasses.replace(data, splits=(data.splits[0], short)), batch_size=2)
    counts = [int(target[1].sum()) for _, _, target in whole_epoch(task, 1)]
    assert sum(counts) == 2 and 0 in counts
    empty = counts.index(0)
    graph, layout, target = whole_epoch(task, 1)[empty]
    assert not layout.node_mask.any() and not layout.edge_mask.any()
    assert task.loss(jnp.ones((graph.n_node.shape[0], 3)), target) == 0


# All of them.


def test_a_metric_may_be_chosen_if_it_fits_the_labels():
    assert make(tiny_nodes(), metric="macro_f1").metric == "macro_f1"
    task = make(tiny_links(), metric="average_precision")
    values = np.random.default_rng(0).normal(size=(N_NODE, 4)).astype(np.float32)
    assert task.metric == "average_precision"
    assert task.score(values, task.select(task.data, 0)) != make(tiny_links()).score(
        values, task.select(task.data, 0)
    )


@pytest.mark.parametrize(
    "data, metric",
    [
        (tiny_nodes, "f1"),
        (tiny_nodes, "average_precision"),
        (tiny_links, "mae"),
        (tiny_graphs, "mae"),
    ],
)
def test_a_metric_that_does_not_fit_is_an_error(data, metric):
    with pytest.raises(ValueError, match=f"`metric` of 'tiny'.*must be one of.*got '{metric}'"):
        make(data(), metric=metric)


def test_what_chooses_must_fit_too():
    assert make(tiny_graphs(), choose="log_loss").choose == "log_loss"
    with pytest.raises(ValueError, match=r"`choose` of 'tiny'.*must be one of.*got 'mae'"):
        make(tiny_graphs(), choose="mae")


@pytest.mark.parametrize("size", ["batch_size", "shuffles", "parts"])
def test_sizes_below_one_are_errors(size):
    with pytest.raises(ValueError, match=f"`{size}` must be >= 1, got 0"):
        make(tiny_graphs(), **{size: 0})


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_the_largest_graph_always_fits_the_budget(batch_size):
    sizes = np.array([[3, 2], [50, 400], [4, 6]])
    budget = batch_budget(sizes, batch_size)
    assert budget.n_node > 50 and budget.n_edge >= 400 and budget.n_graph >= 2


def test_every_kind_of_label_has_metrics():
    from jgc.train.losses import LOSSES
    from jgc.train.problem import FITTING

    assert set(FITTING) == {*LOSSES, "link"}
    assert {name for names in FITTING.values() for name in names} == set(METRICS)


# Real data.


def test_cora_parts_have_their_published_sizes(data_dir):
    task = problem(load("cora"))
    train, val, test = task.data[1]
    assert [int(part.sum()) for part in (train, val, test)] == [140, 500, 1000]
    assert not (train & val).any() and not (train & test).any() and not (val & test).any()


def test_proteins_folds_are_covered_at_batch_32(data_dir):
    data = load("proteins")
    task = problem(data, shuffles=2)
    _, (train, held_out, (val, test)) = task.data
    n_graph = len(data.graphs)
    assert task.n_split == 10
    for i, split in enumerate(data.splits):
        for epoch in train[i]:
            ids = np.asarray(epoch).ravel()
            assert sorted(ids[ids < n_graph]) == sorted(split.train)
        ids = np.asarray(held_out[i]).ravel()
        assert sorted(ids[ids < n_graph]) == sorted([*split.val, *split.test])
    assert (np.asarray(test).sum(0) == 1).all()  # Every graph is tested in one fold.
    # Batches are nearly full: no more steps than a fifth above the least.
    assert task.steps <= 1.2 * np.ceil(len(data.splits[0].train) / 32)
