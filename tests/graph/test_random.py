"""The counter hash: rate, independence and reproducibility of its bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jgc.graph import dropout, hash_bits

N = 1 << 16
# Two-sided; each test asks a few dozen such questions of fixed keys.
P_VALUE = 1e-4
# Written down when the hash was chosen: another word would change every published run.
WORDS = [2136461991, 4102529079, 2289474383]


def bits(seed, shape=(N,)):
    return np.asarray(hash_bits(jax.random.key(seed), shape))


def correlation_bound(n):
    """Correlations of `n` independent pairs are normal with deviation `1 / sqrt(n)`."""
    return stats.norm.isf(P_VALUE / 2 / 32**2) / np.sqrt(n)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.6, 0.999])
def test_rate_lies_within_the_binomial_bound(seed, rate):
    kept = np.asarray(dropout(jnp.ones(N), rate, jax.random.key(seed)))
    n_dropped = (kept == 0).sum()
    low, high = stats.binom.interval(1 - P_VALUE, N, rate)
    assert low <= n_dropped <= high
    np.testing.assert_allclose(kept[kept != 0], 1 / (1 - rate), rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_every_byte_is_uniform(seed):
    for byte in bits(seed)[:, None].view(np.uint8).T:
        assert stats.chisquare(np.bincount(byte, minlength=256)).pvalue > P_VALUE


def test_the_bits_of_a_word_are_independent():
    flags = (bits(0)[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    between = np.corrcoef(flags.T) - np.eye(32)
    assert np.abs(between).max() < correlation_bound(N)


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 64, 1433])
def test_positions_are_independent(lag):
    unit = bits(1) / 2.0**32
    assert abs(np.corrcoef(unit[:-lag], unit[lag:])[0, 1]) < correlation_bound(N - lag)


def test_keys_are_independent():
    draws = np.stack([bits(seed) for seed in range(8)]) / 2.0**32
    split = jax.random.split(jax.random.key(0), 8)
    folded = [jax.random.fold_in(jax.random.key(1), i) for i in range(8)]
    more = [hash_bits(key, (N,)) / 2.0**32 for key in [*split, *folded]]
    between = np.corrcoef(np.vstack([draws, *more])) - np.eye(24)
    assert np.abs(between).max() < correlation_bound(N)
    # Streams that are shifts of one another do not show above; they would share their words.
    assert np.intersect1d(bits(0), bits(1)).size < 10


def test_one_key_gives_one_result_in_programs_and_outside():
    key = jax.random.key(7)
    compiled = jax.jit(hash_bits, static_argnums=1)(key, (50, 3))
    np.testing.assert_array_equal(compiled, bits(7, (50, 3)))
    np.testing.assert_array_equal(compiled.ravel(), bits(7, (150,)))
    assert hash_bits(key, ()).shape == () and hash_bits(key, (0, 3)).shape == (0, 3)


def test_the_words_of_a_key_never_change():
    key = jax.random.fold_in(jax.random.key(0), 7)
    assert hash_bits(key, (3,)).tolist() == WORDS


def test_vmap_over_keys_and_rates_is_a_loop():
    keys = jax.random.split(jax.random.key(0), 4)
    rates = jnp.array([0.1, 0.3, 0.5, 0.9])
    x = jnp.arange(1.0, 21).reshape(4, 5)
    lanes = jax.jit(jax.vmap(dropout, (None, 0, 0)))(x, rates, keys)
    loop = [dropout(x, rate, key) for rate, key in zip(rates, keys, strict=True)]
    np.testing.assert_array_equal(lanes, jnp.stack(loop))


def test_gradient_passes_where_a_value_passed():
    key = jax.random.key(0)
    grad = jax.grad(lambda x: dropout(x, 0.25, key).sum())(jnp.ones(100))
    np.testing.assert_array_equal(grad, dropout(jnp.ones(100), 0.25, key))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 60, float("nan")])
def test_a_rate_that_is_no_probability_is_refused(rate):
    with pytest.raises(ValueError, match=r"`rate` is a probability in \[0, 1\), got"):
        dropout(jnp.ones(3), rate, jax.random.key(0))
