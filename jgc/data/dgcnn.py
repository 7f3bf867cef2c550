"""The one-file text format of DGCNN and "powerful GNNs": `NAME.txt`, alone or inside `NAME.zip`."""

import io

import numpy as np

from jgc.data.dataset import DataError, Parsed
from jgc.data.source import Files
from jgc.data.unpack import unzipped
from jgc.graph import GraphsTuple, from_edges

_LARGEST = np.iinfo(np.int64).max


def read_dgcnn(files: Files, name: str) -> Parsed:
    """Reads a graph classification set of graphs without node features.

    The first line is the number of graphs. Each graph is a line "nodes label" and a line for each
    node, "tag count neighbour neighbour ...", neighbours counted from 0 inside the graph. Labels
    become 0..C-1 in the order of their values. Tags (the degree, in sets such as REDDIT-BINARY) are
    not read: every node gets the feature 1. Self loops and doubles are dropped and missing reverse
    edges added.

    Args:
        files: The file `NAME.zip`, which holds `NAME.txt`.
        name: NAME, as the file spells it.

    Returns:
        The graphs in the order of the file.

    Raises:
        DataError: naming the line, for one that is no line of whole numbers, has another number of
            neighbours than it says or names a node that is not there; for a file that ends early or
            goes on; for a damaged archive.

    References:
        Zhang et al., AAAI 2018 (DGCNN); Xu et al., ICLR 2019. https://arxiv.org/abs/1810.00826
    """
    file = f"{name}.txt"
    lines = iter(enumerate(_unpacked(files, f"{name}.zip", file).splitlines(), 1))
    (n_graph,) = _numbers(lines, file, 1)
    graphs, labels = [], []
    for _ in range(n_graph):
        n_node, label = _numbers(lines, file, 2)
        graphs.append(_graph(lines, file, n_node))
        labels.append(label)
    extra = next((number for number, line in lines if line.strip()), None)
    if extra is not None:
        raise DataError(f"{file}: line {extra} comes after the last of {n_graph} graphs.")
    values, codes = np.unique(labels, return_inverse=True)
    return Parsed(graphs, codes, values.size, ("Every node has the one feature 1.",))


def _unpacked(files: Files, archive: str, file: str) -> str:
    packed = io.BytesIO(files.read(archive))
    members = unzipped(packed, archive, lambda name: name.rsplit("/", 1)[-1] == file)
    _, data = next(members, (None, None))
    if data is None:
        raise DataError(f"{archive}: holds no {file}.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not a text file ({error}).") from error


def _numbers(lines, file: str, n: int | None = None) -> list[int]:
    """The whole numbers of the next line, `n` of them where it is given."""
    number, line = next(lines, (0, ""))
    if not number:
        raise DataError(f"{file}: the file ends early. Is it truncated?")
    try:
        found = [int(word) for word in line.split()]
        if max(map(abs, found), default=0) > _LARGEST:
            raise ValueError(line)
    except ValueError:
        raise DataError(f"{file}: line {number} is {line[:60]!r}, not whole numbers.") from None
    wanted = n or 2 + (found[1] if len(found) > 1 else 0)
    if len(found) != wanted:
        raise DataError(f"{file}: line {number} has {len(found)} numbers; {wanted} were due.")
    return found


def _graph(lines, file: str, n_node: int) -> GraphsTuple:
    if n_node < 1:
        raise DataError(f"{file}: a graph has {n_node} nodes.")
    neighbours = [_numbers(lines, file)[2:] for _ in range(n_node)]
    senders = np.repeat(np.arange(n_node), [len(each) for each in neighbours])
    receivers = np.array([node for each in neighbours for node in each], np.int64)
    bad = np.flatnonzero((receivers < 0) | (receivers >= n_node))
    if bad.size:
        raise DataError(
            f"{file}: node {senders[bad[0]]} of a graph of {n_node} nodes is joined to "
            f"{receivers[bad[0]]}, which is not there."
        )
    keep = senders != receivers
    senders, receivers = senders[keep], receivers[keep]
    # One number a direction: unique rows would be far slower.
    both = np.append(senders * n_node + receivers, receivers * n_node + senders)
    senders, receivers = np.divmod(np.unique(both), n_node)
    return from_edges(senders, receivers, nodes=np.ones((n_node, 1), np.float32))
