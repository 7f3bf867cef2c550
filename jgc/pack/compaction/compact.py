"""`compact`: what is pruned whole leaves the arrays of its own layer and of those that read it."""

import functools
import math
from collections import Counter
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import Array

from jgc.forward import apply, sites
from jgc.graph import GraphsTuple
from jgc.pack.compaction.fate import WRONG, Arrays, Fate, Move, fate, kept
from jgc.pack.compaction.units import Units, known_inputs, probe, units
from jgc.prune import apply_masks
from jgc.quant import Learned, Quant, Quantizer, rounded
from jgc.quant.grid import Grid


class Layer(NamedTuple):
    """What became of the outputs of one linear map.

    Attributes:
        path: Of the map, such as `"conv1/linear"`.
        before: Its outputs.
        after: Its outputs now.
        stayed: How many of those that are pruned whole are still there, by the reason.
    """

    path: str
    before: int
    after: int
    stayed: dict[str, int]


class Compacted(NamedTuple):
    """A model's arrays without what is gone.

    Attributes:
        variables: Of the same module, which runs on them as they are: `params`, 0 where pruned and
            rounded to their grids where quantised, and the other collections.
        masks: Of `params`; `None` where there were none.
        quant: State of the quantiser; its `weights` are their grids by path, as `jgc.pack.save`
            wants them. `None` where nothing is quantised.
        quantizer: That takes the weights as they are; `None` where nothing is quantised.
        layers: What became of every linear map; empty where no kernel has an output without weights
            or an input without weights.
    """

    variables: dict[str, Any]
    masks: Any
    quant: Quant | None
    quantizer: Quantizer | None
    layers: tuple[Layer, ...]


def compact(
    model: nn.Module,
    variables: Any,
    graph: GraphsTuple,
    masks: Any = None,
    quant: Quant | None = None,
    quantizer: Quantizer | None = None,
) -> Compacted:
    """Takes neurons, hidden units and attention heads that are pruned whole out of all arrays.

    A unit (see `jgc.pack.compaction.units`) goes where all that is read of it is 0, or nothing
    reads it. One that is a constant, because its bias or batch norm lives on, is added to the
    biases of the layers that read it; where a sum over edges stands between, all such constants of
    a layer become one. What cannot go stays, pruned.

    The module stays the same: a layer is as wide as its arrays. Its answers are those of the masked
    model up to the rounding of float32 sums, which have fewer terms. That is checked on two tiny
    random graphs; were it not so, nothing would go.

    Args:
        model: The module; its linear maps are `jgc.models.layers.Linear`.
        variables: Its parameters or variables.
        graph: Any with features of the right widths.
        masks: Of the parameters; `None`: what is 0 is pruned.
        quant: State of `quantizer`.
        quantizer: From `jgc.quant`, needed where `quant` is given.

    Returns:
        The `Compacted`: `jgc.apply(model, small.variables, graph, None, small.quant,
        quantizer=small.quantizer)` runs it.

    Raises:
        ValueError: if `quant` comes without `quantizer`.

    Example:
        >>> from jgc.graph import from_edges
        >>> from jgc.models import GCN
        >>> graph = from_edges([0, 1], [1, 2], nodes=jnp.eye(3))
        >>> model = GCN(hidden=4, out=2)
        >>> params = model.init(jax.random.key(0), graph)["params"]
        >>> masks = jax.tree.map(lambda leaf: jnp.ones_like(leaf, bool), params)
        >>> masks["conv1"]["linear"]["kernel"] = jnp.ones((3, 4), bool).at[:, 1:].set(False)
        >>> small = compact(model, params, graph, masks)
        >>> small.layers[0]
        Layer(path='conv1/linear', before=4, after=1, stayed={})
        >>> small.variables["params"]["conv2"]["linear"]["kernel"].shape
        (1, 2)
    """
    if quant is not None and quantizer is None:
        raise ValueError("`quant` needs its `quantizer`: pass the one whose `init` made it.")
    whole = _computed_with(variables, masks, quant, quantizer)
    arrays, question = _flat(whole.variables), probe(graph)
    found = units(model, whole.variables, question) if _has_holes(arrays) else None
    if found is None:
        return whole
    known = known_inputs(model, whole.variables, question, whole.quant, whole.quantizer)
    values = {path: np.asarray(x) for path, x in known.items()}
    decided = fate(arrays, found, values, on_grids=quant is not None)
    small = _cut(whole, arrays, found, decided)
    if not decided.gone.any():
        return whole._replace(layers=small.layers)
    if not _agree(model, whole, small, question):
        return whole._replace(layers=tuple(_untouched(each) for each in small.layers))
    return small if quant is None else _with_sites(model, small, question)


def _computed_with(variables: Any, masks: Any, quant, quantizer) -> Compacted:
    """The arrays as the forward pass sees them, before anything goes."""
    full = dict(variables) if "params" in variables else {"params": variables}
    if masks is not None:
        masks = masks["params"] if "params" in masks else masks
        full["params"] = apply_masks(full["params"], masks)
    if quant is not None:
        grids, full["params"] = _on_grids(quantizer, quant, full["params"])
        quant, quantizer = Quant(grids, quant.sites), rounded(quantizer)
    return Compacted(full, masks, quant, None if quant is None else quantizer, ())


@functools.partial(jax.jit, static_argnums=0)
def _on_grids(quantizer: Quantizer, quant: Quant, params: Any) -> tuple[dict[str, Grid], Any]:
    return quantizer.grids(quant, params), quantizer.weight(quant, params)


