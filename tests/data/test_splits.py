"""Splits: sizes, disjointness, strata, and digests that pin every drawn index."""

import numpy as np
import pytest

from jgc.data import (
    DataError,
    class_split,
    last_split,
    link_split,
    load,
    random_split,
    sample_negatives,
    scaffold_split,
    stratified_folds,
    training_graph,
    training_parts,
)
from jgc.data.links import graph_pairs
from jgc.data.pairs import unique_pairs
from tests.data.cases import digest

LABELS = np.array([0] * 33 + [1] * 47 + [2] * 20)


def _disjoint(split) -> bool:
    parts = np.concatenate(split[:3])
    return np.unique(parts).size == parts.size


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: random_split(100, seed=seed),
        lambda seed: class_split(LABELS, seed=seed, per_class=5, n_val=20),
        lambda seed: stratified_folds(LABELS, seed=seed, n_folds=5)[0],
        lambda seed: link_split(RING, n_node=100, seed=seed),
    ],
    ids=["random", "class", "folds", "link"],
)
def test_seed_decides(make):
    assert digest(*make(3)[:3]) == digest(*make(3)[:3]) != digest(*make(4)[:3])


RING = unique_pairs(np.arange(100), (np.arange(100) + 1) % 100)


def test_random_split_covers_all():
    split = random_split(25, seed=0)
    assert sorted(np.concatenate(split[:3]).tolist()) == list(range(25))
    assert [len(p) for p in split[:3]] == [20, 2, 3] and split.name == "random-0"


def test_class_split_is_balanced_and_skips_unlabelled():
    labels = np.where(np.arange(100) < 5, -1, LABELS)
    split = class_split(labels, seed=1, per_class=5, n_val=20, n_test=30)
    assert np.bincount(labels[split.train]).tolist() == [5, 5, 5]
    assert [len(p) for p in split[:3]] == [15, 20, 30] and _disjoint(split)
    assert labels[np.concatenate(split[:3])].min() == 0


def test_last_nodes_are_tested_and_unlabelled_ones_skipped():
    labels = np.where(np.isin(np.arange(100), [0, 70, 99]), -1, LABELS)
    split = last_split(labels, n_val=20, n_test=10)
    assert split.test.tolist() == list(range(89, 99)) and split.name == "last"
    assert split.val.tolist() == [68, 69, *range(71, 89)]
    assert split.train.tolist() == list(range(1, 68))


def test_folds_test_each_item_once_and_keep_strata():
    folds = stratified_folds(LABELS, seed=0, n_folds=10)
    assert sorted(np.concatenate([f.test for f in folds]).tolist()) == list(range(100))
    for fold in folds:
        assert _disjoint(fold) and len(fold.test) == 10
        counts = np.bincount(LABELS[fold.test])
        assert (np.abs(counts - [3.3, 4.7, 2.0]) < 1).all()
        # A tenth of 29..30, 42..43 and 18 items of each class, rounded.
        assert np.bincount(LABELS[fold.val]).tolist() == [3, 4, 2]
        assert len(np.concatenate(fold[:3])) == 100


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: random_split(5, seed=0), "would hold 4, 0 and 1"),
        (lambda: class_split(LABELS, seed=0, per_class=21), "Class 2 has 20 nodes"),
        (lambda: class_split(LABELS, seed=0, per_class=5, n_val=90), "too few for 90"),
        (lambda: last_split(LABELS, n_val=60, n_test=40), "would hold 0, 60 and 40"),
        (lambda: last_split(LABELS), "would hold 0, "),
        (lambda: stratified_folds(LABELS, seed=0, n_folds=21), "21 folds; allowed are 2..20"),
        (lambda: stratified_folds(LABELS, seed=0, n_folds=1), "1 folds"),
        (lambda: link_split(RING[:5], n_node=100, seed=0), "5 edges are too few"),
        (lambda: link_split(COMPLETE, n_node=10, seed=0), "has 0 node pairs without an edge"),
    ],
)
def test_too_few(make, match):
    with pytest.raises(DataError, match=match):
        make()


COMPLETE = np.argwhere(np.triu(np.ones((10, 10)), 1))


def test_negatives_are_distinct_non_edges_and_uniform():
    # Path 0-1-2 and two more nodes: eight pairs are no edge; all must come, about equally often.
    pairs = np.array([[0, 1], [1, 2]])
    every = sample_negatives(np.random.default_rng(0), pairs, n_node=5, count=8)
    assert sorted(map(tuple, every.tolist())) == [
        (0, 2), (0, 3), (0, 4), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4),
    ]  # fmt: skip
    rng = np.random.default_rng(1)
    first = [tuple(sample_negatives(rng, pairs, n_node=5, count=1)[0]) for _ in range(2000)]
    counts = np.unique(first, axis=0, return_counts=True)[1]
    # 250 expected each; the standard deviation of a count is 15.
    assert len(counts) == 8 and np.abs(counts - 250).max() < 60


