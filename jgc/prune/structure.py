"""Structures: what is pruned as one unit."""

from collections.abc import Callable
from math import prod
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from jgc.tree import input_axis, output_axis


class Structure(NamedTuple):
    """How the entries of a kernel form units, and units form the sets that are ranked together.

    Attributes:
        units: `(name, values) -> [n_set, n_unit]`, the mean of `values` over the entries of each
            unit; 0 for a unit that only pads the last set.
        spread: `(name, kept [n_set, n_unit], shape) -> bool[shape]`, each entry's unit's flag.

    Example:
        >>> kernel = jnp.array([[1.0, 2.0], [3.0, 4.0]])  # two inputs, two neurons
        >>> row.units("kernel", kernel).tolist()
        [[2.0, 3.0]]
    """

    units: Callable[[str, Array], Array]
    spread: Callable[[str, Array, tuple[int, ...]], Array]


# Every weight is its own unit; one set a leaf.
element = Structure(
    units=lambda name, values: values.reshape(1, -1),
    spread=lambda name, kept, shape: kept.reshape(shape),
)


def _row_units(name: str, values: Array) -> Array:
    axis = output_axis(name) % values.ndim
    others = tuple(i for i in range(values.ndim) if i != axis)
    return values.mean(others)[None]


def _row_spread(name: str, kept: Array, shape: tuple[int, ...]) -> Array:
    lined_up = [1] * len(shape)
    lined_up[output_axis(name)] = -1
    return jnp.broadcast_to(kept.reshape(lined_up), shape)


# A unit is a neuron: all weights into one output. That is one COLUMN of a `kernel` [d_in, d_out]
# and one row of an Equinox `weight` [d_out, d_in]; its score is the mean over its weights, so that
# layers of different width compare. Mind the last layer: its outputs are the classes themselves.
row = Structure(units=_row_units, spread=_row_spread)


def _column_units(name: str, values: Array) -> Array:
    axis = input_axis(name) % values.ndim
    return values.mean(tuple(i for i in range(values.ndim) if i != axis))[None]


def _column_spread(name: str, kept: Array, shape: tuple[int, ...]) -> Array:
    lined_up = [1] * len(shape)
    lined_up[input_axis(name)] = -1
    return jnp.broadcast_to(kept.reshape(lined_up), shape)


# A unit is an input: all weights out of it. That is one ROW of a `kernel` [d_in, d_out] and one
# column of an Equinox `weight` [d_out, d_in]. In a first layer it is a feature of the nodes.
column = Structure(units=_column_units, spread=_column_spread)


