"""Whether a restored model can answer for a data set: what must be equal, and what be there."""

import warnings
from typing import Any

import numpy as np

from jgc.data import Dataset, info, load
from jgc.graph import SparseRows
from jgc.pack.restore import Restored, check_fit
from jgc.quant import Learned

# The word that `jgc.data.load` has for splits of other names.
_SPLITS = {"fold": "kfold"}


def data_for(
    restored: Restored, name: str, task: str | None = None, split: str | None = None
) -> tuple[Dataset, int]:
    """Loads the data set that a model is to answer for, with the split it was trained on if it can.

    Args:
        restored: From `jgc.pack.restore`.
        name: Of the data set.
        task: `None`: the model's.
        split: A word of `jgc.data.load`; `None`: on the model's own data set the one that it was
            trained on, elsewhere the set's default.

    Returns:
        The data set and the number of the split. On the model's own data set a `UserWarning` says
        where it is another split: its test part may have been trained on.

    Raises:
        DataError: as `jgc.data.load`.
    """
    trained = restored.meta.get("config", {}).get("split", "")
    word, _, number = trained.rpartition("-")
    word, number = (word, int(number)) if number.isdecimal() else (trained, 0)
    own = info(name).name == restored.dataset
    chosen = (split or _SPLITS.get(word, word) or None) if own else split
    folds = restored.meta.get("n_splits") if chosen == "kfold" else None
    seed = 0 if chosen in ("kfold", "geom-gcn") else number
    data = load(name, task=task or restored.task, split=chosen, seed=seed, n_splits=folds)
    names = [each.name for each in data.splits]
    if own and trained and trained not in names:
        warnings.warn(
            f"the model was trained on split {trained!r}; nodes, pairs or graphs of the test part "
            f"of {names[0]!r} may have been among those.",
            stacklevel=2,
        )
    return data, names.index(trained) if own and trained in names else 0


def check_data(restored: Restored, data: Dataset) -> None:
    """Raises for a data set that the model cannot answer for.

    Args:
        restored: From `jgc.pack.restore`.
        data: From `jgc.data.load`.

    Raises:
        ValueError: for another task, kind of labels, number of classes or features; for features
            that are no numbers; for a graph of another number of nodes than a per-node table.
    """
    nodes, edges = (getattr(data.graphs[0], part) for part in ("nodes", "edges"))
    width = 0 if nodes is None else int(nodes.shape[-1])
    out = getattr(restored.model, "out", data.n_class)
    _check_same("task", restored.task, data.task, data)
    _check_same("kind of labels", restored.kind, data.kind, data)
    _check_same("number of node features", restored.n_feature, width, data)
    if data.task != "link":
        _check_same("number of classes or targets", out, data.n_class, data)
    _check_edges(restored, 0 if edges is None else int(edges.shape[-1]), data)
    _check_numbers(data)
    _check_tables(restored, data)


def _check_same(what: str, due: Any, found: Any, data: Dataset) -> None:
    if due != found:
        raise ValueError(f"the {what} of {data.name!r} is {found!r}, the model is for {due!r}.")


def _check_edges(restored: Restored, width: int, data: Dataset) -> None:
    """Another width is wrong only for a model that reads edges."""
    try:
        check_fit(restored._replace(n_edge_feature=width))
    except ValueError as error:
        raise ValueError(
            f"the edges of {data.name!r} have {width} features, the model was trained with "
            f"{restored.n_edge_feature}: {error}"
        ) from error


def _check_numbers(data: Dataset) -> None:
    for i, graph in enumerate(data.graphs):
        for what, held in (("node", graph.nodes), ("edge", graph.edges)):
            values = held.values if isinstance(held, SparseRows) else held
            if values is not None and not np.isfinite(values).all():
                bad = int((~np.isfinite(values)).sum())
                raise ValueError(
                    f"{bad} {what} features of graph {i} of {data.name!r} are NaN or infinite: "
                    "nothing can be predicted from them. Fill them, or drop what they belong to."
                )


def _check_tables(restored: Restored, data: Dataset) -> None:
    """A table of a row for each node fits the graph that it was learned on alone."""
    sites = {} if restored.quant is None else restored.quant.sites
    tables = {site: state for site, state in sites.items() if type(state) is Learned}
    n_node = data.graphs[0].nodes.shape[0]
    for site, state in tables.items():
        if state.step.shape[0] != n_node:
            raise ValueError(
                f"site {site!r} has a step and a width for each of the {state.step.shape[0]} nodes "
                f"of {restored.dataset!r}; the graph of {data.name!r} has {n_node}. For other "
                "graphs compress with `degree` or `qat`."
            )
    if tables and data.name != restored.dataset:
        warnings.warn(
            f"steps and widths were learned for each node of {restored.dataset!r}; are the nodes "
            f"of {data.name!r} the same, in the same order?",
            stacklevel=4,
        )
