"""PyG's side of any data set: its ready-made networks, as wide and deep as jgc trains its own."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCN, GIN, MLP, GraphSAGE, global_add_pool

from jgc.bench.pyg import DEVICE, wait
from jgc.bench.work import Work, repeated
from jgc.data import Dataset, load
from jgc.graph import SparseRows
from jgc.study.plan import Plan, plan

NETWORKS = {"gcn": GCN, "sage": GraphSAGE, "gin": GIN}


class Network(torch.nn.Module):
    """A network of PyG and, for whole graphs, a sum over nodes and a head of two maps."""

    def __init__(self, model: str, data: Dataset, ready: Plan):
        super().__init__()
        encoder = getattr(ready.model, "encoder", ready.model)
        options = {"norm": "batch_norm"} if model == "gin" else {}
        whole, width = data.task == "graph", encoder.hidden
        d_in = data.graphs[0].nodes.shape[1]
        self.gnn = NETWORKS[model](
            d_in, width, encoder.layers, width if whole else data.n_class,
            dropout=encoder.dropout, **options,
        )  # fmt: skip
        self.head = MLP([width, width, data.n_class], norm=None, dropout=0.5) if whole else None

    def forward(self, data):
        """Answers `[n_node, n_class]`, or `[n_graph, n_class]`."""
        h = self.gnn(data.x, data.edge_index)
        return (
            h if self.head is None else self.head(global_add_pool(h, data.batch, data.num_graphs))
        )


def _given(graph, labels) -> Data:
    rows = graph.nodes
    return Data(
        x=torch.tensor(np.asarray(rows.todense() if isinstance(rows, SparseRows) else rows)),
        edge_index=torch.tensor(np.stack([graph.senders, graph.receivers]).astype(np.int64)),
        y=torch.tensor(np.atleast_1d(labels).astype(np.int64)),
    )


@functools.cache
def _ready(dataset: str, model: str):
    """The network, its optimiser, and batches for training and for scores."""
    data = load(dataset)
    ready, split = plan(data, model), data.splits[0]
    network = Network(model, data, ready).to(DEVICE)
    used = ready.optimiser
    rule = torch.optim.Adam(
        network.parameters(), used.learning_rate, weight_decay=float(used.weight_decay)
    )
    if data.task == "node":
        whole = _given(data.graphs[0], data.labels)
        whole.chosen = torch.tensor(split.train)
        return network, rule, [whole], [whole]
    graphs = [_given(g, y) for g, y in zip(data.graphs, data.labels, strict=True)]
    train = DataLoader([graphs[i] for i in split.train], ready.batch_size, shuffle=True)
    held_out = [graphs[i] for i in (*split.val, *split.test)]
    return network, rule, train, DataLoader(held_out, ready.batch_size)


def _scored(network, batches) -> int:
    network.eval()
    hits = 0
    with torch.no_grad():
        for batch in batches:
            batch = batch.to(DEVICE)
            hits += int((network(batch).argmax(-1) == batch.y).sum())
    return hits


def epoch(dataset: str, model: str) -> Work:
    """Milliseconds of an epoch: training, then scores of what is held out."""
    network, rule, train, held_out = _ready(dataset, model)

    def run() -> None:
        network.train()
        for batch in train:
            batch = batch.to(DEVICE)
            ids = batch.chosen if "chosen" in batch else slice(None)
            rule.zero_grad()
            F.cross_entropy(network(batch)[ids], batch.y[ids]).backward()
            rule.step()
        _scored(network, held_out)
        wait()

    return repeated(run)


def inference(dataset: str, model: str) -> Work:
    """Milliseconds of a pass: the whole graph, or all graphs that are held out."""
    network, _, _, held_out = _ready(dataset, model)
    return repeated(lambda: (_scored(network, held_out), wait()))


MEASURES = {"pyg-epoch-of": epoch, "pyg-pass-of": inference}