def test_link_parts_are_disjoint_and_training_graph_leaks_nothing():
    data = load("sbm", task="link", n_splits=2)
    pairs = {tuple(p) for p in graph_pairs(data.graphs[0]).tolist()}
    assert [s.name for s in data.splits] == ["link-0", "link-1"]
    for split in data.splits:
        parts = [{tuple(p) for p in part.tolist()} for part in split[:5]]
        assert [len(p) for p in parts] == [4488, 263, 527, 263, 527]
        assert set.union(*parts[:3]) == pairs and not pairs & (parts[3] | parts[4])
        assert len(set.union(*parts)) == sum(map(len, parts))
        assert all(i < j for part in parts for i, j in part)
        graph = training_graph(data, split)
        assert {tuple(p) for p in graph_pairs(graph).tolist()} == parts[0]


def test_link_splits_have_their_shares_and_their_names():
    small, large = (load("sbm-link", split=word, n_splits=2) for word in ("link", "link-80"))
    assert [s.name for s in large.splits] == ["link-80-0", "link-80-1"]
    # 5278 edges: a twentieth is 263, three twentieths are 791.
    assert [len(p) for p in large.splits[0][:5]] == [4224, 263, 791, 263, 791]
    assert digest(small.splits[0].val) == digest(large.splits[0].val)


def test_training_parts_are_the_training_edges_each_in_one_part():
    data = load("sbm", task="link")
    split, n_node = data.splits[0], int(data.graphs[0].n_node[0])
    graph, pairs = training_parts(data, split, 4, seed=1)
    assert (pairs % n_node == split.train).all()
    assert sorted(np.bincount(pairs[:, 0] // n_node).tolist()) == [1122] * 4
    assert (pairs[:, 0] // n_node == pairs[:, 1] // n_node).all()
    assert (graph_pairs(graph) == pairs[np.lexsort(pairs.T[::-1])]).all()
    assert (training_parts(data, split, 4, seed=2)[1] != pairs).any()
    assert (training_parts(data, split, 1, seed=1)[1] == split.train).all()


def test_scaffold_split_order_and_ties():
    pytest.importorskip("rdkit", reason="scaffolds are rdkit's")
    # Scaffolds: benzene x 7, then pairs and singles; of equal sizes the latest comes first.
    smiles = ["C1CC1C", "c1ccccc1", "Cc1ccccc1", "CCc1ccccc1", "Oc1ccccc1", "Nc1ccccc1"]
    smiles += ["Fc1ccccc1", "Clc1ccccc1", "C1CCC1", "CCO"]
    split = scaffold_split(smiles)
    assert split.train.tolist() == [1, 2, 3, 4, 5, 6, 7, 9]
    assert split.val.tolist() == [8] and split.test.tolist() == [0]
    with pytest.raises(DataError, match=r"`smiles\[1\]` is 'C\(', which does not parse"):
        scaffold_split(["C", "C("])


def test_chirality_is_no_part_of_a_scaffold():
    pytest.importorskip("rdkit", reason="scaffolds are rdkit's")
    # As one group of six the two mirror images come before four benzenes; as two of three, after.
    mirror = ["C1CCC[C@H](c2ccccc2)O1", "C1CCC[C@@H](c2ccccc2)O1"] * 3
    split = scaffold_split([*mirror, *["Cc1ccccc1"] * 4])
    assert split.train.tolist() == list(range(6)) and split.test.tolist() == [6, 7, 8, 9]


def test_digests_of_embedded_splits():
    """Pinned: a change of numpy's generators or of ours would move published numbers."""
    sbm, motif = load("sbm"), load("motif")
    link = load("sbm", task="link").splits[0]
    seen = {
        "sbm": digest(*sbm.splits[0][:3]),
        "sbm graph": digest(sbm.graphs[0].senders, sbm.graphs[0].receivers),
        "sbm words": digest(sbm.graphs[0].nodes.structure.cols),
        "sbm link": digest(*link[:5]),
        "motif": digest(*motif.splits[0][:3]),
        "motif graphs": digest(*(g.senders for g in motif.graphs)),
        "motif folds": digest(*(f.test for f in load("motif", split="kfold").splits)),
    }
    assert seen == {
        "sbm": "0d3addca0a43795f",
        "sbm graph": "8987e9bf2044d613",
        "sbm words": "c2ef97a8dba03a82",
        "sbm link": "89609cfbee9af6bc",
        "motif": "f92d7924d7b50773",
        "motif graphs": "e742c74f89afc618",
        "motif folds": "2c12f8bba94714cb",
    }
