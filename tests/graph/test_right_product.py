"""The product from the right is the transposed one from the left, in values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import right_product, structure
from tests.graph.cases import NEEDS_KERNELS

# Around the kernel's tiles of 64 rows and 16 columns: beneath, on and beyond them.
SHAPES = [(1, 1, 1, 1.0), (64, 16, 16, 0.5), (70, 17, 33, 0.3), (130, 40, 5, 0.0)]
BACKENDS = [pytest.param("native", marks=NEEDS_KERNELS), "segment", "bcsr"]


def case(n, n_col, n_row, density):
    rng = np.random.default_rng(n)
    rows, cols = np.nonzero(rng.random((n_row, n_col)) < density)
    pattern = structure(rows, cols, n_row=n_row, n_col=n_col)
    weights = jnp.asarray(rng.normal(size=len(rows)), jnp.float32)
    dense = np.zeros((n_row, n_col), np.float32)
    dense[rows, cols] = weights
    return pattern, weights, dense, jnp.asarray(rng.normal(size=(n, n_col)), jnp.float32)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_a_matrix_product_with_its_gradients(backend, shape):
    pattern, weights, dense, x = case(*shape)

    def loss(weights, x):
        y = right_product(x, pattern, weights, backend)
        return jnp.sum(jnp.sin(y)), y

    (_, y), (dw, dx) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(weights, x)
    np.testing.assert_allclose(y, x @ dense.T, atol=1e-5)
    slope = np.cos(np.asarray(y))
    np.testing.assert_allclose(dx, slope @ dense, atol=1e-4)
    np.testing.assert_allclose(dw, (slope.T @ x)[pattern.rows, pattern.cols], atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_second_gradients_and_lanes(backend):
    pattern, weights, dense, x = case(20, 6, 4, 0.5)

    def slope(w):
        return jax.grad(lambda v: jnp.sum(right_product(x, pattern, v, backend) ** 2))(w)

    curvature = jax.jacrev(slope)(weights)
    gram = 2 * (x.T @ x)[pattern.cols[:, None], pattern.cols[None]]
    same_row = np.asarray(pattern.rows)[:, None] == np.asarray(pattern.rows)[None]
    np.testing.assert_allclose(curvature, np.where(same_row, gram, 0), atol=1e-3)
    lanes = jax.vmap(lambda w: right_product(x, pattern, w, backend))(
        jnp.stack([weights, 2 * weights])
    )
    np.testing.assert_allclose(lanes[1], 2 * lanes[0], rtol=1e-5)


def test_shapes_that_do_not_fit_are_refused():
    pattern, weights, _, x = case(20, 6, 4, 0.5)
    with pytest.raises(ValueError, match="`x` has 5 rows; the pattern has 6 columns"):
        right_product(x[:, :5], pattern, weights)
    with pytest.raises(ValueError, match="`weights` has 1 rows"):
        right_product(x, pattern, weights[:1])
