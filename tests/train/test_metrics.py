import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as oracle

from jgc.train import METRICS, larger_is_better
from jgc.train.metrics import accuracy_of_signs, best_cut, roc_auc_of_classes

# Compiled as a whole: one program a shape instead of one an operation.
JITTED = {name: jax.jit(metric) for name, metric in METRICS.items()}
N = 60
ALL = np.ones(N, bool)


def classes(rng, n_class=4):
    """Logits with ties, and labels of which the last class never occurs."""
    return rng.integers(0, 3, (N, n_class)).astype(np.float32), rng.integers(0, n_class - 1, N)


def ranks(rng, n_target=1, tied=True):
    scores = rng.integers(0, 8, (N, n_target)) if tied else rng.normal(size=(N, n_target))
    return scores.astype(np.float32), rng.integers(0, 2, (N, n_target)).astype(np.float32)


def f1_over_all_classes(logits, labels):
    return oracle.f1_score(
        labels, logits.argmax(1), labels=range(logits.shape[1]), average="macro", zero_division=0.0
    )


ORACLES = {
    "accuracy": lambda logits, labels: oracle.accuracy_score(labels, logits.argmax(1)),
    "macro_f1": f1_over_all_classes,
    "roc_auc": lambda s, y: oracle.roc_auc_score(y, s),
    "average_precision": lambda s, y: oracle.average_precision_score(y, s),
    "log_loss": lambda logits, labels: oracle.log_loss(
        labels, jax.nn.softmax(logits), labels=range(logits.shape[1])
    ),
    "mae": lambda v, y: oracle.mean_absolute_error(y, v),
}
DRAWS = {
    "accuracy": classes,
    "macro_f1": classes,
    "roc_auc": ranks,
    "average_precision": ranks,
    "log_loss": classes,
    "mae": ranks,
}


@pytest.mark.parametrize("n_class", [2, 4])
def test_roc_auc_of_classes_agrees_with_scikit_learn(n_class):
    rng = np.random.default_rng(n_class)
    logits, labels = rng.normal(size=(N, n_class)).astype(np.float32), rng.integers(0, n_class, N)
    shares = np.asarray(jax.nn.softmax(logits))
    told = {"y_score": shares[:, 1]} if n_class == 2 else {"y_score": shares, "multi_class": "ovr"}
    expected = oracle.roc_auc_score(labels, **told)
    assert float(roc_auc_of_classes(logits, labels, ALL)) == pytest.approx(expected, abs=1e-6)


def test_accuracy_of_signs_by_hand():
    scores = np.array([[1.0, -1.0], [2.0, 0.5], [-3.0, 4.0], [9.0, 9.0]], np.float32)
    labels = np.array([[1.0, 1.0], [0.0, np.nan], [0.0, 1.0], [0.0, 0.0]], np.float32)
    mask = np.array([True, True, True, False])
    # Two of three in the first column, one of two in the second.
    assert float(accuracy_of_signs(scores, labels, mask)) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_every_metric_has_an_oracle():
    assert set(METRICS) == set(ORACLES) == set(DRAWS)
    assert [name for name in METRICS if not larger_is_better(name)] == ["log_loss", "mae"]


@pytest.mark.parametrize("share", [1.0, 0.4])
@pytest.mark.parametrize("name", METRICS)
def test_agrees_with_scikit_learn_on_the_masked_items(name, share):
    rng = np.random.default_rng(7)
    metric = JITTED[name]
    for _ in range(5):
        answers, labels = DRAWS[name](rng)
        mask = rng.random(N) < share
        expected = ORACLES[name](answers[mask], labels[mask])
        assert metric(answers, labels, mask) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "mae"])
def test_several_targets_with_missing_labels(name, tied):
    rng = np.random.default_rng(3)
    answers, labels = ranks(rng, 3, tied)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    mask = rng.random(N) < 0.7
    there = mask[:, None] & ~np.isnan(labels)
    each = [ORACLES[name](answers[t, i], labels[t, i]) for i in range(3) for t in [there[:, i]]]
    if name == "mae":  # Over all entries, not over targets first.
        each = [ORACLES[name](answers[there], labels[there])]
    assert JITTED[name](answers, labels, mask) == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_what_the_mask_leaves_out_never_counts(name):
    answers, labels = DRAWS[name](np.random.default_rng(1))
    mask = np.arange(N) % 3 == 0
    spoiled = np.where(mask[:, None], answers, np.nan)
    assert JITTED[name](spoiled, labels, mask) == JITTED[name](answers, labels, mask)
    if labels.dtype.kind == "f":
        unlabelled = np.where(mask[:, None], labels, np.nan)
        assert JITTED[name](answers, unlabelled, ALL) == JITTED[name](answers, labels, mask)


@pytest.mark.parametrize("name", METRICS)
def test_a_nan_answer_has_no_score(name):
    answers, labels = DRAWS[name](np.random.default_rng(1))
    answers[5, -1] = np.nan
    assert np.isnan(JITTED[name](answers, labels, ALL))


