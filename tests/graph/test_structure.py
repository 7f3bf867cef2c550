"""`Structure` and `product` on random patterns, empty rows and duplicates among them."""

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jgc.graph import product, structure
from jgc.graph.product import BACKENDS
from tests.graph.cases import check_structure


@st.composite
def patterns(draw):
    n_row, n_col = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    entries = st.tuples(st.integers(0, n_row - 1), st.integers(0, n_col - 1))
    rows, cols = np.array(draw(st.lists(entries, max_size=12)), int).reshape(-1, 2).T
    return rows, cols, n_row, n_col


@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(patterns())
def test_both_orders_agree(pattern):
    rows, cols, n_row, n_col = pattern
    s = structure(rows, cols, n_row=n_row, n_col=n_col)
    assert (s.n_row, s.n_col, s.n_entry) == (n_row, n_col, rows.size)
    check_structure(s, rows, cols)


@settings(derandomize=True, max_examples=8, deadline=None, database=None)
@given(patterns())
def test_transposed_twice_is_the_pattern(pattern):
    rows, cols, n_row, n_col = pattern
    s = structure(rows, cols, n_row=n_row, n_col=n_col)
    check_structure(s.T)
    for name, leaf in s.T.T._asdict().items():
        if name != "order":  # of the caller's list, which a transpose no longer has
            np.testing.assert_array_equal(leaf, getattr(s, name), err_msg=name)


@settings(derandomize=True, max_examples=8, deadline=None, database=None)
@given(patterns())
def test_product_equals_the_matrix(pattern):
    rows, cols, n_row, n_col = pattern
    s = structure(rows, cols, n_row=n_row, n_col=n_col)
    weights = np.cos(np.arange(rows.size, dtype=np.float32))
    matrix = np.zeros((n_row, n_col), np.float32)
    np.add.at(matrix, (rows, cols), weights)
    x = np.sin(np.arange(n_col * 2, dtype=np.float32)).reshape(n_col, 2)
    for backend in BACKENDS:
        got = product(s, weights[np.asarray(s.order)], x, backend)
        # A dozen numbers below 1 in another order.
        np.testing.assert_allclose(got, matrix @ x, rtol=1e-5, atol=2e-6)


def test_traced_indices_are_sorted_in_the_program():
    rows, cols = np.array([4, 0, 4, 2, 0]), np.array([1, 1, 0, 2, 1])
    sort = jax.jit(lambda r, c: structure(r, c, n_row=5, n_col=4))
    check_structure(sort(rows, cols), rows, cols)
