"""The types of quantisation: a bundle of pure functions and what passes between them."""

from typing import Any, NamedTuple, Protocol

import jax
from jax import Array

from jgc.quant.grid import Grid
from jgc.quant.ranges import RangeState

Params = Any  # a pytree of arrays


class Site(NamedTuple):
    """What is known of the values at one site of a model.

    Attributes:
        range: Range of the real values seen so far.
        bits: Width of their codes, int32 `[]`.
    """

    range: RangeState
    bits: Array


class Quant(NamedTuple):
    """Everything of a quantiser that changes or differs between lanes; arrays only.

    Attributes:
        weights: For each quantised leaf, by name, what its grid needs: its bits, int32 `[]`.
        sites: For each quantised site, by path, its `Site`.
    """

    weights: dict[str, Any]
    sites: dict[str, Any]


class InitFn(Protocol):
    """Starts a quantiser."""

    def __call__(self, params: Params, sites: dict[str, jax.ShapeDtypeStruct]) -> Quant:
        """The state before the first value; `sites` are the model's, by path."""
        ...


class WeightFn(Protocol):
    """Quantises weights."""

    def __call__(self, quant: Quant, params: Params) -> Params:
        """A fake-quantised copy; hand over masked parameters, zeros stay zero."""
        ...


class ValueFn(Protocol):
    """Quantises the values at a site."""

    def __call__(
        self,
        quant: Quant,
        site: str,
        x: Array,
        mask: Array | None,
        key: Array | None,
        train: bool,
    ) -> tuple[Array, Quant]:
        """Fake-quantised values `[n, ...]` and the quantiser with its ranges brought up to date.

        `mask` is bool `[n]`, True = real. `train` is static.
        """
        ...


class CostFn(Protocol):
    """What the quantiser adds to the loss."""

    def __call__(self, quant: Quant) -> Array:
        """Float32 `[]`, for instance the memory penalty of learned bits."""
        ...


class GridsFn(Protocol):
    """The grids of the weights, for packing."""

    def __call__(self, quant: Quant, params: Params) -> dict[str, Grid]:
        """The grid of every quantised leaf by name; `weight` is `fake_quant` over them."""
        ...


class Quantizer(NamedTuple):
    """A bundle of pure functions; every setting was fixed when it was built.

    Attributes:
        init: `(params, sites) -> Quant`.
        weight: `(quant, params) -> params`, fake-quantised.
        value: `(quant, site, x, mask, key, train) -> (x, quant)`.
        cost: `(quant) -> []`.
        grids: `(quant, params) -> {name: Grid}`.
        symmetric_weights: Whether the grids' codes are -q..q; needed to pack them.
    """

    init: InitFn
    weight: WeightFn
    value: ValueFn
    cost: CostFn
    grids: GridsFn
    symmetric_weights: bool
