"""Steps of Adam and of plain descent by hand, for parameters and for what a quantiser learns."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import from_edges, layout
from jgc.quant import Place, a2q, qat
from jgc.train import Method, Phase, Problem, Scores, lane, train
from jgc.train.descent import Descent, Optimiser, learned_leaves, with_leaves

PARAMS = {"kernel": jnp.ones((3, 2))}
PLACES = {"update": Place((3, 2), jnp.float32, of_nodes=True)}
QUANTIZER = a2q(4, step_rate=0.1, bits_rate=0.5)


def started():
    quant = QUANTIZER.init(PARAMS, PLACES)
    x = jnp.array([[15.0, 0.0], [30.0, 1.0], [60.0, 2.0]])
    return QUANTIZER.value(quant, "update", x, None, None, True)[1]


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.0])
def test_learned_leaves_take_their_own_rates(rate):
    quant = started()
    leaves = learned_leaves(QUANTIZER, quant)
    descent = Descent(Optimiser(), False, rate)
    state = descent.init(PARAMS, leaves)
    slopes = {name: jnp.array([3.0, -0.2, 0.0]) for name in leaves}
    moved, state = descent.quant(slopes, state, quant, QUANTIZER)
    # Adam's first update is the sign of the gradient; steps 1, 2, 4 move by a tenth of themselves.
    np.testing.assert_allclose(
        moved.sites["update"].step, [1 - 0.1 * rate, 2 + 0.2 * rate, 4], rtol=1e-5
    )
    np.testing.assert_allclose(
        moved.sites["update"].bits, [4 - 0.5 * rate, 4 + 0.5 * rate, 4], rtol=1e-5
    )
    others = [name for name in quant.sites["update"]._fields if name not in ("step", "bits")]
    for name in others:
        np.testing.assert_array_equal(
            getattr(moved.sites["update"], name), getattr(quant.sites["update"], name)
        )


def test_steps_stay_above_zero_however_steep_the_slope():
    quant, descent = started(), Descent(Optimiser(), False)
    quantizer = a2q(4, step_rate=0.15)
    state = descent.init(PARAMS, learned_leaves(quantizer, quant))

    def turn(i, carry):
        quant, state, least = carry
        # Flat for long, then steep: Adam's updates are 6.57 rates at their largest.
        slope = jnp.full(3, jnp.where(i < 9000, 0.0, 1.0))
        slopes = {name: slope for name in learned_leaves(quantizer, quant)}
        moved, state = descent.quant(slopes, state, quant, quantizer)
        left = moved.sites["update"].step / quant.sites["update"].step
        return moved, state, jnp.minimum(least, left.min())

    start = quant, state, jnp.float32(1)
    *_, least = jax.jit(lambda c: jax.lax.fori_loop(0, 9030, turn, c))(start)
    assert 0.01 < least < 0.02  # 1 - 0.15 * 6.57


def test_without_learned_leaves_nothing_is_carried():
    quantizer = qat(4)
    quant = quantizer.init(PARAMS, PLACES)
    assert learned_leaves(quantizer, quant) == learned_leaves(None, None) == {}
    descent = Descent(Optimiser(), False)
    state = descent.init(PARAMS, {})
    assert state.quant is None
    after, same = descent.quant({}, state, quant, quantizer)
    assert after is quant and same is state and with_leaves(quant, {}) is quant


def test_parameters_descend_as_by_torchs_adam():
    torch = pytest.importorskip("torch", reason="torch's Adam is the oracle")
    weight = torch.nn.Parameter(torch.ones(3, 2))
    theirs = torch.optim.Adam([weight], lr=0.02, weight_decay=0.1)
    descent, params = Descent(Optimiser(0.02, 0.1), False), PARAMS
    state = descent.init(params, {})
    for i in range(3):
        slope = np.arange(6, dtype=np.float32).reshape(3, 2) - i
        weight.grad = torch.from_numpy(slope)
        theirs.step()
        params, state = descent.params({"kernel": jnp.asarray(slope)}, state, params, None)
    np.testing.assert_allclose(params["kernel"], weight.detach().numpy(), rtol=1e-5)


def test_what_is_forgotten_moves_as_at_the_first_step():
    descent, which = Descent(Optimiser(0.1, 0.0), True), jnp.zeros((3, 2), bool).at[1, 0].set(True)
    state = descent.init(PARAMS, {})
    masks, grads = {"kernel": jnp.ones((3, 2), bool)}, {"kernel": jnp.ones((3, 2))}
    _, state = descent.params(grads, state, PARAMS, masks)
    _, forgot = descent.params(
        {"kernel": -grads["kernel"]}, descent.forget(state, {"kernel": which}), PARAMS, masks
    )
    moments = jax.tree.leaves(forgot.params)
    first, second = (leaf for leaf in moments if leaf.ndim == 2)
    # Adam's moments of a slope of 1 and then -1, and of -1 alone.
    np.testing.assert_allclose(first, np.where(which, -0.1, 0.9 * 0.1 - 0.1), atol=1e-7)
    np.testing.assert_allclose(second, np.where(which, 0.001, 0.999 * 0.001 + 0.001), rtol=1e-4)


def descended(optimiser, slopes, rate=1.0):
    """Where a weight of 1 ends after some gradients."""
    descent = Descent(optimiser, False, rate)
    params = {"kernel": jnp.ones(())}
    state = descent.init(params, {})
    for slope in slopes:
        params, state = descent.params({"kernel": jnp.float32(slope)}, state, params, None)
    return float(params["kernel"])


def test_gradient_descent_by_hand():
    sgd = Optimiser(0.1, 0.0, rule="sgd")
    assert descended(sgd, [2.0, 1.0]) == pytest.approx(1 - 0.2 - 0.1)
    assert descended(sgd, [2.0], rate=0.5) == pytest.approx(1 - 0.1)
    # Velocities 2 and 1 + 0.9 * 2 = 2.8; with Nesterov the steps are g + 0.9 v: 3.8 and 3.52.
    assert descended(sgd._replace(momentum=0.9), [2.0, 1.0]) == pytest.approx(1 - 0.2 - 0.28)
    ahead = sgd._replace(momentum=0.9, nesterov=True)
    assert descended(ahead, [2.0, 1.0]) == pytest.approx(1 - 0.38 - 0.352)
    # The penalty is part of the gradient, and so of the velocity: 2 + 0.5, then 1 + 0.5 * 0.75.
    decayed = sgd._replace(weight_decay=0.5, momentum=0.9)
    assert descended(decayed, [2.0, 1.0]) == pytest.approx(1 - 0.25 - 0.1 * (1.375 + 0.9 * 2.5))


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="`rule` must be 'adam' or 'sgd', got 'lion'"):
        descended(Optimiser(rule="lion"), [1.0])


@pytest.mark.parametrize("decay", [1.0, 0.5, "cosine"])
def test_the_rate_falls_from_the_start_of_every_phase(decay):
    """A weight whose gradient is always 1, over two phases: how far it came, epoch by epoch."""

    class Slope(nn.Module):
        @nn.compact
        def __call__(self, graph, layout=None, *, train=False):
            weight = self.param("kernel", nn.initializers.zeros, ())
            return weight * jnp.ones(layout.n_node)

    graph = from_edges([], [], n_node=2, nodes=np.ones((2, 1), np.float32))
    task = Problem(
        data=((graph, layout(graph)), jnp.zeros(1)),
        n_split=1,
        steps=1,
        batch=lambda data, *at: (*data[0], None),
        loss=lambda answers, target: answers[0],
        answer=lambda forward, data: forward(*data[0]),
        # Later is better, and its score says where it is.
        score=lambda answers, data, metric="mae": Scores(answers[0], answers[0]),
        metric="mae",
    )
    sgd = Optimiser(1.0, 0.0, rule="sgd", decay=decay)
    done = train(Slope(), task, Method("two", (Phase(4), Phase(2))), [lane(0)], optimiser=sgd)
    steps = -np.diff(done.state.val[0], prepend=0)
    fall = {1.0: [1] * 6, 0.5: [1, 0.5, 0.25, 0.125, 1, 0.5]}.get(
        decay, [*(0.5 + 0.5 * np.cos(np.pi * np.arange(4) / 4)), 1, 0.5]
    )
    np.testing.assert_allclose(steps, fall, atol=1e-6)
