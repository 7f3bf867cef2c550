"""torch by hand: its CSR product, with features that stay sparse."""

import numpy as np
import torch
import torch.nn.functional as F

from jgc.bench import inputs
from jgc.bench.inputs import LARGE, SMALL, WIDTH
from jgc.bench.work import Work, repeated

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HIDDEN = 16


def wait() -> None:
    """Until the device has done what it was told."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def _csr(rows, cols, values, shape) -> torch.Tensor:
    """A CSR matrix of entries sorted by row."""
    start = inputs.offsets(rows, shape[0])
    parts = (torch.tensor(np.asarray(a), device=DEVICE) for a in (start, cols, values))
    return torch.sparse_csr_tensor(*parts, size=shape)


def _normalised(senders, receivers, n_node: int) -> torch.Tensor:
    """`D^-1/2 (A + I) D^-1/2`, symmetric for an undirected graph."""
    ids = np.arange(n_node, dtype=np.int32)
    cols, rows = np.append(senders, ids), np.append(receivers, ids)
    scale = np.bincount(rows, minlength=n_node).astype(np.float32) ** -0.5
    order = np.argsort(rows, kind="stable")
    rows, cols = rows[order], cols[order]
    return _csr(rows, cols, scale[rows] * scale[cols], (n_node, n_node))


class Product(torch.autograd.Function):
    """A sparse product whose gradient is a product with a transpose that was made beforehand."""

    @staticmethod
    def forward(ctx, matrix, transposed, x):
        """`matrix @ x`."""
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx, dy):
        """`transposed @ dy`."""
        return None, None, ctx.transposed @ dy


class Cora:
    """Kipf's GCN on Cora: weights, the normalised adjacency, sparse features both ways round."""

    def __init__(self, transposes: bool):
        graph = inputs.cora()
        rows, cols, values = graph.features
        self.transposes, (n_node, d) = transposes, graph.shape
        self.adjacency = _normalised(graph.senders, graph.receivers, n_node)
        self.features = _csr(rows, cols, values, graph.shape)
        self.order = np.argsort(cols, kind="stable")
        self.backward = _csr(cols[self.order], rows[self.order], values[self.order], (d, n_node))
        self.order = torch.tensor(self.order, device=DEVICE)
        self.labels = torch.tensor(graph.labels.astype(np.int64), device=DEVICE)
        self.train_ids = torch.tensor(graph.parts[0], device=DEVICE)
        shapes = ((d, HIDDEN), (HIDDEN,), (HIDDEN, 7), (7,))
        self.weights = [torch.zeros(s, device=DEVICE, requires_grad=True) for s in shapes]
        for matrix in self.weights[::2]:
            torch.nn.init.xavier_uniform_(matrix)

    def product(self, matrix, transposed, x):
        """By torch's own gradient, or by a transpose made beforehand."""
        return Product.apply(matrix, transposed, x) if self.transposes else matrix @ x

    def forward(self, train: bool):
        """Answers `[n_node, 7]`."""
        w1, b1, w2, b2 = self.weights
        x, back = self.features, self.backward
        if train:
            kept = F.dropout(x.values(), 0.5)
            x = torch.sparse_csr_tensor(x.crow_indices(), x.col_indices(), kept, size=x.shape)
            back = torch.sparse_csr_tensor(
                back.crow_indices(), back.col_indices(), kept[self.order], size=back.shape
            )
        h = F.relu(self.product(self.adjacency, self.adjacency, self.product(x, back, w1)) + b1)
        h = F.dropout(h, 0.5, train)
        return self.product(self.adjacency, self.adjacency, h @ w2) + b2


def train_step(transposes: bool) -> Work:
    """Milliseconds of a training step with dropout on stored values only."""
    net = Cora(transposes)
    opt = torch.optim.Adam(net.weights, lr=0.01, weight_decay=5e-4)

    def run() -> None:
        opt.zero_grad()
        answers = net.forward(train=True)[net.train_ids]
        F.cross_entropy(answers, net.labels[net.train_ids]).backward()
        opt.step()
        wait()

    return repeated(run)


def inference() -> Work:
    """Milliseconds of a pass."""
    net = Cora(transposes=False)

    def run() -> None:
        with torch.no_grad():
            net.forward(train=False)
        wait()

    return repeated(run)


def _random(n_node: int, n_edge: int) -> tuple[torch.Tensor, torch.Tensor]:
    senders, receivers = inputs.power_law(n_node, n_edge)
    matrix = _csr(receivers, senders, np.ones(n_edge, np.float32), (n_node, n_node))
    return matrix, torch.tensor(inputs.values(n_node, WIDTH), device=DEVICE)


def product(n_node: int, n_edge: int) -> Work:
    """Milliseconds of a CSR product with float32 rows of 64."""
    matrix, x = _random(n_node, n_edge)

    def run() -> None:
        matrix @ x
        wait()

    return repeated(run)


def network() -> Work:
    """Milliseconds of a GCN of two layers of 64 in float32."""
    senders, receivers = inputs.power_law(*SMALL)
    matrix = _normalised(senders, receivers, SMALL[0])
    x = torch.tensor(inputs.values(SMALL[0], WIDTH), device=DEVICE)
    weights = [torch.randn(WIDTH, WIDTH, device=DEVICE) / 8 for _ in range(2)]
    bias = torch.zeros(WIDTH, device=DEVICE)

    def run() -> None:
        with torch.no_grad():
            h = F.relu(matrix @ (x @ weights[0]) + bias)
            matrix @ (h @ weights[1]) + bias  # noqa: B018
        wait()

    return repeated(run)


MEASURES = {
    "torch-gcn-train-step": lambda: train_step(transposes=False),
    "torch-gcn-train-step-transposed": lambda: train_step(transposes=True),
    "torch-gcn-inference": inference,
    "torch-sum-1e5": lambda: product(*SMALL),
    "torch-sum-1e6": lambda: product(*LARGE),
    "torch-gcn64": network,
}
