"""Spline convolutions against their definition, edge by edge, and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import batch, from_edges, layout
from jgc.models import SplineCNN, SplineConv
from jgc.models.spline import spline_basis, target_degree
from tests.models.cases import EDGES, RECEIVERS, SENDERS, graph, variables, wave


def test_basis_by_hand():
    # Two coordinates, the first runs fastest: (1-u)(1-v), u(1-v), (1-u)v, uv.
    np.testing.assert_allclose(
        spline_basis(jnp.array([[0.25, 0.5]]), 2), [[0.375, 0.125, 0.375, 0.125]]
    )
    # Three knots at 0, 1/2 and 1; what lies outside goes to the border.
    got = spline_basis(jnp.array([[0.0], [0.75], [1.0], [1.5]]), 3)
    np.testing.assert_allclose(got, [[1, 0, 0], [0, 0.5, 0.5], [0, 0, 1], [0, 0, 1]])
    with pytest.raises(ValueError, match="`kernel_size` must be >= 2, got 1"):
        spline_basis(jnp.zeros((1, 1)), 1)


def test_target_degrees_by_hand_and_of_each_graph_of_a_batch():
    # In-degrees 1, 3, 2, 1, 0; layout order sorts edges by receiver.
    expected = [1 / 3, 1, 1, 1, 2 / 3, 2 / 3, 1 / 3]
    np.testing.assert_allclose(target_degree(layout(graph()))[:, 0], expected, rtol=1e-6)
    pair = from_edges([0], [1], nodes=wave((2, 5), 0), edges=EDGES[:1])
    joined = target_degree(layout(batch([graph(), pair])))
    np.testing.assert_allclose(joined[:, 0], [*expected, 1], rtol=1e-6)


@pytest.mark.parametrize("dim, kernel_size", [(1, 2), (1, 4), (2, 2), (2, 3)])
def test_convolution_equals_its_definition(dim, kernel_size):
    """Fey et al., eq. 1 and 2, in loops: products of hat functions weigh one matrix each."""
    on, pseudo = graph(), EDGES[:, :dim]
    at = layout(on)
    conv = SplineConv(3, kernel_size)
    in_order = jnp.asarray(pseudo)[at.edges.order]
    shapes = jax.eval_shape(conv.init, jax.random.key(0), on.nodes, at, in_order)
    weights = jax.tree.map(lambda leaf: wave(leaf.shape, len(leaf.shape)), shapes)
    p = weights["params"]
    matrices = np.split(p["linear"]["kernel"], kernel_size**dim, axis=1)
    expected = on.nodes @ p["root"]["kernel"] + p["bias"]
    count = np.bincount(RECEIVERS, minlength=5)
    for sender, receiver, u in zip(SENDERS, RECEIVERS, pseudo, strict=True):
        for k, matrix in enumerate(matrices):
            knots = [k // kernel_size**d % kernel_size for d in range(dim)]
            hats = [
                max(1 - abs(x * (kernel_size - 1) - m), 0) for x, m in zip(u, knots, strict=True)
            ]
            message = np.prod(hats) * on.nodes[sender] @ matrix
            expected[receiver] += message / count[receiver]
    got = jax.jit(conv.apply)(weights, on.nodes, at, in_order)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_network_is_two_convolutions_with_elu_between():
    on, model = graph(), SplineCNN(hidden=4, out=3)
    at, weights = layout(graph()), variables(SplineCNN(hidden=4, out=3), graph())
    x, pseudo = on.nodes, target_degree(at)
    for i, width in ((1, 4), (2, 3)):
        params = {"params": weights["params"][f"conv{i}"]}
        x = SplineConv(width).apply(params, x, at, pseudo)
        x = np.where(x > 0, x, np.expm1(x)) if i == 1 else x
    np.testing.assert_allclose(model.apply(weights, on), x, rtol=1e-5, atol=1e-5)


def test_coordinates_are_chosen_by_name():
    bare = graph()._replace(edges=None)
    with pytest.raises(ValueError, match=r"`splinecnn with pseudo='edges'` reads `graph.edges`"):
        SplineCNN(pseudo="edges").init(jax.random.key(0), bare)
    with pytest.raises(ValueError, match=r"`pseudo` must be one of .*got 'degrees'"):
        SplineCNN(pseudo="degrees").init(jax.random.key(0), bare)
