"""GraphConv: the neighbours' sum beside the node's own value (Morris et al., AAAI 2019)."""

from jgc.models.sage import GraphSAGE


class GraphConv(GraphSAGE):
    """A stack of layers `x_i W_1 + W_2 sum_j x_j + b` with ReLU between, the 1-GNN.

    The layer is `SAGEConv(reduce="sum")`, in PyG `GraphConv`: a sum tells neighbourhoods of
    different size apart where a mean does not. Attributes are those of `GraphSAGE`.

    References:
        arXiv 1810.02244, eq. 5.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = GraphConv(hidden=4, out=2)
        >>> model.apply(model.init(jax.random.key(0), graph), graph).shape
        (3, 2)
    """

    reduce: str = "sum"
