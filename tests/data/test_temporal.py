"""Temporal edge lists, and the rows that are made of them."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from jgc.data import DataError, TemporalEdges, info, load, node_rows, pair_rows, temporal_sbm
from jgc.data.embedded import corrupted
from jgc.data.snapshots import read_snapshots
from jgc.data.source import find_files
from jgc.data.temporal import read_temporal, temporal_edges
from tests.data.cases import digest, npz_bytes, put

PLAIN = "1 2 10\n2 3 20\n"


def read(text):
    edges, _ = temporal_edges(text, "a.txt")
    return [column.tolist() for column in edges[:3]]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "# from to time\n% asym\n1\t2\t10\r\n\r\n2\t3\t20\r\n",
        "  1  2  10  \n2   3 20",
        "1,2,10\n2, 3, 20\n",
        "1 2 7 10\n2 3 1 20\n",
        "1 2 10 # late\n2 3 2e1\n",
        "2 3 20\n1 2 10\n",
    ],
)
def test_forms_of_one_list(text):
    assert read(text) == [[0, 1], [1, 2], [10.0, 20.0]]


def test_equal_times_stay_in_order_and_nothing_is_dropped():
    assert read("4 4 5\n9 4 5\n4 9 5\n4 9 5\n4 9 0\n") == [
        [0, 0, 1, 0, 0], [1, 0, 0, 1, 1], [0.0, 5.0, 5.0, 5.0, 5.0],
    ]  # fmt: skip


def test_gaps_in_the_ids_are_closed_and_said(tmp_path):
    put(tmp_path, "snap/CollegeMsg.txt", "10 70 1\n70 30 2\n", zipped=True)
    files = find_files("collegemsg", info("collegemsg").source, folder=tmp_path)
    parsed = read_temporal(files, "CollegeMsg.txt")
    assert parsed.temporal.senders.tolist() == [0, 2]
    assert parsed.temporal.receivers.tolist() == [2, 1]
    assert parsed.notes == (
        "CollegeMsg.txt: 58 ids have no edge; nodes are numbered anew.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a.txt: the file has no edges"),
        ("# none\n\n", "a.txt: the file has no edges"),
        ("# pairs\n1 2\n2 3\n", "line 2 has 2 columns; .* Are the times missing"),
        ("1 2 3 4 5\n", "line 1 has 5 columns"),
        (PLAIN + "3 4\n", "line 3 has 2 columns, line 1 has 3"),
        ("%\n" + PLAIN + "\n3 4 x\n", "line 5 is '3 4 x', not numbers"),
        (PLAIN + "3 4 -7\n", "line 3 is '3 4 -7', with a negative time"),
        ("#\n1 -1 3\n", "line 2 is '1 -1 3', with a negative node"),
        (PLAIN + "\n3 1.5 9\n", "line 4 is '3 1.5 9', with a node that is no whole"),
        (PLAIN + "3 4 nan\n", "line 3 is '3 4 nan', with a number that is not finite"),
        (PLAIN + "3 inf 4\n", "line 3 .* not finite"),
        ("1 2 3\r4 5 6\r7 8 -9\r", "line 3 is '7 8 -9', with a negative time"),
        (f"{2**53} {2**53 + 1} 3\n", "line 1 .* a node of 2.53 or more, which float64 rounds"),
    ],
)
def test_bad_lists_name_file_and_line(text, says):
    with pytest.raises(DataError, match=says):
        temporal_edges(text, "a.txt")


def drawn(n_node=30, n_edge=200, seed=0):
    rng = np.random.default_rng(seed)
    senders, receivers = rng.integers(0, n_node, (2, n_edge))
    return TemporalEdges(senders, receivers, np.arange(n_edge) * 1.0, n_node)


def test_negatives_are_no_edges_and_half_keep_their_sender():
    edges = drawn(60, 2000)
    pairs = np.stack(edges[:2], 1)
    new = corrupted(np.random.default_rng(0), pairs, n_node=60)
    known = set(map(tuple, pairs.tolist()))
    assert not known & set(map(tuple, new.tolist())) and (new[:, 0] != new[:, 1]).all()
    kept = (new[:, 0] == pairs[:, 0]).mean()
    assert abs(kept - (0.5 + 0.5 / 60)) < 0.04
    assert np.bincount(new[:, 1], minlength=60).min() > 10


def test_a_sender_of_all_and_a_graph_of_all_pairs():
    star = np.stack([np.zeros(9, int), np.arange(1, 10)], 1)
    assert (corrupted(np.random.default_rng(0), star, n_node=10)[:, 0] > 0).all()
    full = np.array([[a, b] for a in range(5) for b in range(5) if a != b])
    with pytest.raises(DataError, match="Of 5 nodes nearly all pairs are linked"):
        corrupted(np.random.default_rng(0), full, n_node=5)


def test_parts_are_disjoint_each_edge_beside_its_negative_and_the_test_is_last():
    edges = drawn()
    graphs, labels, splits = pair_rows(edges, [3, 4])
    n = int((edges.senders != edges.receivers).sum())
    assert graphs[0].nodes.shape == (4 * n, 16) and labels.shape == (4 * n, 1)
    assert graphs[0].senders.size == 0 and labels.mean() == 0.5
    for i, split in enumerate(splits):
        rows = np.concatenate(split[:3])
        assert np.unique(rows).size == rows.size and (rows // (2 * n) == i).all()
        fit, past = int(0.6 * n), int(0.8 * n)
        assert [len(p) for p in split[:3]] == [2 * fit, 2 * (past - fit), 2 * int(0.2 * n)]
        for part in split[:3]:
            ones = part[labels[part, 0] == 1] - 2 * n * i
            assert set(part - 2 * n * i) == set(ones) | set(ones + n)
        assert (split.test[: len(split.test) // 2] - 2 * n * i).min() == n - int(0.2 * n)
    assert not np.array_equal(graphs[0].nodes[: 2 * n], graphs[0].nodes[2 * n :])
    assert not np.array_equal(splits[0].train + 2 * n, splits[1].train)


def test_what_is_held_out_is_not_seen():
    """Other receivers in validation and test change no vector of a row to fit on."""
    edges = drawn()
    keep = edges.senders != edges.receivers
    edges = TemporalEdges(*(a[keep] for a in edges[:3]), 30)
    graphs, labels, (split,) = pair_rows(edges, [0])
    n = len(labels) // 2
    fit_on = split.train[split.train < n]
    held = np.setdiff1d(np.arange(n), fit_on)
    receivers = edges.receivers.copy()
    receivers[held] = (edges.senders[held] + 1) % 30
    changed = pair_rows(edges._replace(receivers=receivers), [0])[0][0].nodes
    np.testing.assert_array_equal(changed[fit_on], graphs[0].nodes[fit_on])
    assert (changed[held] != graphs[0].nodes[held]).any()


def test_a_node_without_a_past_has_zeros():
    edges = drawn()
    receivers = np.append(edges.receivers, [30, 31])
    senders, times = np.append(edges.senders, [31, 30]), np.append(edges.times, [999.0, 999.0])
    graphs, labels, _ = pair_rows(TemporalEdges(senders, receivers, times, 32), [0])
    last = graphs[0].nodes[len(labels) // 2 - 2 : len(labels) // 2]
    assert not last.any() and graphs[0].nodes[0].any()


def test_too_few_edges():
    with pytest.raises(DataError, match="4 edges between different nodes are too few"):
        pair_rows(TemporalEdges(np.arange(5), np.array([1, 2, 3, 4, 4]), np.arange(5.0), 5), [0])


def test_temporal_sbm_needs_its_order_and_is_neither_trivial_nor_hopeless():
    parsed = temporal_sbm()
    edges, labels = parsed.temporal, parsed.labels
    assert np.bincount(labels).tolist() == [200] * 10 and (np.diff(edges.times) >= 0).all()
    same = labels[edges.senders] == labels[edges.receivers]
    onward = (labels[edges.senders] + 1) % 10 == labels[edges.receivers]
    late = edges.times > 0.5
    assert 0.55 < same.mean() < 0.65 and onward[late].mean() > 3 * onward[~late].mean()
    again = temporal_sbm().temporal
    assert digest(*again[:2]) == digest(*edges[:2]) == "7e88a549731d0af6"
    graphs, _, (split,) = node_rows(edges, labels, [0])
    x = StandardScaler().fit_transform(graphs[0].nodes)
    model = LogisticRegression(C=0.1, max_iter=200).fit(x[split.train], labels[split.train])
    assert 0.6 < model.score(x[split.test], labels[split.test]) < 0.9


def snapshots(**changes):
    rng = np.random.default_rng(0)
    return npz_bytes(
        {"adjs": (rng.random((3, 12, 12)) < 0.2) * 1.0, "labels": np.eye(2)[np.arange(12) % 2]}
        | changes
    )


def test_snapshots_are_edges_in_time(tmp_path):
    put(tmp_path, "star/Brain.npz", snapshots())
    data = load("brain", folder=tmp_path)
    assert data.labels.tolist() == [0, 1] * 6 and data.graphs[0].nodes.shape == (12, 64)
    assert (data.n_class, data.kind, [len(p) for p in data.splits[0][:3]]) == (
        2,
        "class",
        [7, 2, 3],
    )
    adjacencies = np.zeros((2, 12, 12))
    adjacencies[0, 3, 4] = adjacencies[1, 0, 5] = adjacencies[1, 0, 1] = 1
    put(tmp_path, "star/Brain.npz", snapshots(adjs=adjacencies))
    files = find_files("brain", info("brain").source, folder=tmp_path)
    edges = read_snapshots(files, "Brain.npz").temporal
    assert [c.tolist() for c in edges[:3]] == [[3, 0, 0], [4, 1, 5], [0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"adjs": np.zeros((2, 12, 12))}, "Brain.npz: `adjs` holds no edge"),
        ({"adjs": np.zeros((2, 11, 12))}, r"`adjs` \(2, 11, 12\) and `labels` \(12, 2\) must be"),
        ({"labels": np.ones((12, 2))}, r"`labels\[0\]` must hold one 1"),
        ({"labels": np.array([{}], object)}, r"no numeric entry `labels`; it has \['adjs'\]"),
    ],
)
def test_bad_snapshots(tmp_path, changes, says):
    put(tmp_path, "star/Brain.npz", snapshots(**changes))
    with pytest.raises(DataError, match=says):
        load("brain", folder=tmp_path)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"task": "link"}, "is 'link'; 'collegemsg' is a data set for 'node'"),
        ({"split": "random"}, r"`split` is 'random'; .* it may be \['temporal'\]"),
        ({"n_splits": 0}, "`n_splits` must be at least 1"),
    ],
)
def test_other_tasks_and_splits_are_refused(tmp_path, settings, says):
    put(tmp_path, "snap/CollegeMsg.txt", PLAIN)
    with pytest.raises(DataError, match=says):
        load("collegemsg", folder=tmp_path, **settings)
    with pytest.raises(DataError, match="Unknown data set"):
        info("collegemsg-link")


# name: nodes and edges as published
COUNTS = {
    "collegemsg": (1899, 59835),
    "email-eu-core-temporal": (986, 332334),
    "radoslaw": (167, 82927),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_public_files(name, data_dir):
    spec = info(name)
    edges = read_temporal(find_files(name, spec.source, folder=data_dir), **spec.options).temporal
    assert (edges.n_node, edges.times.size) == COUNTS[name]


def test_collegemsg_as_rows(data_dir):
    data = load("collegemsg", folder=data_dir)
    assert (data.task, data.kind, data.metric, data.n_class) == ("node", "binary", "accuracy", 1)
    assert [len(p) for p in data.splits[0][:3]] == [71802, 23934, 23934]
    split = data.splits[0]
    assert digest(split.val[:100], split.train[:100]) == "6c3a8c5bfba42803"
