"""`problem`: the `Problem` of a data set, by its task."""

from jax import Array

from jgc.data import Dataset
from jgc.graph import SparseRows
from jgc.train.graph_problem import batch_budget as batch_budget
from jgc.train.graph_problem import graph_problem
from jgc.train.link_problem import link_problem
from jgc.train.node_problem import node_problem
from jgc.train.part_problem import check_parts, part_problem
from jgc.train.row_problem import row_problem
from jgc.train.task import FITTING as FITTING
from jgc.train.task import Problem as Problem
from jgc.train.task import Scores as Scores

GRAPHS = 32  # A batch, where nothing is said.


def problem(
    dataset: Dataset,
    *,
    metric: str | None = None,
    choose: str | None = None,
    batch_size: int | None = None,
    shuffles: int = 32,
    parts: int = 1,
    guess_weights: Array | None = None,
    seed: int = 0,
    backend: str = "auto",
    devices: int = 1,
    wire: str = "float32",
) -> Problem:
    """Turns a data set into a `Problem`.

    Args:
        dataset: From `jgc.data`.
        metric: A name of `METRICS` that fits the labels; by default the data set's own. The
            accuracy of links is taken at the cut that is best on the validation part.
        choose: Another such name, whose validation score chooses the epoch in the place of
            `metric`, such as "log_loss" where the validation part is small.
        batch_size: Graphs a batch on average (graph tasks, 32 by default), or rows a batch (node
            tasks whose graph has no edges; by default all nodes at once, as in other node tasks).
        shuffles: Number of distinct shuffled epochs, used in turn (graph tasks).
        parts: Into how many static subgraphs the training edges are dealt (link tasks). Each is
            encoded with its own edges only and trained to tell them (NESS, arXiv 2303.08958).
            Differs: NESS answers with the mean of the parts' node values; here the whole training
            graph answers, which scores higher on validation and costs one small pass.
        guess_weights: Of the loss against the model's own guesses for nodes outside the training
            part (node tasks with classes; `jgc.train.losses.self_training`), one an epoch, float
            `[n_epoch]`; the last holds from then on.
        seed: Of the shuffling and the parts.
        backend: Of the aggregation, see `jgc.graph.layout`.
        devices: Over how many the nodes are dealt (node tasks with classes): all of a graph that is
            too large for one takes part in every step. Dropout, batch norm and normalisation are
            those of the whole graph.
        wire: How node values travel between devices: `"float32"`, or `"int8"` with a scale a row
            and error feedback.

    Returns:
        The `Problem`.

    Raises:
        ValueError: for a metric that does not fit the labels, sizes below 1, guesses where there
            are no classes of nodes, batches of nodes that have edges, or several devices for a
            task that cannot be dealt to them.

    Example:
        >>> import jgc.data
        >>> problem(jgc.data.load("sbm")).metric
        'accuracy'
    """
    check_metrics(dataset, metric, choose)
    metric = metric or dataset.metric
    for name, count in (("shuffles", shuffles), ("parts", parts), ("devices", devices)):
        if count < 1:
            raise ValueError(f"`{name}` must be >= 1, got {count}.")
    if guess_weights is not None and (dataset.task, dataset.kind) != ("node", "class"):
        raise ValueError(
            "`guess_weights` needs nodes with classes to guess; "
            f"{dataset.name!r} has task {dataset.task!r} and labels of kind {dataset.kind!r}."
        )
    if batch_size is not None:
        _check_batches(dataset, batch_size, guess_weights)
    if devices > 1:
        if batch_size is not None or guess_weights is not None:
            raise ValueError("`devices` > 1 goes with neither `batch_size` nor `guess_weights`.")
        for word in filter(None, (metric, choose)):
            check_parts(dataset, word, devices)
        made = part_problem(dataset, metric, devices, wire, seed, backend)
        return made._replace(choose=choose)
    if dataset.task == "link":
        made = link_problem(dataset, metric, parts, seed, backend)
    elif dataset.task == "graph":
        made = graph_problem(dataset, metric, batch_size or GRAPHS, shuffles, seed, backend)
    elif batch_size is None:
        made = node_problem(dataset, metric, guess_weights, backend)
    else:
        made = row_problem(dataset, metric, batch_size)
    return made._replace(choose=choose)


def check_metrics(dataset: Dataset, metric: str | None, choose: str | None = None) -> None:
    """Raises `ValueError` for a metric that does not fit the labels of a data set.

    Example:
        >>> import jgc.data
        >>> check_metrics(jgc.data.load("sbm"), "mae")
        Traceback (most recent call last):
            ...
        ValueError: `metric` of 'sbm', whose labels are of kind 'class', must be one of ...
    """
    kind = "link" if dataset.task == "link" else dataset.kind
    for name, word in (("metric", metric), ("choose", choose)):
        if word is not None and word not in FITTING[kind]:
            raise ValueError(
                f"`{name}` of {dataset.name!r}, whose labels are of kind {kind!r}, must be one "
                f"of {list(FITTING[kind])}, got {word!r}."
            )


def _check_batches(dataset: Dataset, batch_size: int, guess_weights) -> None:
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be >= 1, got {batch_size}.")
    if dataset.task == "graph":
        return
    graph = dataset.graphs[0]
    if dataset.task == "link" or graph.senders.size or isinstance(graph.nodes, SparseRows):
        raise ValueError(
            "`batch_size` is for graphs, or for nodes with dense features and no edges; "
            f"{dataset.name!r} has task {dataset.task!r} and {graph.senders.size} edges, and is "
            "trained on whole. Leave it out?"
        )
    if guess_weights is not None:
        raise ValueError("`guess_weights` needs all nodes at once; leave out `batch_size`.")
