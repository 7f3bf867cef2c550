"""`restore`: the module and the quantiser that an artefact holds, ready to run."""

import functools
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError

from jgc.data import Dataset
from jgc.forward import sites
from jgc.graph import GraphsTuple, from_edges
from jgc.models import TASKS
from jgc.models import spec as model_spec
from jgc.pack.artefact import Artefact, load
from jgc.pack.encode.file import FORMAT
from jgc.quant import Quant, Quantizer
from jgc.quant import spec as quant_spec
from jgc.tree import named_leaves

_KINDS = ("class", "binary", "value")
# What modules raise for settings that make no sense.
_IMPOSSIBLE = FlaxError, ValueError, TypeError, ArithmeticError, LookupError, AssertionError
_WIDEST = 1 << 20  # Features beyond are a lie and not a graph.

_Leaf = tuple[tuple[int, ...], str]  # Shape and dtype.


class Restored(NamedTuple):
    """A model that came out of an artefact, and what it was made for.

    Attributes:
        model: The module, fitted to its task.
        variables: All that it is applied with: `params`, rounded to their grids and 0 where
            pruned, and the other collections, such as `batch_stats`.
        masks: Of the parameters, bool; True = kept. They hold already; only who reshapes weights
            needs them.
        quant: State of the quantiser; `None` where nothing is quantised.
        quantizer: For evaluation; it takes the weights as they are. `None` where nothing is
            quantised.
        task: `"node"`, `"link"` or `"graph"`.
        kind: Of the labels: `"class"`, `"binary"` or `"value"`.
        dataset: Name of the data set that it was trained on.
        n_feature: Features of a node.
        n_edge_feature: Features of an edge; 0: it was trained without.
        meta: All that the artefact says of itself.
        path: Its file.

    Example:
        >>> import tempfile
        >>> import jgc.data
        >>> from jgc.models import GCN
        >>> from jgc.pack import save
        >>> data, model = jgc.data.load("sbm"), GCN(hidden=2, out=7, layers=1)
        >>> params = model.init(jax.random.key(0), data.graphs[0])["params"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "model.safetensors")
        ...     _ = save(path, params, meta=describe(model, data))
        ...     again = restore(path)
        >>> again.task, again.n_feature, again.model.out
        ('node', 1433, 7)
    """

    model: nn.Module
    variables: dict[str, Any]
    masks: dict[str, Any]
    quant: Quant | None
    quantizer: Quantizer | None
    task: str
    kind: str
    dataset: str
    n_feature: int
    n_edge_feature: int
    meta: dict[str, Any]
    path: str


def describe(
    model: nn.Module,
    data: Dataset,
    quantizer: Quantizer | None = None,
    quant: Quant | None = None,
) -> dict[str, Any]:
    """What an artefact's `meta` must say so that `restore` can build the model again.

    `jgc.compress` does this by itself. The sites' arrays are no part of it: hand
    `quantizer.stored(quant)` to `save` as `stats["sites"]`.

    Args:
        model: The module, fitted to the task.
        data: What it was trained on.
        quantizer: From `jgc.quant`; `None`: nothing is quantised.
        quant: State of the quantiser; `None`: nothing is quantised.

    Returns:
        JSON types. `model` is `None` for a module that is not of `jgc.models`, `quantizer` for a
        quantiser that is not of `jgc.quant`: such an artefact can be loaded, but not restored.

    Example:
        >>> import jgc.data
        >>> from jgc.models import GCN
        >>> meta = describe(GCN(hidden=16, out=7), jgc.data.load("sbm"))
        >>> meta["model"]["name"], meta["task"], meta["n_feature"]
        ('gcn', 'node', 1433)
    """
    nodes, edges = (getattr(data.graphs[0], part) for part in ("nodes", "edges"))
    said = {
        "jgc": version("jgc"),
        "format": FORMAT,
        "model": model_spec.spec_of(model),
        "task": data.task,
        "kind": data.kind,
        "dataset": data.name,
        "n_feature": int(nodes.shape[-1]),
        "n_edge_feature": 0 if edges is None else int(edges.shape[-1]),
        "n_splits": len(data.splits),
    }
    if quantizer is not None and quant is not None:
        said["quantizer"] = quant_spec.spec_of(quantizer, quant)
    return said


def restore(artefact: Artefact | str | Path) -> Restored:
    """Builds the model that an artefact holds, out of known names only: no code comes from a file.

    Args:
        artefact: From `load` or `save`, or the file.

    Returns:
        The `Restored`: `jgc.apply(r.model, r.variables, graph, None, r.quant,
        quantizer=r.quantizer)` runs it.

    Raises:
        ValueError: naming the file and the key, for an artefact that does not say what it holds
            (of an older jgc, or of a module of one's own), or says what does not fit its tensors.
        OSError: if it cannot be read.

    Example:
        >>> import tempfile, jgc
        >>> data = jgc.data.load("sbm")
        >>> result = jgc.compress("gcn", data, quantize="qat:4", hidden=8, epochs=10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     restored = restore(result.save(folder))
        >>> answers, _ = jgc.apply(
        ...     restored.model, restored.variables, data.graphs[0], None, restored.quant,
        ...     quantizer=restored.quantizer)
        >>> answers.shape
        (2708, 7)
    """
    held = artefact if isinstance(artefact, Artefact) else load(artefact)
    try:
        return _restored(held)
    except ValueError as error:
        wrote = held.meta.get("jgc")
        by = f" (written by jgc {wrote}, this is {version('jgc')})" if wrote else ""
        raise ValueError(f"`{held.path}`, `meta`{by}: {error}") from error


