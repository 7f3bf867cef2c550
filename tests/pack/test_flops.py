"""Training FLOPs: by hand, and beside XLA's own count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import from_edges
from jgc.models import GCN, MLP, GraphSAGE
from jgc.pack.flops import step_flops, training_flops
from jgc.pack.operations import products

N, D, HIDDEN, OUT = 40, 12, 8, 5


def found_in(model):
    rng = np.random.default_rng(0)
    graph = from_edges(*rng.integers(0, N, (2, 90)), nodes=jnp.ones((N, D)), undirected=True)
    variables = model.init(jax.random.key(0), graph)
    return products(model, variables, graph), variables, graph


def test_a_gcn_by_hand():
    found, _, graph = found_in(GCN(hidden=HIDDEN, out=OUT))
    edges = graph.senders.size
    first, second = "conv1/linear/kernel", "conv2/linear/kernel"
    kept = {first: 20, second: 10}
    sums = 2 * edges * HIDDEN, 2 * edges * OUT
    flops = step_flops(found, kept)
    assert flops.forward == 2 * N * (20 + 10) + sum(sums)
    # The features need no slope; all that comes after the first product does.
    assert flops.values == 2 * N * 10 + sum(sums)
    assert flops.weights == 2 * N * (20 + 10)
    assert flops.weights_dense == 2 * N * (D * HIDDEN + HIDDEN * OUT)
    history = {first: np.array([96, 20, 20]), second: np.array([40, 10, 10])}
    whole, n = step_flops(found, {}), 96 + 40 + HIDDEN + OUT
    trained = np.array([True, True, False])
    settings = {"share": 0.5, "steps": 2, "n_params": n, "update": 16}
    total = training_flops(found, history, trained, **settings)
    left = n - 136 + 30
    assert total == 0.5 * (whole.sparse + flops.sparse) + 2 * 16 * (n + left)
    # Regrowth forms one gradient of all weights on one of two batches, even at rate 0.
    grown = training_flops(found, history, trained, gradients=np.array([0, 1, 1]), **settings)
    assert grown - total == 2 * flops.dense * 0.5 / 2
    through = training_flops(found, history, trained, straight_through=True, **settings)
    assert through == 0.5 * (whole.dense + flops.dense) + 2 * 16 * 2 * n


def test_both_matrices_of_a_sage_layer_read_the_features():
    found, _, graph = found_in(GraphSAGE(hidden=HIDDEN, out=OUT))
    sums = sum(2 * p.operation.macs for p in found if p.operation.kind == "aggregate")
    flops = step_flops(found, {})
    inner = sum(2 * p.operation.macs for p in found
                if p.operation.kind == "linear" and p.operation.d_in == HIDDEN)  # fmt: skip
    assert flops.forward == flops.weights + sums and inner > 0
    assert flops.values in (inner + sums, inner + sums - 2 * graph.senders.size * D)


def test_the_dense_count_is_that_of_xla():
    """Products alone: XLA counts biases, activations and the loss too, a few in a hundred."""
    model = MLP(hidden=64, out=32, dropout=0.0)
    nodes = jnp.ones((256, 128))
    graph = from_edges(np.arange(2), np.arange(2), nodes=nodes)
    variables = model.init(jax.random.key(0), graph)
    flops = step_flops(products(model, variables, graph), {})

    def loss(variables):
        return jnp.sum(model.apply(variables, graph) ** 2)

    def count(function):
        cost = jax.jit(function).lower(variables).compile().cost_analysis()
        return cost["flops"]

    assert count(loss) == pytest.approx(flops.forward, rel=0.05)
    assert count(jax.grad(loss)) == pytest.approx(flops.dense, rel=0.05)
