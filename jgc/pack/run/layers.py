"""Where the time of a pass goes: the pass cut off after each layer."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jgc.data import Dataset
from jgc.graph import GraphsTuple, Layout
from jgc.pack.operations import at_level, products, whole
from jgc.pack.restore import Restored, example
from jgc.pack.run.fused import plain
from jgc.pack.run.runtime import compiled, float_forward, integer_forward, runtime
from jgc.pack.run.stopwatch import rounds, spread
from jgc.pack.run.work import Forward, on_dataset
from jgc.tree import named_leaves

BATCHES, REST = "(batches)", "(rest)"


class LayerTime(NamedTuple):
    """What one layer takes of a pass.

    Attributes:
        layer: Path of its module, such as `"conv1"`; `BATCHES`: drawing batches of graphs; `REST`:
            all that follows the last layer.
        ms: Median milliseconds, measured; 0 where less than the clock can tell.
        share: Of what all together take, in [0, 1].
        macs: Share of the multiply-accumulates with pruned weights skipped, computed.
    """

    layer: str
    ms: float
    share: float
    macs: float


class LayerTimes(NamedTuple):
    """The layers of a pass in their order.

    Attributes:
        layers: What each takes.
        ms: Median milliseconds of the whole pass.
        runtime: `"integer"` or `"float"`, as `jgc.pack.runtime` chooses.
    """

    layers: list[LayerTime]
    ms: float
    runtime: str


def layer_times(restored: Restored, data: Dataset, split: int = 0) -> LayerTimes:
    """Measures what each layer takes of a pass over a data set.

    The pass is compiled once for each layer, cut off after it; a layer takes what its cut takes
    more than the one before. All cuts are run in turn. A cut writes what the whole pass may keep in
    registers, and times are noisy: a layer's share is an estimate.

    Args:
        restored: From `jgc.pack.restore`.
        data: What it is run on (`jgc.pack.run.fit.check_data`).
        split: Which of its splits.

    Returns:
        The `LayerTimes`.

    Example:
        >>> import tempfile, jgc
        >>> data = jgc.data.load("sbm")
        >>> result = jgc.compress("gcn", data, hidden=8, epochs=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     restored = jgc.pack.restore(result.save(folder))
        >>> [each.layer for each in layer_times(restored, data).layers]
        ['conv1', 'conv2', '(rest)']
    """
    work, _ = on_dataset(data, split)
    name = runtime(restored, work).name
    state, forward = (integer_forward if name == "integer" else float_forward)(restored)
    cuts = [cut_before] if data.task == "graph" else []
    names = layers_of(restored)
    cuts += [lambda inner, layer=layer: cut_after(inner, layer) for layer in names]
    runs = [compiled(work, state, lambda s, cut=cut: cut(forward(s))) for cut in cuts]
    found = rounds([*runs, compiled(work, state, forward)], seconds=2.0)
    ends = [1e3 * spread(own)[0] for own in found]
    steps = [max(end - start, 0.0) for start, end in zip([0.0, *ends], ends, strict=False)]
    macs = macs_by_layer(restored, data)
    order = [*([BATCHES] if data.task == "graph" else []), *names, REST]
    return LayerTimes(
        [
            LayerTime(layer, ms, ms / sum(steps), macs.get(layer, 0.0))
            for layer, ms in zip(order, steps, strict=True)
        ],
        ends[-1],
        name,
    )


def layer_of(path: str) -> str:
    """The layer that a parameter or module belongs to: the first module, of an encoder its own.

    Example:
        >>> layer_of("conv1/linear/kernel"), layer_of("encoder/conv1/eps"), layer_of("bias")
        ('conv1', 'encoder/conv1', 'bias')
    """
    first, *rest = path.split("/")
    return "/".join([first, *rest[:1]]) if first == "encoder" else first


def layers_of(restored: Restored) -> list[str]:
    """Paths of the modules that hold parameters, in the order in which a pass leaves them."""
    own = {layer_of(name) for name in named_leaves(restored.variables["params"])}
    left: dict[str, None] = {}

    def record(call, args, kwargs, context):
        out = call(*args, **kwargs)
        path = "/".join(context.module.path)
        if path in own and context.method_name == "__call__":
            left.pop(path, None)
            left[path] = None
        return out

    with nn.intercept_methods(record):
        graph = example(restored)
        jax.eval_shape(lambda v: restored.model.apply(v, graph), restored.variables)
    return list(left)


def cut_after(forward: Forward, layer: str) -> Forward:
    """The same pass up to the end of a layer's last call; the layer's values are its answers."""

    def answers(graph: GraphsTuple, layout: Layout) -> Any:
        reached: list[Any] = []

        def note(call, args, kwargs, context):
            out = call(*args, **kwargs)
            if "/".join(context.module.path) == layer and context.method_name == "__call__":
                reached.append(out)
            return out

        with nn.intercept_methods(note):
            forward(graph, layout)
        # What follows is traced as well, but nothing asks for it: XLA leaves it out.
        return jax.tree.map(plain, reached[-1])

    return answers


def cut_before(forward: Forward) -> Forward:
    """A pass that ends before its first layer, with all that a batch is made of."""
    del forward
    return lambda graph, layout: jax.tree.map(jnp.sum, (graph.nodes, graph.edges, layout))


def macs_by_layer(restored: Restored, data: Dataset) -> dict[str, float]:
    """Shares of the multiply-accumulates, computed from shapes and masks."""
    found = products(restored.model, restored.variables, whole(data))
    macs: dict[str, float] = {}
    for each, operation in zip(found, at_level(found, restored.masks), strict=True):
        layer = layer_of(each.path)
        macs[layer] = macs.get(layer, 0) + operation.macs
    total = sum(macs.values()) or 1
    return {layer: n / total for layer, n in macs.items()}
