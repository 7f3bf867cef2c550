"""Walks that respect time: by hand, in the long run, and edge by edge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import random_walks, walk_index
from jgc.graph.walk import _high_product

KEY = jax.random.key(0)


def drawn_edges(n_node=40, n_edge=400, n_time=30):
    rng = np.random.default_rng(0)
    senders, receivers = rng.integers(0, n_node - 1, (2, n_edge))  # The last node has no edges.
    return senders, receivers, rng.integers(0, n_time, n_edge)


def shares(index, first, *, draws=200_000, n_node=8):
    """How often each node comes next."""
    starts = jnp.full(draws, first, jnp.int32)
    nodes = np.asarray(random_walks(index, starts, KEY, steps=1))[:, 1]
    return np.bincount(nodes, minlength=n_node) / draws


def test_an_edge_knows_where_its_future_begins():
    # Sorted by sender and time: (0, 1, t=5), (1, 0, 4), (1, 2, 5), (1, 3, 9), (2, 1, 9).
    index = walk_index([1, 0, 1, 2, 1], [2, 1, 3, 1, 0], [5, 5, 9, 9, 4], n_node=4)
    assert index.receivers.tolist() == [1, 0, 2, 3, 1]
    assert index.starts.tolist() == [0, 1, 4, 5, 5]
    # Into 1 at 5: from its edge at 5 on. Into 0 at 4, 2 at 5, 3 at 9 (none), 1 at 9: its edge at 9.
    assert index.follow.tolist() == [2, 0, 4, 5, 3]


def test_an_edge_is_drawn_by_the_softmax_of_its_time():
    index = walk_index([0] * 4, [1, 2, 3, 4], [10, 13, 11, 30], n_node=8)
    weight = np.exp(np.array([0, 3, 1, 20]) / 20)
    found = shares(index, 0)[1:5]
    np.testing.assert_allclose(found, weight / weight.sum(), atol=0.005)
    assert shares(walk_index([0] * 4, [1, 2, 3, 4], [1, 3, 2, 9], n_node=8, bias="uniform"), 0)[
        1:5
    ] == pytest.approx([0.25] * 4, abs=0.005)


def test_after_an_edge_only_what_is_not_earlier_is_drawn_and_by_the_same_weights():
    # Node 1 is reached at time 4; its edges leave at 1, 4, 4 and 9, a span of 8.
    index = walk_index([0, 1, 1, 1, 1], [1, 2, 3, 4, 5], [4, 1, 4, 4, 9], n_node=8)
    walks = np.asarray(random_walks(index, jnp.zeros(100_000, jnp.int32), KEY, steps=2))
    found = np.bincount(walks[:, 2], minlength=8) / len(walks)
    weight = np.array([1, 1, np.exp(5 / 8)])
    np.testing.assert_allclose(found[3:6], weight / weight.sum(), atol=0.006)
    assert found[2] == 0


def test_edges_of_one_time_are_alike():
    index = walk_index([0] * 3, [1, 2, 3], [7, 7, 7], n_node=8)
    np.testing.assert_allclose(shares(index, 0)[1:4], 1 / 3, atol=0.005)


@pytest.mark.parametrize("bias", ["exponential", "uniform"])
def test_a_walk_can_be_gone_in_time_and_ends_only_where_it_must(bias):
    senders, receivers, times = drawn_edges()
    index = walk_index(senders, receivers, times, n_node=40, bias=bias)
    first = jnp.tile(jnp.arange(40, dtype=jnp.int32), 5)
    walks = np.asarray(random_walks(index, first, KEY, steps=12))
    assert (walks[:, 0] == first).all() and (walks >= 0).sum(1).max() > 4
    for walk in walks:
        # Any run of edges from node to node can be gone if the earliest ones that are left can.
        now = -np.inf
        for here, there in zip(walk[:-1], walk[1:], strict=True):
            if there < 0:
                # The last edge may have been later than the earliest that was possible.
                assert here < 0 or here == 39 or now > -np.inf
                continue
            later = times[(senders == here) & (receivers == there) & (times >= now)]
            now = later.min()
    ended = (walks < 0).cumsum(1).astype(bool)
    assert (walks[ended] == -1).all()


def test_a_walk_goes_on_while_there_is_an_edge():
    ring = walk_index([0, 1, 2], [1, 2, 0], [3, 3, 3], n_node=3)
    assert random_walks(ring, jnp.array([1]), KEY, steps=5).tolist() == [[1, 2, 0, 1, 2, 0]]
    path = walk_index([0, 1, 2], [1, 2, 3], [1, 2, 3], n_node=5)
    assert random_walks(path, jnp.array([0, 4]), KEY, steps=4).tolist() == [
        [0, 1, 2, 3, -1], [4, -1, -1, -1, -1],
    ]  # fmt: skip
    back = walk_index([0, 1, 2], [1, 2, 3], [3, 2, 1], n_node=5)
    assert random_walks(back, jnp.array([0]), KEY, steps=2).tolist() == [[0, 1, -1]]


def test_order_and_unit_of_the_list_change_nothing():
    senders, receivers, times = drawn_edges()
    first = jnp.arange(40, dtype=jnp.int32)
    times = times + np.arange(times.size) / 1e4  # No two alike, so that one order is right.
    walks = random_walks(walk_index(senders, receivers, times, n_node=40), first, KEY, steps=6)
    mixed = np.random.default_rng(1).permutation(times.size)
    again = walk_index(senders[mixed], receivers[mixed], 4.0 * times[mixed] + 1, n_node=40)
    np.testing.assert_array_equal(walks, random_walks(again, first, KEY, steps=6))


def test_compiled_or_not_walks_are_the_same():
    index = walk_index(*drawn_edges(), n_node=40)
    first = jnp.arange(5, dtype=jnp.int32)
    compiled = random_walks(index, first, KEY, steps=3)
    with jax.disable_jit():
        np.testing.assert_array_equal(compiled, random_walks(index, first, KEY, steps=3))


def test_the_upper_half_of_a_product():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2**32, (2, 1000))
    a[:2], b[:2] = 2**32 - 1, [2**32 - 1, 1]
    exact = [int(x) * int(y) >> 32 for x, y in zip(a, b, strict=True)]
    found = _high_product(jnp.asarray(a, jnp.uint32), jnp.asarray(b, jnp.uint32))
    assert found.tolist() == exact


def test_a_node_of_many_edges_loses_none():
    n = 3_000_000  # More than float32 could tell apart in a running sum near 1.
    before = np.asarray(
        walk_index(np.zeros(n, int), np.ones(n, int), np.arange(n), n_node=2).before
    )
    gaps = np.diff(before.astype(np.int64))
    assert gaps.min() > 500 and abs(gaps[-1] / gaps[0] - np.e) < 0.02


@pytest.mark.parametrize(
    ("edges", "settings", "says"),
    [
        (([], [], []), {}, "no edges to walk along"),
        (([0, 1], [1], [2, 3]), {}, r"one length, got shapes \(2,\), \(1,\)"),
        (([0], [3], [1]), {}, r"`receivers\[0\]` is node 3, but there are nodes 0..2"),
        (([-1], [0], [1]), {}, r"`senders\[0\]` is node -1"),
        (([0, 1], [1, 2], [1, np.nan]), {}, r"`times\[1\]` is nan"),
        (([0], [1], [1]), {"bias": "linear"}, "`bias` must be one of .* got 'linear'"),
    ],
)
def test_bad_edges_are_refused(edges, settings, says):
    with pytest.raises(ValueError, match=says):
        walk_index(*edges, n_node=3, **settings)
