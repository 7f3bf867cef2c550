"""`Program`: a restored model as a function of plain arrays, which every format writes."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export

from jgc.export.reader import Port
from jgc.forward import apply
from jgc.graph import GraphsTuple, layout
from jgc.models import link_scores
from jgc.pack import Restored
from jgc.quant import Learned, Quantizer
from jgc.quant.grid import quantize
from jgc.tree import map_named, named_leaves


class Weight(NamedTuple):
    """An array of the model as a file holds it: `(values - zero) * scale`, or plain values.

    Attributes:
        values: Codes, int8 or uint8; or the array itself, where nothing is quantised.
        scale: Of the codes, float32, broadcastable to them; `None` for a plain array.
        zero: Code of 0, of the dtype of the codes and the shape of `scale`.
        bits: Of a code.
    """

    values: np.ndarray
    scale: np.ndarray | None = None
    zero: np.ndarray | None = None
    bits: int = 32

    def decoded(self) -> Array:
        """The array itself; inside a program, by the program."""
        if self.scale is None or self.zero is None:
            return jnp.asarray(self.values)
        steps = jnp.asarray(self.values).astype(jnp.int32) - self.zero.astype(np.int32)
        return steps.astype(jnp.float32) * self.scale


class Program(NamedTuple):
    """A model as a function, with its weights apart.

    Attributes:
        run: `(variables, *arrays) -> answers`, with the arrays of `inputs`.
        weights: What becomes the variables, by name.
        inputs: What it takes.
        output: What it gives.
        restored: The model.
    """

    run: Callable[..., Array]
    weights: dict[str, Weight]
    inputs: tuple[Port, ...]
    output: Port
    restored: Restored

    def variables(self, arrays: dict[str, Any]) -> Any:
        """Arrays by name as the tree that `run` takes."""
        return map_named(lambda name, _: arrays[name], self.restored.variables)

    def head(self) -> dict[str, Any]:
        """What a file says of itself, in JSON types."""
        restored, meta = self.restored, self.restored.meta
        said = {key: meta[key] for key in ("metric", "val", "test") if key in meta}
        return {
            "task": restored.task,
            "kind": restored.kind,
            "dataset": restored.dataset,
            "inputs": [port._asdict() for port in self.inputs],
            "output": self.output._asdict(),
            **said,
        }


def program(restored: Restored) -> Program:
    """Makes the function that is exported.

    It takes `nodes` `[n_node, d]`, `senders` and `receivers` `[n_edge]`; for graphs also
    `graph_sizes`, the number of nodes of each graph, which lie one after the other; for links
    `pairs` `[n_pair, 2]`; and `edges` `[n_edge, d_edge]` where the model reads them. Sparse
    features are taken dense. Nothing is padding. Edges may come in any order.

    Args:
        restored: From `jgc.pack.restore`.

    Returns:
        The `Program`; nothing has been traced yet.
    """
    n_node = _fixed_nodes(restored)
    inputs = [
        Port("nodes", (n_node, restored.n_feature), "float32"),
        Port("senders", ("n_edge",), "int32", n_node),
        Port("receivers", ("n_edge",), "int32", n_node),
    ]
    if _reads_edges(restored):
        inputs.append(Port("edges", ("n_edge", restored.n_edge_feature), "float32"))
    if restored.task == "graph":
        inputs.append(Port("graph_sizes", ("n_graph",), "int32", total=n_node))
    if restored.task == "link":
        inputs.append(Port("pairs", ("n_pair", 2), "int32", n_node))
    names = [port.name for port in inputs]
    restored = restored._replace(quantizer=_with_known_grids(restored))

    def run(variables, *arrays):
        return _answers(restored, variables, **dict(zip(names, arrays, strict=True)))

    return Program(run, _weights(restored), tuple(inputs), _output(restored, n_node), restored)


def shapes(ports: tuple[Port, ...]) -> list[jax.ShapeDtypeStruct]:
    """Inputs as jax's own shapes, with a symbol for every size that has a name."""
    scope = export.SymbolicScope()

    def shape(port: Port) -> Any:
        # jax takes symbols for at least 1, but a graph may have no edge.
        said = ("n_edge_and_1 - 1" if dim == "n_edge" else str(dim) for dim in port.dims)
        return export.symbolic_shape(",".join(said), scope=scope)

    return [jax.ShapeDtypeStruct(shape(port), port.dtype) for port in ports]


