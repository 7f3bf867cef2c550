"""MoleculeNet's CSV files: a column of SMILES and columns of targets."""

import csv
import io
from collections import defaultdict

import numpy as np

from jgc.data.atom_codes import coded_graph
from jgc.data.dataset import DataError, Parsed
from jgc.data.molecule import chemistry, molecule_graph, parse_smiles
from jgc.data.source import Files

_LARGEST = float(np.finfo(np.float32).max)
_GRAPHS = {"one-hot": molecule_graph, "codes": coded_graph}


def read_moleculenet(
    files: Files,
    file: str,
    *,
    smiles: str,
    targets: tuple[str, ...],
    kind: str,
    features: str = "one-hot",
) -> Parsed:
    """Reads molecules and their targets.

    Row numbers count data rows from 1, below the header. Rows that rdkit cannot parse are dropped
    and listed in the notes. Rows that are the same molecule (same canonical SMILES): where their
    known targets agree the first is kept, missing targets filled from the others; where they
    contradict one another none is kept. The notes list the rows of both.

    Args:
        files: The folder of the file.
        file: Its name, for example "BBBP.csv".
        smiles: Name of the SMILES column.
        targets: Names of the target columns; empty: all columns but `smiles`.
        kind: "binary" (targets must be 0, 1 or empty), "class" (one target, 0 or 1) or "value".
        features: "one-hot" (`molecule_graph`) or "codes" (`coded_graph`).

    Returns:
        Graphs in the order of the rows, labels float32 `[n_graph, n_target]` (kind "class": int64
        `[n_graph]`), canonical SMILES.

    Raises:
        DataError: for a missing column, a row with too few cells, a target that is no number (or
            no 0/1, or empty in kind "class"), each with its row; if no row parses; if rdkit is not
            installed.

    References:
        Wu et al., 2018, Table 1. https://arxiv.org/abs/1703.00564
    """
    chem = chemistry()
    rows, targets = _rows(files.text(file), file, smiles, targets)
    labels = np.array([_targets(row, targets, file, i, kind) for i, row in enumerate(rows, 1)])
    molecules = [parse_smiles(row[smiles].strip()) for row in rows]
    failed = [i for i, molecule in enumerate(molecules, 1) if molecule is None]
    same = defaultdict(list)
    for i, molecule in enumerate(molecules):
        if molecule is not None:
            same[chem.MolToSmiles(molecule)].append(i)
    if not same:
        raise DataError(f"{file}: none of the {len(rows)} SMILES parses; is {smiles!r} the column?")
    kept, values, notes = _merge(same, labels)
    if failed:
        notes = (f"{len(failed)} rows do not parse and were dropped: rows {failed}.", *notes)
    if not kept:
        raise DataError(f"{file}: no molecule is left: every one has contradictory labels.")
    graphs = [_GRAPHS[features](molecules[same[s][0]]) for s in kept]
    if kind == "class":
        return Parsed(graphs, values[:, 0].astype(np.int64), 2, notes, smiles=kept)
    return Parsed(graphs, values, len(targets), notes, smiles=kept)


def _rows(text: str, file: str, smiles: str, targets) -> tuple[list[dict], tuple[str, ...]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise DataError(f"{file}: line {reader.line_num} is no CSV ({error}).") from error
    targets = targets or tuple(c for c in columns if c != smiles)
    for column in (smiles, *targets):
        if column not in columns:
            raise DataError(f"{file}: no column {column!r}; it has {list(columns)}.")
    for number, row in enumerate(rows, 1):
        if any(row[column] is None for column in columns):
            raise DataError(f"{file}: row {number} has too few cells. Is the file truncated?")
    if not rows:
        raise DataError(f"{file}: no row below the header.")
    return rows, targets


def _targets(row: dict, targets, file: str, number: int, kind: str) -> list[float]:
    values = []
    for column in targets:
        cell = row[column].strip()
        try:
            value = float(cell) if cell else np.nan
        except ValueError as error:
            raise DataError(
                f"{file}: row {number}, {column!r} is {cell[:60]!r}, no number."
            ) from error
        if cell and not abs(value) <= _LARGEST:
            raise DataError(
                f"{file}: row {number}, {column!r} is {cell[:60]!r}; it must be finite."
            )
        if kind == "class" and not cell:
            raise DataError(f"{file}: row {number}, {column!r} is empty; every row needs a class.")
        if kind != "value" and cell and value not in (0, 1):
            raise DataError(
                f"{file}: row {number}, {column!r} is {cell[:60]!r}; labels are 0 or 1."
            )
        values.append(value)
    return values


def _merge(same: dict[str, list[int]], labels: np.ndarray):
    """One entry a molecule; molecules with contradictory targets are dropped."""
    kept, values, doubled, contrary = [], [], [], []
    for canonical, rows in same.items():
        known = ~np.isnan(labels[rows])
        low = np.where(known, labels[rows], np.inf).min(0)
        high = np.where(known, labels[rows], -np.inf).max(0)
        numbers = [i + 1 for i in rows]
        if (low < high).any():
            contrary.append(numbers)
            continue
        if len(rows) > 1:
            doubled.append(numbers)
        kept.append(canonical)
        values.append(np.where(known.any(0), low, np.nan))
    notes = ()
    if doubled:
        notes += (f"{len(doubled)} molecules occur more than once and were kept once: {doubled}.",)
    if contrary:
        notes += (f"{len(contrary)} molecules have contradictory labels, dropped: {contrary}.",)
    return tuple(kept), np.array(values, np.float32), notes