def block(d_in: int, d_out: int) -> Structure:
    """Blocks of `d_in` inputs by `d_out` outputs; those at the far edges may be smaller.

    Args:
        d_in: Inputs of a block, >= 1. Static.
        d_out: Outputs of a block, >= 1. Static.

    Returns:
        The `Structure`; a block is scored by the mean over its weights.

    Raises:
        ValueError: if a side is below 1.

    Example:
        >>> block(2, 1).units("kernel", jnp.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).tolist()
        [[2.0, 3.0, 5.0, 6.0]]
    """
    if d_in < 1 or d_out < 1:
        raise ValueError(f"`d_in` and `d_out` of a block must be >= 1, got {d_in} and {d_out}.")

    def sides(name: str, shape: tuple[int, ...]) -> list[int]:
        lengths = [1] * len(shape)
        lengths[input_axis(name)], lengths[output_axis(name)] = d_in, d_out
        return lengths

    def tiled(values: Array, lengths: list[int]) -> Array:
        short = [(0, -n % side) for n, side in zip(values.shape, lengths, strict=True)]
        padded = jnp.pad(values, short)
        cut = [m for n, side in zip(padded.shape, lengths, strict=True) for m in (n // side, side)]
        return padded.reshape(cut).sum(tuple(range(1, len(cut), 2)))

    def units(name: str, values: Array) -> Array:
        lengths = sides(name, values.shape)
        total, count = (tiled(x, lengths) for x in (values, jnp.ones(values.shape)))
        return (total / count).reshape(1, -1)

    def spread(name: str, kept: Array, shape: tuple[int, ...]) -> Array:
        lengths = sides(name, shape)
        tiles = [-(-n // side) for n, side in zip(shape, lengths, strict=True)]
        full = kept.reshape(tiles)
        for axis, side in enumerate(lengths):
            full = jnp.repeat(full, side, axis)
        return full[tuple(slice(n) for n in shape)]

    return Structure(units, spread)


def head(features: int) -> Structure:
    """Attention heads: blocks of `features` consecutive outputs of a kernel.

    A block is scored by the mean over its weights. Where `features` does not divide the number of
    outputs, the last head is short.

    Args:
        features: Outputs of a head, >= 1. Static.

    Returns:
        The `Structure`.

    Raises:
        ValueError: if `features` < 1.

    Example:
        >>> head(2).units("kernel", jnp.array([[1.0, 3.0, 5.0]])).tolist()
        [[2.0, 5.0]]

    References:
        Michel, Levy and Neubig, NeurIPS 2019. https://arxiv.org/abs/1905.10650
        Differs: any score of weights, instead of the gradient of a gate.
    """
    if features < 1:
        raise ValueError(f"`features` are the outputs of a head; must be >= 1, got {features}.")

    def units(name: str, values: Array) -> Array:
        neurons = _row_units(name, values)[0]
        of = jnp.arange(neurons.size) // features
        n_head = -(-neurons.size // features)
        total, count = (jnp.zeros(n_head).at[of].add(x) for x in (neurons, 1.0))
        return (total / count)[None]

    def spread(name: str, kept: Array, shape: tuple[int, ...]) -> Array:
        n_neuron = shape[output_axis(name)]
        return _row_spread(name, jnp.repeat(kept[0], features)[:n_neuron], shape)

    return Structure(units, spread)


def n_of_m(m: int) -> Structure:
    """Groups of `m` consecutive inputs of one output; each group is ranked by itself.

    With `per_layer` at sparsity `1 - n/m` exactly `n` weights of each group survive: the N:M
    pattern of sparse tensor cores along the axis that a product sums over. Where `m` does not
    divide the number of inputs, the last group is filled up with pruned weights, as the hardware
    would: of its `r` real weights `min(n, r)` survive.

    Args:
        m: Size of a group, >= 2. Static.

    Returns:
        The `Structure`.

    Raises:
        ValueError: if `m` < 2.

    Example:
        >>> n_of_m(2).units("kernel", jnp.array([[1.0], [2.0], [3.0]])).tolist()
        [[1.0, 2.0], [3.0, 0.0]]

    References:
        Mishra et al., 2021, sec. 3. https://arxiv.org/abs/2104.08378
    """
    if m < 2:
        raise ValueError(f"`m` is the size of a group of inputs; must be >= 2, got {m}.")

    def units(name: str, values: Array) -> Array:
        inputs_last = jnp.moveaxis(values, input_axis(name), -1)
        short = -inputs_last.shape[-1] % m
        padding = [(0, 0)] * (values.ndim - 1) + [(0, short)]
        return jnp.pad(inputs_last, padding).reshape(-1, m)

    def spread(name: str, kept: Array, shape: tuple[int, ...]) -> Array:
        axis = input_axis(name) % len(shape)
        d_in = shape[axis]
        others = tuple(d for i, d in enumerate(shape) if i != axis)
        lined_up = kept.reshape(*others, kept.size // prod(others))[..., :d_in]
        return jnp.moveaxis(lined_up, -1, axis)

    return Structure(units, spread)


# Structures by the names that recipes use; blocks are 4 by 4.
STRUCTURES: dict[str, Structure] = {
    "element": element, "row": row, "column": column, "block": block(4, 4),
}  # fmt: skip


def structure_named(name: str) -> Structure:
    """A structure by name.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> structure_named("row") is row
        True
    """
    if name not in STRUCTURES:
        raise ValueError(f"`structure` must be one of {list(STRUCTURES)}, got {name!r}.")
    return STRUCTURES[name]
