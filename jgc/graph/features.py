"""Sparse node features that stay sparse through the first layer."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from jax import Array

from jgc.graph.product import product
from jgc.graph.structure import Structure, structure


class SparseRows(NamedTuple):
    """Node features `[n_node, d]` of which only the stored entries exist.

    Cora's features are 1.3 % dense: a dense first layer spends its time on zeros and, worse, on
    random numbers for the dropout of zeros.

    Attributes:
        values: Stored entries in row order, `[n_entry]`.
        structure: Their places: rows are nodes, columns are features.

    Example:
        >>> rows = sparse_rows(np.array([[0.0, 2.0], [3.0, 0.0]]))
        >>> rows.shape, rows.values.tolist(), rows.structure.cols.tolist()
        ((2, 2), [2.0, 3.0], [1, 0])
    """

    values: Array
    structure: Structure

    @property
    def shape(self) -> tuple[int, int]:
        """`(n_node, d)`."""
        return self.structure.n_row, self.structure.n_col

    def matmul(self, kernel: Array) -> Array:
        """The product `X @ kernel`: `[n_node, d] @ [d, d_out] -> [n_node, d_out]`."""
        return product(self.structure, self.values, kernel)

    def todense(self) -> Array:
        """The dense array `[n_node, d]`; for tests and small graphs."""
        dense = jnp.zeros(self.shape, self.values.dtype)
        return dense.at[self.structure.rows, self.structure.cols].add(self.values)


def sparse_rows(matrix) -> SparseRows:
    """Sparse features from a scipy sparse matrix or a dense array.

    Args:
        matrix: `[n_node, d]`; zeros are not stored, duplicates are summed.

    Returns:
        The `SparseRows`, float32.

    Raises:
        ValueError: if a stored entry is not finite.

    Example:
        >>> x = sparse_rows(np.array([[0.0, 2.0], [3.0, 0.0]]))
        >>> x.values.tolist(), x.shape
        ([2.0, 3.0], (2, 2))
        >>> x.matmul(jnp.eye(2)).tolist()
        [[0.0, 2.0], [3.0, 0.0]]
    """
    csr: Any = sp.csr_array(matrix).astype(np.float32)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    coo = csr.tocoo()
    rows, cols = coo.coords
    bad = np.flatnonzero(~np.isfinite(coo.data))
    if bad.size:
        raise ValueError(
            f"Feature [{rows[bad[0]]}, {cols[bad[0]]}] is {coo.data[bad[0]]}; features must be"
            " finite."
        )
    n_row, n_col = csr.shape
    return SparseRows(jnp.asarray(coo.data), structure(rows, cols, n_row=n_row, n_col=n_col))


def repeat_rows(x, times: int):
    """Copies of all rows below each other.

    Args:
        x: `[n_node, d]`, an array or `SparseRows`; concrete.
        times: How many copies, >= 1.

    Returns:
        As `x`, `[times * n_node, d]`.

    Example:
        >>> repeat_rows(sparse_rows(np.eye(2)), 2).todense()[:, 0].tolist()
        [1.0, 0.0, 1.0, 0.0]
    """
    if not isinstance(x, SparseRows):
        return np.tile(x, (times, 1))
    (n_row, n_col), n_entry = x.shape, x.structure.n_entry
    rows = np.tile(x.structure.rows, times) + np.repeat(np.arange(times) * n_row, n_entry)
    cols = np.tile(x.structure.cols, times)
    values = jnp.tile(x.values, times)
    return SparseRows(values, structure(rows, cols, n_row=times * n_row, n_col=n_col))
