"""Tiny data sets of the three tasks, and the table of methods that the loop's duties run over."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import numpy as np
import scipy.sparse as sp

from jgc import prune, quant
from jgc.data import Dataset, Split, load
from jgc.data.links import graph_pairs, link_split
from jgc.data.pairs import pair_graph, unique_pairs
from jgc.graph import from_edges, sparse_rows
from jgc.models import GCN, GIN, MLP, for_task
from jgc.train import Kfac, Method, Optimiser, Phase, lane

N_NODE, N_CLASS = 40, 3
N_ROW = 100
OPTIMISER = Optimiser(learning_rate=0.05, weight_decay=5e-4)
CURVED = OPTIMISER._replace(kfac=Kfac(every=2))


@cache
def tiny_nodes() -> Dataset:
    """Two random splits; features say the class but for noise, edges join mostly one class."""
    rng = np.random.default_rng(0)
    labels = np.arange(N_NODE) % N_CLASS
    said = np.where(rng.random(N_NODE) < 0.7, labels, rng.integers(0, N_CLASS, N_NODE))
    noise = rng.random((N_NODE, 6)) < 0.3
    features = np.concatenate([np.eye(N_CLASS)[said], noise], axis=1).astype(np.float32)
    ends = rng.integers(0, N_NODE, (2, 160))
    ends = ends[:, (labels[ends[0]] == labels[ends[1]]) | (rng.random(160) < 0.2)]
    nodes = sparse_rows(sp.csr_array(features))
    graph = pair_graph(unique_pairs(*ends), n_node=N_NODE, nodes=nodes)
    orders = [rng.permutation(N_NODE) for _ in range(2)]
    splits = tuple(
        Split(np.sort(o[:12]), np.sort(o[12:26]), np.sort(o[26:]), f"random-{i}")
        for i, o in enumerate(orders)
    )
    return Dataset("tiny", "node", [graph], labels, splits, "accuracy", N_CLASS)


@cache
def tiny_rows(kind="binary") -> Dataset:
    """Two splits of 100 rows that say their class but for noise; parts of 50, 17 and 33."""
    rng = np.random.default_rng(0)
    labels = np.arange(N_ROW) % 2
    x = (rng.normal(size=(N_ROW, 4)) + 2 * labels[:, None]).astype(np.float32)
    orders = [rng.permutation(N_ROW) for _ in range(2)]
    splits = tuple(
        Split(*(np.sort(p) for p in np.split(o, [50, 67])), name=str(i))
        for i, o in enumerate(orders)
    )
    graph = from_edges([], [], n_node=N_ROW, nodes=x)
    if kind == "class":
        return Dataset("rows", "node", [graph], labels, splits, "accuracy", 2)
    labels = labels.astype(np.float32)[:, None]
    return Dataset("rows", "node", [graph], labels, splits, "accuracy", 1, "binary")


@cache
def tiny_links() -> Dataset:
    """Three link splits of the same graph."""
    graph = tiny_nodes().graphs[0]
    splits = tuple(
        link_split(graph_pairs(graph), n_node=N_NODE, seed=s, fractions=(0.15, 0.2))
        for s in range(3)
    )
    return Dataset("tiny", "link", [graph], None, splits, "roc_auc", 1, "binary")


@cache
def tiny_graphs() -> Dataset:
    """The first 24 graphs of `motif` with noise for features, in three folds."""
    whole, rng = load("motif"), np.random.default_rng(0)
    graphs = [
        g._replace(nodes=rng.normal(size=(g.nodes.shape[0], 2)).astype(np.float32))
        for g in whole.graphs[:24]
    ]
    orders = np.arange(24).reshape(3, 8)
    splits = tuple(
        Split(np.sort(np.concatenate([orders[i - 1], orders[i - 2][:4]])), orders[i - 2][4:],
              orders[i], f"fold-{i}")
        for i in range(3)
    )  # fmt: skip
    return Dataset("tiny", "graph", graphs, whole.labels[:24], splits, "accuracy", 3)


class Case(NamedTuple):
    """One method on one model; every duty of the loop runs over all of them."""

    name: str
    model: Callable
    phases: tuple[Phase, ...]
    prune: Callable | None = None
    quantize: Callable | None = None
    data: Callable[[], Dataset] = tiny_nodes
    l2: bool = False
    optimiser: Optimiser = OPTIMISER

    def __str__(self):
        return self.name

    @property
    def method(self) -> Method:
        return Method(self.name, self.phases, self.prune, self.quantize, self.l2)

    @property
    def architecture(self):
        data = self.data()
        return for_task(self.model(), data.task, data.n_class)


def pruner(name: str) -> Callable:
    return lambda sparsity, key: prune.METHODS[name](sparsity, key=key)


def while_training(name: str, schedule: Callable, **settings) -> Callable:
    return lambda sparsity, key: prune.METHODS[name](
        sparsity, key=key, schedule=schedule, **settings
    )


def head(sparsity, key):
    return prune.head_magnitude(sparsity, features=2)


def gradual(sparsity, key):
    return prune.global_magnitude(sparsity, schedule=lambda s: prune.cubic(s, begin=0, end=2))


def qat(bits):
    return quant.METHODS["qat"](bits)


def degree(bits):
    return quant.METHODS["degree"](bits, low=0.2, high=0.6)


def a2q(bits):
    return quant.METHODS["a2q"](bits)


def later(sparsity):
    return prune.cubic(sparsity, begin=1, end=2)


def mlp():
    return MLP(hidden=5, dropout=0.3)


def gcn():
    return GCN(hidden=4, dropout=0.3)


def gin():
    return GIN(hidden=4, out=4, layers=1)


DENSE, TUNE, ONCE = Phase(3), Phase(3, prune=True), Phase(1, prune=True, rate=0.0)
CASES = (
    Case("dense", gcn, (DENSE,)),
    Case("dense mlp", mlp, (DENSE,)),
    Case("global", gcn, (DENSE, TUNE), pruner("global")),
    Case("fine", mlp, (DENSE, TUNE), pruner("fine")),
    Case("random", mlp, (DENSE, TUNE), pruner("random")),
    Case("row", mlp, (DENSE, TUNE), pruner("row")),
    Case("head", mlp, (DENSE, TUNE), head),
    Case("gradual", mlp, (Phase(2), Phase(5, prune=True)), gradual),
    Case("frozen", mlp, (DENSE, Phase(2, prune=True, rate=0.0)), pruner("global")),
    Case(
        "scratch",
        mlp,
        (DENSE, ONCE, Phase(3, fresh=True)),
        pruner("global"),
    ),
    Case(
        "ticket",
        mlp,
        (DENSE, ONCE, Phase(2, rewind=True), ONCE, Phase(3, rewind=True)),
        while_training("ticket", lambda s: prune.geometric(s, rounds=2)),
    ),
    Case("movement", mlp, (DENSE, TUNE), while_training("movement", later)),
    Case(
        "slr",
        mlp,
        (DENSE, Phase(6, prune=True)),
        while_training("slr", lambda s: prune.one_shot(s, at=3)),
    ),
    Case("synflow", gcn, (TUNE,), while_training("synflow", None, rounds=3)),
    Case(
        "rigl",
        mlp,
        (Phase(6, prune=True),),
        while_training("rigl", lambda s: prune.window(s, 0, 4), every=2),
    ),
    Case("rigl-ucb", mlp, (TUNE,), while_training("rigl-ucb", lambda s: prune.window(s, 0, 2))),
    Case("l2", mlp, (DENSE,), l2=True),
    Case("qat", mlp, (Phase(3, quantize=True),), None, qat),
    Case("global+qat", mlp, (DENSE, TUNE, Phase(2, quantize=True)), pruner("global"), qat),
    Case("degree", gcn, (Phase(3, quantize=True),), None, degree),
    Case("a2q", gcn, (Phase(3, quantize=True),), None, a2q),
    Case("kfac", gcn, (DENSE, TUNE), pruner("global"), optimiser=CURVED),
    Case("links", gcn, (DENSE,), None, None, tiny_links),
    Case("graphs", gin, (DENSE, TUNE), pruner("global"), None, tiny_graphs),
)
NAMES = {case.name for case in CASES}
assert set(quant.METHODS) <= NAMES
# One method of every course stands for all: the loop sees no more of them than their hooks. The
# case "gradual" has the course of that name.
COVERED = {prune.COURSES[name] for name in NAMES & set(prune.METHODS)} | {"gradual"}
assert set(prune.COURSES.values()) == COVERED
TABLE = {case.name: case for case in CASES}
UNTRAINED = 0.0  # The loss that an epoch at rate 0 reports.
LEVELS = ((0.5, 8), (0.75, 4))


def lanes(order=(0, 1, 2, 3)):
    """Two seeds at two levels; number 4 is number 0 on another split."""
    runs = [lane(seed, sparsity=s, bits=b, l2=s / 10) for s, b in LEVELS for seed in range(2)]
    runs.append(lane(0, split=1, sparsity=LEVELS[0][0], bits=LEVELS[0][1]))
    return [runs[i] for i in order]


def all_close(a, b):
    """Leaf by leaf, but for what another program rounds otherwise."""
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=1e-6), a, b)
