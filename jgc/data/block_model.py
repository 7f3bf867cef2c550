"""`sbm`: an embedded citation-like network, generated in a second, the same on every machine."""

import numpy as np
import scipy.sparse as sp

from jgc.data.dataset import Parsed
from jgc.data.pairs import pair_graph
from jgc.data.rows import normalise_rows
from jgc.data.splits import class_split

# Cora's shape: nodes of each class, undirected edges, words, mean words a node.
CLASS_SIZES = (351, 217, 418, 818, 426, 298, 180)
N_EDGE, N_WORD, MEAN_WORDS = 5278, 1433, 18.5

# Every node takes a share of its edges and words from a second class; some nodes most of them.
# Without such nodes the graph would solve the task outright. Tuned once: features alone reach
# about 0.35, features propagated over two steps 0.84 (logistic regression, the split below).
LEAN, STRONG_LEAN, STRONG_SHARE = 0.03, 0.8, 0.1
TOPIC_WORDS, TOPIC_SHARE = 100, 0.22


def sbm(seed: int = 0) -> Parsed:
    """Draws a degree-corrected stochastic block model of Cora's shape.

    2708 nodes in 7 classes of Cora's sizes; 5278 undirected edges, about 80 % of them within a
    class, endpoints drawn in proportion to heavy-tailed node weights and every node with an edge;
    1433 binary words, 1.27 % of them set, each drawn from the topic of a class (100 words,
    overlapping between classes) with probability 0.22, else from a background common to all; rows
    are normalised. A tenth of the nodes take four fifths of their edges and topical words from a
    second class. Split: 20 nodes a class, 500, 1000.

    Args:
        seed: Seed of the generator (numpy PCG64); the named set "sbm" is seed 0.

    Returns:
        One graph with sparse features, labels and the split.

    Example:
        >>> parsed = sbm()
        >>> graph = parsed.graphs[0]
        >>> graph.n_node.tolist(), graph.n_edge.tolist(), graph.nodes.shape, parsed.n_class
        ([2708], [10556], (2708, 1433), 7)

    References:
        Karrer and Newman, 2011, sec. II. https://arxiv.org/abs/1008.3926 (degree correction);
        Ball, Karrer and Newman, 2011. https://arxiv.org/abs/1104.3590 (nodes in two classes).
    """
    rng = np.random.default_rng(seed)
    n_class, n_node = len(CLASS_SIZES), sum(CLASS_SIZES)
    labels = rng.permutation(np.repeat(np.arange(n_class), CLASS_SIZES))
    second = (labels + rng.integers(1, n_class, n_node)) % n_class
    lean = np.where(rng.random(n_node) < STRONG_SHARE, STRONG_LEAN, LEAN)
    pairs = _edges(rng, labels, second, lean)
    features = normalise_rows(_words(rng, labels, second, lean))
    graph = pair_graph(pairs, n_node=n_node, nodes=features)
    public = class_split(labels, seed=seed, n_test=1000)._replace(name="public")
    notes = ("Synthetic. Features are row-normalised (each row sums to 1).",)
    return Parsed([graph], labels, n_class, notes, public)


def _edges(rng: np.random.Generator, labels, second, lean) -> np.ndarray:
    """Exactly `N_EDGE` distinct pairs, in the order drawn."""
    n_node = labels.size
    weight = 1 + rng.pareto(2.0, n_node)
    drawn = np.zeros(0, np.int64)
    while drawn.size < N_EDGE:
        # All nodes once, so that none is isolated, then by weight.
        first = np.concatenate([rng.permutation(n_node), _draw(rng, weight, N_EDGE)])
        wanted = np.where(rng.random(first.size) < lean[first], second[first], labels[first])
        partner = np.empty_like(first)
        for label in range(len(CLASS_SIZES)):
            of = wanted == label
            share = np.where(labels == label, 1 - lean, np.where(second == label, lean, 0))
            partner[of] = _draw(rng, weight * share, int(of.sum()))
        low, high = np.minimum(first, partner), np.maximum(first, partner)
        drawn = np.concatenate([drawn, (low * n_node + high)[low != high]])
        drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]
    return np.stack(np.divmod(drawn[:N_EDGE], n_node), axis=1)


def _words(rng: np.random.Generator, labels, second, lean) -> sp.csr_array:
    n_node = labels.size
    topics = np.stack([rng.permutation(N_WORD)[:TOPIC_WORDS] for _ in CLASS_SIZES])
    background = 1 / np.arange(1, N_WORD + 1) ** 0.5
    nodes = np.repeat(np.arange(n_node), 1 + rng.poisson(MEAN_WORDS - 1, n_node))
    topic = np.where(rng.random(nodes.size) < lean[nodes], second[nodes], labels[nodes])
    words = np.where(
        rng.random(nodes.size) < TOPIC_SHARE,
        topics[topic, rng.integers(0, TOPIC_WORDS, nodes.size)],
        _draw(rng, background, nodes.size),
    )
    nodes, words = np.divmod(np.unique(nodes * N_WORD + words), N_WORD)
    return sp.csr_array((np.ones(nodes.size), (nodes, words)), shape=(n_node, N_WORD))


def _draw(rng: np.random.Generator, weight: np.ndarray, count: int) -> np.ndarray:
    """Indices in proportion to `weight`, by inverting its running sum."""
    total = np.cumsum(weight)
    return np.searchsorted(total, rng.random(count) * total[-1], side="right")
