"""`check`: an exported model answers as jgc does, on graphs of different sizes, or is no model."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jgc.export.program import Program
from jgc.forward import apply
from jgc.graph import GraphsTuple, batch, from_edges, layout
from jgc.models import link_scores

TOLERANCE = 1e-5  # Of the largest answer: the rounding of float32 sums in another order.
# Such a sum may fall to the other side of a grid's step, and with it all that depends on it.
QUANTISED_SHARE, QUANTISED_TOLERANCE = 0.75, 0.25


def check(made: Program, run: Callable[..., np.ndarray], what: str) -> None:
    """Compares a written program with `jgc.apply` on batches of graphs of two sizes.

    They have self loops, edges that are there twice, nodes without edges, and a graph that is one
    such node. Every answer must be within `TOLERANCE` of jgc's, relative to the largest. Of a
    quantised model 3 of 4 must be, and the others within a quarter: a sum in another order may
    round to the next step of a grid.

    Args:
        made: What was written.
        run: Calls the written program with the arrays of `made.inputs`.
        what: Its name, for the message.

    Raises:
        ValueError: if its answers are others.
    """
    off = np.concatenate([_off(made, run, sizes) for sizes in _sizes(made)])
    quantised = made.restored.quant is not None
    share, most = (QUANTISED_SHARE, QUANTISED_TOLERANCE) if quantised else (1, TOLERANCE)
    within = (off <= TOLERANCE).mean()
    if not (within >= share and off.max() <= most):
        raise ValueError(
            f"{what} of {made.name} gives other numbers than jgc: they differ by up to "
            f"{off.max():.2g} of the largest, {within:.0%} by no more than {TOLERANCE}. "
            "Nothing was written."
        )


def _off(made: Program, run: Callable[..., np.ndarray], sizes: list[int]) -> np.ndarray:
    """How far each answer is from jgc's, as a share of the largest."""
    arrays, graph = _case(made, sizes)
    found, due = run(*arrays), _answers(made, graph, arrays)
    if found.shape != due.shape:
        return np.array([np.inf])
    return np.abs(found - due).ravel() / max(np.abs(due).max(), 1e-30)


def _sizes(made: Program) -> list[list[int]]:
    """Nodes of the graphs of each batch."""
    n_node = made.inputs[0].dims[0]
    return [[1, 6], [5, 20, 15]] if isinstance(n_node, str) else [[1, n_node - 1]]


def _case(made: Program, sizes: list[int]) -> tuple[list[np.ndarray], GraphsTuple]:
    """Arrays for the program, and the same as a graph."""
    rng = np.random.default_rng(len(sizes))
    restored = made.restored
    graph = batch([_graph(rng, n, restored.n_feature, restored.n_edge_feature) for n in sizes])
    pairs = rng.integers(0, sum(sizes), (9, 2), np.int32)
    every = {**graph._asdict(), "graph_sizes": graph.n_node, "pairs": pairs}
    if restored.task != "graph":
        one = {"n_node": np.array([sum(sizes)]), "n_edge": np.array([graph.senders.size])}
        graph = graph._replace(globals=None, **one)
    return [np.asarray(every[port.name], port.dtype) for port in made.inputs], graph


def _graph(rng: np.random.Generator, n: int, width: int, edge_width: int) -> GraphsTuple:
    n_edge = 4 * n if n > 1 else 0
    senders, receivers = rng.integers(0, max(n - 1, 1), (2, n_edge))
    if n_edge:  # Two loops, and one edge three times.
        receivers[:2], senders[2:4], receivers[2:4] = senders[:2], senders[4], receivers[4]
    nodes = rng.random((n, width)) * (rng.random((n, width)) < 0.3)
    edges = np.round(2 * rng.random((n_edge, edge_width))) / 2 if edge_width else None
    return from_edges(senders, receivers, n_node=n, nodes=nodes, edges=edges)


def _answers(made: Program, graph: GraphsTuple, arrays: list[np.ndarray]) -> np.ndarray:
    """What jgc says, by its reference back end."""
    restored = made.restored

    @jax.jit
    def run(variables, quant, graph, places):
        return apply(
            restored.model, variables, graph, None, quant,
            quantizer=restored.quantizer, layout=places,
        )[0]  # fmt: skip

    answers = run(restored.variables, restored.quant, graph, layout(graph, "segment"))
    answers = link_scores(answers, jnp.asarray(arrays[-1])) if restored.task == "link" else answers
    return np.asarray(answers)
