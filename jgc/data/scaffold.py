"""The scaffold split of molecules, pinned."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from jgc.data.dataset import DataError, Split
from jgc.data.molecule import parse_smiles


def scaffold_split(smiles: Sequence[str]) -> Split:
    """Splits molecules 80/10/10 so that no Bemis-Murcko scaffold is in two parts.

    "Scaffold split" is not one thing in the literature (published variants move BBBP's ROC-AUC by
    ten points), so ours is fixed: the scaffold is rdkit's `MurckoScaffoldSmiles` without
    chirality; acyclic molecules share the empty scaffold; groups are ordered by size, largest
    first, equal sizes by their first molecule, the latest first, as DeepChem orders them (the
    other way round BBBP's held-out parts would hold one class only); each group goes to train
    while train stays within 80 %, else to validation while the two stay within 90 %, else to test.
    No randomness. A test pins the SHA-256 of BBBP's three index lists.

    Args:
        smiles: Molecules that parse.

    Returns:
        The `Split` "scaffold", each part ascending.

    Raises:
        DataError: if a SMILES does not parse, or rdkit is not installed.

    Example:
        >>> split = scaffold_split(["c1ccccc1C"] * 8 + ["C1CCC1", "C1CCCC1"])
        >>> split.val.tolist(), split.test.tolist()
        ([9], [8])

    References:
        Wu et al., 2018, sec. 3.3, https://arxiv.org/abs/1703.00564; Bemis and Murcko, 1996.
    """
    groups = defaultdict(list)
    for i, text in enumerate(smiles):
        groups[_scaffold(text, i)].append(i)
    train, val, test = [], [], []
    for group in sorted(groups.values(), key=lambda g: (len(g), g[0]), reverse=True):
        # Whole numbers: 0.8 * n would round differently for some n.
        if 10 * (len(train) + len(group)) <= 8 * len(smiles):
            train += group
        elif 10 * (len(train) + len(val) + len(group)) <= 9 * len(smiles):
            val += group
        else:
            test += group
    train, val, test = (np.sort(np.array(part, np.int64)) for part in (train, val, test))
    return Split(train, val, test, "scaffold")


def _scaffold(smiles: str, i: int) -> str:
    molecule = parse_smiles(smiles)
    if molecule is None:
        raise DataError(f"`smiles[{i}]` is {smiles!r}, which does not parse.")
    from rdkit.Chem.Scaffolds import MurckoScaffold

    return MurckoScaffold.MurckoScaffoldSmiles(mol=molecule, includeChirality=False)
