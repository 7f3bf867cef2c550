"""K-FAC: gradients of graph convolutions, preconditioned by two covariances a layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import GraphsTuple, Layout, SparseRows
from jgc.models import GCNConv, propagate
from jgc.tree import map_named, named_leaves


class Factors(NamedTuple):
    """Inverses of the damped covariances of one layer.

    Attributes:
        inputs: Of the propagated inputs with a 1 for the bias, float32 `[d + 1, d + 1]`.
        outputs: Of the gradients of the outputs, float32 `[features, features]`.
    """

    inputs: Array
    outputs: Array


Curvature = dict[str, Factors]  # By the path of the layer, "conv1".


class Kfac(NamedTuple):
    """Settings of the preconditioner of SSP.

    A graph convolution is `Y = (P X) W + 1 b`. Its gradient `[W; b]` is multiplied by the inverse
    of `U / n + sqrt(damping) I` from the left and of `V / n + sqrt(damping) I` from the right,
    where `U = Z^T Z` with `Z = [P X, 1]`, `V = G^T G` with `G` the gradient of the loss at `Y`
    times the width of `Y`, both over all nodes, and `n` is the number of nodes that the loss
    counts, a guessed one by the weight of guesses. Other parameters keep their gradient.

    As in the authors' code a measurement replaces the one before, `Z` is taken after dropout, and
    `G` is scaled by its width (in the code that theirs is adapted from: by the size of the batch).

    Attributes:
        damping: > 0.
        every: Epochs between two measurements, >= 1; a phase begins with one.

    Example:
        >>> Kfac(damping=0.1).every
        50

    References:
        Izadi et al., arXiv 2008.09624; github.com/russellizadi/ssp. Martens and Grosse, K-FAC,
        ICML 2015 (arXiv 1503.05671).
    """

    damping: float = 0.01
    every: int = 50

    def measure(
        self, old: Curvature, loss: Callable[[], Array], layout: Layout, n: Array
    ) -> Curvature:
        """The factors at present.

        Args:
            old: The last ones, or those of `blank`: they say which layers there are.
            loss: Runs the model, and gives the scalar that is descended on.
            layout: Of the graph that it runs on.
            n: Number of nodes that the loss counts, `[]`, > 0.

        Returns:
            Factors of every layer of `old`.
        """

        def probed(probes):
            tap = _Tap(probes)
            with nn.intercept_methods(tap):
                return loss(), tap.inputs

        # What is added to an output has the gradient of that output.
        probes = {
            name: jnp.zeros((layout.n_node, factors.outputs.shape[0]))
            for name, factors in old.items()
        }
        slopes, inputs = jax.grad(probed, has_aux=True)(probes)
        scaled = {name: slope * slope.shape[1] for name, slope in slopes.items()}
        return {
            name: Factors(self._inverse(inputs[name], layout, n), self._inverse(g, layout, n))
            for name, g in scaled.items()
        }

    def _inverse(self, rows: Array, layout: Layout, n: Array) -> Array:
        """Of the damped covariance of rows `[n_node, d]`, `[d, d]`."""
        rows = jnp.where(layout.node_mask[:, None], rows, 0)
        covariance = jnp.matmul(rows.T, rows, precision="highest") / n
        # Not by Cholesky: for 1434 rows jaxlib's takes five times as long on a CPU as this LU.
        return jnp.linalg.inv(covariance + self.damping**0.5 * jnp.eye(rows.shape[1]))


def blank(model: nn.Module, variables: Any, graph: GraphsTuple, layout: Layout) -> Curvature:
    """Zeros in the place of factors that are still to be measured.

    Args:
        model: Any model; its graph convolutions (`jgc.models.GCNConv`) are found.
        variables: Of the model.
        graph: What it runs on.
        layout: Of the graph.

    Returns:
        A `Curvature`.

    Raises:
        ValueError: if the model has no graph convolution.

    Example:
        >>> from jgc.graph import from_edges
        >>> from jgc.graph import layout as layout_of
        >>> from jgc.models import GCN
        >>> graph = from_edges([0], [1], nodes=jnp.eye(2))
        >>> model, places = GCN(hidden=4, out=3), layout_of(graph)
        >>> found = blank(model, model.init(jax.random.key(0), graph), graph, places)
        >>> [(name, f.inputs.shape, f.outputs.shape) for name, f in found.items()]
        [('conv1', (3, 3), (4, 4)), ('conv2', (5, 5), (3, 3))]
    """
    tap = _Tap()
    with nn.intercept_methods(tap):
        jax.eval_shape(lambda v: model.apply(v, graph, layout), variables)
    if not tap.widths:
        raise ValueError(
            f"`kfac` acts on graph convolutions (GCNConv), and {type(model).__name__} has none: "
            "leave it out, or take a GCN."
        )
    return {
        name: Factors(jnp.zeros((d + 1, d + 1)), jnp.zeros((k, k)))
        for name, (d, k) in tap.widths.items()
    }


def precondition(curvature: Curvature, grads: Any) -> Any:
    """Gradients with those of the measured layers preconditioned.

    Args:
        curvature: From `Kfac.measure`.
        grads: As the parameters.

    Returns:
        As `grads`.

    Example:
        >>> factors = {"conv1": Factors(jnp.diag(jnp.array([2.0, 3.0])), 5.0 * jnp.eye(1))}
        >>> grads = {"conv1": {"linear": {"kernel": jnp.ones((1, 1))}, "bias": jnp.ones(1)}}
        >>> [leaf.tolist() for leaf in jax.tree.leaves(precondition(factors, grads))]
        [[15.0], [[10.0]]]
    """
    leaves = named_leaves(grads)
    for name, factors in curvature.items():
        kernel, bias = f"{name}/linear/kernel", f"{name}/bias"
        slope = jnp.concatenate([leaves[kernel], leaves[bias][None]])
        slope = jnp.matmul(slope, factors.outputs, precision="highest")
        slope = jnp.matmul(factors.inputs, slope, precision="highest")
        leaves |= {kernel: slope[:-1], bias: slope[-1]}
    return map_named(lambda name, _: leaves[name], grads)


class _Tap:
    """Notes what every graph convolution takes in, and adds a probe to what it gives."""

    def __init__(self, probes: dict[str, Array] | None = None):
        self.probes = probes
        self.inputs: dict[str, Array] = {}
        self.widths: dict[str, tuple[int, int]] = {}

    def __call__(self, call, args, kwargs, context):
        out = call(*args, **kwargs)
        if not isinstance(context.module, GCNConv) or context.method_name != "__call__":
            return out
        name, (x, layout) = "/".join(context.module.path), args
        self.widths[name] = x.shape[1], out.shape[1]
        if self.probes is None:
            return out
        self.inputs[name] = _seen(x, layout)
        return out + self.probes[name]


def _seen(x: Array | SparseRows, layout: Layout) -> Array:
    """What the weights and the bias of a graph convolution multiply, `[n_node, d + 1]`."""
    values = propagate(x.todense() if isinstance(x, SparseRows) else x, layout)
    return jnp.concatenate([values, jnp.ones_like(values[:, :1])], axis=1)
