"""`load`: a data set by its name, with the split that was asked for."""

import difflib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from jgc.data.block_model import sbm
from jgc.data.dataset import DataError, Dataset, Parsed
from jgc.data.dgcnn import read_dgcnn
from jgc.data.embedded import node_rows, pair_rows
from jgc.data.enclosing import enclosing_graphs
from jgc.data.geom_gcn import geom_gcn_splits, read_geom_gcn, split_source
from jgc.data.links import FRACTIONS, graph_pairs, link_split
from jgc.data.moleculenet import read_moleculenet
from jgc.data.motifs import motif
from jgc.data.npz import read_npz
from jgc.data.planetoid import read_planetoid
from jgc.data.scaffold import scaffold_split
from jgc.data.snapshots import read_snapshots
from jgc.data.source import Files, find_files
from jgc.data.splits import class_split, last_split, random_split, stratified_folds
from jgc.data.table import SPECS, Spec, tudataset
from jgc.data.table import npz as npz_spec
from jgc.data.temporal import read_temporal
from jgc.data.temporal_block_model import temporal_sbm
from jgc.data.tu import read_tu

_READERS = {
    "planetoid": read_planetoid,
    "npz": read_npz,
    "geom-gcn": read_geom_gcn,
    "tu": read_tu,
    "dgcnn": read_dgcnn,
    "moleculenet": read_moleculenet,
    "temporal": read_temporal,
    "snapshots": read_snapshots,
}
_EMBEDDED = {"sbm": sbm, "motif": motif, "temporal-sbm": temporal_sbm}
# What the row of a node set becomes when its name ends in such a word.
_FORMS: dict[str, Callable[[str], dict]] = {
    "link": lambda name: {"task": "link", "split": "link"},
    "pairs": lambda name: {
        "name": f"{name}-pairs", "task": "graph", "split": "link", "kind": "binary",
        "metric": "roc_auc",
    },
}  # fmt: skip


def names() -> list[str]:
    """The names that `load` knows, sorted.

    Others: "tu:NAME" for any TUDataset, "npz:PATH" for a file in the gnn-benchmark layout,
    "NAME-link" for the link task of a node set, and "NAME-pairs" for that task with a small graph
    around every pair (`jgc.data.enclosing_graphs`).

    Example:
        >>> [name for name in names() if name.startswith("c")][:3]
        ['chameleon', 'citeseer', 'citeseer-npz']
    """
    return sorted(SPECS)


def info(name: str) -> Spec:
    """The row of the table for a name, with its default task and split.

    Raises:
        DataError: for an unknown name; the nearest known ones are suggested.

    Example:
        >>> info("cora").split, info("cora-link").task, info("tu:AIDS").source.folder
        ('public', 'link', 'tudataset/AIDS')
    """
    kind, _, rest = name.partition(":")
    if kind.lower() == "tu" and rest:
        if not re.fullmatch(r"[\w.-]*\w", rest, re.ASCII):  # It becomes a folder and an address.
            raise DataError(f"{name!r}: a TUDataset's name is letters, digits, `_`, `.` and `-`.")
        return SPECS.get(rest.lower(), tudataset(rest, "any TUDataset"))
    if kind.lower() == "npz" and rest:
        return npz_spec(name, Path(rest).name, "a file of your own")
    key = name.lower()
    if key in SPECS:
        return SPECS[key]
    stem, _, form = key.rpartition("-")
    if form in _FORMS and stem in SPECS and _has_links(SPECS[stem]):
        return SPECS[stem]._replace(**_FORMS[form](stem))
    near = difflib.get_close_matches(key, names(), n=3)
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {names()}."
    raise DataError(f"Unknown data set {name!r}. {hint} Any TUDataset loads as 'tu:NAME'.")


