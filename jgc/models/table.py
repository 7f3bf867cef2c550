"""The one table of models by name."""

import dataclasses
import difflib
from typing import Any

import flax.linen as nn

from jgc.models.gat import GAT
from jgc.models.gcn import GCN, GNNNet
from jgc.models.gin import GIN
from jgc.models.gin_a2q import A2QGIN
from jgc.models.gnae import GNAE
from jgc.models.graph_conv import GraphConv
from jgc.models.hgp_sl import HGPSL
from jgc.models.mlp import MLP
from jgc.models.mpnn import MPNN
from jgc.models.sage import GraphSAGE
from jgc.models.spline import SplineCNN
from jgc.models.ssp import SSP
from jgc.models.super_gat import SuperGAT
from jgc.models.walk_pool import WalkPool

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
    check_known("model", name, list(MODELS))
    for setting in settings:
        check_known(f"setting of {name}", setting, list(settings_of(MODELS[name])))
    return MODELS[name](**settings)


def task_of(name: str) -> str | None:
    """The one task that a model is made for; `None` where it serves several or is unknown.

    Example:
        >>> task_of("ness"), task_of("gcn")
        ('link', None)
    """
    return getattr(MODELS.get(name), "task", None)


def settings_of(model: type[nn.Module]) -> dict[str, Any]:
    """The settings of a model and their types.

    Example:
        >>> settings_of(MLP)["hidden"]
        <class 'int'>
    """
    fields = dataclasses.fields(model)
    return {field.name: field.type for field in fields if field.name not in ("parent", "name")}


def check_known(what: str, word: str, known: list[str]) -> None:
    """Raises `ValueError` for a word that is not known, with the nearest that is.

    Example:
        >>> check_known("model", "gatt", ["gat", "gcn"])
        Traceback (most recent call last):
            ...
        ValueError: Unknown model 'gatt': known are ['gat', 'gcn']; did you mean 'gat'?
    """
    if word not in known:
        near = difflib.get_close_matches(word, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"Unknown {what} {word!r}: known are {known}{hint}")
