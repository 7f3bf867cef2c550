"""`Program`: a restored model as a function of plain arrays, which every format writes."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export

from jgc.atomic import write_atomic
from jgc.export.reader import Port
from jgc.export.weight import Weight, weights_of
from jgc.forward import apply
from jgc.graph import GraphsTuple, from_edges, layout
from jgc.models import link_scores
from jgc.pack import Restored, restore
from jgc.quant import Learned, Quantizer
from jgc.tree import map_named


class Program(NamedTuple):
    """A model as a function, with its weights apart.

    Attributes:
        run: `(variables, *arrays) -> answers`, with the arrays of `inputs`.
        weights: What becomes the variables, by name.
        inputs: What it takes.
        output: What it gives.
        restored: The model.
        name: Of the model.
    """

    run: Callable[..., Array]
    weights: dict[str, Weight]
    inputs: tuple[Port, ...]
    output: Port
    restored: Restored
    name: str

    def variables(self, arrays: dict[str, Any]) -> Any:
        """Arrays by name as the tree that `run` takes."""
        return map_named(lambda name, _: arrays[name], self.restored.variables)

    def shapes(self) -> list[jax.ShapeDtypeStruct]:
        """The inputs as jax's own shapes, with a symbol for every size that has a name."""
        scope = export.SymbolicScope()

        def shape(port: Port) -> Any:
            # jax takes symbols for at least 1, but a graph may have no edge.
            said = ("n_edge_and_1 - 1" if dim == "n_edge" else str(dim) for dim in port.dims)
            return export.symbolic_shape(",".join(said), scope=scope)

        return [jax.ShapeDtypeStruct(shape(port), port.dtype) for port in self.inputs]

    @contextlib.contextmanager
    def traceable(self):
        """Says in plain words what jax says of a program that has no form for all sizes."""
        try:
            yield
        except Exception as error:  # `restore` has run it with numbers: it fails for symbols.
            raise ValueError(
                f"{self.name} cannot be exported: how it computes depends on the number of nodes "
                f"or edges, which a file leaves open ({str(error).splitlines()[0]})"
            ) from error

    def head(self) -> dict[str, Any]:
        """What a file says of itself, in JSON types."""
        restored, meta = self.restored, self.restored.meta
        return {
            "model": self.name,
            "task": restored.task,
            "kind": restored.kind,
            "dataset": restored.dataset,
            **{key: meta[key] for key in ("metric", "val", "test") if key in meta},
            "inputs": [port._asdict() for port in self.inputs],
            "output": self.output._asdict(),
        }


class Written(NamedTuple):
    """A file that was exported.

    Attributes:
        path: Where it is.
        n_bytes: Its size.
        inputs: What the model in it takes.
        output: What it gives.
    """

    path: Path
    n_bytes: int
    inputs: tuple[Port, ...]
    output: Port


def begin(model: Restored | str | Path, path: str | Path) -> Program:
    """Makes the function that is exported; nothing is traced yet.

    It takes `nodes` `[n_node, d]`, `senders` and `receivers` `[n_edge]`; for graphs also
    `graph_sizes`, the number of nodes of each graph, which lie one after the other; for links
    `pairs` `[n_pair, 2]`; and `edges` `[n_edge, d_edge]` where the model reads them. Sparse
    features are taken dense. Nothing is padding. Edges may come in any order.

    Args:
        model: From `jgc.pack.restore`, or the file of an artefact.
        path: Where the file will be.

    Returns:
        The `Program`.

    Raises:
        ValueError: as `restore`.
        OSError: if there is no such folder.
    """
    if not Path(path).parent.is_dir():
        raise FileNotFoundError(f"`path`: there is no folder `{Path(path).parent}` to write to.")
    restored = model if isinstance(model, Restored) else restore(model)
    n_node = _fixed_nodes(restored)
    inputs = _inputs(restored, n_node)
    names = [port.name for port in inputs]
    quantizer = _with_known_grids(restored)

    def run(variables, *arrays):
        named = dict(zip(names, arrays, strict=True))
        return _answers(restored._replace(quantizer=quantizer), variables, **named)

    name = type(getattr(restored.model, "encoder", restored.model)).__name__
    return Program(run, weights_of(restored), inputs, _output(restored, n_node), restored, name)


def finish(made: Program, data: bytes, path: str | Path) -> Written:
    """Writes the file, all or nothing."""
    write_atomic(Path(path), data)
    return Written(Path(path), len(data), made.inputs, made.output)


def _inputs(restored: Restored, n_node: int | str) -> tuple[Port, ...]:
    inputs = [
        Port("nodes", (n_node, restored.n_feature), "float32"),
        Port("senders", ("n_edge",), "int32", below=n_node),
        Port("receivers", ("n_edge",), "int32", below=n_node),
    ]
    if _reads_edges(restored):
        inputs.append(Port("edges", ("n_edge", restored.n_edge_feature), "float32"))
    if restored.task == "graph":
        inputs.append(Port("graph_sizes", ("n_graph",), "int32", total=n_node))
    if restored.task == "link":
        inputs.append(Port("pairs", ("n_pair", 2), "int32", below=n_node))
    return tuple(inputs)


def _output(restored: Restored, n_node: int | str) -> Port:
    if restored.task == "link":
        return Port("logits", ("n_pair",), "float32")
    model: Any = restored.model
    return Port("logits", ("n_graph" if restored.task == "graph" else n_node, model.out), "float32")


def _fixed_nodes(restored: Restored) -> int | str:
    """A model with a table for every node of its graph runs on as many nodes only."""
    sites = {} if restored.quant is None else restored.quant.sites
    tables = [state for state in sites.values() if type(state) is Learned]
    return tables[0].step.shape[0] if tables else "n_node"


def _reads_edges(restored: Restored) -> bool:
    """Whether it cannot do without their features."""
    if not restored.n_edge_feature:
        return False
    graph = from_edges([0], [1], nodes=np.zeros((2, restored.n_feature), np.float32))
    try:
        jax.eval_shape(restored.model.apply, restored.variables, graph)
    except ValueError:
        return True
    return False


def _answers(
    restored: Restored, variables, nodes, senders, receivers,
    edges=None, graph_sizes=None, pairs=None,
) -> Array:  # fmt: skip
    sizes = jnp.full(1, nodes.shape[0]) if graph_sizes is None else graph_sizes
    # Without `globals["real"]` nothing is padding, so that nobody asks for edges a graph.
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
    if quantizer.row_grid is not None:  # Nodes have grids of their own.
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
