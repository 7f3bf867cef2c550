"""PyG's side of any data set: its ready-made networks, as wide and deep as jgc trains its own."""

import functools

import torch
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCN, GIN, MLP, GraphSAGE, global_add_pool

from jgc.bench.pyg import DEVICE, given, passes, train_epoch
from jgc.bench.work import Work, repeated
from jgc.data import Dataset, load
from jgc.study.plan import Plan, plan

NETWORKS = {"gcn": GCN, "sage": GraphSAGE, "gin": GIN}


class Network(torch.nn.Module):
    """A network of PyG and, for whole graphs, a sum over nodes and a head of two maps."""

    def __init__(self, model: str, data: Dataset, ready: Plan):
        super().__init__()
        encoder = getattr(ready.model, "encoder", ready.model)
        whole, width = data.task == "graph", encoder.hidden
        options = {"norm": "batch_norm"} if model == "gin" else {}
        options |= {"cached": True} if model == "gcn" and not whole else {}
        d_in = data.graphs[0].nodes.shape[1]
        self.gnn = NETWORKS[model](
            d_in, width, encoder.layers, width if whole else data.n_class,
            dropout=encoder.dropout, **options,
        )  # fmt: skip
        self.head = MLP([width, width, data.n_class], norm=None, dropout=0.5) if whole else None

    def forward(self, data):
        """Answers `[n_node, n_class]`, or `[n_graph, n_class]`."""
        h = self.gnn(data.x, data.edge_index)
        if self.head is None:
            return h
        return self.head(global_add_pool(h, data.batch, data.num_graphs))


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
        whole = given(data.graphs[0], data.labels)
        whole.chosen = torch.tensor(split.train)
        return network, rule, [whole], [whole]
    graphs = [given(g, y) for g, y in zip(data.graphs, data.labels, strict=True)]
    train = DataLoader([graphs[i] for i in split.train], ready.batch_size, shuffle=True)
    held_out = [graphs[i] for i in (*split.val, *split.test)]
    return network, rule, train, DataLoader(held_out, ready.batch_size)


def epoch(dataset: str, model: str) -> Work:
    """Milliseconds of an epoch: training, then scores of what is held out."""
    network, rule, train, held_out = _ready(dataset, model)

    def run() -> None:
        train_epoch(network, rule, train)
        network.eval()
        with torch.no_grad():
            for batch in held_out:
                batch = batch.to(DEVICE)
                (network(batch).argmax(-1) == batch.y).sum().item()

    return repeated(run)


def inference(dataset: str, model: str) -> Work:
    """Milliseconds of a pass: the whole graph, or all graphs that are held out."""
    network, _, _, held_out = _ready(dataset, model)
    return passes(network, held_out)


MEASURES = {"pyg-epoch-of": epoch, "pyg-pass-of": inference}
