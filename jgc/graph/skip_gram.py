"""Skip-gram with negative sampling: nodes that share walks get vectors that point one way."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.graph.random import hash_bits


class SkipGram(NamedTuple):
    """Settings of word2vec.

    Attributes:
        width: Of a vector, >= 1.
        window: Nodes of a walk are a pair up to this distance, >= 1. A pair at distance `k` weighs
            `(window + 1 - k) / window`, the share of pairs that word2vec's random windows keep.
        negatives: How many drawn nodes weigh against each pair, >= 1.
        epochs: Passes over the walks, >= 1.
        rate: Learning rate, which falls in a straight line to a ten-thousandth of itself, > 0.
        batch: Nodes of walks a step, >= 1: that many rows are updated at once.

    Example:
        >>> SkipGram(width=64, window=5).negatives
        5
    """

    width: int = 8
    window: int = 10
    negatives: int = 5
    epochs: int = 1
    rate: float = 0.025
    batch: int = 1024


_USUAL = SkipGram()


def skip_gram(walks, *, n_node: int, key: Array, settings: SkipGram = _USUAL) -> Array:
    """Vectors of nodes, from the company that they keep in walks.

    Differs: word2vec takes one pair after the other. Here the walks of a batch move their vectors
    together; walks that lie in one row of memory share as many negatives as the row has places,
    drawn in proportion to the power 0.75 of how often nodes occur, at the same expected weight: `n`
    nodes read and write 3 `n` vectors instead of some 7 for each of their pairs, and all else is
    dense products. Where the steps of a batch on one vector weigh more than 1, they are scaled back
    to 1. Negatives that happen to be in a walk are not drawn again, and no frequent node is left
    out at random.

    Args:
        walks: Nodes, integers `[n_walk, length]`; -1 where a walk has ended.
        n_node: Number of nodes.
        key: A jax key: of first vectors, the order of walks, and negatives.
        settings: See `SkipGram`.

    Returns:
        float32 `[n_node, width]`; zeros for nodes in no walk.

    Raises:
        ValueError: for a setting below its least, or walks with no node or with nodes that are not
            there.

    Example:
        >>> walks = np.array([[0, 1, 2], [3, 4, 5]] * 100)
        >>> settings = SkipGram(width=4, epochs=20, rate=0.1, batch=12)
        >>> x = skip_gram(walks, n_node=6, key=jax.random.key(0), settings=settings)
        >>> bool(x[0] @ x[1] > x[0] @ x[3]), bool(x[4] @ x[5] > x[1] @ x[5])
        (True, True)

    References:
        Mikolov et al., NeurIPS 2013, sec. 2.2 (arXiv 1310.4546) and its code, word2vec.c; negatives
        shared by neighbouring pairs: Ji et al., arXiv 1604.04661, sec. 3.
    """
    walks = np.asarray(walks)
    _check(walks, n_node, settings)
    counts = np.bincount(walks[walks >= 0], minlength=n_node)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    first, draws = jax.random.split(key)
    vectors = (jax.random.uniform(first, (n_node, settings.width)) - 0.5) / settings.width
    tables = _Tables(vectors, jnp.zeros_like(vectors), jnp.zeros(n_node))
    nodes, begins = _packed(walks[rng.permutation(len(walks))])
    n_row, length = nodes.shape
    rows = min(max(settings.batch // length, 1), n_row)
    noise = jnp.asarray(_noise(counts))
    for epoch in range(settings.epochs):
        order = np.resize(rng.permutation(n_row), -(-n_row // rows) * rows)
        batches = tuple(jnp.asarray(a[order].reshape(-1, rows, length)) for a in (nodes, begins))
        tables = _pass(tables, batches, noise, jax.random.fold_in(draws, epoch), epoch, settings)
    return jnp.where(counts[:, None] > 0, tables.first, 0)


class _Tables(NamedTuple):
    """Vectors of nodes, those of their company, and the busyness of a batch, 0 between batches."""

    first: Array
    second: Array
    load: Array


class _Share(NamedTuple):
    """Weights of the pairs of a walk `[length, length]`, and of one drawn node for each pair."""

    pairs: np.ndarray
    drawn: float


@functools.partial(jax.jit, static_argnames="settings", donate_argnums=0)
def _pass(tables: _Tables, batches, noise: Array, key: Array, epoch, settings: SkipGram):
    """Tables after one pass over all batches, see `_packed`, `[n_batch, rows, length]`."""
    n_batch, _, length = batches[0].shape
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    near = np.clip((settings.window + 1 - apart) / settings.window, 0, 1) * (apart > 0)
    share = _Share(near.astype(np.float32), settings.negatives / length)

    def step(tables, at):
        i, nodes, begins = at
        done = (epoch * n_batch + i) / (settings.epochs * n_batch)
        rate = settings.rate * jnp.maximum(1 - done, 1e-4)
        bits = hash_bits(jax.random.fold_in(key, i), nodes.shape)
        drawn = noise[bits & (noise.size - 1)]
        return _moved(tables, nodes, begins, drawn, share, rate), None

    return jax.lax.scan(step, tables, (jnp.arange(n_batch), *batches))[0]


def _moved(
    tables: "_Tables", nodes: Array, begins: Array, drawn: Array, share: _Share, rate: Array
) -> "_Tables":
    """One step of gradient ascent on the pairs of some rows of walks `[rows, length]`."""
    real = nodes >= 0
    rows = jnp.where(real, nodes, tables.first.shape[0])  # Beyond the last: dropped when written.
    inner, outer = (table.at[rows].get(mode="fill", fill_value=0) for table in tables[:2])
    noise = tables.second[drawn]
    together = (begins[:, :, None] == begins[:, None, :]) & (real[:, :, None] & real[:, None, :])
    pairs = rate * share.pairs[None] * together
    places = pairs.sum(2)
    against = jnp.broadcast_to(share.drawn * places[:, :, None], (*places.shape, drawn.shape[1]))
    pull = pairs * jax.nn.sigmoid(-(inner @ outer.mT))
    push = against * jax.nn.sigmoid(inner @ noise.mT)
    first, load = _add(
        tables.first, tables.load, rows, pull @ outer - push @ noise, places + against.sum(2)
    )
    second, load = _add(
        tables.second,
        load,
        jnp.concatenate([rows, drawn], 1),
        jnp.concatenate([pull.mT @ inner, -(push.mT @ inner)], 1),
        jnp.concatenate([places, against.sum(1)], 1),
    )
    return _Tables(first, second, load)


def _add(table: Array, load: Array, rows: Array, step: Array, size: Array) -> tuple[Array, Array]:
    """Adds steps to rows; where their sizes sum to more than 1, they are scaled back to 1.

    A busy node is in many pairs of a batch, whose steps, all from one place, would overshoot.
    """
    load = load.at[rows].add(size, mode="drop")
    scale = 1 / jnp.maximum(load.at[rows].get(mode="fill", fill_value=1), 1)
    table = table.at[rows].add(scale[..., None] * step, mode="drop")
    return table, load.at[rows].set(0, mode="drop")


def _packed(walks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walks one behind the other in rows of the longest one's length, as most end long before.

    Returns:
        Nodes, int32 `[n_row, length]`, -1 in places that are free, and where in the row the walk of
        each place begins. Walks of one node, which make no pair, are left out.
    """
    lengths = (walks >= 0).sum(1)
    walks, lengths = walks[lengths > 1], lengths[lengths > 1]
    width = int(lengths.max(initial=2))
    at, row, used = np.zeros((len(walks), 2), np.int64), 0, 0
    for i, length in enumerate(lengths.tolist()):
        if used + length > width:
            row, used = row + 1, 0
        at[i] = row, used
        used += length
    nodes = np.full((row + 1, width), -1, np.int32)
    begins = np.zeros_like(nodes)
    walk, step = np.nonzero(walks >= 0)
    rows, first = at[walk].T
    nodes[rows, first + step] = walks[walk, step]
    begins[rows, first + step] = first
    return nodes, begins


def _noise(counts: np.ndarray) -> np.ndarray:
    """Nodes as often as they are to be drawn, `[2^k]`: a draw is one look at a random place."""
    size = 1 << int(np.ceil(np.log2(min(max(16 * counts.size, 1 << 16), 1 << 26))))
    total = np.cumsum(counts**0.75)
    places = (np.arange(size) + 0.5) / size * total[-1]
    return np.searchsorted(total, places).astype(np.int32)


def _check(walks: np.ndarray, n_node: int, settings: SkipGram) -> None:
    for name, value in settings._asdict().items():
        if value <= 0:
            raise ValueError(f"`{name}` must be above 0, got {value}.")
    if walks.ndim != 2 or not (walks >= 0).any():
        raise ValueError(f"`walks` must be [n_walk, length] and hold a node; got {walks.shape}.")
    if walks.max() >= n_node:
        raise ValueError(f"`walks` has node {walks.max()}; there are nodes 0..{n_node - 1}.")
