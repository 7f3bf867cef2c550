"""GNAE by hand, against PyG, and its edge dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import from_edges, layout
from jgc.models import GNAE, for_task
from tests.models.cases import RECEIVERS, SENDERS, graph, variables

MODEL = GNAE(out=3, dropout=0.0)


def test_by_hand():
    """Two linked nodes: rows of length 1.8, each the mean of both."""
    pair = from_edges([0], [1], nodes=[[3.0, 4.0], [0.0, 2.0]], undirected=True)
    params = {"linear": {"kernel": jnp.eye(2), "bias": jnp.zeros(2)}}
    mean = [1.8 * 0.6 / 2, 1.8 * (0.8 + 1) / 2]
    np.testing.assert_allclose(GNAE(out=2).apply({"params": params}, pair), [mean] * 2, rtol=1e-6)


def test_a_row_of_zeros_stays_and_passes_no_gradient():
    single = from_edges([], [], nodes=np.zeros((1, 2)), n_node=1)
    params = GNAE(out=2).init(jax.random.key(0), single)["params"]
    out, gradient = jax.value_and_grad(lambda p: GNAE(out=2).apply({"params": p}, single).sum())(
        params
    )
    assert out == 0
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_equals_pyg():
    torch = pytest.importorskip("torch")
    pyg = pytest.importorskip("torch_geometric")
    weights = variables(MODEL, graph())
    linear = {k: torch.tensor(v) for k, v in weights["params"]["linear"].items()}
    x = torch.tensor(graph().nodes) @ linear["kernel"] + linear["bias"]
    x = 1.8 * torch.nn.functional.normalize(x, dim=1)
    expected = pyg.nn.APPNP(K=1, alpha=0.0)(x, torch.tensor([SENDERS, RECEIVERS]))
    np.testing.assert_allclose(MODEL.apply(weights, graph()), expected, rtol=1e-5, atol=1e-5)


def test_edges_that_are_dropped_leave_their_degree_too():
    """With one feature all rows are 1.8: a node that keeps `k` of 3 neighbours, each of degree 0,
    has `1.8 (1 / (k + 1) + k / sqrt(k + 1))`."""
    star = from_edges([1, 2, 3], [0, 0, 0], nodes=np.ones((4, 1)))
    model = GNAE(out=1, dropout=0.5)
    params = {"linear": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)}}
    keys = jax.random.split(jax.random.key(0), 400)
    out = jax.jit(
        jax.vmap(
            lambda key: model.apply(
                {"params": params}, star, layout(star), train=True, rngs={"dropout": key}
            )[0, 0]
        )
    )(keys)
    possible = np.array([1.8 * (1 / (k + 1) + k / np.sqrt(k + 1)) for k in range(4)])
    near = np.abs(np.asarray(out)[:, None] - possible)
    assert near.min(1).max() < 1e-5
    # Binomial(3, 1/2): 50, 150, 150, 50 of 400, each within four standard deviations.
    counts = np.bincount(near.argmin(1), minlength=4)
    assert np.abs(counts - [50, 150, 150, 50]).max() < 40


def test_it_is_made_for_links_only():
    assert for_task(MODEL, "link", 1) is MODEL
    with pytest.raises(ValueError, match="GNAE is made for task 'link', got `task`='graph'"):
        for_task(MODEL, "graph", 2)
