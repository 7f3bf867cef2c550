"""Rows of node features: checked and normalised."""

import numpy as np
import scipy.sparse as sp

from jgc.data.dataset import DataError

WIDEST = 1 << 20  # Features beyond are a lie: their first layer alone would fill a machine.


def check_features(features, file: str, *, first: int = 0) -> None:
    """Raises `DataError` with file and row if a feature is no finite float32, or too many are.

    Args:
        features: `[n_row, d]`, scipy sparse or dense.
        file: Where the rows come from.
        first: Number of the first row in that file.
    """
    coo = sp.coo_array(features)
    if features.shape[1] > WIDEST:
        raise DataError(f"{file}: {features.shape[1]} features a node; {WIDEST} at most.")
    with np.errstate(over="ignore"):
        bad = np.flatnonzero(~np.isfinite(coo.data.astype(np.float32)))
    if bad.size:
        row, column = (axis[bad[0]] for axis in coo.coords)
        raise DataError(
            f"{file}: row {row + first}, column {column} is {coo.data[bad[0]]}; features must be "
            "finite numbers."
        )


def normalise_rows(features) -> sp.csr_array:
    """Divides each row by its sum; rows whose sum is below 1e-12 stay as they are.

    Differs: PyG's `NormalizeFeatures` divides by at least 1; the same for counts, not for rows
    that sum to less.

    Args:
        features: `[n_row, d]`, sparse, not negative.

    Returns:
        CSR `[n_row, d]`.

    Example:
        >>> normalise_rows(sp.csr_array([[1.0, 3.0], [0.0, 0.0]])).toarray().tolist()
        [[0.25, 0.75], [0.0, 0.0]]
    """
    csr = sp.csr_array(features).astype(np.float32)
    total = np.asarray(csr.sum(1)).ravel()
    scale = np.where(total > 1e-12, 1 / np.where(total > 1e-12, total, 1), 1)
    return sp.csr_array(sp.diags_array(scale.astype(np.float32)) @ csr)
