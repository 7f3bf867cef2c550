"""jgc's side of temporal walks and of the vectors that are made of them."""

import jax
import jax.numpy as jnp
import numpy as np

from jgc.bench import inputs
from jgc.bench.work import Work, repeated
from jgc.graph import SkipGram, random_walks, skip_gram, walk_index


def walks(steps: int) -> Work:
    """Ten walks from each of 1e5 nodes, compiled once; `edges` says how many were gone."""
    senders, receivers, times = inputs.temporal_edges()
    n_node = inputs.SMALL[0]
    index = walk_index(senders, receivers, times, n_node=n_node)
    first = jnp.tile(jnp.arange(n_node, dtype=jnp.int32), 10)
    key = jax.random.key(0)
    gone = int((random_walks(index, first, key, steps=steps)[:, 1:] >= 0).sum())
    return repeated(
        lambda: jax.block_until_ready(random_walks(index, first, key, steps=steps)), edges=gone
    )


def vectors(width: int, steps: int) -> Work:
    """A pass of skip-gram over the walks, with its shuffling and its table of negatives."""
    corpus = inputs.walks(steps)
    settings, key = SkipGram(width=width), jax.random.key(0)
    n_node = inputs.WALKED

    def run():
        jax.block_until_ready(skip_gram(corpus, n_node=n_node, key=key, settings=settings))

    return repeated(run, words=int(np.sum(corpus >= 0)))


MEASURES = {
    "walks-5": lambda: walks(5),
    "walks-50": lambda: walks(50),
    "skip-gram-8": lambda: vectors(8, 5),
    "skip-gram-64": lambda: vectors(64, 50),
}
