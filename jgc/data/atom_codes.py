"""A molecule as a graph whose features are whole numbers: nine an atom, three a bond."""

import numpy as np

from jgc.graph import GraphsTuple, from_edges

HYBRIDISATIONS = ("UNSPECIFIED", "S", "SP", "SP2", "SP3", "SP3D", "SP3D2")


def coded_graph(molecule) -> GraphsTuple:
    """The graph of an rdkit molecule with the codes of PyG's `from_smiles`.

    Atom features: atomic number, chirality (rdkit's number), bonds with hydrogens counted, formal
    charge + 5, hydrogens, radical electrons, hybridisation (place in `HYBRIDISATIONS`, 7 = other),
    aromatic, in a ring. Bond features: type and stereo (rdkit's numbers), conjugated. Hydrogens
    stay implicit; each bond is two edges.

    Differs: the edges' order; PyG sorts them. What it refuses (a charge below -5) gets its number.

    Args:
        molecule: An `rdkit.Chem.Mol` with at least one atom.

    Returns:
        One graph with nodes `[n_atom, 9]` and edges `[2 n_bond, 3]`.

    Example:
        >>> from jgc.data.molecule import parse_smiles
        >>> graph = coded_graph(parse_smiles("C=O"))
        >>> graph.nodes[1].tolist(), graph.edges[0].tolist()
        ([8.0, 0.0, 1.0, 5.0, 0.0, 0.0, 3.0, 0.0, 0.0], [2.0, 0.0, 0.0])
    """
    nodes = np.array([_atom(atom) for atom in molecule.GetAtoms()], np.float32)
    bonds = list(molecule.GetBonds())
    edges = np.array([_bond(bond) for bond in bonds], np.float32).reshape(-1, 3)
    senders = [bond.GetBeginAtomIdx() for bond in bonds]
    receivers = [bond.GetEndAtomIdx() for bond in bonds]
    return from_edges(senders, receivers, nodes=nodes, edges=edges, undirected=True)


def _atom(atom) -> list[int]:
    hybridisation = str(atom.GetHybridization())
    known = hybridisation in HYBRIDISATIONS
    return [
        atom.GetAtomicNum(),
        int(atom.GetChiralTag()),
        atom.GetTotalDegree(),
        atom.GetFormalCharge() + 5,
        atom.GetTotalNumHs(),
        atom.GetNumRadicalElectrons(),
        HYBRIDISATIONS.index(hybridisation) if known else len(HYBRIDISATIONS),
        int(atom.GetIsAromatic()),
        int(atom.IsInRing()),
    ]


def _bond(bond) -> list[int]:
    return [int(bond.GetBondType()), int(bond.GetStereo()), int(bond.GetIsConjugated())]