def load(
    name: str,
    *,
    task: str | None = None,
    split: str | None = None,
    seed: int = 0,
    n_splits: int | None = None,
    folder: str | os.PathLike | None = None,
) -> Dataset:
    """Loads a data set: embedded, from files of yours, from the cache, or from its public home.

    Args:
        name: One of `names()`, in any case, or one of the forms that it describes.
        task: "link" makes a link prediction task of a node set; by default the set's own task.
        split: Node sets: "public", "random" (20 a class, 500, the rest; by `seed`), "last"
            (test the last 500, validate on the 500 before, train on all others), "geom-gcn" (the
            ten published splits), "temporal" and "random-60" (see `jgc.data.pair_rows` and
            `node_rows`, for sets that are made of walks). Graph sets: "kfold" (stratified, with an
            inner hold-out), "random" (80/10/10), "scaffold" (molecules). Link tasks and pairs:
            "link" (85/5/10), "link-80" (80/5/15). `None`: the set's default.
        seed: Seed of the first split; the next ones count on. It changes no graph that is read; the
            "temporal" splits have vectors of their own.
        n_splits: How many; for "kfold" the number of folds. By default 10 for "kfold" and
            "geom-gcn", else 1.
        folder: A folder to look in before `JGC_DATA_DIR`, the cache and a download.

    Returns:
        The `Dataset`.

    Raises:
        DataError: for an unknown name, task or split; for files that cannot be found or are not
            what they should be, with file and place.

    Example:
        >>> data = load("sbm")
        >>> data.task, len(data.graphs), [len(part) for part in data.splits[0][:3]]
        ('node', 1, [140, 500, 1000])
    """
    spec = info(name)
    task = task or spec.task
    if task != spec.task and not (task == "link" and _has_links(spec)):
        raise DataError(f"`task` is {task!r}; {name!r} is a data set for {spec.task!r}.")
    split = split or ("link" if task == "link" else spec.split)
    parsed, notes = _read(spec, name, folder)
    splits = _splits(spec, task, split, parsed, seed, n_splits, folder)
    links = split in FRACTIONS
    graphs, labels = parsed.graphs, None if links else parsed.labels
    if parsed.temporal is not None:
        graphs, labels, splits = _rows(parsed, split, range(seed, seed + (n_splits or 1)))
    elif links and task == "graph":
        graphs, labels, splits = enclosing_graphs(graphs[0], splits)
    return Dataset(
        name=spec.name,
        task=task,
        graphs=graphs,
        labels=labels,
        splits=splits,
        metric="roc_auc" if links else spec.metric,
        n_class=1 if links else parsed.n_class,
        kind="binary" if links else spec.kind,
        notes=notes + parsed.notes,
    )


def _read(spec: Spec, name: str, folder) -> tuple[Parsed, tuple[str, ...]]:
    if spec.source is None:
        return _EMBEDDED[spec.reader](), ()
    if name.lower().startswith("npz:"):
        path = Path(name[4:])
        if not path.is_file():
            raise DataError(f"{path}: no such file.")
        files = Files(path.parent)
    else:
        files = find_files(name, spec.source, folder=folder)
    return _READERS[spec.reader](files, **spec.options), files.notes


def _rows(parsed: Parsed, split: str, seeds: Sequence[int]):
    """Rows of a temporal set, for each split its own."""
    assert parsed.temporal is not None
    if split == "temporal":
        return pair_rows(parsed.temporal, seeds)
    return node_rows(parsed.temporal, parsed.labels, seeds)


def _splits(spec, task, split, parsed: Parsed, seed: int, n_splits, folder) -> tuple:
    allowed = _allowed(spec, task, parsed)
    if split not in allowed:
        raise DataError(f"`split` is {split!r}; for {spec.name!r} ({task}) it may be {allowed}.")
    if n_splits is not None and n_splits < 1:
        raise DataError(f"`n_splits` must be at least 1, got {n_splits}.")
    if split in ("public", "last", "scaffold") and (n_splits or 1) > 1:
        raise DataError(f"`n_splits` is {n_splits}, but there is one {split!r} split only.")
    if split == "geom-gcn" and (n_splits or 10) > 10:
        raise DataError(f"`n_splits` is {n_splits}, but there are ten 'geom-gcn' splits.")
    seeds = range(seed, seed + (n_splits or 1))
    labels = parsed.labels
    match split:
        case "public":
            return (parsed.public,)
        case "last":
            return (last_split(labels),)
        case "scaffold":
            return (scaffold_split(parsed.smiles),)
        case "kfold":
            return stratified_folds(labels, seed=seed, n_folds=n_splits or 10)
        case "temporal" | "random-60":
            return ()  # Each comes with rows of its own.
        case "geom-gcn":
            files = find_files(f"{spec.name} splits", split_source(spec.name), folder=folder)
            return geom_gcn_splits(files, labels, split_source(spec.name).files[: n_splits or 10])
        case "link" | "link-80":
            graph, n_node = parsed.graphs[0], int(parsed.graphs[0].n_node[0])
            part = {"n_node": n_node, "fractions": FRACTIONS[split], "name": split}
            return tuple(link_split(graph_pairs(graph), seed=s, **part) for s in seeds)
    if task == "node":
        return tuple(class_split(labels, seed=s) for s in seeds)
    return tuple(random_split(len(parsed.graphs), seed=s) for s in seeds)


def _has_links(spec: Spec) -> bool:
    """Whether a set is one graph whose edges may be asked for."""
    return spec.task == "node" and spec.split not in ("temporal", "random-60")


def _allowed(spec: Spec, task: str, parsed: Parsed) -> list[str]:
    if parsed.temporal is not None:
        return [spec.split]
    if spec.split in FRACTIONS or task == "link":
        return list(FRACTIONS)
    if task == "node":
        public = ["public"] if parsed.public else []
        has_files = spec.name in ("cora", "citeseer", "pubmed", "chameleon")
        return public + ["random", "last"] + (["geom-gcn"] if has_files else [])
    scaffold = ["scaffold"] if parsed.smiles else []
    return scaffold + ["random"] + (["kfold"] if spec.kind == "class" else [])
