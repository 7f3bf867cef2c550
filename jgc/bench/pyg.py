"""PyG's side: its own layers as its own examples use them, on the same device."""

import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GIN, MLP, GATConv, GCNConv, global_add_pool
from torch_geometric.utils import add_self_loops, scatter, to_torch_csr_tensor

from jgc.bench import inputs
from jgc.bench.work import Work, repeated

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HIDDEN, EPOCHS = 16, 200


class GCN(torch.nn.Module):
    """Two convolutions, dropout before each."""

    def __init__(self, d_in: int, d_out: int, normalize: bool = True):
        super().__init__()
        self.conv1 = GCNConv(d_in, HIDDEN, cached=normalize, normalize=normalize)
        self.conv2 = GCNConv(HIDDEN, d_out, cached=normalize, normalize=normalize)

    def forward(self, x, edges):
        """Answers `[n_node, d_out]`."""
        x = F.dropout(x, 0.5, self.training)
        x = F.relu(self.conv1(x, edges))
        x = F.dropout(x, 0.5, self.training)
        return self.conv2(x, edges)


class GAT(torch.nn.Module):
    """Eight heads of eight and one head, dropout 0.6, as in PyG's example."""

    def __init__(self, d_in: int, d_out: int):
        super().__init__()
        self.conv1 = GATConv(d_in, 8, 8, dropout=0.6)
        self.conv2 = GATConv(64, d_out, 1, concat=False, dropout=0.6)

    def forward(self, x, edges):
        """Answers `[n_node, d_out]`."""
        x = F.dropout(x, 0.6, self.training)
        x = F.elu(self.conv1(x, edges))
        x = F.dropout(x, 0.6, self.training)
        return self.conv2(x, edges)


class GraphGIN(torch.nn.Module):
    """Five layers of 64 with batch norm, a sum over nodes, a head of two maps."""

    def __init__(self, d_in: int):
        super().__init__()
        self.gin = GIN(d_in, 64, 5, norm="batch_norm", dropout=0.0)
        self.head = MLP([64, 64, 2], norm=None, dropout=0.5)

    def forward(self, data):
        """Answers `[n_graph, 2]`."""
        h = self.gin(data.x, data.edge_index)
        return self.head(global_add_pool(h, data.batch, data.num_graphs))


def wait() -> None:
    """Until the device has done what it was told."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def _cora() -> tuple[Data, list[torch.Tensor]]:
    graph = inputs.cora()
    data = Data(
        x=torch.tensor(graph.dense()),
        edge_index=torch.tensor(np.stack([graph.senders, graph.receivers]).astype(np.int64)),
        y=torch.tensor(graph.labels.astype(np.int64)),
    )
    return data.to(DEVICE), [torch.tensor(part, device=DEVICE) for part in graph.parts]


def _adam(model, learning_rate: float = 0.01):
    return torch.optim.Adam(model.parameters(), lr=learning_rate, weight_decay=5e-4)


def _step(model, forward, opt, data, ids) -> None:
    model.train()
    opt.zero_grad()
    F.cross_entropy(forward(data.x, data.edge_index)[ids], data.y[ids]).backward()
    opt.step()


def train_step(make, compiled: bool = False, learning_rate: float = 0.01) -> Work:
    """Milliseconds of a training step, eager or under torch.compile."""
    data, (ids, _, _) = _cora()
    model = make(data.x.shape[1], 7).to(DEVICE)
    opt = _adam(model, learning_rate)
    forward = torch.compile(model) if compiled else model

    def run() -> None:
        _step(model, forward, opt, data, ids)
        wait()

    return repeated(run)


def inference(csr: bool) -> Work:
    """Milliseconds of a pass, with edge lists or with torch's CSR product."""
    data, _ = _cora()
    edges, model = data.edge_index, GCN(data.x.shape[1], 7, normalize=not csr).to(DEVICE).eval()
    if csr:
        n_node = data.x.shape[0]
        edges, _ = add_self_loops(edges, num_nodes=n_node)
        scale = torch.bincount(edges[1], minlength=n_node).float() ** -0.5
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its CSR layout a beta.
            weights = scale[edges[0]] * scale[edges[1]]
            edges = to_torch_csr_tensor(edges, weights, (n_node, n_node))

    def run() -> None:
        with torch.no_grad():
            model(data.x, edges)
        wait()

    return repeated(run)


