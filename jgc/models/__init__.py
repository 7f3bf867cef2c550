"""Models: one architecture a file, all Linen modules called as `model(graph, layout, train=)`.

Adding one is a file and a row of `MODELS`.
"""

import dataclasses
import difflib

import flax.linen as nn

from jgc.models.gat import GAT as GAT
from jgc.models.gat import GATConv as GATConv
from jgc.models.gcn import GCN as GCN
from jgc.models.gcn import GCNConv as GCNConv
from jgc.models.gcn import GNNNet as GNNNet
from jgc.models.gcn import propagate as propagate
from jgc.models.gin import GIN as GIN
from jgc.models.gin import GINConv as GINConv
from jgc.models.gin_a2q import A2QGIN as A2QGIN
from jgc.models.gnae import GNAE as GNAE
from jgc.models.graph_conv import GraphConv as GraphConv
from jgc.models.heads import GraphModel as GraphModel
from jgc.models.heads import for_task as for_task
from jgc.models.heads import link_scores as link_scores
from jgc.models.hgp_sl import HGPSL as HGPSL
from jgc.models.layers import Site as Site
from jgc.models.mlp import MLP as MLP
from jgc.models.mpnn import MPNN as MPNN
from jgc.models.mpnn import NNConv as NNConv
from jgc.models.sage import GraphSAGE as GraphSAGE
from jgc.models.sage import SAGEConv as SAGEConv
from jgc.models.sparsemax import sparsemax as sparsemax
from jgc.models.spline import SplineCNN as SplineCNN
from jgc.models.spline import SplineConv as SplineConv
from jgc.models.ssp import SSP as SSP
from jgc.models.super_gat import SuperGAT as SuperGAT
from jgc.models.super_gat import SuperGATConv as SuperGATConv
from jgc.models.walk_pool import WalkPool as WalkPool

MODELS: dict[str, type[nn.Module]] = {
    "gcn": GCN,
    "gnnnet": GNNNet,
    "gat": GAT,
    "supergat": SuperGAT,
    "gin": GIN,
    "gin-a2q": A2QGIN,
    "sage": GraphSAGE,
    "graphconv": GraphConv,
    "splinecnn": SplineCNN,
    "mpnn": MPNN,
    "mlp": MLP,
    "hgp-sl": HGPSL,
    "walkpool": WalkPool,
    "ness": GNAE,
    "ssp": SSP,
}


def named(name: str, **settings) -> nn.Module:
    """Builds a model of the table by name.

    Args:
        name: A key of `MODELS`.
        settings: Attributes of that model.

    Returns:
        The model, not yet fitted to a task (see `for_task`).

    Raises:
        ValueError: for an unknown model or setting, with the nearest known one.

    Example:
        >>> named("gcn", hidden=16).hidden
        16
    """
    _check("model", name, list(MODELS))
    known = [f.name for f in dataclasses.fields(MODELS[name]) if f.name not in ("parent", "name")]
    for setting in settings:
        _check(f"setting of {name}", setting, known)
    return MODELS[name](**settings)


def task_of(name: str) -> str | None:
    """The one task that a model is made for; `None` where it serves several or is unknown.

    Example:
        >>> task_of("ness"), task_of("gcn")
        ('link', None)
    """
    return getattr(MODELS.get(name), "task", None)


def _check(what: str, word: str, known: list[str]) -> None:
    if word not in known:
        near = difflib.get_close_matches(word, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"Unknown {what} {word!r}: known are {known}{hint}")
