"""Restored models without training: their quantiser has seen a data set once."""

import functools
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax

import jgc
from jgc import pack, quant
from jgc.data import Dataset, training_graph
from jgc.graph import batch, layout
from jgc.models import GCN, GIN, GraphModel
from jgc.prune import apply_masks
from tests.train.cases import tiny_graphs, tiny_links, tiny_nodes

QAT, A2Q = quant.qat(4), quant.a2q(4)
SETS = {"node": tiny_nodes, "link": tiny_links, "graph": tiny_graphs}
MODELS = {
    "node": GCN(hidden=4, out=3),
    "link": GCN(hidden=4, out=3),
    "graph": GraphModel(GIN(4, 4, 1), 3),
}


def all_of(data):
    """The graph of a data set, or all its graphs in one batch."""
    if data.task == "link":
        return training_graph(data, data.splits[0])
    return data.graphs[0] if data.task == "node" else batch(list(data.graphs))


class Untrained(NamedTuple):
    """A model with random weights."""

    model: nn.Module
    data: Dataset
    variables: Any
    masks: Any
    state: Any
    quantizer: Any

    def save(self, path) -> None:
        """Writes it without what is pruned whole."""
        small = pack.compact(self.model, self.variables, all_of(self.data), *self[3:])
        stats = {name: tree for name, tree in small.variables.items() if name != "params"}
        more = {}
        if self.quantizer is not None:
            stats["sites"] = self.quantizer.stored(small.quant)
            more = {"grids": small.quant.weights, "symmetric": self.quantizer.symmetric_weights}
        meta = pack.describe(self.model, self.data, self.quantizer, self.state)
        pack.save(path, small.variables["params"], small.masks, meta=meta, stats=stats, **more)


@functools.cache
def untrained(task, quantizer=None, model=None, data=None, pruner=None) -> Untrained:
    """A model whose quantiser has seen the data set that `data` makes once."""
    data, model = (data or SETS[task])(), model or MODELS[task]
    graph = all_of(data)
    at = layout(graph)
    variables = jax.jit(model.init)(jax.random.key(1), graph, at)
    params, masks, state = variables["params"], None, None
    if pruner is not None:
        masks = pruner.update(pruner.init(params), params)[0].masks
        variables = variables | {"params": apply_masks(params, masks)}
    if quantizer is not None:
        state = seen(model, variables, graph, at, quantizer)
    return Untrained(model, data, variables, masks, state, quantizer)


@functools.cache
def file(task, quantizer=None, model=None, data=None) -> bytes:
    """Its file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        untrained(task, quantizer, model, data).save(path)
        return path.read_bytes()


@functools.cache
def restored(task, quantizer=None, model=None, data=None) -> pack.Restored:
    """The model of that file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(file(task, quantizer, model, data))
        return pack.restore(path)


def seen(model, variables, graph, at, quantizer):
    """State of a quantiser after one pass in training."""
    state = quantizer.init(variables["params"], jgc.sites(model, variables, graph, at))
    mutable = tuple(name for name in variables if name != "params")

    def one_pass(variables, graph, at, state, key):
        return jgc.apply(
            model, variables, graph, None, state, quantizer=quantizer, layout=at, train=True,
            rngs={"dropout": key}, mutable=mutable,
        )[1]  # fmt: skip

    return jax.jit(one_pass)(variables, graph, at, state, jax.random.key(0))
