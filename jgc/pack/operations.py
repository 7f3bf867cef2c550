"""The operations of a model on a graph, read off its own forward pass without running it."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jgc.data import Dataset, training_graph
from jgc.graph import GraphsTuple, SparseRows
from jgc.models.layers import Linear, Site
from jgc.pack.cost import Operation
from jgc.tree import named_leaves


def operations(
    model: nn.Module, variables: Any, graph: GraphsTuple, masks: Any = None, bits: int = 32
) -> list[Operation]:
    """Lists a model's matrix products and aggregations, one entry each.

    Args:
        model: A model of `jgc.models`.
        variables: Of the model, arrays or shapes.
        graph: Arrays or shapes; its sizes are the ones that count.
        masks: As the parameters, bool; `None` keeps all.
        bits: Of quantised weights and values, 32 for none. A product is taken to be quantised on
            both sides, as jgc's quantisers do at every site but the last.

    Returns:
        The operations in the order of the forward pass. Attention scores, norms, activations and
        what a node adds of its own (the self loops that a model brings) are not among them; a sum
        over weights that the model itself learns (HGP-SL's later levels) counts the graph's edges.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = GCN(hidden=4, out=2)
        >>> variables = model.init(jax.random.key(0), graph)
        >>> [(o.kind, o.macs) for o in operations(model, variables, graph)]
        [('linear', 36), ('aggregate', 8), ('linear', 24), ('aggregate', 4)]
    """
    return at_level(products(model, variables, graph), masks, bits)


class Product(NamedTuple):
    """An operation of a dense model in float, and what of it a level of compression changes.

    Attributes:
        operation: As it is without compression.
        weights: Name of its kernel among the masks; `None` for sums over edges.
        weighted: True where the weights, or the coefficients of edges, have a width of their own.
        path: Of the module that it is in, such as `"conv1/linear"` or `"conv1"`.
    """

    operation: Operation
    weights: str | None
    weighted: bool
    path: str = ""


def products(model: nn.Module, variables: Any, graph: GraphsTuple) -> list[Product]:
    """What `operations` finds, before any level: one pass over the model serves all levels.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = GCN(hidden=4, out=2)
        >>> variables = model.init(jax.random.key(0), graph)
        >>> [product.weights for product in products(model, variables, graph)]
        ['conv1/linear/kernel', None, 'conv2/linear/kernel', None]
    """
    found: list[Product] = []

    def record(call, args, kwargs, context):
        out = call(*args, **kwargs)
        if context.method_name == "__call__":
            path, module = "/".join(context.module.path), context.module
            if isinstance(module, Linear):
                (rows, d_in), d_out = args[0].shape, out.shape[1]
                dense = Operation("linear", rows, d_in, d_out, d_in * d_out, 32, 32)
                found.append(Product(dense, f"{path}/kernel", True, path))
            elif isinstance(module, Site) and module.name == "message":
                width = out.shape[-1]
                n_edge = graph.senders.shape[0]
                sums = Operation("aggregate", n_edge, 1, width, width, 1, 32)
                found.append(Product(sums, None, False, path.rpartition("/")[0]))
            elif isinstance(module, Site) and module.name == "attention":
                # The sum just found is weighted: its edges carry coefficients of their own.
                found[-1] = found[-1]._replace(weighted=True)
        return out

    with nn.intercept_methods(record):
        jax.eval_shape(lambda v, g: model.apply(v, g), variables, graph)
    return found


def whole(dataset: Dataset) -> GraphsTuple:
    """Shapes of all graphs of a data set as one batch; of links the edges that messages take.

    Example:
        >>> import jgc.data
        >>> whole(jgc.data.load("motif")).n_node.shape
        (600,)
    """
    graphs = dataset.graphs
    if dataset.task == "link":
        graphs = [training_graph(dataset, dataset.splits[0])]
    nodes = graphs[0].nodes
    n_node = sum(graph.nodes.shape[0] for graph in graphs)
    n_edge = sum(graph.senders.size for graph in graphs)
    if not isinstance(nodes, SparseRows):
        nodes = jax.ShapeDtypeStruct((n_node, nodes.shape[1]), np.float32)
    ends = jax.ShapeDtypeStruct((n_edge,), np.int32)
    counts = jax.ShapeDtypeStruct((len(graphs),), np.int32)
    return GraphsTuple(nodes, _edge_shapes(graphs, n_edge), ends, ends, None, counts, counts)


def at_level(found: list[Product], masks: Any = None, bits: int = 32) -> list[Operation]:
    """The operations of a model that is pruned and quantised; arguments as for `operations`.

    Example:
        >>> dense = Operation("linear", 3, 2, 2, 4, 32, 32)
        >>> at_level([Product(dense, None, True)], bits=8)[0].bits_w
        8
    """
    leaves = {} if masks is None else named_leaves(masks)
    kept: dict[str | None, int] = {name: int(mask.sum()) for name, mask in leaves.items()}
    return [
        each.operation._replace(
            kept=kept.get(each.weights, each.operation.kept),
            bits_w=bits if each.weighted else each.operation.bits_w,
            bits_x=bits,
        )
        for each in found
    ]


def _edge_shapes(graphs: list[GraphsTuple], n_edge: int) -> jax.ShapeDtypeStruct | None:
    edges: Any = graphs[0].edges
    return edges if edges is None else jax.ShapeDtypeStruct((n_edge, *edges.shape[1:]), np.float32)