def _restored(held: Artefact) -> Restored:
    said = _said(held.meta)
    collections = {name: tree for name, tree in held.stats.items() if name != "sites"}
    variables = jax.tree.map(jnp.asarray, {"params": held.params, **collections})
    quantizer, state = None, None
    if said["quantizer"] is not None:
        stored = held.stats.get("sites", {})
        quantizer, state = quant_spec.from_spec(said["quantizer"], stored, held.grids)
    restored = Restored(
        model=model_spec.from_spec(said["model"]), variables=variables, masks=held.masks,
        quant=state, quantizer=quantizer, task=said["task"], kind=said["kind"],
        dataset=said["dataset"], n_feature=said["n_feature"],
        n_edge_feature=said["n_edge_feature"], meta=held.meta, path=held.path,
    )  # fmt: skip
    check_fit(restored)
    return restored


def _said(meta: dict[str, Any]) -> dict[str, Any]:
    """The keys that restoring needs, each of its type."""
    if "model" not in meta:
        raise ValueError(
            "it does not say which model this is. It was written by an older jgc, or by "
            "`jgc.pack.save` without `meta=jgc.pack.describe(...)`: compress the model anew."
        )
    for key, room in (("model", "models"), ("quantizer", "quant")):
        if key in meta and meta[key] is None:
            raise ValueError(
                f"`{key}`: the model was saved with one that is not of `jgc.{room}`; build it "
                "yourself and take its arrays from `jgc.pack.load`."
            )
    kinds = {"task": str, "kind": str, "dataset": str, "n_feature": int, "n_edge_feature": int}
    for key, kind in kinds.items():
        if type(meta.get(key)) is not kind:
            raise ValueError(f"`{key}` must be a {kind.__name__}, got {meta.get(key)!r:.80}.")
    for key, known in (("task", TASKS), ("kind", _KINDS)):
        if meta[key] not in known:
            raise ValueError(f"`{key}` must be one of {list(known)}, got {meta[key]!r:.80}.")
    for key in ("n_feature", "n_edge_feature"):
        if not 0 <= meta[key] <= _WIDEST:
            raise ValueError(f"`{key}` must be in 0..{_WIDEST}, got {meta[key]}.")
    return {**meta, "quantizer": meta.get("quantizer")}


def check_fit(restored: Restored) -> None:
    """Raises `ValueError` unless tensors and sites are those that the module asks for.

    Tensors may be narrower where they fit together, as `jgc.pack.compact` makes them.
    """
    graph = example(restored)
    answers, due = _shapes(restored.model.init_with_output, jax.random.key(0), graph)
    wanted, found = _told(due), _told(restored.variables)
    for name in sorted({*wanted, *found}):
        if not _may_be(found.get(name), wanted.get(name, _beside(name, found))):
            raise ValueError(
                f"`model` asks for {name} {wanted.get(name)}, the file holds {found.get(name)}."
            )
    params = restored.variables["params"]
    # What is no parameter is made anew, so that its shapes come to light.
    run = functools.partial(
        restored.model.apply, mutable=[name for name in due if name != "params"]
    )
    given, others = _shapes(run, {"params": params}, graph)
    if _told({"params": params, **others}) != found or given.shape != answers.shape:
        raise ValueError("`model`: the widths of its tensors do not fit together.")
    if restored.quant is not None:
        known = sites(restored.model, restored.variables, graph)
        if unknown := set(restored.quant.sites) - set(known):
            raise ValueError(f"`quantizer.sites` has {sorted(unknown)}; known are {list(known)}.")


def _shapes(run: Callable, *args: Any) -> Any:
    try:
        return jax.eval_shape(run, *args)
    except _IMPOSSIBLE as error:
        raise ValueError(f"`model`: it cannot run: {error}") from error


def _told(variables: Any) -> dict[str, _Leaf]:
    return {name: (leaf.shape, leaf.dtype.name) for name, leaf in named_leaves(variables).items()}


def _beside(name: str, found: dict[str, _Leaf]) -> _Leaf | None:
    """The bias that a kernel may have beyond the module's own, with the shares of constants."""
    kernel = found.get(name.removesuffix("bias") + "kernel") if name.endswith("/bias") else None
    return kernel and (kernel[0][-1:], kernel[1])


def _may_be(held: _Leaf | None, wanted: _Leaf | None) -> bool:
    """Whether a tensor is the one that is wanted, or a narrower one."""
    if held is None or wanted is None:
        return held is wanted
    (shape, dtype), (full, due) = held, wanted
    narrower = len(shape) == len(full) and all(0 < n <= m for n, m in zip(shape, full, strict=True))
    return dtype == due and (shape == full or narrower)


def example(restored: Restored) -> GraphsTuple:
    """The smallest graph of the right widths: two nodes and an edge, all zeros."""
    edges = np.zeros((1, restored.n_edge_feature), np.float32) if restored.n_edge_feature else None
    nodes = np.zeros((2, restored.n_feature), np.float32)
    return from_edges([0], [1], nodes=nodes, edges=edges)
