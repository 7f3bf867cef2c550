"""Descent: Adam or SGD on the parameters, Adam on what a quantiser learns, each at its rate."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import optax
from jax import Array

from jgc.prune import hold_at_zero
from jgc.quant import Quant, Quantizer
from jgc.train.kfac import Curvature, Kfac
from jgc.tree import map_named, named_leaves

Scalar = Any  # a Python number, or a traced array without axes


class Optimiser(NamedTuple):
    """Settings of Adam, or of gradient descent with momentum.

    Attributes:
        learning_rate: > 0.
        weight_decay: L2 penalty added to the gradient before the rule, as torch does, >= 0; a
            lane's own may be traced.
        kfac: How gradients of graph convolutions are preconditioned before the decay is added;
            `None` leaves them as they are.
        rule: "adam" or "sgd".
        momentum: Of "sgd", in [0, 1).
        nesterov: "sgd" looks ahead.
        decay: Factor on the rate after every epoch, in (0, 1], counted from the start of a phase;
            or "cosine": half a wave from the full rate towards 0 at its end.
    """

    learning_rate: float = 0.01
    weight_decay: Scalar = 5e-4
    kfac: Kfac | None = None
    rule: str = "adam"
    momentum: float = 0.0
    nesterov: bool = False
    decay: float | str = 1.0

    def remaining(self, age: Array, epochs: Array) -> Array:
        """The share of the rate that is left in an epoch, `[]`.

        Args:
            age: Epochs since the phase began, `[]`.
            epochs: Of the phase, `[]`.

        Example:
            >>> import jax.numpy as jnp
            >>> float(Optimiser(decay=0.5).remaining(jnp.int32(2), jnp.int32(4)))
            0.25
            >>> round(float(Optimiser(decay="cosine").remaining(jnp.int32(2), jnp.int32(4))), 3)
            0.5
        """
        if self.decay == "cosine":
            return 0.5 * (1 + jnp.cos(jnp.pi * age / epochs))
        return jnp.float32(self.decay) ** age


class DescentState(NamedTuple):
    """What Adam carries.

    Attributes:
        params: Of the parameters.
        quant: Of the learned leaves of the quantiser; `None` where it learns none.
        curvature: What K-FAC last measured; `None` without it.
    """

    params: Any
    quant: Any
    curvature: Curvature | None = None


class Descent(NamedTuple):
    """How one phase descends.

    Attributes:
        optimiser: Settings for the parameters.
        hold: Pruned weights are held at zero.
        rate: Factor on all learning rates.
    """

    optimiser: Optimiser
    hold: bool
    rate: Scalar = 1.0

    def init(self, params: Any, learned: dict[str, Array]) -> DescentState:
        """Fresh moments, for parameters and the leaves that `learned_leaves` found."""
        quant = optax.scale_by_adam().init(learned) if learned else None
        return DescentState(self._chain().init(params), quant)

    def params(self, grads, state: DescentState, params, masks) -> tuple[Any, DescentState]:
        """Parameters one step further."""
        updates, moments = self._chain().update(grads, state.params, params, masks=masks)
        return optax.apply_updates(params, updates), state._replace(params=moments)

    def forget(self, state: DescentState, which: Any) -> DescentState:
        """Moments set to 0 where `which`, a tree of bools like the parameters, is True."""
        moments = optax.tree.map_params(
            self._chain(), lambda m, w: jnp.where(w, jnp.zeros_like(m), m), state.params, which
        )
        return state._replace(params=moments)

    def each_moment(self, change, state: DescentState, params) -> DescentState:
        """Moments of the parameters changed one by one, by `change(name, moment)`."""
        names = map_named(lambda name, _: name, params)
        moments = optax.tree.map_params(
            self._chain(), lambda m, name: change(name, m), state.params, names
        )
        return state._replace(params=moments)

    def quant(
        self, grads, state: DescentState, quant, quantizer: Quantizer | None
    ) -> tuple[Any, DescentState]:
        """The quantiser's state one step further; without learned leaves it stays as it is."""
        if not grads or quantizer is None or quantizer.rates is None:
            return quant, state
        update: tuple[Any, Any] = optax.scale_by_adam().update(grads, state.quant)
        directions, moments = update
        leaves, rates = named_leaves(quant), quantizer.rates(quant)
        moved = {name: leaves[name] - self.rate * rates[name] * directions[name] for name in grads}
        return with_leaves(quant, moved), state._replace(quant=moments)

    def _chain(self):
        """The rule with L2; the last link holds pruned weights at zero whatever momentum does."""
        links = [
            optax.add_decayed_weights(self.optimiser.weight_decay),
            _rule(self.optimiser, self.optimiser.learning_rate * self.rate),
        ]
        if self.hold:
            links.append(hold_at_zero())
        return optax.with_extra_args_support(optax.chain(*links))


def _rule(optimiser: Optimiser, rate: Scalar):
    if optimiser.rule == "adam":
        return optax.adam(rate)
    if optimiser.rule == "sgd":
        return optax.sgd(rate, optimiser.momentum or None, optimiser.nesterov)
    raise ValueError(f"`rule` must be 'adam' or 'sgd', got {optimiser.rule!r}.")


def learned_leaves(quantizer: Quantizer | None, quant: Quant | None) -> dict[str, Array]:
    """The leaves of `quant` that descend on the loss, by name.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.quant import Place, a2q
        >>> site = Place((3, 2), jnp.float32, of_nodes=True)
        >>> quantizer = a2q()
        >>> quant = quantizer.init({"kernel": jnp.ones((2, 2))}, {"update": site})
        >>> list(learned_leaves(quantizer, quant))
        ['sites/update/step', 'sites/update/bits']
    """
    if quantizer is None or quantizer.rates is None or quant is None:
        return {}
    leaves = named_leaves(quant)
    return {name: leaves[name] for name in quantizer.rates(quant)}


def with_leaves(quant: Any, leaves: dict[str, Array]) -> Any:
    """A copy of `quant` with other values for some leaves, by name."""
    return map_named(lambda name, leaf: leaves.get(name, leaf), quant) if leaves else quant
