"""The table of models, the graphs they run on, and weights that are the same everywhere."""

import jax
import numpy as np

from jgc.graph import from_edges
from jgc.models import MODELS, for_task, named

# Edges one way and both, a loop at 2, node 4 without edges.
SENDERS = [0, 1, 1, 2, 2, 3, 0]
RECEIVERS = [1, 0, 2, 1, 2, 1, 3]
WIDTH = 5


def wave(shape, phase):
    """Numbers in [-1, 1] by formula, so that golden results need no stored weights."""
    count = np.arange(np.prod(shape, dtype=int))
    return np.sin(1.7 * count + 0.3 * phase).astype(np.float32).reshape(shape)


# Two features an edge, in [0, 1]; the 1 of the first two marks a pair for `walkpool`.
EDGES = np.abs(wave((len(SENDERS), 2), 2))
EDGES[:2, 0] = 1

SETTINGS = {
    "gcn": ("gcn", {"dropout": 0.0}),
    "gcn, batch norm": ("gcn", {"dropout": 0.0, "batch_norm": True, "layers": 3}),
    "gat": ("gat", {"dropout": 0.0, "heads": 2, "out_heads": 3}),
    "gin": ("gin", {"layers": 2}),
    "gin, bare": ("gin", {"layers": 1, "batch_norm": False}),
    "gnnnet": ("gnnnet", {}),
    "supergat": ("supergat", {"dropout": 0.0, "heads": 2, "out_heads": 3}),
    "supergat, sd": ("supergat", {"dropout": 0.0, "heads": 2, "out_heads": 3, "attention": "sd"}),
    "gin-a2q": ("gin-a2q", {"layers": 2}),
    "sage": ("sage", {"dropout": 0.0}),
    "graphconv": ("graphconv", {"dropout": 0.0}),
    "splinecnn": ("splinecnn", {"dropout": 0.0}),
    "splinecnn, edges": ("splinecnn", {"dropout": 0.0, "pseudo": "edges", "kernel_size": 3}),
    "mpnn": ("mpnn", {"edge_hidden": 3}),
    "mpnn, bare": ("mpnn", {"edge_hidden": 3, "layers": 1, "batch_norm": False}),
    "sage, batch norm": ("sage", {"dropout": 0.0, "batch_norm": True}),
    "mlp": ("mlp", {"dropout": 0.0, "batch_norm": True}),
    "hgp-sl": ("hgp-sl", {"dropout": 0.0}),
    "walkpool": ("walkpool", {"dropout": 0.0, "walks": 2}),
    "ness": ("ness", {"dropout": 0.0}),
    "ssp": ("ssp", {"dropout": 0.0}),
}
assert {name for name, _ in SETTINGS.values()} == set(MODELS), "every model of MODELS has a row"
WIDTHS = {name: {} if name == "ness" else {"hidden": 4} for name in MODELS}
TABLE = {
    key: named(name, out=3, **WIDTHS[name], **settings)
    for key, (name, settings) in SETTINGS.items()
}
# Models whose answers are one a graph; all others answer for every node.
OF_GRAPHS = [key for key, model in TABLE.items() if getattr(model, "task", None) == "graph"]


def graph(nodes=None, n_node=5):
    nodes = wave((n_node, WIDTH), 0) if nodes is None else nodes
    return from_edges(SENDERS, RECEIVERS, nodes=nodes, edges=EDGES)


def edgeless(n_node=3):
    return from_edges([], [], nodes=wave((n_node, WIDTH), 1), edges=EDGES[:0])


def pooled(key):
    """The model for graphs; as it is where it is made for other tasks."""
    model = TABLE[key]
    made_for_graphs = getattr(model, "task", "graph") == "graph"
    return for_task(model, "graph", 2).clone(dropout=0.0) if made_for_graphs else model


def variables(model, on):
    """Parameters and running statistics, none at its initial value."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), on)
    leaves, treedef = jax.tree.flatten(shapes)
    filled = jax.tree.unflatten(treedef, [wave(leaf.shape, i) for i, leaf in enumerate(leaves)])
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf**2 + 0.5 if path[-1].key in ("var", "scale") else leaf, filled
    )
