"""One step of Adam by hand, for parameters and for what a quantiser learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.quant import Place, a2q, qat
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