def ten_seeds(really: int = 2) -> Work:
    """Milliseconds of 10 seeds x 200 epochs, scored each epoch; runs some seeds and multiplies."""
    data, (train, val, test) = _cora()
    facts = {"seeds_run": really}

    def sample() -> list[float]:
        began, tests = time.perf_counter(), []
        for seed in range(really):
            torch.manual_seed(seed)
            model = GCN(data.x.shape[1], 7).to(DEVICE)
            opt, best = _adam(model), (0.0, 0.0)
            for _ in range(EPOCHS):
                _step(model, model, opt, data, train)
                model.eval()
                with torch.no_grad():
                    hit = (model(data.x, data.edge_index).argmax(-1) == data.y).float()
                scores = hit[val].mean().item(), hit[test].mean().item()
                best = scores if scores[0] > best[0] else best
            tests.append(best[1])
        facts["test"] = float(np.mean(tests))
        return [1e3 * (time.perf_counter() - began) * 10 / really]

    return Work(sample, facts)


def aggregate() -> Work:
    """Milliseconds of PyG's sum over a list of edges, 1e6 nodes and 1e7 edges."""
    n_node, _ = inputs.LARGE
    senders, receivers = (torch.tensor(a.astype(np.int64)) for a in inputs.power_law(*inputs.LARGE))
    senders, receivers = senders.to(DEVICE), receivers.to(DEVICE)
    x = torch.tensor(inputs.values(n_node, inputs.WIDTH), device=DEVICE)

    def run() -> None:
        scatter(x[senders], receivers, 0, n_node)
        wait()

    return repeated(run)


def given(graph, labels) -> Data:
    """A graph of jgc as PyG's, features dense; labels of its nodes, or its own."""
    rows = graph.nodes
    return Data(
        x=torch.tensor(np.asarray(rows.todense() if hasattr(rows, "todense") else rows)),
        edge_index=torch.tensor(np.stack([graph.senders, graph.receivers]).astype(np.int64)),
        y=torch.tensor(np.atleast_1d(labels).astype(np.int64)),
    )


def train_epoch(model, opt, batches) -> None:
    """A step on every batch; its loss is over `chosen` nodes where a batch names some."""
    model.train()
    for batch in batches:
        batch = batch.to(DEVICE)
        ids = batch.chosen if "chosen" in batch else slice(None)
        opt.zero_grad()
        F.cross_entropy(model(batch)[ids], batch.y[ids]).backward()
        opt.step()


def passes(model, batches) -> Work:
    """Milliseconds of a pass over all batches."""
    model.eval()

    def run() -> None:
        with torch.no_grad():
            for batch in batches:
                model(batch.to(DEVICE))
        wait()

    return repeated(run)


def _proteins() -> DataLoader:
    from jgc import data

    held = data.load("proteins")
    graphs = [given(g, y) for g, y in zip(held.graphs, held.labels, strict=True)]
    return DataLoader(graphs, batch_size=32, shuffle=True)


def gin_epoch() -> Work:
    """Milliseconds of a training epoch through the DataLoader, reshuffled."""
    loader = _proteins()
    model = GraphGIN(loader.dataset[0].x.shape[1]).to(DEVICE)
    opt = torch.optim.Adam(model.parameters(), lr=0.01)

    def run() -> None:
        train_epoch(model, opt, loader)
        wait()

    return repeated(run)


def gin_inference(collated: bool) -> Work:
    """Milliseconds of a pass over all graphs, through the loader or collated beforehand."""
    loader = _proteins()
    model = GraphGIN(loader.dataset[0].x.shape[1]).to(DEVICE)
    return passes(model, list(loader) if collated else loader)


MEASURES = {
    "pyg-gcn-train-step": lambda: train_step(GCN),
    "pyg-gcn-train-step-compiled": lambda: train_step(GCN, compiled=True),
    "pyg-gat-train-step": lambda: train_step(GAT, learning_rate=0.005),
    "pyg-gcn-inference": lambda: inference(csr=False),
    "pyg-gcn-inference-csr": lambda: inference(csr=True),
    "pyg-ten-seeds": ten_seeds,
    "pyg-sum-1e6": aggregate,
    "pyg-gin-epoch": gin_epoch,
    "pyg-gin-inference": lambda: gin_inference(collated=False),
    "pyg-gin-inference-collated": lambda: gin_inference(collated=True),
}
