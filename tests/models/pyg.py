"""The same layers and networks in PyG, on the same weights; writes the golden results.

`python -m tests.models.pyg`, from the root of the repository and with torch_geometric installed,
rewrites `golden.json` beside this file.
"""

import json
from pathlib import Path

import numpy as np

from tests.models.cases import EDGES, RECEIVERS, SENDERS, WIDTH, wave

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


def super_gat_conv(p, kind, concat=True, heads=2):
    from torch_geometric.nn import SuperGATConv

    d_in, width = p["linear"]["kernel"].shape
    conv = SuperGATConv(d_in, width // heads, heads, concat=concat, attention_type=kind)
    _linear(conv.lin, p["linear"]["kernel"])
    if kind == "MX":
        conv.att_l.copy_(p["att_source"])
        conv.att_r.copy_(p["att_target"])
    conv.bias.copy_(p["bias"])
    return conv


def graph_conv(p):
    from torch_geometric.nn import GraphConv

    conv = GraphConv(*p["self"]["kernel"].shape)
    # PyG adds the one bias after the neighbours' map.
    _linear(conv.lin_rel, p["neighbour"]["kernel"], p["self"]["bias"])
    _linear(conv.lin_root, p["self"]["kernel"])
    return conv


def nn_conv(p):
    from torch import nn
    from torch_geometric.nn import NNConv

    (d_in, features), (d_edge, hidden) = p["root"]["kernel"].shape, p["edge"]["kernel"].shape
    matrices = p["linear"]["kernel"].reshape(d_in, hidden + 1, features)
    net = nn.Sequential(nn.Linear(d_edge, hidden), nn.ReLU(), nn.Linear(hidden, d_in * features))
    # Filled once it is inside: `NNConv` draws its network anew.
    conv = NNConv(d_in, features, net)
    _linear(net[0], p["edge"]["kernel"], p["edge"]["bias"])
    flat = matrices.transpose(0, 1).reshape(hidden + 1, -1)
    _linear(net[2], flat[:-1], flat[-1])
    _linear(conv.lin, p["root"]["kernel"])
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


def a2q_gin_conv(p, stats):
    from torch import nn
    from torch_geometric.nn import GINConv

    first, second = p["mlp"]["first"]["kernel"], p["mlp"]["second"]["kernel"]
    mlp = nn.Sequential(
        nn.Linear(*first.shape), nn.ReLU(), nn.Linear(*second.shape), nn.ReLU(),
        nn.BatchNorm1d(second.shape[1]),
    )  # fmt: skip
    conv = GINConv(mlp, train_eps=True).eval()
    _linear(mlp[0], first, p["mlp"]["first_bias"])
    _linear(mlp[2], second, p["mlp"]["second"]["bias"])
    batch_norm(p["mlp"]["norm"], stats["mlp"]["norm"], mlp[4])
    conv.eps.copy_(p["eps"])
    return conv


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


def _super_gat(v):
    from torch.nn.functional import elu

    x, edges = _inputs()
    x = elu(super_gat_conv(v["params"]["conv1"], "MX")(x, edges))
    return super_gat_conv(v["params"]["conv2"], "MX", concat=False)(x, edges)


def _mpnn(v):
    import torch

    (x, edges), features = _inputs(), torch.tensor(EDGES)
    x = nn_conv(v["params"]["conv1"])(x, edges, features).relu()
    return nn_conv(v["params"]["conv2"])(x, edges, features)


def _two_graphs():
    """The graph and a second one of its first two nodes, as one batch."""
    import torch

    x, edges = _inputs()
    edges = torch.cat([edges, torch.tensor([[N_NODE], [N_NODE + 1]])], 1)
    return torch.cat([x, x[:2]]), edges, torch.tensor([0] * N_NODE + [1] * 2)


def _graph_gnnnet(v):
    from torch_geometric.nn import global_max_pool

    x, edges, batch = _two_graphs()
    for i in (1, 2, 3):
        x = gcn_conv(v["params"]["encoder"][f"conv{i}"])(x, edges).relu()
    head = v["params"]["head1"]
    return global_max_pool(x, batch) @ head["kernel"] + head["bias"]


def _graph_a2q_gin(v):
    from torch_geometric.nn import global_mean_pool

    p, stats = v["params"]["encoder"], v["batch_stats"]["encoder"]
    x, edges, batch = _two_graphs()
    for i in (1, 2):
        x = a2q_gin_conv(p[f"conv{i}"], stats[f"conv{i}"])(x, edges)
        x = batch_norm(p[f"norm{i}"], stats[f"norm{i}"])(x)
    head1, head2 = v["params"]["head1"], v["params"]["head2"]
    g = (global_mean_pool(x, batch) @ head1["kernel"] + head1["bias"]).relu()
    return g @ head2["kernel"] + head2["bias"]


def _graph_gin(readout):
    """Two GIN layers and a readout."""

    def run(v):
        import torch_geometric.nn as pyg

        p, stats = v["params"]["encoder"], v["batch_stats"]["encoder"]
        x, edges, batch = _two_graphs()
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
    "GraphConv": _conv(graph_conv),
    "SuperGATConv, mx": _conv(super_gat_conv, kind="MX"),
    "SuperGATConv, sd": _conv(super_gat_conv, kind="SD", concat=False),
    "MPNN": _mpnn,
    "SuperGAT": _super_gat,
    "GCN": _gcn,
    "GAT": _gat,
    "graph GIN, sum": _graph_gin("sum"),
    "graph GIN, mean": _graph_gin("mean"),
    "graph GIN, max": _graph_gin("max"),
    "graph GNNNet": _graph_gnnnet,
    "graph A2QGIN": _graph_a2q_gin,
}


if __name__ == "__main__":
    from tests.models.test_pyg import ours

    rows = {
        name: np.round(result.astype(float), 7).tolist()
        for name, result in results({name: ours(name)[0] for name in MODULES}).items()
    }
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
    GOLDEN.write_text("{\n" + lines + "\n}\n")