@contextlib.contextmanager
def traceable(made: Program):
    """Says in plain words what jax says of a program that has no form for all sizes."""
    try:
        yield
    except Exception as error:  # `restore` has run it with numbers: it fails for the symbols.
        name = type(made.restored.model).__name__
        raise ValueError(
            f"{name} cannot be exported: how it computes depends on the number of nodes or edges, "
            f"which a file leaves open ({str(error).splitlines()[0]})"
        ) from error


def _answers(
    restored: Restored, variables, nodes, senders, receivers,
    edges=None, graph_sizes=None, pairs=None,
) -> Array:  # fmt: skip
    sizes = jnp.full(1, nodes.shape[0]) if graph_sizes is None else graph_sizes
    graph = GraphsTuple(
        nodes=nodes, edges=edges, senders=senders, receivers=receivers,
        globals=None, n_node=sizes, n_edge=sizes,
    )  # fmt: skip
    answers, _ = apply(
        restored.model, variables, graph, None, restored.quant,
        quantizer=restored.quantizer, layout=layout(graph, "scatter"),
    )  # fmt: skip
    return answers if pairs is None else link_scores(answers, pairs)


def _with_known_grids(restored: Restored) -> Quantizer | None:
    """The quantiser with the grids of its sites as numbers: five operations a site are left."""
    quantizer, quant = restored.quantizer, restored.quant
    if quantizer is None or quant is None or quantizer.byte_grid is None:
        return quantizer
    # A range that was never seen is that of the values at hand.
    seen = [name for name, state in quant.sites.items() if int(state.range.count)]
    grids = {name: quantizer.byte_grid(quant, name) for name in seen}
    bounds = {
        name: [np.asarray(n, np.float32) for n in (grid.step, -grid.zero, grid.top - grid.zero)]
        for name, grid in grids.items() if grid is not None
    }  # fmt: skip
    inner = quantizer.value

    def value(quant, site: str, x, mask, key, train: bool):
        if site not in bounds:
            return inner(quant, site, x, mask, key, train)
        step, low, high = bounds[site]
        return jnp.clip(jnp.round(x * (1 / step)), low, high) * step, quant

    return quantizer._replace(value=value)


def _fixed_nodes(restored: Restored) -> int | str:
    """A model with a table for every node of its graph runs on as many nodes only."""
    sites = {} if restored.quant is None else restored.quant.sites
    tables = [state for state in sites.values() if type(state) is Learned]
    return tables[0].step.shape[0] if tables else "n_node"


def _reads_edges(restored: Restored) -> bool:
    if not restored.n_edge_feature:
        return False
    blank = jax.ShapeDtypeStruct((1, restored.n_feature), np.float32), *[_IDS] * 2
    sizes = {"graph_sizes": _IDS} if restored.task == "graph" else {}
    try:
        plain = restored._replace(quant=None, quantizer=None)
        jax.eval_shape(
            lambda v, *a, **k: _answers(plain, v, *a, **k), plain.variables, *blank, **sizes
        )
    except ValueError:  # Without edge features it cannot run.
        return True
    return False


_IDS = jax.ShapeDtypeStruct((1,), np.int32)


def _output(restored: Restored, n_node: int | str) -> Port:
    if restored.task == "link":
        return Port("logits", ("n_pair",), "float32")
    rows = "n_graph" if restored.task == "graph" else n_node
    return Port("logits", (rows, restored.model.out), "float32")


def _weights(restored: Restored) -> dict[str, Weight]:
    """All variables; those on a grid as their codes."""
    leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(restored.variables).items()}
    stored = {name: Weight(leaf) for name, leaf in leaves.items()}
    if restored.quantizer is None or restored.quant is None:
        return stored
    symmetric = restored.quantizer.symmetric_weights
    for path, grid in restored.quantizer.grids(
        restored.quant, restored.variables["params"]
    ).items():
        name = f"params/{path}"
        codes = np.asarray(quantize(jnp.asarray(leaves[name]), grid, symmetric=symmetric))
        zero = np.broadcast_to(np.asarray(grid.zero_point), grid.scale.shape).astype(codes.dtype)
        stored[name] = Weight(codes, np.asarray(grid.scale), zero, int(grid.bits))
    return stored
