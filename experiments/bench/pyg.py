"""PyG's side: its own layers as its own examples use them; prints one JSON object."""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
import torch_geometric
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GIN, MLP, GCNConv, global_add_pool

import jgc

torch.set_num_threads(int(sys.argv[1]))


class GCN(torch.nn.Module):
    def __init__(self, d_in, hidden, d_out):
        super().__init__()
        self.conv1 = GCNConv(d_in, hidden, cached=True)
        self.conv2 = GCNConv(hidden, d_out, cached=True)

    def forward(self, x, edge_index):
        x = F.dropout(x, 0.5, self.training)
        x = F.relu(self.conv1(x, edge_index))
        x = F.dropout(x, 0.5, self.training)
        return self.conv2(x, edge_index)


class GraphGIN(torch.nn.Module):
    def __init__(self, d_in, hidden, d_out):
        super().__init__()
        self.gin = GIN(d_in, hidden, 5, norm="batch_norm", dropout=0.0)
        self.head = MLP([hidden, hidden, d_out], norm=None, dropout=0.5)

    def forward(self, data):
        h = self.gin(data.x, data.edge_index)
        return self.head(global_add_pool(h, data.batch, data.num_graphs))


def cora_data(cora):
    graph = cora.graphs[0]
    edges = torch.tensor(np.stack([graph.senders, graph.receivers]), dtype=torch.long)
    data = Data(
        x=torch.tensor(np.array(graph.nodes.todense())),
        edge_index=edges,
        y=torch.tensor(cora.labels, dtype=torch.long),
    )
    parts = [torch.tensor(part) for part in cora.splits[0][:3]]
    return data, parts


def steps(model, opt, data, train_ids):
    model.train()
    opt.zero_grad()
    loss = F.cross_entropy(model(data.x, data.edge_index)[train_ids], data.y[train_ids])
    loss.backward()
    opt.step()


def train_step(cora):
    data, (train_ids, _, _) = cora_data(cora)
    model = GCN(data.x.shape[1], 16, cora.n_class)
    opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(5):
        steps(model, opt, data, train_ids)
    times = []
    for _ in range(30):
        began = time.perf_counter()
        steps(model, opt, data, train_ids)
        times.append((time.perf_counter() - began) * 1000)
    return times


def ten_seeds(cora, n_seed):
    data, (train_ids, val_ids, test_ids) = cora_data(cora)
    began, tests = time.perf_counter(), []
    for seed in range(n_seed):
        torch.manual_seed(seed)
        model = GCN(data.x.shape[1], 16, cora.n_class)
        opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
        best = (0.0, 0.0)
        for _ in range(200):
            steps(model, opt, data, train_ids)
            model.eval()
            with torch.no_grad():
                hit = model(data.x, data.edge_index).argmax(-1) == data.y
            scores = hit[val_ids].float().mean().item(), hit[test_ids].float().mean().item()
            best = scores if scores[0] > best[0] else best
        tests.append(best[1])
    seconds = (time.perf_counter() - began) * 10 / n_seed
    return {"seconds": seconds, "seeds_run": n_seed, "test": float(np.mean(tests))}


def gin_epoch(proteins):
    graphs = [
        Data(
            x=torch.tensor(g.nodes),
            edge_index=torch.tensor(np.stack([g.senders, g.receivers]), dtype=torch.long),
            y=torch.tensor([int(y)]),
        )
        for g, y in zip(proteins.graphs, proteins.labels, strict=True)
    ]
    loader = DataLoader(graphs, batch_size=32, shuffle=True)
    model = GraphGIN(graphs[0].x.shape[1], 64, 2).train()
    opt = torch.optim.Adam(model.parameters(), lr=0.01)
    times = []
    for _ in range(6):
        began = time.perf_counter()
        for data in loader:
            opt.zero_grad()
            F.cross_entropy(model(data), data.y).backward()
            opt.step()
        times.append((time.perf_counter() - began) * 1000)
    return times[1:]


if __name__ == "__main__":
    n_seed = int(sys.argv[2])
    cora, proteins = jgc.data.load("cora"), jgc.data.load("proteins")
    found = {"torch": torch.__version__, "pyg": torch_geometric.__version__}
    found["train-step"] = train_step(cora)
    found["ten-seeds"] = ten_seeds(cora, n_seed)
    found["gin-epoch"] = gin_epoch(proteins)
    print(json.dumps(found))
