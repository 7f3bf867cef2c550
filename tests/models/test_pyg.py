"""The numbers of PyG for the same weights: live where it is installed, golden anywhere."""

import functools
import json

import jax
import numpy as np
import pytest

from jgc.graph import batch, from_edges, layout
from jgc.models import (
    A2QGIN,
    GAT,
    GCN,
    GIN,
    MPNN,
    GATConv,
    GCNConv,
    GINConv,
    GNNNet,
    GraphModel,
    SAGEConv,
    SuperGAT,
    SuperGATConv,
)
from tests.models import pyg
from tests.models.cases import graph, variables

# Name -> module and, for the layers, its last argument.
OURS = {
    "GCNConv": (GCNConv(3), ()),
    "GATConv, joined": (GATConv(3, heads=2), (False,)),
    "GATConv, mean": (GATConv(3, heads=2, concat=False), (False,)),
    "GINConv": (GINConv(3), (False,)),
    "GINConv, training": (GINConv(3), (True,)),
    "SAGEConv, mean": (SAGEConv(3), ()),
    "SAGEConv, sum": (SAGEConv(3, reduce="sum"), ()),
    "GraphConv": (SAGEConv(3, reduce="sum"), ()),
    "SuperGATConv, mx": (SuperGATConv(3, heads=2), (False,)),
    "SuperGATConv, sd": (SuperGATConv(3, heads=2, concat=False, attention="sd"), (False,)),
    "MPNN": (MPNN(hidden=4, out=3, layers=2, batch_norm=False, edge_hidden=3), None),
    "SuperGAT": (SuperGAT(hidden=4, out=3, heads=2, out_heads=2), None),
    "GCN": (GCN(hidden=4, out=3), None),
    "GAT": (GAT(hidden=4, out=3, heads=2, out_heads=2), None),
    "graph GIN, sum": (GraphModel(GIN(hidden=4, out=3, layers=2), 2, "sum"), None),
    "graph GIN, mean": (GraphModel(GIN(hidden=4, out=3, layers=2), 2, "mean"), None),
    "graph GIN, max": (GraphModel(GIN(hidden=4, out=3, layers=2), 2, "max"), None),
    "graph GNNNet": (GraphModel(GNNNet(hidden=4, out=4), 2, "max", head_layers=1), None),
    "graph A2QGIN": (GraphModel(A2QGIN(hidden=4, out=4, layers=2), 2, "mean"), None),
}
names = pytest.mark.parametrize("name", OURS)


class Layer:
    """A layer called as a model."""

    def __init__(self, conv, rest):
        self.conv, self.rest = conv, rest

    def init(self, key, on):
        return self.conv.init(key, on.nodes, layout(graph()), *self.rest)

    def apply(self, variables, on):
        call = functools.partial(self.conv.apply, mutable=["batch_stats"])
        return call(variables, on.nodes, layout(on), *self.rest)[0]


@functools.cache
def ours(name):
    """Variables and result of a module."""
    module, rest = OURS[name]
    on = graph()
    if name.startswith("graph"):
        # A second graph: the first two nodes again and one edge.
        on = batch([on, from_edges([0], [1], nodes=on.nodes[:2], edges=on.edges[:1])])
    module = module if rest is None else Layer(module, rest)
    weights = variables(module, on)
    return weights, np.asarray(jax.jit(module.apply)(weights, on))


@functools.cache
def theirs():
    pytest.importorskip("torch_geometric", reason="PyG as oracle; golden numbers stand in")
    return pyg.results({name: ours(name)[0] for name in OURS})


@names
def test_equals_pyg(name):
    np.testing.assert_allclose(ours(name)[1], theirs()[name], rtol=1e-5, atol=1e-5)


@names
def test_equals_the_golden_numbers_of_pyg(name):
    golden = json.loads(pyg.GOLDEN.read_text())
    assert set(golden) == set(OURS)
    np.testing.assert_allclose(
        ours(name)[1], golden[name], rtol=1e-5, atol=1e-5,
        err_msg=f"{pyg.GOLDEN.name} is rewritten by: python -m tests.models.pyg",
    )  # fmt: skip
