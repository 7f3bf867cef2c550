"""`a2q`: a learned step and a learned bit width for every node."""

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.quant.learned import (
    Groups,
    Learned,
    grids_of,
    in_groups,
    narrow,
    on_grids,
    per_node,
    smooth_bits,
    whole_bits,
)
from jgc.quant.ranges import RangeState
from jgc.quant.types import ByteGrid, Params, Place, Quant, Quantizer, Site, Spec
from jgc.quant.uniform import not_output, qat
from jgc.tree import PathPredicate, is_kernel

# Rates of groups, as shares of those of single nodes; the authors' differ about as much.
_GROUP_STEP, _GROUP_BITS = 1 / 30, 1 / 10


def is_feature(site: str) -> bool:
    """Whether a site holds what a layer reads: its name begins with `input` or `update`.

    Example:
        >>> is_feature("encoder/update1"), is_feature("conv1/message")
        (True, False)
    """
    return site.rsplit("/", 1)[-1].startswith(("input", "update"))


def not_summed(site: str) -> bool:
    """Whether a site is quantised by default: all but `output`, and `aggregate`, the sum itself.

    Example:
        >>> not_summed("conv1/message"), not_summed("conv1/aggregate"), not_summed("output")
        (True, False, False)
    """
    return not_output(site) and site.rsplit("/", 1)[-1] != "aggregate"


