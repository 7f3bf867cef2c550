"""Python 2 pickles of arrays, read without running what they say."""

import io
import pickle
import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import scipy.sparse as sp

from jgc.data.dataset import DataError

# Unpickling calls whatever a file names. These are the only names that the public files need; old
# and new homes of the same class are both listed because scipy and numpy moved them.
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("scipy.sparse.csr", "csr_matrix"): sp.csr_matrix,
    ("scipy.sparse._csr", "csr_matrix"): sp.csr_matrix,
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
    ("builtins", "list"): list,
}


def read_pickle(data: bytes, name: str) -> Any:
    """Reads a pickle that may hold arrays, CSR matrices, lists and dicts, and nothing else.

    Args:
        data: The bytes of the file; strings in it are Python 2's, read as latin-1.
        name: The file's name, for messages.

    Returns:
        The object.

    Raises:
        DataError: if the file is damaged, or names any other class or function. Nothing that it
            names is imported or called.

    Example:
        >>> read_pickle(pickle.dumps([1, 2]), "x")
        [1, 2]
    """
    try:
        # numpy warns of the way in which numpy 1.x pickled a dtype; these files will not change.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = _Restricted(io.BytesIO(data), name).load()
        if isinstance(value, sp.csr_matrix):
            value.check_format(full_check=True)
    except DataError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{name}: truncated or damaged pickle ({error}).") from error
    return value


class _Restricted(pickle.Unpickler):
    def __init__(self, file, name: str):
        super().__init__(file, encoding="latin1")
        self._name = name

    def find_class(self, module: str, name: str):
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"{self._name}: the pickle names `{module}.{name}`, which is no array class. The "
                "file is not the public one and was not read further."
            )
        return _ALLOWED[module, name]
