"""The same layers and networks in PyG, on the same weights; writes the golden results.

`python -m tests.models.pyg`, from the root of the repository and with torch_geometric installed,
rewrites `golden.json` beside this file.
"""

import json
from pathlib import Path

import numpy as np

from tests.models.cases import RECEIVERS, SENDERS, WIDTH, wave

GOLDEN = Path(__file__).with_name("golden.json")
N_NODE = 5


def results(all_variables):
    """`{name: nested lists}` of every module below, fed with jgc's variables of the same name."""
    import torch

    with torch.no_grad():
        return {
            name: MODULES[name](_tensors(variables)).numpy()
            for name, variables in all_variables.items()
        }


def _tensors(tree):
    import torch

    if hasattr(tree, "items"):
        return {name: _tensors(leaf) for name, leaf in tree.items()}
    return torch.tensor(np.asarray(tree))


def _inputs():
    import torch

    return torch.tensor(wave((N_NODE, WIDTH), 0)), torch.tensor([SENDERS, RECEIVERS])


def _linear(layer, kernel, bias=None):
    layer.weight.copy_(kernel.T)
    if bias is not None:
        layer.bias.copy_(bias)
    return layer


def gcn_conv(p):
    from torch_geometric.nn import GCNConv

    conv = GCNConv(*p["linear"]["kernel"].shape)
    _linear(conv.lin, p["linear"]["kernel"])
    conv.bias.copy_(p["bias"])
    return conv


def gat_conv(p, concat):
    from torch_geometric.nn import GATConv

    _, heads, features = p["att_source"].shape
    d_in = p["linear"]["kernel"].shape[0]
    conv = GATConv(d_in, features, heads, concat=concat)
    _linear(conv.lin, p["linear"]["kernel"])
    conv.att_src.copy_(p["att_source"])
    conv.att_dst.copy_(p["att_target"])
    conv.bias.copy_(p["bias"])
    return conv


def sage_conv(p, aggr):
    from torch_geometric.nn import SAGEConv

    conv = SAGEConv(*p["self"]["kernel"].shape, aggr=aggr)
    _linear(conv.lin_l, p["neighbour"]["kernel"], p["self"]["bias"])
    _linear(conv.lin_r, p["self"]["kernel"])
    return conv


def batch_norm(p, stats, norm=None):
    from torch import nn

    norm = norm or nn.BatchNorm1d(p["scale"].shape[0]).eval()
    norm.weight.copy_(p["scale"])
    norm.bias.copy_(p["bias"])
    norm.running_mean.copy_(stats["mean"])
    norm.running_var.copy_(stats["var"])
    return norm


def gin_conv(p, stats, train=False):
    from torch import nn
    from torch_geometric.nn import GINConv

    first, second = p["mlp"]["first"]["kernel"], p["mlp"]["second"]["kernel"]
    width = first.shape[1]
    mlp = nn.Sequential(
        nn.Linear(*first.shape), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(*second.shape)
    )
    # Filled once it is inside: `GINConv` draws its network anew.
    conv = GINConv(mlp, train_eps=True).train(train)
    _linear(mlp[0], first, p["mlp"]["first_bias"])
    batch_norm(p["mlp"]["norm"], stats["mlp"]["norm"], mlp[1])
    _linear(mlp[3], second, p["mlp"]["second"]["bias"])
    conv.eps.copy_(p["eps"])
    return conv


def _conv(build, **settings):
    return lambda v: build(v["params"], **settings)(*_inputs())


def _gin_conv(train):
    return lambda v: gin_conv(v["params"], v["batch_stats"], train)(*_inputs())


def _gcn(v):
    x, edges = _inputs()
    x = gcn_conv(v["params"]["conv1"])(x, edges).relu()
    return gcn_conv(v["params"]["conv2"])(x, edges)


def _gat(v):
    from torch.nn.functional import elu

    x, edges = _inputs()
    x = elu(gat_conv(v["params"]["conv1"], True)(x, edges))
    return gat_conv(v["params"]["conv2"], False)(x, edges)


def _graph_gin(readout):
    """Two GIN layers and a readout, over the graph and a second one of its first two nodes."""

    def run(v):
        import torch
        import torch_geometric.nn as pyg

        p, stats = v["params"]["encoder"], v["batch_stats"]["encoder"]
        x, edges = _inputs()
        batch = torch.tensor([0] * N_NODE + [1] * 2)
        x = torch.cat([x, x[:2]])
        edges = torch.cat([edges, torch.tensor([[N_NODE], [N_NODE + 1]])], 1)
        x = gin_conv(p["conv1"], stats["conv1"])(x, edges)
        x = batch_norm(p["norm1"], stats["norm1"])(x).relu()
        x = gin_conv(p["conv2"], stats["conv2"])(x, edges)
        pool = {"sum": "add"}.get(readout, readout)
        g = getattr(pyg, f"global_{pool}_pool")(x, batch)
        head1, head2 = v["params"]["head1"], v["params"]["head2"]
        g = (g @ head1["kernel"] + head1["bias"]).relu()
        return g @ head2["kernel"] + head2["bias"]

    return run


MODULES = {
    "GCNConv": _conv(gcn_conv),
    "GATConv, joined": _conv(gat_conv, concat=True),
    "GATConv, mean": _conv(gat_conv, concat=False),
    "GINConv": _gin_conv(train=False),
    "GINConv, training": _gin_conv(train=True),
    "SAGEConv, mean": _conv(sage_conv, aggr="mean"),
    "SAGEConv, sum": _conv(sage_conv, aggr="sum"),
    "GCN": _gcn,
    "GAT": _gat,
    "graph GIN, sum": _graph_gin("sum"),
    "graph GIN, mean": _graph_gin("mean"),
    "graph GIN, max": _graph_gin("max"),
}


if __name__ == "__main__":
    from tests.models.test_pyg import ours

    rows = {
        name: np.round(result.astype(float), 7).tolist()
        for name, result in results({name: ours(name)[0] for name in MODULES}).items()
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    GOLDEN.write_text("{\n" + lines + "\n}\n")