def a2q(
    bits=4,
    *,
    target: float = 1.7,
    strength: float = 0.1,
    step_rate: float = 0.15,
    bits_rate: float = 0.08,
    groups: int = 256,
    is_quantized: PathPredicate = is_kernel,
    is_feature: Callable[[str], bool] = is_feature,
    is_site: Callable[[str], bool] = not_summed,
) -> Quantizer:
    """Learns for every node how finely its features are stored, as many bits as it needs.

    In one graph (node and link tasks) every node has a step and a width at every site of features.
    They descend on the node's own quantisation error, since almost no node has a label, and on a
    penalty that pulls the average width towards `target`. In batches of graphs (graph tasks) nodes
    share `groups` of such pairs, by their largest magnitude, which descend on the task's loss and
    the penalty; so graphs that were never seen have grids too. Groups learn more slowly, steps at a
    thirtieth of the rate and widths at a tenth, since an epoch of batches has many updates. Steps
    start at the first batch.

    Weights, messages and all other sites are quantised as by `qat`, at `bits`. Stored entries of
    sparse rows (a bag of words, binary as in the paper) stay as they are.

    Differs: the authors draw first steps at random and give weights and messages learned steps of
    their own; widths here count the sign bit wherever a value is negative, and never fall below
    one bit beside it. Rates of steps are relative to the step. Their penalty is
    `(memory in KB - target)^2`, here `strength n (average bits - target)^2` with n the number of
    grids, or 1 with groups, so that one `strength` serves graphs of all sizes.

    Args:
        bits: Width of weights and of all but the features, and the features' first, in 2..8;
            traced or not.
        target: Average bits of a feature (`average_bits`) at which the penalty ends, in 1..8.
        strength: Of the penalty, >= 0.
        step_rate: Adam's learning rate of steps, as a fraction of the step, in [0, 0.15]: an update
            of Adam is at most 6.6 rates, so that steps stay above 0.
        bits_rate: Adam's learning rate of widths, in bits, >= 0.
        groups: Number of pairs of a site in graph tasks, >= 1. Static.
        is_quantized: Which leaves are quantised, `(name, leaf) -> bool`.
        is_feature: Which sites of nodes have learned grids, `(path) -> bool`.
        is_site: Which sites are quantised at all, `(path) -> bool`.

    Returns:
        The `Quantizer`; its `rates` name the learned leaves.

    Raises:
        ValueError: for a number out of its range; from `value` for a graph of another number of
            nodes than the one that was learned; else as `qat`.

    Example:
        >>> quantizer = a2q(4, target=1.0)
        >>> params = {"kernel": jnp.ones((1, 1))}
        >>> quant = quantizer.init(params, {"update": Place((2, 1), jnp.float32, of_nodes=True)})
        >>> x = jnp.array([[15.0], [1.6]])
        >>> x, quant = quantizer.value(quant, "update", x, None, None, True)
        >>> x[0].tolist(), quant.sites["update"].step[0].item(), float(average_bits(quant))
        ([15.0], 1.0, 4.0)

    References:
        Zhu et al., ICLR 2023, sec. 3. https://arxiv.org/abs/2302.00193
    """
    _check(
        target=(target, 1, 8), strength=(strength, 0, math.inf), groups=(groups, 1, math.inf),
        step_rate=(step_rate, 0, 0.15), bits_rate=(bits_rate, 0, math.inf),
    )  # fmt: skip
    plain = qat(bits, is_quantized=is_quantized, is_site=is_site)

    def init(params: Params, sites: Mapping[str, Place]) -> Quant:
        first = plain.init(params, {s: p for s, p in sites.items() if len(p.shape) > 1})
        own = {s: sites[s] for s in first.sites if sites[s].of_nodes and is_feature(s)}
        return first._replace(
            sites={**first.sites, **{s: _started(place, bits, groups) for s, place in own.items()}}
        )

    def value(quant: Quant, site: str, x, mask, key, train: bool) -> tuple[Array, Quant]:
        state = quant.sites.get(site)
        if isinstance(state, Learned):
            y, state = on_grids(state, x, mask, train)
            return y, quant._replace(sites={**quant.sites, site: state})
        return (x, quant) if x.ndim == 1 else plain.value(quant, site, x, mask, key, train)

    def cost(quant: Quant) -> Array:
        states = learned_sites(quant).values()
        n = sum((state.share.sum() for state in states), jnp.zeros(()))
        excess = jnp.maximum(_average(quant, smooth_bits) - target, 0.0)
        return sum((state.error for state in states), strength * n * excess**2)

    def rates(quant: Quant) -> dict[str, Array]:
        found = {}
        for site, state in learned_sites(quant).items():
            shared = isinstance(state, Groups)
            step, bits = (_GROUP_STEP, _GROUP_BITS) if shared else (1.0, 1.0)
            found[f"sites/{site}/step"] = step * step_rate * state.step
            found[f"sites/{site}/bits"] = jnp.full((), bits * bits_rate)
        return found

    def stored(quant: Quant) -> dict:
        narrowed = {site: narrow(state) for site, state in learned_sites(quant).items()}
        return {**quant.sites, **narrowed}

    def row_grid(quant: Quant, site: str, x, mask) -> ByteGrid | None:
        state = quant.sites.get(site)
        return grids_of(state, x, mask) if isinstance(state, Learned) else None

    return plain._replace(
        init=init, value=value, cost=cost, rates=rates, stored=stored, row_grid=row_grid,
        unpack=_unpacked, spec=Spec("a2q"),
    )  # fmt: skip


def average_bits(quant: Quant) -> Array:
    """Average stored bits of a feature value, over all sites with learned grids.

    Every value of every real node counts once, so that a site of wide features counts more; with
    groups, nodes count as often as training met them. Sign bits count. What has no learned grid
    does not: sparse inputs, messages, weights.

    Differs: the authors leave the sign bit out of their average, and with it 1 bit where values
    are negative.

    Args:
        quant: Of `a2q`, or with sites read from its file.

    Returns:
        float32 `[]`; 0 where no site has learned grids.

    Example:
        >>> quantizer = a2q(4, target=1.0)
        >>> place = Place((2, 1), jnp.float32, of_nodes=True)
        >>> quant = quantizer.init({"kernel": jnp.ones((1, 1))}, {"update": place})
        >>> float(average_bits(quant))
        4.0

    References:
        Zhu et al., ICLR 2023, sec. 4.1. https://arxiv.org/abs/2302.00193
    """
    return _average(quant, lambda state: whole_bits(state.bits, state.signed))


