"""`temporal-sbm`: an embedded network whose edges come one after the other in time."""

import numpy as np

from jgc.data.dataset import Parsed, TemporalEdges

N_NODE, N_CLASS, N_EDGE = 2000, 10, 60_000

# Of its edges a node has this share within its class; a tenth of the nodes far less. Tuned once.
WITHIN, WITHIN_LOOSE, LOOSE_SHARE = 0.6, 0.2, 0.1
# From a node of class c the other edges lead to class c + 1 more often than elsewhere, but only in
# the second half of the time: order carries part of what there is to know.
NEXT = 0.5


def temporal_sbm(seed: int = 0) -> Parsed:
    """Draws a temporal block model: 2000 nodes of 10 classes, 60,000 directed edges.

    Senders come in proportion to heavy-tailed weights, times uniformly. An edge stays within the
    class with probability 0.6 (0.2 for a tenth of the nodes); of the others, in the second half of
    the time, half lead to the next class; else receivers are drawn at large.

    Args:
        seed: Seed of the generator (numpy PCG64); the named set "temporal-sbm" is seed 0.

    Returns:
        Edges and the class of each node.

    Example:
        >>> parsed = temporal_sbm()
        >>> parsed.temporal.times.size, parsed.n_class
        (60000, 10)
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(N_NODE) % N_CLASS)
    weight = 1 + rng.pareto(2.0, N_NODE)
    within = np.where(rng.random(N_NODE) < LOOSE_SHARE, WITHIN_LOOSE, WITHIN)
    senders = rng.choice(N_NODE, N_EDGE, p=weight / weight.sum())
    times = np.sort(rng.random(N_EDGE))
    target = rng.integers(0, N_CLASS, N_EDGE)
    onward = (times > 0.5) & (rng.random(N_EDGE) < NEXT)
    target = np.where(onward, (labels[senders] + 1) % N_CLASS, target)
    target = np.where(rng.random(N_EDGE) < within[senders], labels[senders], target)
    members = np.argsort(labels, kind="stable").reshape(N_CLASS, -1)
    receivers = members[target, rng.integers(0, members.shape[1], N_EDGE)]
    edges = TemporalEdges(senders, receivers, times, N_NODE)
    return Parsed([], labels, N_CLASS, ("Synthetic.",), temporal=edges)
