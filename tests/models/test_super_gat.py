"""The self-supervised loss of SuperGAT: by hand, in PyG, over padding and batches."""

import jax
import numpy as np
import pytest

from jgc.graph import batch, from_edges, layout, pad
from jgc.models import GraphModel, SuperGAT, SuperGATConv
from jgc.models.super_gat import sample_pairs
from tests.models.cases import edgeless, graph, variables, wave

# Of two nodes every sampled pair is the one pair there is, so the loss has one value.
PAIR = from_edges([0, 1], [1, 0], nodes=wave((2, 5), 0))


def losses(conv, on, weights=None, key=0):
    at = layout(on)
    weights = weights or conv.init(jax.random.key(0), on.nodes, at, False)
    rngs = {"dropout": jax.random.key(key)}
    _, extra = conv.apply(weights, on.nodes, at, True, rngs=rngs, mutable=["losses"])
    return jax.tree.leaves(extra), weights


def entropy(logit, linked):
    return np.log1p(np.exp(-logit if linked else logit))


@pytest.mark.parametrize("attention", ["mx", "sd"])
def test_loss_by_hand(attention):
    conv = SuperGATConv(3, heads=2, attention=attention, edge_loss=1.5)
    (loss,), weights = losses(conv, PAIR)
    h = (PAIR.nodes @ weights["params"]["linear"]["kernel"]).reshape(2, 2, 3)
    scale = 1 if attention == "mx" else 3**0.5
    between, own = (h[0] * h[1]).sum(-1).mean() / scale, (h * h).sum(-1).mean(-1) / scale
    # Two edges, two self loops, (2 + 2) / 2 sampled pairs.
    each = [entropy(between, True)] * 2 + [entropy(x, True) for x in own]
    each += [entropy(between, False)] * 2
    np.testing.assert_allclose(loss, 1.5 * np.mean(each), rtol=1e-5)


@pytest.mark.parametrize("kind", ["MX", "SD"])
def test_loss_equals_pyg(kind):
    torch = pytest.importorskip("torch", reason="PyG as oracle; the test by hand stands in")
    pytest.importorskip("torch_geometric", reason="PyG as oracle; the test by hand stands in")
    from tests.models.pyg import _tensors, super_gat_conv

    conv = SuperGATConv(3, heads=2, attention=kind.lower(), edge_loss=1.0)
    (loss,), weights = losses(conv, PAIR)
    edges = torch.tensor([[0, 1], [1, 0]])
    with torch.no_grad():
        theirs = super_gat_conv(_tensors(weights["params"]), kind).train()
        theirs(torch.tensor(PAIR.nodes), edges, neg_edge_index=edges)
        np.testing.assert_allclose(loss, theirs.get_attention_loss(), rtol=1e-5)


def test_losses_come_in_training_only_and_only_where_they_are_asked_for():
    model = SuperGAT(hidden=4, out=3, heads=2)
    weights = variables(model, graph())
    assert set(weights) == {"params"}
    rngs = {"dropout": jax.random.key(0)}
    _, extra = model.apply(weights, graph(), train=True, rngs=rngs, mutable=["losses"])
    assert len(jax.tree.leaves(extra)) == 2
    silent = model.clone(edge_loss=0.0)
    assert not silent.apply(weights, graph(), train=True, rngs=rngs, mutable=["losses"])[1]
    # Sampling needs a key: without the collection none is asked for.
    model.clone(dropout=0.0).apply(weights, graph(), train=True)


def test_padding_is_neither_edge_nor_sampled():
    conv = SuperGATConv(3, heads=1, edge_loss=1.0)
    padded = pad(PAIR, n_node=9, n_edge=7, n_graph=3)
    nodes = np.where(np.arange(9)[:, None] < 2, padded.nodes, 100).astype(np.float32)
    (loss,), weights = losses(conv, padded._replace(nodes=nodes))
    h = PAIR.nodes @ weights["params"]["linear"]["kernel"]
    between = h[0] @ h[1]
    linked = [entropy(x, True) for x in [between, between, *(h * h).sum(-1)]]
    # However many of the eight draws fell on the two real nodes.
    possible = [np.mean(linked + [entropy(between, False)] * n) for n in range(9)]
    assert np.abs(np.array(possible) - loss).min() < 1e-5


def test_pairs_are_of_one_graph_never_of_one_node_and_uniform():
    joined = pad(batch([graph(), edgeless(3), edgeless(1)]), n_node=12, n_edge=9, n_graph=5)
    at = layout(joined)
    (first, other), real = sample_pairs(jax.random.key(0), at, 24000)
    first, other = first[real], other[real]
    assert (first != other).all()
    assert (at.node_graph[first] == at.node_graph[other]).all()
    assert set(np.unique(first).tolist()) == set(range(8))  # no padding, no node alone
    counts = np.unique(np.stack([first, other]), axis=1, return_counts=True)[1]
    assert len(counts) == 5 * 4 + 3 * 2
    # A node is first 2000 times; of five nodes each other one follows 500 times (sd 22).
    assert np.abs(counts[:20] - 500).max() < 110 and np.abs(counts[20:] - 1000).max() < 150


def test_attention_is_chosen_by_name():
    model = GraphModel(SuperGAT(hidden=4, attention="dot"), out=2)
    with pytest.raises(ValueError, match=r"`attention` must be one of \['mx', 'sd'\], got 'dot'"):
        model.init(jax.random.key(0), graph())
