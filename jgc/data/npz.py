"""The `.npz` layout of gnn-benchmark: CSR adjacency, CSR attributes and labels in one file."""

import io
import math

import numpy as np
import scipy.sparse as sp

from jgc.data.dataset import DataError, Parsed
from jgc.data.pairs import pair_graph, unique_pairs
from jgc.data.rows import check_features, normalise_rows
from jgc.data.source import Files
from jgc.data.unpack import unzipped


def read_npz(files: Files, file: str) -> Parsed:
    """Reads one `.npz` graph; nothing in it is unpickled.

    Args:
        files: The folder of the file.
        file: Its name, for example "cora.npz".

    Returns:
        One undirected graph without self loops (all its components), row-normalised sparse
        features, and labels. There is no public split.

    Raises:
        DataError: naming the file and the entry, for a damaged file, a missing or pickled entry,
            indices out of bounds, features that are not finite, labels that are not 0..C-1.

    References:
        Shchur et al., 2018. https://arxiv.org/abs/1811.05868
    """
    entries = read_entries(files.read(file), file)
    adjacency = _matrix(entries, "adj", file).tocoo()
    features = _matrix(entries, "attr", file)
    labels = _labels(entries, file)
    n_node = labels.size
    if adjacency.shape != (n_node, n_node) or features.indptr.size != n_node + 1:
        raise DataError(
            f"{file}: adjacency {adjacency.shape}, attributes {features.shape} and {labels.size} "
            "labels do not describe the same nodes."
        )
    check_features(features, file)
    pairs = unique_pairs(*adjacency.coords)
    graph = pair_graph(pairs, n_node=n_node, nodes=normalise_rows(features))
    notes = (
        f"{adjacency.nnz} directed entries made {len(pairs)} undirected edges.",
        "Features are row-normalised (each row sums to 1).",
    )
    return Parsed([graph], labels, int(labels.max()) + 1, notes)


def read_entries(data: bytes, file: str) -> dict[str, np.ndarray]:
    """The arrays of numbers in an `.npz` file; others, such as those to unpickle, are left out.

    Args:
        data: The file.
        file: Its name, for messages.

    Raises:
        DataError: if the file is damaged or a bomb (`jgc.data.unpack`), or an array is not as long
            as it says.
    """
    members = unzipped(io.BytesIO(data), file, lambda name: name.endswith(".npy"))
    arrays = ((name.removesuffix(".npy"), _array(raw, f"{file}: {name}")) for name, raw in members)
    return {key: array for key, array in arrays if array is not None}


def _array(raw: bytes, place: str) -> np.ndarray | None:
    """The array in a `.npy` file; `None` if it is not of numbers."""
    stream = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _HEADERS[version](stream)
    except Exception as error:  # numpy, ast and tokenize each raise their own
        raise DataError(f"{place}: no .npy header ({str(error)[:80]}).") from error
    if dtype.kind not in "biuf":
        return None
    held = len(raw) - stream.tell()
    if any(axis < 0 for axis in shape) or math.prod(shape) * dtype.itemsize != held:
        raise DataError(f"{place}: {str(shape)[:80]} of {dtype} in {held} bytes. Is it truncated?")
    array = np.frombuffer(raw, dtype, offset=stream.tell())
    return array.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _matrix(entries: dict, prefix: str, file: str) -> sp.csr_array:
    parts = [_get(entries, f"{prefix}_{part}", file) for part in ("data", "indices", "indptr")]
    try:
        matrix = sp.csr_array(tuple(parts), shape=tuple(_get(entries, f"{prefix}_shape", file)))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise DataError(f"{file}: `{prefix}_*` is no CSR matrix ({error}).") from error
    return matrix


def _labels(entries: dict, file: str) -> np.ndarray:
    labels = _get(entries, "labels", file)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.size == 0:
        raise DataError(f"{file}: `labels` must be whole numbers, one a node.")
    if labels.min() < 0 or labels.max() >= labels.size:
        row = int(np.argmax((labels < 0) | (labels >= labels.size)))
        raise DataError(f"{file}: `labels[{row}]` is {labels[row]}; labels count from 0.")
    return labels.astype(np.int64)


def _get(entries: dict, key: str, file: str) -> np.ndarray:
    if key not in entries:
        raise DataError(f"{file}: no numeric entry `{key}`; it has {sorted(entries)}.")
    return entries[key]
