"""`motif`: an embedded graph classification set that a structure-blind model cannot solve."""

import numpy as np

from jgc.data.dataset import Parsed
from jgc.data.pairs import pair_graph, unique_pairs
from jgc.graph import GraphsTuple

# Two nodes (0 and 1) joined by three paths with these numbers of inner nodes. All have 6 nodes,
# 7 edges and the degrees 3, 3, 2, 2, 2, 2; one round of neighbours' degrees tells them apart.
MOTIFS = ((0, 1, 3), (1, 1, 2), (0, 2, 2))
N_TREE, COPIES = 200, 2


def motif(seed: int = 0) -> Parsed:
    """Draws 200 random trees and hangs each of three motifs on a copy of each: 600 graphs.

    The class is the motif, of which two copies hang on the tree. A tree has 10 to 30 nodes and
    gets the same attachments in all three classes, to motif nodes of the same degree, so node
    counts, edge counts and degree histograms are exactly equal between the classes; node features
    are the constant 1. Only how nodes are joined says the class.

    Args:
        seed: Seed of the generator (numpy PCG64); the named set "motif" is seed 0.

    Returns:
        600 graphs, shuffled, and their classes 0..2; there is no public split.

    Example:
        >>> parsed = motif()
        >>> len(parsed.graphs), np.bincount(parsed.labels).tolist()
        (600, [200, 200, 200])

    References:
        Motifs on a random base, as in Ying et al., NeurIPS 2019, sec. 5.
        https://arxiv.org/abs/1903.03894
    """
    rng = np.random.default_rng(seed)
    graphs, labels = [], []
    for _ in range(N_TREE):
        n_tree = int(rng.integers(10, 31))
        tree = [(node, int(rng.integers(node))) for node in range(1, n_tree)]
        anchors = [(int(rng.integers(n_tree)), int(rng.integers(6))) for _ in range(COPIES)]
        for label, paths in enumerate(MOTIFS):
            graphs.append(_hang(tree, n_tree, anchors, theta(paths)))
            labels.append(label)
    order = rng.permutation(len(graphs))
    notes = ("Synthetic. The node feature is the constant 1.",)
    return Parsed([graphs[i] for i in order], np.array(labels)[order], len(MOTIFS), notes)


def theta(paths: tuple[int, ...]) -> list[tuple[int, int]]:
    """The edges of nodes 0 and 1 joined by one path for each number of inner nodes.

    Example:
        >>> theta((0, 1))
        [(0, 1), (0, 2), (2, 1)]
    """
    edges, next_node = [], 2
    for inner in paths:
        path = [0, *range(next_node, next_node + inner), 1]
        next_node += inner
        edges += zip(path[:-1], path[1:], strict=True)
    return edges


def _hang(tree, n_tree: int, anchors, edges) -> GraphsTuple:
    """The tree with one copy of the motif for each anchor (tree node, motif node)."""
    n_motif = 1 + max(max(edge) for edge in edges)
    every, offset = list(tree), n_tree
    for tree_node, motif_node in anchors:
        # Motif nodes 0 and 1 have degree 3, the others 2, in every motif.
        every += [(a + offset, b + offset) for a, b in edges]
        every.append((tree_node, motif_node + offset))
        offset += n_motif
    pairs = unique_pairs(*np.array(every).T)
    return pair_graph(pairs, n_node=offset, nodes=np.ones((offset, 1), np.float32))
