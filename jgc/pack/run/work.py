"""`Work`: what a restored model is run on, a graph or a whole data set."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgc.data import Dataset
from jgc.graph import GraphsTuple, Layout, draw
from jgc.graph import layout as layout_of
from jgc.graph import pack as pack_batches
from jgc.train.problem import Problem, batch_budget, problem

_BATCH = 32  # Graphs a batch on average.

Forward = Callable[[GraphsTuple, Layout], Any]


class Work(NamedTuple):
    """What a model is to be run on.

    Attributes:
        run: `(forward, arrays) -> answers`; calls `forward(graph, layout)` once, or maps it over
            batches.
        arrays: Graphs and layouts: arguments of the compiled program.

    Example:
        >>> work = Work(lambda forward, arrays: forward(*arrays), (1, 2))
        >>> work.run(lambda graph, layout: graph + layout, work.arrays)
        3
    """

    run: Callable[[Forward, Any], Any]
    arrays: Any


def on_graph(graph: GraphsTuple, layout: Layout | None = None) -> Work:
    """One pass over one graph, or over a batch of graphs.

    Args:
        graph: The graph.
        layout: Of the graph; made on the spot where it is `None`.

    Returns:
        The `Work`.

    Example:
        >>> from jgc.graph import from_edges
        >>> work = on_graph(from_edges([0], [1], nodes=np.ones((2, 1))))
        >>> work.run(lambda graph, layout: graph.nodes.shape, work.arrays)
        (2, 1)
    """
    layout = layout_of(graph) if layout is None else layout
    return Work(lambda forward, arrays: forward(*arrays), (graph, layout))


def on_dataset(data: Dataset, split: int = 0, metric: str | None = None) -> tuple[Work, Problem]:
    """One pass over all graphs of a data set; of a link task over the graph that messages take.

    Args:
        data: The data set.
        split: Which of its splits says what is known.
        metric: For the problem; `None`: the data set's own.

    Returns:
        The `Work`, whose answers of graphs come batch by batch (`in_order`), and the problem of
        that split alone, which scores answers.

    Raises:
        ValueError: for a metric that does not fit.

    Example:
        >>> import jgc.data
        >>> work, task = on_dataset(jgc.data.load("sbm"))
        >>> task.metric, task.n_split
        ('accuracy', 1)
    """
    alone = dataclasses.replace(data, splits=(data.splits[split],))
    batch_size = _BATCH if data.task == "graph" else None
    task = problem(alone, metric=metric, batch_size=batch_size, shuffles=1)
    selected = task.select(task.data, jnp.int32(0))
    if data.task != "graph":
        return Work(task.answer, selected), task
    sizes = np.array([[graph.nodes.shape[0], graph.senders.size] for graph in data.graphs])
    budget = batch_budget(sizes, _BATCH)
    batches = pack_batches(sizes, np.arange(len(sizes)), budget)

    def run(forward: Forward, arrays: Any) -> Any:
        graphs, batches = arrays
        return jax.lax.map(lambda ids: forward(*draw(graphs, ids, budget)), batches)

    return Work(run, (selected[0][0], jnp.asarray(batches))), task


def in_order(answers: Any, data: Dataset, work: Work) -> np.ndarray:
    """Answers on the host, those of graphs in the order of the set, `[n, n_out]`."""
    answers = np.asarray(answers)
    if data.task != "graph":
        return answers
    # The last slot of a batch is padding; the number after the last graph stands for none.
    ordered = np.zeros((len(data.graphs) + 1, answers.shape[-1]), answers.dtype)
    ordered[np.asarray(work.arrays[1])] = answers[:, :-1]
    return ordered[:-1]
