"""Random walks that respect time: every edge of a walk is at least as late as the one before."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.graph.random import hash_bits

BIASES = ("exponential", "uniform")


class WalkIndex(NamedTuple):
    """What a walk reads of a temporal graph: edges sorted by sender, then by time.

    Times themselves are gone: an edge knows at which edge of its receiver the future begins.

    Attributes:
        receivers: Where each edge leads, int32 `[n_edge]`.
        follow: Position of the first edge that may follow each edge, int32 `[n_edge]`.
        starts: Where the edges of each node begin, int32 `[n_node + 1]`.
        before: Share of its sender's weight that lies before each edge, in units of 2^-32, uint32
            `[n_edge]`: whole numbers, so that a node of a million edges loses none of them, and
            every device draws the same.

    Example:
        >>> index = walk_index(np.array([0, 1]), np.array([1, 2]), np.array([0.0, 1.0]), n_node=3)
        >>> index.receivers.tolist(), index.starts.tolist()
        ([1, 2], [0, 1, 2, 2])
    """

    receivers: Array
    follow: Array
    starts: Array
    before: Array


def walk_index(senders, receivers, times, *, n_node: int, bias: str = "exponential") -> WalkIndex:
    """Sorts temporal edges for `random_walks`, on the host.

    Args:
        senders: Source node of each edge, integers `[n_edge]`.
        receivers: Target node of each edge, integers `[n_edge]`.
        times: Of each edge, in any unit and order, finite `[n_edge]`.
        n_node: Number of nodes.
        bias: `"exponential"`: of the edges of a node that may come next, one at time `t` is drawn
            in proportion to `exp((t - now) / span)`, where `span` is the time between the first and
            the last edge of that node; later edges are up to e times as likely. `"uniform"`: all
            are as likely.

    Returns:
        The `WalkIndex`; memory is 12 bytes an edge.

    Raises:
        ValueError: for no edges, lists of different lengths, nodes that are not there, times that
            are not finite, or an unknown bias.

    Example:
        >>> walk_index([0, 1, 1], [1, 2, 0], [5, 4, 6], n_node=3).follow.tolist()
        [2, 3, 1]

    References:
        Nguyen et al., CTDNE, WWW 2018, sec. 3; Talati et al., IISWC 2021, sec. III, whose code
        takes the span over all edges of the node, as here. `now` cancels, and so running sums made
        once serve every time of arrival.
    """
    senders, receivers, times = (np.asarray(a) for a in (senders, receivers, times))
    _check(senders, receivers, times, n_node, bias)
    order = np.lexsort((times, senders))
    senders, receivers, times = senders[order], receivers[order], times[order]
    starts = np.searchsorted(senders, np.arange(n_node + 1))
    # Sender and time as one number; the rank of a time among all times stands for it.
    ranks = np.unique(times, return_inverse=True)[1].astype(np.int64)
    moments, arrivals = (
        nodes.astype(np.int64) * (ranks.max() + 1) + ranks for nodes in (senders, receivers)
    )
    follow = np.searchsorted(moments, arrivals)
    return WalkIndex(
        *(jnp.asarray(a, jnp.int32) for a in (receivers, follow, starts)),
        before=jnp.asarray(_before(senders, times, starts, bias)),
    )


@functools.partial(jax.jit, static_argnames="steps")
def random_walks(index: WalkIndex, first: Array, key: Array, *, steps: int) -> Array:
    """Walks from given nodes, all at once; a step costs O(log degree).

    A walk may begin with any edge of its first node. From then on an edge may follow if it is not
    earlier than the last one, and a walk ends where there is none.

    Differs: the code of Talati et al. takes strictly later edges only.

    Args:
        index: From `walk_index`.
        first: First nodes, int32 `[n_walk]`.
        key: A jax key.
        steps: Largest number of edges of a walk, >= 1. Static.

    Returns:
        Nodes, int32 `[n_walk, steps + 1]`; -1 from where a walk has ended.

    Example:
        >>> index = walk_index([0, 1, 1], [1, 2, 0], [5, 4, 6], n_node=3)
        >>> random_walks(index, jnp.array([0, 2]), jax.random.key(0), steps=3).tolist()
        [[0, 1, 0, -1], [2, -1, -1, -1]]
    """

    def step(state):
        i, (low, high), nodes = state
        edge = _drawn(index.before, low, high, hash_bits(jax.random.fold_in(key, i), low.shape))
        moved = low < high
        node = jnp.where(moved, index.receivers[edge], -1)
        low = jnp.where(moved, index.follow[edge], 0)
        high = jnp.where(moved, index.starts[node + 1], 0)
        return i + 1, (low, high), nodes.at[i].set(node)

    def goes_on(state):
        i, (low, high), _ = state
        return (i <= steps) & (low < high).any()

    nodes = jnp.full((steps + 1, first.size), -1, jnp.int32).at[0].set(first)
    start = 1, (index.starts[first], index.starts[first + 1]), nodes
    return jax.lax.while_loop(goes_on, step, start)[2].T


def _drawn(before: Array, low: Array, high: Array, bits: Array) -> Array:
    """One edge of each range `low..high-1`, by halving; of an empty range any edge."""
    from_ = before[low]  # Beyond the last edge: the last one, of an empty range.
    # The rest is 2^32 where nothing lies before, which 32 bits cannot say: then bits as they are.
    target = jnp.where(from_ == 0, bits, from_ + _high_product(bits, -from_))

    def halve(span):
        low, high = span
        middle = low + (high - low) // 2
        left = before[middle] > target
        return jnp.where(left, low, middle), jnp.where(left, middle, high)

    return jax.lax.while_loop(lambda span: (span[1] - span[0] > 1).any(), halve, (low, high))[0]


def _high_product(a: Array, b: Array) -> Array:
    """The upper 32 bits of the 64 of `a * b`, all uint32."""
    a_high, a_low, b_high, b_low = a >> 16, a & 0xFFFF, b >> 16, b & 0xFFFF
    middle = a_high * b_low + (a_low * b_low >> 16)
    return a_high * b_high + (middle >> 16) + (a_low * b_high + (middle & 0xFFFF) >> 16)


def _before(senders, times, starts, bias: str) -> np.ndarray:
    weight = np.ones(times.size)
    if bias == "exponential":
        bound = np.maximum(starts[1:] - 1, starts[:-1]).clip(max=times.size - 1)
        first, last = times[starts[:-1].clip(max=times.size - 1)], times[bound]
        span = np.where(last > first, last - first, 1).astype(float)
        weight = np.exp((times - last[senders]) / span[senders])
    total = np.append(0.0, np.cumsum(weight))
    share = (total[:-1] - total[starts[senders]]) / np.diff(total[starts])[senders]
    return (share * 2.0**32).astype(np.uint32)


def _check(senders, receivers, times, n_node: int, bias: str) -> None:
    if bias not in BIASES:
        raise ValueError(f"`bias` must be one of {list(BIASES)}, got {bias!r}.")
    if not senders.shape == receivers.shape == times.shape or senders.ndim != 1:
        raise ValueError(
            "`senders`, `receivers` and `times` must be flat lists of one length, got shapes "
            f"{senders.shape}, {receivers.shape} and {times.shape}."
        )
    if senders.size == 0:
        raise ValueError("There are no edges to walk along.")
    for name, ids in (("senders", senders), ("receivers", receivers)):
        bad = np.flatnonzero((ids < 0) | (ids >= n_node))
        if bad.size:
            raise ValueError(
                f"`{name}[{bad[0]}]` is node {ids[bad[0]]}, but there are nodes 0..{n_node - 1}."
            )
    bad = np.flatnonzero(~np.isfinite(times))
    if bad.size:
        raise ValueError(f"`times[{bad[0]}]` is {times[bad[0]]}; it must be finite.")
