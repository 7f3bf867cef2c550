"""`check`: an exported model answers as jgc does, on graphs of different sizes, or is no model."""

from collections.abc import Callable

import numpy as np

from jgc.export.program import Program
from jgc.forward import apply
from jgc.graph import GraphsTuple, batch, from_edges, layout
from jgc.models import link_scores

TOLERANCE = 1e-4  # Of the largest answer: the rounding of float32 sums in another order.
# Where such sums meet a grid, some fall to its other side, by a step of some layer.
_QUANTISED_SHARE, _QUANTISED_TOLERANCE = 0.75, 0.25


def check(made: Program, run: Callable[..., np.ndarray], what: str) -> None:
    """Compares a written program with `jgc.apply`.

    The graphs have self loops, edges that are there twice, a node without edges and one that is a
    graph of its own. Every answer must be within `TOLERANCE` of jgc's, relative to the largest.
    Of a quantised model three of four must be, the others within a quarter: a sum in
    another order may round to the next step of a grid.

    Args:
        made: What was written.
        run: Calls the written program with the arrays of `made.inputs`.
        what: Its name, for the message.

    Raises:
        ValueError: if its answers are others.
    """
    for sizes in _sizes(made):
        arrays, graph = _case(made, sizes)
        found, due = run(*arrays), _answers(made, graph, arrays)
        largest = max(np.abs(due).max(), 1e-30)
        off = np.abs(found - due) / largest if found.shape == due.shape else np.array(np.inf)
        quantised = made.restored.quant is not None
        share, most = (_QUANTISED_SHARE, _QUANTISED_TOLERANCE) if quantised else (1, TOLERANCE)
        if not ((off <= TOLERANCE).mean() >= share and off.max() <= most):
            raise ValueError(
                f"{what} of {type(made.restored.model).__name__} gives other numbers than jgc: "
                f"on {due.shape[0]} answers they differ by up to {off.max():.2g} of the largest "
                f"({(off <= TOLERANCE).mean():.0%} within {TOLERANCE}). Nothing was written."
            )


def _sizes(made: Program) -> list[list[int]]:
    """Nodes of the graphs of each case."""
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
    if n_edge:
        receivers[:2], senders[2:4], receivers[2:4] = senders[:2], senders[4], receivers[4]
    nodes = rng.random((n, width)) * (rng.random((n, width)) < 0.3)
    edges = np.round(2 * rng.random((n_edge, edge_width))) / 2 if edge_width else None
    return from_edges(senders, receivers, n_node=n, nodes=nodes, edges=edges)


def _answers(made: Program, graph: GraphsTuple, arrays: list[np.ndarray]) -> np.ndarray:
    """What jgc says, by its reference back end."""
    restored = made.restored
    answers, _ = apply(
        restored.model, restored.variables, graph, None, restored.quant,
        quantizer=restored.quantizer, layout=layout(graph, "segment"),
    )  # fmt: skip
    answers = link_scores(answers, arrays[-1]) if restored.task == "link" else answers
    return np.asarray(answers)
