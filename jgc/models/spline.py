"""SplineCNN: maps that vary smoothly with a coordinate of the edge (Fey et al., CVPR 2018)."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, SparseRows, at_rows, pool
from jgc.graph import layout as layout_of
from jgc.models.edge_kernel import edge_features, edge_kernel_sum
from jgc.models.layers import Dropout, Linear, Site, at_input

PSEUDO = ("degree", "edges")


class SplineConv(nn.Module):
    """One spline convolution, `mean_j(x_j W(u_ij)) + x_i W_root + b`.

    `W(u)` runs linearly between `kernel_size` matrices at even places of [0, 1]: an open B-spline
    of degree 1. Of several coordinates the tensor product counts, the first running fastest.

    Attributes:
        features: Width of the result.
        kernel_size: Matrices along each coordinate, >= 2.

    Example:
        >>> SplineConv(features=4, kernel_size=3).kernel_size
        3

    References:
        arXiv 1711.08920, sec. 3. Differs: degree 1 and open splines only, as in its node
        classification.
    """

    features: int
    kernel_size: int = 2

    @nn.compact
    def __call__(self, x: Array | SparseRows, layout: Layout, pseudo: Array) -> Array:
        """Maps `[n_node, d]` to `[n_node, features]`; `pseudo` in layout order, `[n_edge, dim]`."""
        basis = spline_basis(pseudo, self.kernel_size)
        y = edge_kernel_sum(x, basis, self.features, layout, "mean")
        y = y + Linear(self.features, False, name="root")(x)
        return y + self.param("bias", nn.initializers.zeros, y.shape[-1:])[None]


class SplineCNN(nn.Module):
    """A stack of spline convolutions with ELU between.

    Attributes:
        hidden: Width of the inner layers.
        out: Width of the result.
        layers: Number of convolutions, >= 1.
        dropout: Rate before every convolution but the first.
        kernel_size: Matrices along each coordinate, >= 2.
        pseudo: Coordinates of an edge: `"degree"`, one number computed by `target_degree`; or
            `"edges"`, the edge features of the graph, within [0, 1], of which each multiplies the
            number of matrices by `kernel_size`.

    References:
        arXiv 1711.08920, sec. 5.2: two layers, hidden 16, target degrees on Cora.

    Example:
        >>> import jax
        >>> from jgc.graph import from_edges
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = SplineCNN(hidden=4, out=2)
        >>> params = model.init(jax.random.key(0), graph)["params"]
        >>> {name: leaf["kernel"].shape for name, leaf in params["conv1"].items() if name != "bias"}
        {'linear': (3, 8), 'root': (3, 4)}
    """

    hidden: int = 16
    out: int = 64
    layers: int = 2
    dropout: float = 0.5
    kernel_size: int = 2
    pseudo: str = "degree"

    @nn.compact
    def __call__(
        self, graph: GraphsTuple, layout: Layout | None = None, *, train: bool = False
    ) -> Array:
        """Node values `[n_node, out]` of a graph with features `[n_node, d]`."""
        layout = layout_of(graph) if layout is None else layout
        pseudo = self._pseudo(graph, layout)
        x = at_input(graph.nodes, layout.node_mask)
        for i in range(1, self.layers + 1):
            last = i == self.layers
            if i > 1:
                x = Dropout(self.dropout, name=f"dropout{i}")(x, train)
            conv = SplineConv(self.out if last else self.hidden, self.kernel_size, name=f"conv{i}")
            x = conv(x, layout, pseudo)
            if not last:
                x = Site(name=f"update{i}")(nn.elu(x), layout.node_mask)
        return Site(name="output")(x, layout.node_mask)

    def _pseudo(self, graph: GraphsTuple, layout: Layout) -> Array:
        if self.pseudo not in PSEUDO:
            raise ValueError(f"`pseudo` must be one of {list(PSEUDO)}, got {self.pseudo!r}.")
        if self.pseudo == "degree":
            return target_degree(layout)
        return edge_features(graph, layout, "splinecnn with pseudo='edges'")


def target_degree(layout: Layout) -> Array:
    """In-degree of each edge's receiver over the largest of its graph: `[n_edge, 1]` in [0, 1].

    As PyG's `TargetIndegree` on one graph; in a batch each graph has its own largest.

    Example:
        >>> from jgc.graph import from_edges
        >>> target_degree(layout_of(from_edges([0, 1, 0], [2, 2, 1]))).tolist()
        [[0.5], [1.0], [1.0]]
    """
    degree = layout.in_degree[:, None]
    largest = jnp.maximum(pool(degree, layout, "max"), 1)
    return at_rows(layout.edges, degree / largest[layout.node_graph], layout.backend)


def spline_basis(pseudo: Array, kernel_size: int) -> Array:
    """Values of the linear B-splines: `[n_edge, dim] -> [n_edge, kernel_size ** dim]`.

    Args:
        pseudo: Coordinates; what lies outside of [0, 1] is moved to its border.
        kernel_size: Splines along each coordinate, >= 2. Static.

    Returns:
        The coefficients; those of an edge are >= 0 and sum to 1.

    Raises:
        ValueError: if `kernel_size` is below 2.

    Example:
        >>> [spline_basis(jnp.array([[0.25]]), k).tolist() for k in (2, 3)]
        [[[0.75, 0.25]], [[0.5, 0.5, 0.0]]]
    """
    if kernel_size < 2:
        raise ValueError(f"`kernel_size` must be >= 2, got {kernel_size}.")
    place = jnp.clip(pseudo, 0, 1)[:, :, None] * (kernel_size - 1)
    hats = jnp.maximum(1 - jnp.abs(place - jnp.arange(kernel_size)[None, None]), 0)
    basis = hats[:, 0]
    for d in range(1, pseudo.shape[1]):
        n = basis.shape[1] * kernel_size
        basis = (hats[:, d, :, None] * basis[:, None]).reshape(-1, n)
    return basis
