"""A molecule as a graph: atoms are nodes, bonds are edges, features are one-hot."""

import numpy as np

from jgc.data.dataset import DataError
from jgc.graph import GraphsTuple, from_edges

ELEMENTS = ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I", "B", "Si", "Se", "Na", "K", "H")
HYBRIDISATIONS = ("SP", "SP2", "SP3", "SP3D", "SP3D2")
CHIRALITIES = ("CHI_UNSPECIFIED", "CHI_TETRAHEDRAL_CW", "CHI_TETRAHEDRAL_CCW")
BONDS = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
STEREOS = ("STEREONONE", "STEREOZ", "STEREOE")

# One block of columns each; the last column of a block stands for every other value.
N_ATOM_FEATURES = len(ELEMENTS) + 1 + 7 + 6 + 6 + len(HYBRIDISATIONS) + 1 + len(CHIRALITIES) + 1 + 2
N_BOND_FEATURES = len(BONDS) + 1 + len(STEREOS) + 1 + 2


def chemistry():
    """The rdkit module `Chem`; `DataError` with what to type where rdkit is not installed."""
    try:
        from rdkit import Chem
    except ImportError as error:
        raise DataError(
            "Molecules are read with rdkit, which is not installed: pip install 'jgc[chem]'."
        ) from error
    return Chem


def parse_smiles(smiles: str):
    """The rdkit molecule, or `None` where rdkit refuses the SMILES or it has no atom."""
    from rdkit import rdBase

    chem = chemistry()
    with rdBase.BlockLogs():  # the caller reports the row; rdkit would print to stderr
        molecule = chem.MolFromSmiles(smiles)
    return molecule if molecule is not None and molecule.GetNumAtoms() else None


def molecule_graph(molecule) -> GraphsTuple:
    """The graph of an rdkit molecule; hydrogens stay implicit, as rdkit reads them.

    Atom features, one block of one-hot columns each (the last column = any other value):
    element (`ELEMENTS`), degree 0..5, formal charge -2..2, implicit and explicit hydrogens 0..4,
    hybridisation, chirality; then two 0/1 columns: aromatic, in a ring. Bond features: type,
    stereo, then conjugated and in a ring. Each bond is two edges.

    Args:
        molecule: An `rdkit.Chem.Mol` with at least one atom.

    Returns:
        One graph with nodes `[n_atom, N_ATOM_FEATURES]`, edges `[2 n_bond, N_BOND_FEATURES]`.

    Example:
        >>> graph = molecule_graph(parse_smiles("CCO"))
        >>> graph.n_node.tolist(), graph.senders.tolist(), graph.receivers.tolist()
        ([3], [0, 1, 1, 2], [1, 2, 0, 1])
        >>> graph.nodes.shape[1] == N_ATOM_FEATURES, graph.nodes.sum(1).tolist()
        (True, [6.0, 6.0, 6.0])
    """
    nodes = np.array([_atom(atom) for atom in molecule.GetAtoms()], np.float32)
    bonds = list(molecule.GetBonds())
    edges = np.array([_bond(bond) for bond in bonds], np.float32).reshape(-1, N_BOND_FEATURES)
    senders = [bond.GetBeginAtomIdx() for bond in bonds]
    receivers = [bond.GetEndAtomIdx() for bond in bonds]
    return from_edges(senders, receivers, nodes=nodes, edges=edges, undirected=True)


def _atom(atom) -> list[int]:
    return [
        *_one_hot(atom.GetSymbol(), ELEMENTS),
        *_one_hot(atom.GetDegree(), range(6)),
        *_one_hot(atom.GetFormalCharge(), range(-2, 3)),
        *_one_hot(atom.GetTotalNumHs(), range(5)),
        *_one_hot(str(atom.GetHybridization()), HYBRIDISATIONS),
        *_one_hot(str(atom.GetChiralTag()), CHIRALITIES),
        int(atom.GetIsAromatic()),
        int(atom.IsInRing()),
    ]


def _bond(bond) -> list[int]:
    return [
        *_one_hot(str(bond.GetBondType()), BONDS),
        *_one_hot(str(bond.GetStereo()), STEREOS),
        int(bond.GetIsConjugated()),
        int(bond.IsInRing()),
    ]


def _one_hot(value, allowed) -> list[int]:
    row = [int(value == choice) for choice in allowed]
    return [*row, int(not any(row))]
