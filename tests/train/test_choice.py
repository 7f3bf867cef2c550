"""Which epoch is chosen, and losses of a model's own, on scores written by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.train import Method, Optimiser, Phase, Problem, Scores, lane, train


class Counter(nn.Module):
    """One weight, which counts the steps: every step of Adam at rate 1 adds 1."""

    @nn.compact
    def __call__(self, graph, layout, *, train: bool = False):
        return self.param("kernel", nn.initializers.zeros, (1, 1))


def counted_problem(metric, val, test, choose=None):
    """Split i scores its model after n steps `val[i, n - 1]` and `test[i, n - 1]`.

    By any other metric it scores `-val[i, n - 1]`.
    """

    def score(answers, data, metric=metric):
        at = jnp.round(answers[0, 0]).astype(int) - 1
        sign = -1 if metric == choose else 1
        return Scores(*(sign * part[at] for part in data[1]))

    return Problem(
        data=((), (jnp.asarray(val, jnp.float32), jnp.asarray(test, jnp.float32))),
        n_split=len(val),
        steps=1,
        batch=lambda data, epoch, step, key: (None, None, None),
        loss=lambda answers, target: -answers.sum(),
        answer=lambda forward, data: forward(None, None),
        score=score,
        metric=metric,
        choose=choose,
    )


def followed(val, test, lengths, sign):
    """The same rules in plain Python: (epoch, val, test, oracle, history) of the last phase."""
    at, history, chosen = -1, [], None
    for length in lengths:
        at = -1 if chosen is None else chosen[-1]
        chosen, oracle = None, None
        for _ in range(length):
            at += 1
            history.append(val[at])
            if val[at] == val[at] and (chosen is None or sign * val[at] > sign * chosen[1]):
                chosen = len(history) - 1, val[at], test[at], at
            if test[at] == test[at] and (oracle is None or sign * test[at] > sign * oracle):
                oracle = test[at]
    return *chosen[:3], oracle, history


@pytest.mark.parametrize("metric, sign", [("accuracy", 1), ("mae", -1)])
def test_validation_chooses_and_a_phase_begins_from_its_choice(metric, sign):
    rng = np.random.default_rng(0)
    n = np.nan
    by_hand = [[1, 4, 2, 3, 9, 9, 9], [2, 2, 2, 2, 2, 2, 2], [n, 1, n, 3, n, 5, n]]
    drawn = rng.integers(0, 4, (29, 7)).astype(float)  # Many ties.
    drawn[:10][rng.random((10, 7)) < 0.3] = n
    drawn[:, 6] = 0
    val, test = np.concatenate([by_hand, drawn]), rng.integers(0, 9, (32, 7)).astype(float)
    keep = []
    for i in range(len(val)):
        try:
            followed(val[i], test[i], (4, 3), sign)
            keep.append(i)
        except TypeError:  # A phase without any number; see below.
            continue
    assert len(keep) > 25
    val, test = val[keep], test[keep]
    method = Method("count", (Phase(4), Phase(3)))
    plain = Optimiser(learning_rate=1.0, weight_decay=0.0)
    state = train(
        Counter(), counted_problem(metric, val, test), method,
        [lane(0, split=i) for i in range(len(val))], optimiser=plain,
    ).state  # fmt: skip
    for i in range(len(val)):
        *expected, history = followed(val[i], test[i], (4, 3), sign)
        found = jax.tree.map(lambda leaf, i=i: leaf[i], state.best)
        assert [found.epoch, found.val, found.test, found.oracle] == expected
        np.testing.assert_array_equal(state.val[i], history)


def test_another_metric_may_choose():
    val, test = np.array([[1.0, 4.0, 2.0, 0.0, 3.0]]), np.array([[5.0, 6.0, 7.0, 8.0, 9.0]])
    task = counted_problem("accuracy", val, test, choose="average_precision")
    method = Method("count", (Phase(3), Phase(2)))
    best = train(Counter(), task, method, [lane(0)], optimiser=Optimiser(1.0, 0.0)).state.best
    # The first phase takes its first epoch, so that the second begins there: 4, 2; and takes 2.
    assert (best.choice.item(), best.val.item(), best.test.item()) == (-2.0, 2.0, 7.0)
    assert (best.epoch.item(), best.oracle.item()) == (4, 7.0)


def test_without_a_number_nothing_is_chosen():
    val = np.array([[1.0, 2.0, np.nan, np.nan, np.nan, np.nan, np.nan], [np.nan] * 7])
    method = Method("count", (Phase(2), Phase(3)))
    best = train(
        Counter(), counted_problem("accuracy", val, np.ones((2, 7))), method,
        [lane(0, split=0), lane(0, split=1)], optimiser=Optimiser(1.0, 0.0),
    ).state.best  # fmt: skip
    assert (best.val == -np.inf).all()
    # The first lane keeps the model of its first phase, the second never had one.
    np.testing.assert_allclose(best.model.params["kernel"].ravel(), [2, 0], atol=1e-4)


class Supervised(nn.Module):
    """One weight for the task; one that only losses of the model's own pull, to 3 and to 0."""

    @nn.compact
    def __call__(self, graph, layout, *, train: bool = False):
        own = self.param("own", nn.initializers.zeros, ())
        self.sow("losses", "pull", (own - 3) ** 2)
        self.sow("losses", "hold", own**2)
        return self.param("kernel", nn.initializers.zeros, (1, 1))


def test_losses_of_the_model_are_added_and_leave_no_trace():
    scores = np.ones((1, 60))
    state = train(
        Supervised(), counted_problem("accuracy", scores, scores), Method("dense", (Phase(60),)),
        [lane(0)], optimiser=Optimiser(0.1, 0.0),
    ).state  # fmt: skip
    # The task's own loss is minus the weight, which Adam raises by its rate every step.
    np.testing.assert_allclose(state.model.params["kernel"].ravel(), [6], rtol=1e-4)
    np.testing.assert_allclose(state.model.params["own"], [1.5], atol=0.05)
    # Before the first step: (0 - 3)^2 + 0^2, and the weight is 0.
    np.testing.assert_allclose(state.loss[0, 0], 9, rtol=1e-6)
    assert state.model.stats == {}