def _flat(tree: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in flatten_dict(tree, sep="/").items()}


def _has_holes(arrays: Arrays) -> bool:
    kernels = (leaf != 0 for name, leaf in arrays.items() if name.endswith("/kernel"))
    return any(not (kernel.any(0).all() and kernel.any(1).all()) for kernel in kernels)


def _cut(whole: Compacted, arrays: Arrays, found: Units, decided: Fate) -> Compacted:
    moved = _moved(arrays, decided.moves)
    stay = {name: _stay(name, found, decided.gone) for name in moved}

    def cut(name: str, leaf: Any) -> np.ndarray:
        leaf = np.asarray(leaf)
        for axis, here in enumerate(stay[name][: leaf.ndim]):
            if leaf.shape[axis] == here.size:  # Else a scale that all share.
                leaf = np.compress(here, leaf, axis)
        return leaf

    def grid(name: str, each: Grid) -> Grid:
        return each._replace(scale=cut(name, each.scale), zero_point=cut(name, each.zero_point))

    quant = whole.quant and whole.quant._replace(
        weights={name: grid(f"params/{name}", g) for name, g in whole.quant.weights.items()}
    )
    masks = {name: cut(name, leaf) for name, leaf in _masks(whole.masks, moved).items()}
    return Compacted(
        _nested({name: cut(name, leaf) for name, leaf in moved.items()}),
        None if whole.masks is None else _nested(masks)["params"],
        quant,
        whole.quantizer,
        tuple(
            _layer(path, arrays, found, decided) for path in found.inputs if _kernel(path) in arrays
        ),
    )


def _moved(arrays: Arrays, moves: list[Move]) -> Arrays:
    """Arrays after the rows that read constants have passed their shares on."""
    new = {name: leaf.copy() for name, leaf in arrays.items()}
    for path, row, to, factor in moves:
        weights = arrays[_kernel(path)][row]
        if to is not None:
            new[_kernel(path)][to] += factor * weights
            continue
        new.setdefault(_bias(path), np.zeros_like(weights))
        new[_bias(path)] += factor * weights
    return new


def _masks(masks: Any, moved: Arrays) -> Arrays:
    """Masks that keep what has taken over a share as well."""
    held = _flat({"params": masks or {}})
    return {
        name: held.get(name, np.ones(leaf.shape, bool)) | (leaf != 0)
        for name, leaf in moved.items()
        if name.startswith("params/")
    }


def _stay(name: str, found: Units, gone: np.ndarray) -> list[np.ndarray]:
    """What stays along every axis of an array."""
    path = name.removeprefix("params/").rpartition("/")[0]
    ids = found.outputs.get(name)
    if ids is None and name == _bias(path):  # Just made, as wide as the kernel.
        ids = found.outputs[_kernel(path)]
    if ids is None:  # A single number.
        return []
    along = kept(gone[ids])
    assert along is not None
    return [~gone[found.inputs[path]], *along] if name == _kernel(path) else along


def _layer(path: str, arrays: Arrays, found: Units, decided: Fate) -> Layer:
    ids, pruned = found.outputs[_kernel(path)], ~arrays[_kernel(path)].any(0)
    stays = ~decided.gone[ids]
    stayed = Counter(decided.why[ids[stays & pruned]].tolist())
    return Layer(path, ids.size, int(stays.sum()), dict(stayed))


def _untouched(layer: Layer) -> Layer:
    gone = Counter(layer.stayed) + Counter({WRONG: layer.before - layer.after})
    return layer._replace(after=layer.before, stayed=dict(gone))


def _kernel(path: str) -> str:
    return f"params/{path}/kernel"


def _bias(path: str) -> str:
    return f"params/{path}/bias"


def _nested(flat: dict[str, Any]) -> dict[str, Any]:
    return unflatten_dict(flat, sep="/")


def _agree(model: nn.Module, whole: Compacted, small: Compacted, graph: GraphsTuple) -> bool:
    """Whether both answer alike: a wrong cut would differ by far more than rounding."""
    quant = whole.quant
    if quant is not None and any(isinstance(state, Learned) for state in quant.sites.values()):
        quant = None  # These grids belong to the nodes of another graph.
    before = np.asarray(_answers(model, whole.variables, graph, quant, whole.quantizer))
    after = np.asarray(_answers(model, small.variables, graph, quant, whole.quantizer))
    return np.allclose(after, before, rtol=0, atol=1e-3 * np.abs(before).max(), equal_nan=True)


@functools.partial(jax.jit, static_argnums=(0, 4))
def _answers(model: nn.Module, variables: Any, graph: GraphsTuple, quant, quantizer) -> Array:
    return apply(model, variables, graph, None, quant, quantizer=quantizer)[0]


def _with_sites(model: nn.Module, small: Compacted, graph: GraphsTuple) -> Compacted:
    """With the widths of values that learned grids count bits by."""
    assert small.quant is not None
    if not any(isinstance(state, Learned) for state in small.quant.sites.values()):
        return small
    places = sites(model, small.variables, graph)

    def now(name: str, state: Any) -> Any:
        width = jnp.float32(math.prod(places[name].shape[1:]))
        return state._replace(width=width) if isinstance(state, Learned) else state

    states = {name: now(name, state) for name, state in small.quant.sites.items()}
    return small._replace(quant=small.quant._replace(sites=states))
