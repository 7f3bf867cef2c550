"""K-FAC by hand for one layer, and a whole training of SSP against dense matrices and autograd."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import layout, pad
from jgc.models import GCN, MLP
from jgc.train import Kfac, Method, Optimiser, Phase, lane, lane_program, problem, train
from jgc.train.kfac import Factors, blank, precondition
from jgc.train.losses import cross_entropy
from jgc.tree import named_leaves
from tests.models.cases import graph, variables
from tests.train.cases import N_CLASS, N_NODE, tiny_links, tiny_nodes

LABELS = np.array([0, 1, 2, 0, 1])
TRAIN = np.array([True, True, False, True, False])
KFAC = Kfac(damping=0.04)
ONE = GCN(out=3, layers=1, dropout=0.0)


def dense_propagation(on, n_node):
    """`D^-1/2 (A + I) D^-1/2`, with no second loop."""
    matrix = np.zeros((n_node, n_node))
    np.add.at(matrix, (on.receivers, on.senders), 1)
    matrix += np.diag(np.diag(matrix) == 0)
    root = matrix.sum(1) ** -0.5
    return root[:, None] * matrix * root[None]


def measured(model, on, weights, train):
    places = layout(on)
    labels = np.resize(LABELS, places.n_node)
    train = np.pad(train, (0, places.n_node - len(train)))

    def loss():
        return cross_entropy(model.apply(weights, on, places), labels, train)

    start = blank(model, weights, on, places)
    return KFAC.measure(start, loss, places, train.sum())


def close(got, expected, **tolerance):
    tolerance = {"rtol": 1e-4, "atol": 1e-5} | tolerance
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), got, expected)


def test_the_factors_of_one_layer_by_hand():
    on, weights = graph(), variables(ONE, graph())
    spread = dense_propagation(on, 5)
    seen = np.concatenate([spread @ on.nodes, np.ones((5, 1))], 1)
    layer = weights["params"]["conv1"]
    logits = seen @ np.concatenate([layer["linear"]["kernel"], layer["bias"][None]])
    likely = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    slopes = 3 * TRAIN[:, None] * (likely - np.eye(3)[LABELS]) / 3  # Width over nodes that count.
    inner = np.linalg.inv(seen.T @ seen / 3 + 0.2 * np.eye(6))
    outer = np.linalg.inv(slopes.T @ slopes / 3 + 0.2 * np.eye(3))
    close(measured(ONE, on, weights, TRAIN), {"conv1": Factors(inner, outer)})


def test_padding_changes_no_factor():
    model, weights = GCN(hidden=4, out=3, dropout=0.0), variables(GCN(hidden=4, out=3), graph())
    padded = pad(graph(), n_node=11, n_edge=13, n_graph=3)
    nodes = np.where(np.arange(11)[:, None] < 5, padded.nodes, 100).astype(np.float32)
    got = measured(model, padded._replace(nodes=nodes), weights, TRAIN)
    close(got, measured(model, graph(), weights, TRAIN))


def test_only_graph_convolutions_are_preconditioned():
    model = GCN(hidden=4, out=3, batch_norm=True)
    weights = variables(model, graph())
    factors = {
        name: Factors(2 * jnp.eye(len(f.inputs)), 5 * jnp.eye(len(f.outputs)))
        for name, f in blank(model, weights, graph(), layout(graph())).items()
    }
    before = named_leaves(weights["params"])
    after = named_leaves(precondition(factors, weights["params"]))
    for name in before:
        close(after[name], before[name] * (10 if name.startswith("conv") else 1))
    assert sum(name.startswith("norm") for name in before) == 2


def test_training_ssp_is_training_it_with_dense_matrices(programs):
    """Six epochs: measured at 0, 2 and 4, guesses that rise, decay added after preconditioning."""
    torch = pytest.importorskip("torch", reason="torch's autograd and Adam are the oracle")
    data, power, epochs = tiny_nodes(), 2.0, 6
    model = GCN(hidden=4, out=N_CLASS, dropout=0.0)
    weights = (jnp.arange(1, epochs + 1) / epochs) ** power
    task = problem(data, guess_weights=weights)
    optimiser = Optimiser(0.05, 0.01, Kfac(damping=0.02, every=2))
    method = Method("dense", (Phase(epochs),))
    done = train(model, task, method, [lane(0)], optimiser=optimiser).state

    init, _ = lane_program(model, task, method, optimiser)
    began = named_leaves(init(lane(0), task.data).model.params)
    names = ["conv1/linear/kernel", "conv1/bias", "conv2/linear/kernel", "conv2/bias"]
    free = [torch.nn.Parameter(torch.tensor(np.asarray(began[name]))) for name in names]
    adam = torch.optim.Adam(free, lr=0.05, weight_decay=0.01)
    on = data.graphs[0]
    spread = torch.tensor(dense_propagation(on, N_NODE), dtype=torch.float32)
    x, labels = torch.tensor(np.asarray(on.nodes.todense())), torch.tensor(data.labels)
    known = torch.zeros(N_NODE, dtype=torch.bool)
    known[torch.tensor(data.splits[0].train)] = True
    factors, ones = [], torch.ones(N_NODE, 1)
    for epoch in range(epochs):
        share = ((epoch + 1) / epochs) ** power
        first = spread @ x
        y1 = first @ free[0] + free[1]
        second = spread @ torch.relu(y1)
        y2 = second @ free[2] + free[3]
        target = torch.where(known, labels, y2.argmax(1))
        each = torch.nn.functional.cross_entropy(y2, target, reduction="none")
        loss = each[known].mean() + share * each[~known].mean()
        assert done.loss[0, epoch] == pytest.approx(loss.item(), rel=1e-3)
        slopes = torch.autograd.grad(loss, [y1, y2], retain_graph=True)
        adam.zero_grad()
        loss.backward()
        n = known.sum() + share * (~known).sum()
        if epoch % 2 == 0:
            rows = [(torch.cat([first, ones], 1), slopes[0] * 4)]
            rows += [(torch.cat([second, ones], 1), slopes[1] * N_CLASS)]
            factors = [
                [torch.linalg.inv(r.T @ r / n + 0.02**0.5 * torch.eye(r.shape[1])) for r in pair]
                for pair in rows
            ]
        for i, (inner, outer) in enumerate(factors):
            kernel, bias = free[2 * i : 2 * i + 2]
            slope = inner @ torch.cat([kernel.grad, bias.grad[None]]).detach() @ outer
            kernel.grad, bias.grad = slope[:-1].contiguous(), slope[-1].contiguous()
        adam.step()
    after = named_leaves(done.model.params)
    for name, theirs in zip(names, free, strict=True):
        np.testing.assert_allclose(after[name][0], theirs.detach().numpy(), atol=0.01)


@pytest.mark.parametrize(
    "model, data, kfac, message",
    [
        (MLP(out=3), tiny_nodes, Kfac(), "MLP has none"),
        (GCN(out=3), tiny_links, Kfac(), "is for node tasks"),
        (GCN(out=3), tiny_nodes, Kfac(damping=0.0), "`damping` > 0"),
        (GCN(out=3), tiny_nodes, Kfac(every=0), "`every` >= 1"),
    ],
)
def test_what_kfac_cannot_do_is_said(model, data, kfac, message):
    task, method = problem(data()), Method("dense", (Phase(1),))
    with pytest.raises(ValueError, match=message):
        train(model, task, method, [lane(0)], optimiser=Optimiser(kfac=kfac))
