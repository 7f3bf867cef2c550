"""`qat`: uniform quantisation-aware training at 2 to 8 bits."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.quant.grid import Grid, affine_grid, fake_quant, q_bounds, symmetric_grid
from jgc.quant.ranges import RangeState, extremes, no_range, range_rule
from jgc.quant.types import ByteGrid, Params, Quant, Quantizer, Site, Spec
from jgc.tree import PathPredicate, chosen, is_kernel, map_named, named_leaves, output_axis


def not_output(site: str) -> bool:
    """Whether a site is quantised by default: all but those whose path ends in `output`.

    Differs: Degree-Quant quantises the last layer like any other; logits are read, not computed
    with, so here they stay float.

    Example:
        >>> not_output("conv1/message"), not_output("output"), not_output("conv2/output")
        (True, False, False)
    """
    return site.rsplit("/", 1)[-1] != "output"


def qat(
    bits,
    *,
    bits_values=None,
    symmetric_weights: bool = True,
    symmetric_values: bool = False,
    per_channel: bool = True,
    clip_gradient: bool = True,
    ranges: str = "per",
    is_quantized: PathPredicate = is_kernel,
    is_site: Callable[[str], bool] = not_output,
) -> Quantizer:
    """Fake-quantises weights and values with straight-through gradients.

    Weights take their grid from their own range at every call, so it follows training and pruned
    zeros stay exactly 0. Values have one running range a site, over real entries only. Biases,
    batch norm and attention vectors stay float.

    Args:
        bits: Width of weights in 2..8: a Python int (checked) or a traced scalar (not checked).
            It travels in `Quant`: one compiled program serves all widths.
        bits_values: Width of values; by default `bits`.
        symmetric_weights: Codes -q..q for weights, else affine 0..2^b - 1. Static.
        symmetric_values: The same for values. Static.
        per_channel: One weight scale an output channel, else one a tensor. Static.
        clip_gradient: Gradient 0 where values are clipped ("gc"), else 1 ("ste"). Static.
        ranges: How value ranges run: "abs" extremes so far, "mom" moving average, "per"
            percentiles, "per-sample" those of a sample. A moving average of 0.01 a step lags behind
            values that grow over a few hundred steps: on links of Cora it cost 3 points, so
            percentiles are the default.
        is_quantized: Which leaves are quantised, `(name, leaf) -> bool`.
        is_site: Which sites are quantised, `(path) -> bool`.

    Returns:
        The `Quantizer`. In evaluation (`train=False`) stored ranges are used and not changed; a
        site that has never seen a value uses the range of the values at hand, without storing it.

    Raises:
        ValueError: if `bits` or `bits_values` is outside 2..8, `ranges` is unknown; from `init` if
            `is_quantized` matches no leaf; from `value` for a site that `init` was not told of.

    Example:
        >>> from jgc.quant import Place
        >>> quantizer = qat(bits=4)
        >>> params = {"kernel": jnp.array([[7.0], [-2.6]])}
        >>> quant = quantizer.init(params, {"message": Place((2, 1), jnp.float32)})
        >>> quantizer.weight(quant, params)["kernel"].tolist()
        [[7.0], [-3.0]]
        >>> x = jnp.array([[0.0], [1.5]])
        >>> x, quant = quantizer.value(quant, "message", x, None, None, True)
        >>> x.tolist(), float(quant.sites["message"].range.hi)
        ([[0.0], [1.5]], 1.5)

    References:
        Jacob et al., CVPR 2018, sec. 3. https://arxiv.org/abs/1712.05877
        Tailor et al. (Degree-Quant), ICLR 2021, the QAT baseline. https://arxiv.org/abs/2008.05000
    """
    bits_values = bits if bits_values is None else bits_values
    check_bits("bits", bits)
    check_bits("bits_values", bits_values)
    observe = range_rule(ranges)

    def init(params: Params, sites: Mapping[str, Any]) -> Quant:
        names = chosen(params, is_quantized, "is_quantized")
        return Quant(
            weights={name: jnp.array(bits, jnp.int32) for name in names},
            sites={
                site: Site(no_range(), jnp.array(bits_values, jnp.int32))
                for site in sites
                if is_site(site)
            },
        )

    def grids(quant: Quant, params: Params) -> dict[str, Grid]:
        leaves = named_leaves(params)
        missing = [name for name in quant.weights if name not in leaves]
        if missing:
            raise ValueError(f"`params` lacks {missing}, which `quant` holds; got {list(leaves)}.")
        return {
            name: _weight_grid(name, leaves[name], b, symmetric_weights, per_channel)
            for name, b in quant.weights.items()
        }

    def weight(quant: Quant, params: Params) -> Params:
        by_name = grids(quant, params)

        def rounded(name: str, leaf: Array) -> Array:
            if name not in by_name:
                return leaf
            return fake_quant(
                leaf, by_name[name], symmetric=symmetric_weights, clip_gradient=clip_gradient
            )

        return map_named(rounded, params)

    def value(quant: Quant, site: str, x, mask, key, train: bool) -> tuple[Array, Quant]:
        del key
        if not is_site(site):
            return x, quant
        if site not in quant.sites:
            raise ValueError(f"`site` {site!r} is not one that `init` saw: {list(quant.sites)}.")
        state, b = quant.sites[site]
        if train:
            state = observe(state, jax.lax.stop_gradient(x), mask, b)
            quant = quant._replace(sites={**quant.sites, site: Site(state, b)})
        grid = _value_grid(_seen_or_own(state, x, mask), b, symmetric_values)
        y = fake_quant(x, grid, symmetric=symmetric_values, clip_gradient=clip_gradient)
        return y, quant

    def byte_grid(quant: Quant, site: str) -> ByteGrid | None:
        state = quant.sites.get(site)
        if not isinstance(state, Site):
            return None
        scale, zero, b = _value_grid(state.range, state.bits, symmetric_values)
        low, high = q_bounds(b, symmetric=symmetric_values)
        return ByteGrid(scale, zero - low, high - low)

    def cost(quant: Quant) -> Array:
        del quant
        return jnp.zeros(())

    return Quantizer(
        init,
        weight,
        value,
        cost,
        grids,
        symmetric_weights,
        stored=lambda quant: together(quant.sites),
        byte_grid=byte_grid,
        unpack=apart,
        spec=Spec(
            "qat",
            (("symmetric_weights", symmetric_weights), ("symmetric_values", symmetric_values)),
        ),
    )


def together(sites: dict[str, Site]) -> dict[str, Array]:
    """The ranges of all sites as three arrays, which cost a small file less than one a number.

    Args:
        sites: Of `Quant`.

    Returns:
        `lo` and `hi`, float32 `[n_site]`, and `bits`, uint8 `[n_site]`, sites in alphabetical
        order. Of how often a site was seen only remains whether it was: a range that never was
        runs from infinity down. `apart` undoes it.

    Example:
        >>> seen = RangeState(jnp.int32(9), jnp.float32(0), jnp.float32(1))
        >>> sites = {"b": Site(seen, jnp.int32(4)), "a": Site(no_range(), jnp.int32(8))}
        >>> stored = together(sites)
        >>> stored["hi"].tolist(), stored["bits"].tolist()
        ([-inf, 1.0], [8, 4])
        >>> {name: int(site.range.count) for name, site in apart(stored, sites).items()}
        {'a': 0, 'b': 1}
    """
    inner = [sites[name] for name in sorted(sites)]

    def ends(key: str, blank: float) -> Array:
        ranges = [site.range for site in inner]
        found = [jnp.where(r.count == 0, blank, getattr(r, key)) for r in ranges]
        return jnp.array(found, jnp.float32)

    return {
        "lo": ends("lo", jnp.inf),
        "hi": ends("hi", -jnp.inf),
        "bits": jnp.array([site.bits for site in inner], jnp.uint8),
    }


def apart(stored: Mapping[str, Any], names: Iterable[str]) -> dict[str, Site]:
    """The sites of `Quant` again, from what `together` made of them.

    Args:
        stored: `lo`, `hi` and `bits`.
        names: Of the quantised sites, in any order.

    Returns:
        `{name: Site}`.

    Raises:
        ValueError: if there are more or fewer names than sites.

    Example:
        >>> seen = Site(RangeState(jnp.int32(9), jnp.float32(0), jnp.float32(1)), jnp.int32(4))
        >>> float(apart(together({"input": seen}), ["input"])["input"].range.hi)
        1.0
    """
    names, keys = sorted(names), ("lo", "hi", "bits")
    shapes = {key: np.shape(stored.get(key, ())) for key in keys}
    if set(shapes.values()) != {(len(names),)}:
        raise ValueError(f"`names` are {len(names)} sites, `stored` has shapes {shapes}: {names}.")
    lo, hi, bits = (jnp.asarray(stored[key]) for key in keys)
    seen = lo <= hi
    lo, hi = (jnp.where(seen, end, 0) for end in (lo, hi))
    return {
        name: Site(RangeState(seen[i].astype(jnp.int32), lo[i], hi[i]), bits[i].astype(jnp.int32))
        for i, name in enumerate(names)
    }


def check_bits(argument: str, bits) -> None:
    """Raises for a Python number that is no whole number in 2..8; traced values pass.

    Example:
        >>> check_bits("bits", 9)
        Traceback (most recent call last):
        ...
        ValueError: `bits` counts stored bits, a whole number in 2..8; got 9.
    """
    if isinstance(bits, Real) and float(bits) not in range(2, 9):
        raise ValueError(f"`{argument}` counts stored bits, a whole number in 2..8; got {bits}.")


def _weight_grid(name: str, leaf: Array, bits, symmetric: bool, per_channel: bool) -> Grid:
    kept = output_axis(name) % leaf.ndim if per_channel else None
    axes = tuple(i for i in range(leaf.ndim) if i != kept)
    leaf = leaf.astype(jnp.float32)
    if symmetric:
        return symmetric_grid(jnp.max(jnp.abs(leaf), axes, keepdims=per_channel), bits)
    lo, hi = (reduce(leaf, axes, keepdims=per_channel) for reduce in (jnp.min, jnp.max))
    return affine_grid(lo, hi, bits)


def _value_grid(state: RangeState, bits, symmetric: bool) -> Grid:
    if symmetric:
        return symmetric_grid(jnp.maximum(jnp.abs(state.lo), jnp.abs(state.hi)), bits)
    return affine_grid(state.lo, state.hi, bits)


def _seen_or_own(state: RangeState, x: Array, mask) -> RangeState:
    # Before the first batch, and where every entry is padding, there is no range to use.
    lo, hi, any_real = extremes(jax.lax.stop_gradient(x), mask)
    own = (state.count == 0) & any_real
    return state._replace(lo=jnp.where(own, lo, state.lo), hi=jnp.where(own, hi, state.hi))