@pytest.mark.parametrize("name", METRICS)
def test_vmap_over_lanes(name):
    rng = np.random.default_rng(2)
    pairs = [DRAWS[name](rng) for _ in range(3)]
    answers, labels = (np.stack(part) for part in zip(*pairs, strict=True))
    masks = rng.random((3, N)) < 0.6
    alone = [JITTED[name](*each) for each in zip(answers, labels, masks, strict=True)]
    together = jax.vmap(METRICS[name])(answers, labels, masks)
    np.testing.assert_allclose(together, np.array(alone), rtol=1e-6)


def test_one_class_has_no_auc_and_is_left_out_of_the_mean():
    scores = np.array([[1.0, 0.1], [2.0, 0.9], [3.0, 0.4], [4.0, 0.3]], np.float32)
    labels = np.array([[1, 0], [1, 1], [1, 0], [1, 1]], np.float32)
    mask = np.ones(4, bool)
    # Second target: of the four (positive, negative) pairs, 0.3 < 0.4 is the only one lost.
    assert JITTED["roc_auc"](scores, labels, mask) == 0.75
    for only in (0.0, 1.0):
        assert np.isnan(JITTED["roc_auc"](scores[:, 0], np.full(4, only), mask))
    assert np.isnan(JITTED["average_precision"](scores[:, 0], np.zeros(4), mask))
    assert JITTED["average_precision"](scores[:, 0], np.ones(4), mask) == 1.0


@pytest.mark.parametrize("name", METRICS)
def test_an_empty_mask_has_no_score_or_zero(name):
    answers, labels = DRAWS[name](np.random.default_rng(4))
    value = JITTED[name](answers, labels, ~ALL)
    # A class without items counts 0 in macro F1, so all of them do.
    assert value == 0 if name == "macro_f1" else np.isnan(value)


def test_infinite_scores_rank_like_any_other():
    scores = np.array([np.inf, np.inf, 1.0, -np.inf, -np.inf], np.float32)
    labels = np.array([1, 0, 1, 0, 1])
    mask = np.ones(5, bool)
    finite = np.array([9.0, 9.0, 1.0, -9.0, -9.0], np.float32)
    for name in ("roc_auc", "average_precision"):
        expected = JITTED[name](finite, labels, mask)
        assert JITTED[name](scores, labels, mask) == expected
        more = np.append(scores, np.full(20, np.inf, np.float32)), np.append(labels, np.zeros(20))
        padded = JITTED[name](*more, np.append(mask, np.zeros(20, bool)))
        assert padded == pytest.approx(float(expected), rel=1e-6)  # Sums of another length.


def test_more_pairs_than_an_int32_holds():
    n = 100_000
    scores = jnp.arange(n, dtype=jnp.float32)
    labels = jnp.arange(n) % 2
    # Positive 2i+1 beats the i+1 negatives 0..2i: the mean of (i+1) / (n/2) over i < n/2.
    expected = (n / 2 + 1) / n
    value = JITTED["roc_auc"](scores, labels, jnp.ones(n, bool))
    assert value == pytest.approx(expected, abs=1e-5)


def test_hand_numbers():
    logits = np.array([[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]], np.float32)
    labels = np.array([0, 1, 1, 0])
    four = np.ones(4, bool)
    assert JITTED["accuracy"](logits, labels, four) == 0.5
    # F1: class 0 = 2*1/(2+2), class 1 = 2*1/(1+2), class 2 = 0.
    assert JITTED["macro_f1"](logits, labels, four) == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    scores, truth = np.array([0.1, 0.4, 0.35, 0.8], np.float32), np.array([0, 0, 1, 1])
    assert JITTED["roc_auc"](scores, truth, four) == 0.75
    # Precision at 0.8 is 1/1, at 0.35 it is 2/3.
    assert JITTED["average_precision"](scores, truth, four) == pytest.approx((1 + 2 / 3) / 2)
    values, truth = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[2.0, 2.0], [np.nan, 1.0]])
    assert JITTED["mae"](values, truth, four[:2]) == pytest.approx((1 + 0 + 4) / 3)


@pytest.mark.parametrize("seed", range(4))
def test_no_cut_is_better_than_the_best(seed):
    rng = np.random.default_rng(seed)
    scores, labels = ranks(rng, tied=seed % 2 == 0)
    scores, labels = scores[:, 0] + labels[:, 0], labels[:, 0].astype(int)
    cuts = np.append(scores, -np.inf)
    rates = [((scores > cut) == labels).mean() for cut in cuts]
    found = float(jax.jit(best_cut)(scores, labels))
    assert found in cuts and ((scores > found) == labels).mean() == max(rates)


def test_a_cut_where_one_class_is_all_there_is():
    assert best_cut(jnp.array([1.0, 2.0]), jnp.array([1, 1])) == -jnp.inf
    assert best_cut(jnp.array([1.0, 2.0]), jnp.array([0, 0])) == 2
