import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics as oracle

from jgc.train.losses import LOSSES, link_loss

# Compiled as a whole: one program a shape instead of one an operation.
JITTED = {kind: jax.jit(loss) for kind, loss in LOSSES.items()}
N = 30


def draw(kind, seed=0):
    rng = np.random.default_rng(seed)
    answers = rng.normal(size=(N, 3)).astype(np.float32)
    if kind == "class":
        return answers, rng.integers(0, 3, N), rng.random(N) < 0.5
    labels = rng.integers(0, 2, (N, 3)).astype(np.float32)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    return answers, labels, rng.random(N) < 0.5


def class_oracle(logits, labels, mask):
    return oracle.log_loss(labels[mask], np.asarray(jax.nn.softmax(logits[mask])), labels=range(3))


def binary_oracle(logits, labels, mask):
    there = mask[:, None] & ~np.isnan(labels)
    return oracle.log_loss(labels[there], np.asarray(jax.nn.sigmoid(logits[there])))


def value_oracle(values, labels, mask):
    there = mask[:, None] & ~np.isnan(labels)
    return oracle.mean_squared_error(labels[there], values[there])


ORACLES = {"class": class_oracle, "binary": binary_oracle, "value": value_oracle}


@pytest.mark.parametrize("kind", LOSSES)
def test_agrees_with_scikit_learn(kind):
    for seed in range(3):
        drawn = draw(kind, seed)
        expected = ORACLES[kind](*drawn)
        assert JITTED[kind](*drawn) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
def test_what_does_not_count_has_no_gradient_and_spoils_none(kind):
    answers, labels, mask = draw(kind)
    gradient = jax.jit(jax.grad(LOSSES[kind]))(answers, labels, mask)
    counts = mask[:, None] & (True if kind == "class" else ~np.isnan(labels))
    assert np.isfinite(gradient).all()
    assert ((gradient != 0) == np.broadcast_to(counts, gradient.shape)).all()


@pytest.mark.parametrize("kind", LOSSES)
def test_nothing_to_count_is_zero_with_zero_gradient(kind):
    answers, labels, mask = draw(kind)
    value, gradient = jax.jit(jax.value_and_grad(LOSSES[kind]))(
        answers, labels, np.zeros_like(mask)
    )
    assert value == 0 and (gradient == 0).all()


@pytest.mark.parametrize("kind", LOSSES)
def test_vmap_over_lanes(kind):
    drawn = [draw(kind, seed) for seed in range(3)]
    together = jax.vmap(LOSSES[kind])(*(np.stack(part) for part in zip(*drawn, strict=True)))
    np.testing.assert_allclose(together, [JITTED[kind](*each) for each in drawn], rtol=1e-6)


def test_the_gradient_of_cross_entropy_is_softmax_minus_one_hot():
    answers, labels, mask = draw("class")
    gradient = jax.jit(jax.grad(LOSSES["class"]))(answers, labels, mask)
    by_hand = np.asarray(jax.nn.softmax(answers)) - np.eye(3)[labels]
    by_hand = by_hand * mask[:, None] / mask.sum()
    np.testing.assert_allclose(gradient, by_hand, atol=1e-7)


def test_link_loss_weighs_both_kinds_alike():
    positive, negative = jnp.array([2.0, -1.0]), jnp.array([0.5, 1.0, -3.0])
    log1p = np.log1p
    # Mean of log(1 + e^-x) over links plus mean of log(1 + e^x) over the others.
    by_hand = (log1p(np.exp(-2)) + log1p(np.exp(1))) / 2
    by_hand += (log1p(np.exp(0.5)) + log1p(np.exp(1)) + log1p(np.exp(-3))) / 3
    assert link_loss(positive, negative) == pytest.approx(by_hand, rel=1e-6)


def test_large_logits_stay_finite():
    logits = jnp.array([[1e4, -1e4]])
    one = jnp.ones(1, bool)
    assert JITTED["class"](logits, jnp.array([1]), one) == 2e4
    assert JITTED["binary"](logits, jnp.array([[0.0, 1.0]]), one) == 1e4
    reference = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.array([0])).mean()
    assert JITTED["class"](logits, jnp.array([0]), one) == reference