def bits_by_degree(quant: Quant, in_degree) -> dict[str, float]:
    """Average stored bits of a feature value of the nodes of like in-degree.

    Read on the host, as the result's keys depend on the largest in-degree. Averages run over sites
    and nodes as in `average_bits`; weighted by their numbers of nodes they give it back.

    Args:
        quant: Of `a2q` on one graph.
        in_degree: Number of incoming edges of each of its nodes, `[n]`.

    Returns:
        Bits in 1..8 by range of in-degrees, rising: "0", "1", "2", "3-4", "5-8", ..., each twice as
        wide as the one before; ranges without a real node are left out.

    Raises:
        ValueError: unless there is a learned grid for each of the `n` nodes at every learned site.

    Example:
        >>> state = per_node(4, 1, 4)._replace(bits=jnp.array([2.0, 2.0, 4.0, 5.0]))
        >>> bits_by_degree(Quant({}, {"update": state}), [0, 1, 3, 4])
        {'0': 2.0, '1': 2.0, '3-4': 4.5}

    References:
        Zhu et al., ICLR 2023, which shows widths against in-degrees. https://arxiv.org/abs/2302.00193
    """
    sites, degrees = learned_sites(quant), np.asarray(in_degree)
    for site, state in sites.items():
        if isinstance(state, Groups) or state.step.shape != degrees.shape:
            raise ValueError(
                f"`in_degree` is of {degrees.size} nodes, but site {site!r} has {state.step.size} "
                "learned grids: groups, or those of another graph?"
            )
    found = {}
    for name, inside in _ranges(degrees):
        chosen = {s: state._replace(share=state.share * inside) for s, state in sites.items()}
        found[name] = float(average_bits(Quant({}, chosen)))
    return {name: bits for name, bits in found.items() if bits > 0}


def learned_sites(quant: Quant) -> dict[str, Learned]:
    """The sites with learned grids, by path.

    Example:
        >>> places = {"update": Place((2, 1), "f4", of_nodes=True), "edge": Place((2, 1), "f4")}
        >>> quant = a2q(4).init({"kernel": jnp.ones((1, 1))}, places)
        >>> list(learned_sites(quant))
        ['update']
    """
    return {site: state for site, state in quant.sites.items() if isinstance(state, Learned)}


def _unpacked(stored: Mapping[str, Any], kinds: Mapping[str, type]) -> dict[str, Any]:
    return {site: _state(kind, _at(stored, site), site) for site, kind in kinds.items()}


def _state(kind: Any, held: Any, site: str) -> Any:
    """A site's state from the nested dict of its fields."""
    inner = {Site: {"range": RangeState}}.get(kind, {})

    def field(name: str) -> Any:
        return _state(inner[name], held[name], site) if name in inner else jnp.asarray(held[name])

    try:
        return kind(**{name: field(name) for name in kind._fields})
    except (KeyError, TypeError) as error:
        raise ValueError(f"the state of site {site!r} is no {kind.__name__}: {error}.") from None


def _at(tree: Any, path: str) -> Any:
    for name in path.split("/"):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def _average(quant: Quant, bits_of: Callable[[Learned], Array]) -> Array:
    total = weight = jnp.zeros(())
    for state in learned_sites(quant).values():
        share = state.share.astype(jnp.float32)
        total += state.width * (share * bits_of(state)).sum()
        weight += state.width * share.sum()
    return jax.lax.stop_gradient(1 / jnp.maximum(weight, 1e-9)) * total


def _ranges(degrees: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Names of the ranges of in-degrees, and which nodes are inside, bool `[n]`."""
    last = int(degrees.max(initial=0)).bit_length() + 1
    ends = [(0, 0), (1, 1), *((2**k // 2 + 1, 2**k) for k in range(1, last))]
    return [(f"{a}-{b}" if a < b else f"{a}", (a <= degrees) & (degrees <= b)) for a, b in ends]


def _started(place: Place, bits, groups: int) -> Learned:
    n, width = place.shape[0], math.prod(place.shape[1:])
    return per_node(n, width, bits) if place.n_graph == 1 else in_groups(groups, width, bits)


def _check(**given: tuple[float, float, float]) -> None:
    for name, (number, least, most) in given.items():
        if isinstance(number, Real) and not least <= number <= most:
            raise ValueError(f"`{name}` must be in [{least}, {most}], got {number}.")
