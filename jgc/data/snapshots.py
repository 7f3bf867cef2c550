"""The `.npz` layout of STAR: an adjacency matrix for every moment, and a class for every node."""

import numpy as np

from jgc.data.dataset import DataError, Parsed, TemporalEdges
from jgc.data.npz import read_entries
from jgc.data.source import Files


def read_snapshots(files: Files, file: str) -> Parsed:
    """Reads `adjs` `[n_time, n_node, n_node]` and one-hot `labels` `[n_node, n_class]`.

    An edge from `i` to `j` at time `t` is a 1 at `adjs[t, i, j]`, as in the code of Talati et al.;
    attributes (`attmats`) are not read. Self loops stay.

    Args:
        files: Where the file is.
        file: Its name, such as "Brain.npz".

    Returns:
        What was found, as `temporal`, and the class of each node.

    Raises:
        DataError: naming the file and the entry, for a damaged file, a missing entry, shapes that
            do not fit, a node with no class or with several, or no edges.

    References:
        Xu et al., IJCAI 2019 (STAR); github.com/talnish/iiswc21_rwalk,
        data/node_class/dblp3/process_dataset.py.
    """
    entries = read_entries(files.read(file), file)
    for name in ("adjs", "labels"):
        if name not in entries:
            raise DataError(f"{file}: no numeric entry `{name}`; it has {sorted(entries)}.")
    adjacencies, classes = entries["adjs"], entries["labels"]
    n_node = len(classes)
    if adjacencies.ndim != 3 or classes.ndim != 2 or adjacencies.shape[1:] != (n_node, n_node):
        raise DataError(
            f"{file}: `adjs` {adjacencies.shape} and `labels` {classes.shape} must be [n_time, "
            "n_node, n_node] and [n_node, n_class]."
        )
    bad = np.flatnonzero((classes == 1).sum(1) != 1)
    if bad.size:
        raise DataError(f"{file}: `labels[{bad[0]}]` must hold one 1, the class of that node.")
    found = [np.nonzero(matrix == 1) for matrix in adjacencies]
    if not sum(ends[0].size for ends in found):
        raise DataError(f"{file}: `adjs` holds no edge.")
    senders, receivers = (np.concatenate(ends) for ends in zip(*found, strict=True))
    times = np.repeat(np.arange(len(found)), [ends[0].size for ends in found]).astype(float)
    labels = (classes == 1).argmax(1)
    edges = TemporalEdges(senders, receivers, times, n_node)
    return Parsed([], labels, classes.shape[1], temporal=edges)
