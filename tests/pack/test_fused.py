"""`infer`: the answers of `jgc.apply`, whatever the model, the features and the back end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgc
from jgc.graph import from_edges, layout, sparse_rows
from jgc.models import GAT, GCN, GIN, MLP, GraphModel, GraphSAGE
from jgc.pack import infer
from tests.graph.cases import BYTE_BACKENDS

MODELS = {
    "gcn": GCN(hidden=9, out=5, layers=3),
    "gcn-norm": GCN(hidden=9, out=5, batch_norm=True),
    "gin": GIN(hidden=9, out=5, layers=2),
    "sage": GraphSAGE(hidden=9, out=5),
    "mlp": MLP(hidden=9, out=5),
    "gat": GAT(hidden=4, heads=2, out=5),
    "graph": GraphModel(GIN(hidden=9, out=9, layers=2), out=2),
}


def graph_of(sparse):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 12)).astype(np.float32) * (rng.random((30, 12)) < 0.3)
    graph = from_edges(rng.integers(0, 30, 90), rng.integers(0, 30, 90), nodes=x, n_node=30)
    return graph._replace(nodes=sparse_rows(x)) if sparse else graph


@pytest.mark.parametrize("backend", BYTE_BACKENDS)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_answers_are_those_of_apply(model, sparse, backend):
    graph = graph_of(sparse)
    at = layout(graph, backend)
    variables = model.init(jax.random.key(0), graph, at)
    # Statistics and biases that are not 0 and 1, so that each counts.
    variables = jax.tree.map(
        lambda leaf: leaf + 0.3 * jax.random.uniform(jax.random.key(leaf.size), leaf.shape),
        variables,
    )
    expected, _ = jgc.apply(model, variables, graph, layout=at)
    found = jax.jit(lambda v, g, at: infer(model, v, g, at))(variables, graph, at)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("backend", BYTE_BACKENDS[:1])
def test_what_follows_a_sum_is_part_of_its_kernel(backend):
    graph = graph_of(sparse=True)
    at, model = layout(graph, backend), MODELS["gcn"]
    variables = model.init(jax.random.key(0), graph, at)
    program = str(jax.make_jaxpr(lambda v: infer(model, v, graph, at))(variables))
    assert program.count("jgc_float_sum") == 4  # the sparse product and three sums
    assert "jgc_product" not in program and "f32[30,9] = max" not in program  # ReLU is a step


def test_a_layout_is_made_where_none_is_given():
    graph = graph_of(sparse=False)
    variables = MODELS["gcn"].init(jax.random.key(0), graph)
    expected, _ = jgc.apply(MODELS["gcn"], variables, graph)
    found = infer(MODELS["gcn"], variables["params"], graph)
    assert jnp.allclose(found, expected, atol=1e-4)
