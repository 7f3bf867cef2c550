"""Skip-gram: its step is the gradient of its objective, and nodes of one company come together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import SkipGram, skip_gram
from jgc.graph.skip_gram import _moved, _noise, _packed, _Share, _Tables

KEY = jax.random.key(0)
WALKS = jnp.array([[0, 1, 2, 1], [3, 4, -1, -1], [5, 0, 3, 3]])
# The last row holds two walks.
BEGINS = jnp.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 2, 2]])
DRAWN = jnp.array([[2, 0, 5, 5], [1, 1, 3, 0], [4, 2, 2, 0]])
SHARE = _Share(np.array([[0, 2, 1, 0], [2, 0, 2, 1], [1, 2, 0, 2], [0, 1, 2, 0]]) / 2.0, 0.75)


def tables(n_node=6, width=3):
    first, second = np.random.default_rng(0).normal(size=(2, n_node, width)).astype(np.float32)
    return _Tables(jnp.asarray(first), jnp.asarray(second), jnp.zeros(n_node))


def objective(vectors):
    """Word2vec's, pair by pair: each with its weight, and against all that its walk drew."""
    first, second = vectors
    total = 0.0
    for row, begins, negatives in zip(*(a.tolist() for a in (WALKS, BEGINS, DRAWN)), strict=True):
        for i, here in enumerate(row):
            for j, there in enumerate(row):
                if i == j or here < 0 or there < 0 or begins[i] != begins[j]:
                    continue
                against = sum(jax.nn.log_sigmoid(-first[here] @ second[k]) for k in negatives)
                pair = jax.nn.log_sigmoid(first[here] @ second[there]) + SHARE.drawn * against
                total += SHARE.pairs[i, j] * pair
    return total


def test_a_small_step_is_along_the_gradient():
    start = tables()
    slopes = jax.grad(objective)(start[:2])
    moved = _moved(start, WALKS, BEGINS, DRAWN, SHARE, jnp.float32(0.01))
    for before, after, slope in zip(start[:2], moved[:2], slopes, strict=True):
        np.testing.assert_allclose(after - before, 0.01 * slope, atol=2e-6)
    assert not moved.load.any()


def test_a_large_step_is_scaled_back_node_by_node():
    # One pair (0, 1) and back, weight 1, rate 4: outer rows would move by 4, inner ones by 4 * 7.
    start = tables()
    share = _Share(np.array([[0.0, 1], [1, 0]]), 3.0)
    walks, drawn = jnp.array([[0, 1]]), jnp.array([[2, 3]])
    moved = _moved(start, walks, 0 * walks, drawn, share, jnp.float32(4.0))
    small = _moved(start, walks, 0 * walks, drawn, share, jnp.float32(1e-3))
    of_small = (1000 * (after - before) for before, after in zip(start[:2], small[:2], strict=True))
    first, second = of_small
    np.testing.assert_allclose(moved.first - start.first, first / 7, atol=1e-3)
    # Drawn rows: 3 * (1 + 1) at rate 1.
    by = np.array([1, 1, 6, 6, 1, 1])[:, None]
    np.testing.assert_allclose(moved.second - start.second, second / by, atol=1e-3)


