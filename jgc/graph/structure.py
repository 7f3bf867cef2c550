"""`Structure`: a sparse pattern sorted both ways, the argument of every sparse product."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer


class Structure(NamedTuple):
    """Entries of a sparse `[n_row, n_col]` pattern, sorted by row and again by column.

    For the edges of a graph rows are receivers and columns are senders, so a product with node
    values sums over incoming edges; for sparse features rows are nodes and columns are features.
    Both orders are kept because the gradient of a product is the product with the transpose:
    XLA's own gradient would scatter, several times slower on every device.

    (`unsorted` makes the one kind that is not sorted, for the back end `"scatter"`.)

    A `Structure` holds arrays only. Pass it to compiled functions as an argument: closed over, its
    arrays become constants which XLA spends up to a minute folding.

    Attributes:
        indptr: Row `i` owns the entries `indptr[i]:indptr[i + 1]`, int32 `[n_row + 1]`.
        rows: Row of each entry, ascending, int32 `[n_entry]`.
        cols: Column of each entry, int32 `[n_entry]`.
        t_indptr: As `indptr` for columns, int32 `[n_col + 1]`.
        t_rows: Row of each entry in column order, int32 `[n_entry]`.
        t_cols: Column of each entry in column order, ascending, int32 `[n_entry]`.
        t_order: Position in row order of each entry of the column order, int32 `[n_entry]`.
        order: Position in the caller's own list of each entry of the row order, int32 `[n_entry]`.

    Example:
        >>> s = structure([1, 0, 1], [2, 0, 0], n_row=2, n_col=3)
        >>> s.indptr.tolist(), s.rows.tolist(), s.cols.tolist(), s.order.tolist()
        ([0, 1, 3], [0, 1, 1], [0, 2, 0], [1, 0, 2])
        >>> s.t_indptr.tolist(), s.t_rows.tolist()
        ([0, 2, 2, 3], [0, 1, 1])
    """

    indptr: Array
    rows: Array
    cols: Array
    t_indptr: Array
    t_rows: Array
    t_cols: Array
    t_order: Array
    order: Array

    @property
    def n_row(self) -> int:
        """Number of rows."""
        return self.indptr.shape[0] - 1

    @property
    def n_col(self) -> int:
        """Number of columns."""
        return self.t_indptr.shape[0] - 1

    @property
    def n_entry(self) -> int:
        """Number of stored entries."""
        return self.rows.shape[0]

    @property
    def T(self) -> "Structure":  # noqa: N802 - the field's usual name
        """The transposed pattern; entry values follow as `values[structure.t_order]`."""
        # The inverse permutation is only read by second derivatives; XLA drops it otherwise.
        back = (
            jnp.zeros_like(self.t_order)
            .at[self.t_order]
            .set(jnp.arange(self.n_entry, dtype=jnp.int32), unique_indices=True)
        )
        return Structure(
            indptr=self.t_indptr, rows=self.t_cols, cols=self.t_rows,
            t_indptr=self.indptr, t_rows=self.cols, t_cols=self.rows,
            t_order=back, order=self.t_order,
        )  # fmt: skip


def structure(rows, cols, *, n_row: int, n_col: int) -> Structure:
    """Sorts entries by row and by column; on the host where the indices are concrete.

    Args:
        rows: Row of each entry, integers `[n_entry]` in `0..n_row-1`. Any order; ties keep theirs.
        cols: Column of each entry, integers `[n_entry]` in `0..n_col-1`.
        n_row: Number of rows. Static.
        n_col: Number of columns. Static.

    Returns:
        The `Structure`. With traced indices the sort is part of the compiled program.

    Example:
        >>> structure([0, 1], [1, 0], n_row=2, n_col=2).t_rows.tolist()
        [1, 0]
    """
    # Sorting once with numpy is far quicker than compiling a sort for every new size.
    np_ = numpy_for(rows, cols)
    rows, cols = np_.asarray(rows, np.int32), np_.asarray(cols, np.int32)
    order = np_.argsort(rows, stable=True).astype(np.int32)
    rows, cols = rows[order], cols[order]
    t_order = np_.argsort(cols, stable=True).astype(np.int32)
    starts, t_starts = (_starts(ids, n) for ids, n in ((rows, n_row), (cols, n_col)))
    arrays = (starts, rows, cols, t_starts, rows[t_order], cols[t_order], t_order, order)
    return Structure(*map(jnp.asarray, arrays))


def unsorted(rows, cols, *, n_row: int, n_col: int) -> Structure:
    """The pattern with its entries in the caller's order, for the back end `"scatter"` alone.

    Sorting takes several times as long as one sum over the edges: a program that sees a graph once,
    an exported one, does better without. Arguments are those of `structure`.

    Example:
        >>> s = unsorted([1, 0], [0, 1], n_row=2, n_col=2)
        >>> s.rows.tolist(), s.indptr.tolist()
        ([1, 0], [0, 1, 2])
    """
    np_ = numpy_for(rows, cols)
    rows, cols = np_.asarray(rows, np.int32), np_.asarray(cols, np.int32)
    as_is = np_.arange(rows.shape[0], dtype=np.int32)
    starts, t_starts = (_starts(ids, n) for ids, n in ((rows, n_row), (cols, n_col)))
    arrays = (starts, rows, cols, t_starts, rows, cols, as_is, as_is)
    return Structure(*map(jnp.asarray, arrays))


def members(group, sizes) -> Structure:
    """The pattern of groups whose members lie one after the other, so that nothing is sorted.

    Args:
        group: Group of each member, ascending, integers `[n_member]`.
        sizes: Members of each group, integers `[n_group]`.

    Returns:
        The `Structure`, `[n_group, n_member]`: rows are groups, columns are members.

    Example:
        >>> s = members(np.array([0, 0, 2]), np.array([2, 0, 1]))
        >>> s.indptr.tolist(), s.cols.tolist(), s.t_rows.tolist()
        ([0, 2, 2, 3], [0, 1, 2], [0, 0, 2])
    """
    np_ = numpy_for(group, sizes)
    slot = np_.arange(group.shape[0], dtype=np.int32)
    starts = np_.append(np.int32(0), np_.cumsum(sizes)).astype(np.int32)
    t_starts = np_.arange(group.shape[0] + 1, dtype=np.int32)
    arrays = (starts, group, slot, t_starts, group, slot, slot, slot)
    return Structure(*map(jnp.asarray, arrays))


def owners(counts: Array, total: int) -> Array:
    """Who owns each of `total` things if owner `i` has `counts[i]`, one after the other; traced.

    Example:
        >>> owners(jnp.array([2, 0, 1]), 3).tolist()
        [0, 0, 2]
    """
    # The number of owners that have ended, in fewer operations than `jnp.repeat`.
    ended = jnp.zeros(total + 1, jnp.int32).at[jnp.cumsum(counts)].add(1)
    return jnp.cumsum(ended)[:total]


def numpy_for(*arrays) -> Any:
    """`jax.numpy` where an array is traced, so that work is part of the program; else `numpy`."""
    return jnp if any(isinstance(array, Tracer) for array in arrays) else np


def counts_of(ids, n: int, weights=None):
    """How often each of `0..n-1` is among the ids, or the sum of its weights, `[n]`."""
    np_ = numpy_for(ids)
    # Only the traced count needs its length told; numpy's does not take one.
    told = {"length": n} if np_ is jnp else {"minlength": n}
    return np_.bincount(ids, weights, **told)


def _starts(ids, n: int):
    """Where each id's entries begin once they are sorted, and where the last one's end."""
    counts = counts_of(ids, n)
    np_ = numpy_for(ids)
    return np_.append(np.int32(0), np_.cumsum(counts)).astype(np.int32)
