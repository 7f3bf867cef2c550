"""Dense rows times a sparse matrix: linear maps whose weights are stored as their kept entries."""

import jax
from jax import Array

from jgc.graph import native
from jgc.graph.product import product, resolve
from jgc.graph.structure import Structure


def right_product(x: Array, pattern: Structure, weights: Array, backend: str = "auto") -> Array:
    """The product `x @ A.T` with a sparse `A`: `y[r, i] = sum_e weights[e] x[r, cols[e]]`.

    `jgc.graph.product` multiplies from the left and would have rows turned into columns and back
    around it, which takes as long as the sum itself.

    Args:
        x: `[n, n_col]`.
        pattern: `[n_row, n_col]` with `n_entry` entries.
        weights: `[n_entry]`, in row order.
        backend: As in `jgc.graph.product`. Static.

    Returns:
        `[n, n_row]`; differentiable in `x` and `weights`, the gradient of `weights` at the stored
        entries alone.

    Raises:
        ValueError: for an unknown back end or shapes that do not fit the pattern.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.graph import structure
        >>> pattern = structure([0, 0, 1], [0, 1, 2], n_row=2, n_col=3)
        >>> right_product(jnp.eye(3), pattern, jnp.array([1.0, 2.0, 3.0])).tolist()
        [[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]]
    """
    backend = resolve(backend, x.dtype, pattern.n_entry)
    fits = x.ndim == 2 and x.shape[1] == pattern.n_col and weights.shape == (pattern.n_entry,)
    if backend != "native" or not fits:
        return product(pattern, weights, x.T, backend).T
    return _right_product(pattern, weights, x)


@jax.custom_vjp
def _right_product(pattern: Structure, weights: Array, x: Array) -> Array:
    return native.right_product(pattern, weights, x)


def _forward(pattern, weights, x):
    return _right_product(pattern, weights, x), (pattern, weights, x)


def _backward(saved, dy):
    pattern, weights, x = saved
    dx = _right_product(pattern.T, weights[pattern.t_order], dy)
    return jax.tree.map(lambda _: None, pattern), _dots(pattern, dy, x), dx


_right_product.defvjp(_forward, _backward)


@jax.custom_vjp
def _dots(pattern: Structure, a: Array, b: Array) -> Array:
    """`[n_entry]`: `a[:, rows]` times `b[:, cols]`, summed over the rows of both."""
    return native.right_dots(pattern, a, b)


def _dots_backward(saved, d):
    pattern, a, b = saved
    da = _right_product(pattern, d, b)
    db = _right_product(pattern.T, d[pattern.t_order], a)
    return jax.tree.map(lambda _: None, pattern), da, db


_dots.defvjp(lambda pattern, a, b: (_dots(pattern, a, b), (pattern, a, b)), _dots_backward)
