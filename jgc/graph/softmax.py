"""Softmax over the entries of each row of a pattern, and over the row's own score."""

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import native
from jgc.graph.product import at_rows, edge_max, edge_sum, resolve
from jgc.graph.structure import Structure


def row_softmax(
    pattern: Structure, scores: Array, own: Array | None = None, backend: str = "auto"
) -> tuple[Array, Array | None]:
    """Normalises scores over the entries of each row.

    Args:
        pattern: `[n_row, n_col]`.
        scores: `[n_entry]` or `[n_entry, heads]`.
        own: One more term a row, `[n_row, heads]`; `None` for none.
        backend: As for `product`. Static.

    Returns:
        `(weights, own)` of the shapes of both; what belongs to one row sums to 1.

    Example:
        >>> from jgc.graph import structure
        >>> s = structure([0, 0, 1], [2, 0, 2], n_row=2, n_col=3)
        >>> row_softmax(s, jnp.zeros(3))[0].tolist()
        [0.5, 0.5, 1.0]
    """
    if resolve(backend, scores.dtype, pattern.n_entry) != "native":
        return _plain(pattern, scores, own, backend)
    flat = scores if scores.ndim == 2 else scores[:, None]
    none = jnp.zeros((0, flat.shape[1]), flat.dtype)
    p, p_own = _softmax(pattern, flat, none if own is None else own)
    return p.reshape(scores.shape), None if own is None else p_own


def _plain(pattern: Structure, scores: Array, own: Array | None, backend: str):
    # The largest score of each row is subtracted for range only: the result does not depend on it.
    top = edge_max(pattern, jax.lax.stop_gradient(scores), backend)
    if own is None:
        exp = jnp.exp(scores - top[pattern.rows])
        return exp / at_rows(pattern, edge_sum(pattern, exp, backend), backend), None
    # Without entries the maximum is a 0 that nobody scored: from far below it all would be 0.
    has_entries = (jnp.diff(pattern.indptr) > 0).reshape(-1, *[1] * (own.ndim - 1))
    top = jax.lax.stop_gradient(jnp.where(has_entries, jnp.maximum(top, own), own))
    exp, exp_own = jnp.exp(scores - top[pattern.rows]), jnp.exp(own - top)
    total = edge_sum(pattern, exp, backend) + exp_own
    return exp / at_rows(pattern, total, backend), exp_own / total


@jax.custom_vjp
def _softmax(pattern: Structure, scores: Array, own: Array):
    return native.softmax(pattern, scores, own)


def _forward(pattern, scores, own):
    p = _softmax(pattern, scores, own)
    return p, (pattern, *p)


def _backward(saved, g):
    pattern, p, p_own = saved
    return jax.tree.map(lambda _: None, pattern), *_gradient(pattern, p, p_own, *g)


_softmax.defvjp(_forward, _backward)


@jax.custom_vjp
def _gradient(pattern: Structure, p: Array, p_own: Array, g: Array, g_own: Array):
    """Linear in `g`: `p (g - sum over the row of p g)`."""
    return native.softmax_gradient(pattern, p, p_own, g, g_own)


def _gradient_forward(*args):
    return _gradient(*args), args


def _gradient_backward(args, cotangent):
    """Second derivatives are rare: those of the formula, by autodiff."""
    pattern, *values = args

    def formula(p, p_own, g, g_own):
        mean = edge_sum(pattern, p * g)
        mean = mean + p_own * g_own if p_own.shape[0] else mean
        return p * (g - at_rows(pattern, mean)), p_own * (g_own - mean[: p_own.shape[0]])

    back = jax.vjp(formula, *values)[1](cotangent)
    return jax.tree.map(lambda _: None, pattern), *back


_gradient.defvjp(_gradient_forward, _gradient_backward)
