"""MACs worked by hand on 5 nodes of 5 features and 7 edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp

from jgc.graph import batch, sparse_rows
from jgc.models import GAT, GCN, GIN, MLP, GraphModel, GraphSAGE
from jgc.pack import total
from jgc.pack.operations import operations
from jgc.prune import full_masks
from tests.models.cases import graph

GRAPH = graph()
BY_HAND = {
    # Nodes x d_in x d_out of every map; edges x width of every sum.
    "gcn": (GCN(hidden=4, out=3), [5 * 5 * 4, 7 * 4, 5 * 4 * 3, 7 * 3]),
    # Two heads of 4, then one of 3.
    "gat": (GAT(hidden=4, out=3, heads=2), [5 * 5 * 8, 7 * 8, 5 * 8 * 3, 7 * 3]),
    # The first map of each MLP comes before the sum.
    "gin": (
        GIN(hidden=4, out=3, layers=2),
        [5 * 5 * 4, 7 * 4, 5 * 4 * 4, 5 * 4 * 3, 7 * 3, 5 * 3 * 3],
    ),
    "mlp": (MLP(hidden=4, out=3), [5 * 5 * 4, 5 * 4 * 3]),
    # Two graphs side by side: 10 nodes, 14 edges; the head works on 2 rows.
    "graph model": (
        GraphModel(GCN(hidden=4, out=6, layers=1), out=2),
        [10 * 5 * 6, 14 * 6, 2 * 6 * 6, 2 * 6 * 2],
    ),
}


def macs(model, on, masks=None):
    variables = jax.eval_shape(model.init, jax.random.key(0), on)
    return [each.macs for each in operations(model, variables, on, masks)]


@pytest.mark.parametrize("name", BY_HAND)
def test_dense_macs(name):
    model, expected = BY_HAND[name]
    assert macs(model, batch([GRAPH, GRAPH]) if name == "graph model" else GRAPH) == expected


def test_sage_has_two_maps_a_layer():
    """The neighbours' mean and the node itself; the mean is taken on the narrower side."""
    found = macs(GraphSAGE(hidden=4, out=3), GRAPH)
    assert sorted(found) == sorted([5 * 5 * 4, 5 * 5 * 4, 7 * 4, 5 * 4 * 3, 5 * 4 * 3, 7 * 3])


def test_sparse_features_count_as_dense_ones():
    nodes = sparse_rows(sp.csr_array(np.eye(5, dtype=np.float32)))
    assert macs(BY_HAND["gcn"][0], graph(nodes)) == BY_HAND["gcn"][1]


def test_only_kept_weights_count():
    model = BY_HAND["gcn"][0]
    params = model.init(jax.random.key(0), GRAPH)["params"]
    masks = full_masks(params)
    masks["conv1"]["linear"]["kernel"] = jnp.zeros((5, 4), bool).at[0, :3].set(True)
    found = operations(model, {"params": params}, GRAPH, masks)
    assert [each.macs for each in found] == [5 * 3, 7 * 4, 5 * 4 * 3, 7 * 3]
    assert total(found).macs_dense == sum(BY_HAND["gcn"][1])


def test_bits_of_products_sums_and_attention():
    def bits(name):
        model = BY_HAND[name][0]
        variables = jax.eval_shape(model.init, jax.random.key(0), GRAPH)
        found = operations(model, variables, GRAPH, bits=8)
        return [(each.bits_w, each.bits_x) for each in found]

    # Edges of a GCN all weigh the same, those of a GAT have a quantised coefficient each.
    assert bits("gcn") == [(8, 8), (1, 8)] * 2
    assert bits("gat") == [(8, 8), (8, 8)] * 2
