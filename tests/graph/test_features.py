"""Sparse features do what the dense ones would."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp

from jgc.graph import SparseRows, dropout, repeat_rows, sparse_rows
from tests.graph.cases import check_structure

# A row and a column without entries, and a row that is full.
DENSE = np.array([[0, 2, 0, -1], [0, 0, 0, 0], [3, 4, 0, 5], [0, 0, 0, 6]], np.float32)
KERNEL = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
SOURCES = {
    "dense": DENSE,
    "csr": sp.csr_array(DENSE),
    "csc": sp.csc_array(DENSE),
    "integers": DENSE.astype(int),
    "duplicates": sp.coo_array(
        ([1, 1, -1, 3, 4, 5, 6, 0], ([0, 0, 0, 2, 2, 2, 3, 1], [1, 1, 3, 0, 1, 3, 3, 1])),
        shape=(4, 4),
    ),
    # Row 0 out of order, entry (2, 1) in two parts and an explicit zero.
    "disorderly": sp.csr_array(
        (
            np.array([-1, 2, 3, 1, 5, 3, 0, 6], np.float32),
            [3, 1, 0, 1, 3, 1, 0, 3],
            [0, 2, 2, 6, 8],
        ),
        shape=(4, 4),
    ),
    "empty": sp.csr_array((4, 4)),
}


@pytest.mark.parametrize("name", SOURCES)
def test_holds_the_matrix_and_multiplies_like_it(name):
    x = sparse_rows(SOURCES[name])
    expected = np.zeros((4, 4)) if name == "empty" else DENSE
    check_structure(x.structure)
    assert x.shape == (4, 4) and x.values.dtype == jnp.float32
    assert x.structure.n_entry == np.count_nonzero(expected)
    np.testing.assert_array_equal(x.todense(), expected)
    # Four float32 products in another order.
    np.testing.assert_allclose(x.matmul(KERNEL), expected @ KERNEL, rtol=1e-5, atol=1e-6)


def test_the_callers_matrix_is_left_alone():
    matrix = SOURCES["disorderly"].copy()
    sparse_rows(matrix)
    assert matrix.nnz == 8 and matrix.indices.tolist() == [3, 1, 0, 1, 3, 1, 0, 3]


@pytest.mark.parametrize("name", ["dense", "empty"])
def test_gradients_are_those_of_the_dense_product(name):
    x = sparse_rows(SOURCES[name])
    rows, cols = x.structure.rows, x.structure.cols

    def loss(values, kernel):
        return jnp.sin(x._replace(values=values).matmul(kernel)).sum()

    def dense_loss(values, kernel):
        return jnp.sin(jnp.zeros((4, 4)).at[rows, cols].set(values) @ kernel).sum()

    got = jax.jit(jax.grad(loss, (0, 1)))(x.values, KERNEL)
    expected = jax.jit(jax.grad(dense_loss, (0, 1)))(x.values, KERNEL)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_dropout_draws_for_stored_entries_only():
    x = sparse_rows(DENSE)
    key = jax.random.key(3)
    dropped = dropout(x, 0.5, key)
    assert isinstance(dropped, SparseRows)
    np.testing.assert_array_equal(dropped.values, dropout(x.values, 0.5, key))
    rows, cols = np.asarray(x.structure.rows), np.asarray(x.structure.cols)
    assert (np.delete(dropped.todense().ravel(), rows * 4 + cols) == 0).all()


def test_repeated_rows_are_dense_rows_repeated():
    sparse = repeat_rows(sparse_rows(DENSE), 3)
    np.testing.assert_array_equal(sparse.todense(), np.tile(DENSE, (3, 1)))
    np.testing.assert_array_equal(repeat_rows(DENSE, 3), np.tile(DENSE, (3, 1)))
    kernel = jnp.asarray(KERNEL)
    np.testing.assert_allclose(sparse.matmul(kernel), np.tile(DENSE @ KERNEL, (3, 1)), atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_with_its_place(bad):
    broken = DENSE.copy()
    broken[2, 1] = bad
    with pytest.raises(ValueError, match=rf"Feature \[2, 1\] is {bad}; features must be finite"):
        sparse_rows(broken)
