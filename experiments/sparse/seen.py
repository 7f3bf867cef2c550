"""How far does memory alone get? A pair is called linked if it was linked in the training part.

Negative pairs of `jgc.data.pair_rows` are never edges, so this rule is always right on them, and
its accuracy says how many edges of the last 20 % of time only repeat earlier ones.

    JGC_DATA_DIR=... python experiments/sparse/seen.py collegemsg radoslaw email-eu-core-temporal
"""

import sys

import numpy as np

from jgc import data
from jgc.data.source import find_files
from jgc.data.temporal import read_temporal

SEEDS = 10


def accuracies(name: str) -> np.ndarray:
    """Test accuracy of each seed, drawn as the splits of `pair_rows` are."""
    spec = data.info(name)
    assert spec.source is not None
    edges = read_temporal(find_files(name, spec.source), **spec.options).temporal
    assert edges is not None
    pairs = np.stack([edges.senders, edges.receivers], 1)[edges.senders != edges.receivers]
    codes, n = pairs @ [edges.n_node, 1], len(pairs)
    earlier, later = np.split(codes, [n - int(0.2 * n)])
    found = []
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(earlier))
        known = earlier[order[: int(0.6 * n)]]
        found.append(0.5 + 0.5 * np.isin(later, known).mean())
    return np.array(found)


for name in sys.argv[1:]:
    print(f"{name}: {100 * accuracies(name).mean():.1f} %")