def test_ends_of_walks_are_no_node():
    start = tables()
    longer = jnp.pad(WALKS, ((0, 0), (0, 2)), constant_values=-1)
    share = _Share(np.pad(SHARE.pairs, (0, 2), constant_values=1.0), SHARE.drawn)
    short = _moved(start, WALKS, BEGINS, DRAWN, SHARE, jnp.float32(0.1))
    long = _moved(start, longer, jnp.pad(BEGINS, ((0, 0), (0, 2))), DRAWN, share, jnp.float32(0.1))
    for a, b in zip(short, long, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_walks_lie_one_behind_the_other():
    nodes, _ = _packed(np.array([[1, 2, -1, -1], [3, -1, -1, -1], [4, 5, -1, -1], [6, 7, 8, -1]]))
    assert nodes.tolist() == [[1, 2, -1], [4, 5, -1], [6, 7, 8]]
    nodes, begins = _packed(np.array([[1, 2, -1, -1], [4, 5, -1, -1], [6, 7, 8, 6]]))
    assert nodes.tolist() == [[1, 2, 4, 5], [6, 7, 8, 6]]
    assert begins.tolist() == [[0, 0, 2, 2], [0, 0, 0, 0]]
    assert _packed(np.array([[3, -1]]))[0].tolist() == [[-1, -1]]


def test_negatives_are_drawn_by_the_power_of_counts():
    noise = _noise(np.array([16, 0, 1, 81]))
    found = np.bincount(noise, minlength=4) / noise.size
    np.testing.assert_allclose(found, np.array([8, 0, 1, 27]) / 36, atol=1e-4)
    assert noise.size & (noise.size - 1) == 0


def communities(n_walk=400, length=6):
    """Walks of 20 nodes in two halves, a step in ten to the other half; node 20 in none."""
    rng = np.random.default_rng(0)
    half = (rng.integers(0, 2, (n_walk, 1)) + (rng.random((n_walk, length)) < 0.1)) % 2
    return rng.integers(0, 10, (n_walk, length)) + 10 * half


def test_halves_come_apart_and_who_is_in_no_walk_has_zeros():
    settings = SkipGram(width=4, epochs=5, batch=60)
    x = np.asarray(skip_gram(communities(), n_node=21, key=KEY, settings=settings))
    assert x.shape == (21, 4) and x.dtype == np.float32 and not x[20].any()
    unit = x[:20] / np.linalg.norm(x[:20], axis=1, keepdims=True)
    near = unit @ unit.T
    assert near[:10, :10].mean() > near[:10, 10:].mean() + 0.2
    again = skip_gram(communities(), n_node=21, key=KEY, settings=settings)
    np.testing.assert_array_equal(x, again)


def test_the_busiest_node_does_not_run_away():
    """In every pair of every walk, and all walks in one step."""
    walks = np.stack([np.zeros(3000, int), np.arange(3000) % 50], 1)
    settings = SkipGram(width=4, epochs=20, rate=0.5, batch=6000)
    assert np.abs(skip_gram(walks, n_node=50, key=KEY, settings=settings)).max() < 20


@pytest.mark.parametrize(
    ("walks", "settings", "says"),
    [
        ([[0, 9]], SkipGram(), "`walks` has node 9; there are nodes 0..4"),
        ([[-1, -1]], SkipGram(), "hold a node"),
        ([0, 1], SkipGram(), r"must be \[n_walk, length\]"),
        ([[0, 1]], SkipGram(window=0), "`window` must be above 0, got 0"),
        ([[0, 1]], SkipGram(rate=-1.0), "`rate` must be above 0"),
    ],
)
def test_bad_walks_and_settings_are_refused(walks, settings, says):
    with pytest.raises(ValueError, match=says):
        skip_gram(walks, n_node=5, key=KEY, settings=settings)


@pytest.mark.slow
def test_as_good_as_gensim_and_as_fast():
    """The same walks and settings: halves as far apart, in no more time (both warmed up)."""
    word2vec = pytest.importorskip("gensim.models", reason="gensim is not installed").Word2Vec
    from time import perf_counter

    walks = np.concatenate([communities(20_000)] * 2)

    def ours():
        settings = SkipGram(width=8)
        return np.asarray(skip_gram(walks, n_node=20, key=KEY, settings=settings))

    def theirs():
        words = [list(map(str, walk)) for walk in walks]
        began = perf_counter()
        model = word2vec(
            words, vector_size=8, window=10, negative=5, sg=1, sample=0, min_count=0, epochs=1,
            workers=2, alpha=0.025, min_alpha=2.5e-6, seed=0,
        )  # fmt: skip
        return np.stack([model.wv[str(i)] for i in range(20)]), perf_counter() - began

    def apart(x):
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        near = unit @ unit.T
        return near[:10, :10].mean() - near[:10, 10:].mean()

    ours()
    began = perf_counter()
    x = ours()
    own_time = perf_counter() - began
    y, peer_time = theirs()
    assert apart(x) > apart(y) - 0.1 and own_time < peer_time
