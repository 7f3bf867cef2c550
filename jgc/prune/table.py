"""The one table of pruning methods by name, and how each of them trains."""

import functools
from collections.abc import Callable
from typing import Literal

from jgc.prune.methods.gradual import gradual_magnitude, magnitude_ste
from jgc.prune.methods.grasp import grasp
from jgc.prune.methods.lagrangian import admm, slr
from jgc.prune.methods.lamp import lamp
from jgc.prune.methods.lasso import group_lasso, lasso
from jgc.prune.methods.magnitude import global_magnitude, layer_magnitude, random_global
from jgc.prune.methods.movement import movement
from jgc.prune.methods.saliency import global_saliency
from jgc.prune.methods.sap import sap
from jgc.prune.methods.sparse_training import rigl, rigl_ucb, set_, static_sparse
from jgc.prune.methods.structured import head_magnitude, n_of_m_magnitude, row_magnitude
from jgc.prune.methods.synflow import synflow
from jgc.prune.methods.taylor import taylor
from jgc.prune.methods.tickets import lottery_ticket
from jgc.prune.types import Pruner

# When a method's masks come about, by which a training is laid out (`jgc.study.course`):
#   after     a dense model is trained, pruned and fine-tuned
#   tuned     a dense model is trained, and pruned little by little while it is fine-tuned
#   pulled    a dense model is trained, trained on towards sparse weights, pruned and fine-tuned
#   rewound   trained, pruned a little and begun again, several times
#   first     masks come before the first step and stay
#   moving    masks come before the first step and move while it trains
#   gradual   pruned little by little while it trains for the first time
Course = Literal["after", "tuned", "pulled", "rewound", "first", "moving", "gradual"]


def _keyless(method: Callable[..., Pruner]) -> Callable[..., Pruner]:
    @functools.wraps(method)
    def build(sparsity, *, key=None, **settings):
        return method(sparsity, **settings)

    return build


# name -> (course, (sparsity, *, key, schedule=, every=, is_prunable=, ...) -> Pruner)
_ROWS: dict[str, tuple[Course, Callable[..., Pruner]]] = {
    "global": ("after", _keyless(global_magnitude)),
    "fine": ("after", _keyless(layer_magnitude)),
    "random": ("after", random_global),
    "row": ("after", _keyless(row_magnitude)),
    "head": ("after", _keyless(head_magnitude)),
    "n:m": ("after", _keyless(n_of_m_magnitude)),
    "lamp": ("after", _keyless(lamp)),
    "saliency": ("after", _keyless(global_saliency)),
    "taylor": ("tuned", _keyless(taylor)),
    "movement": ("tuned", _keyless(movement)),
    "slr": ("pulled", _keyless(slr)),
    "admm": ("pulled", _keyless(admm)),
    "lasso": ("pulled", _keyless(lasso)),
    "group-lasso": ("pulled", _keyless(group_lasso)),
    "ticket": ("rewound", _keyless(lottery_ticket)),
    "sap": ("rewound", _keyless(sap)),
    "snip": ("first", _keyless(global_saliency)),
    "grasp": ("first", _keyless(grasp)),
    "synflow": ("first", _keyless(synflow)),
    "static": ("first", static_sparse),
    "set": ("moving", set_),
    "rigl": ("moving", rigl),
    "rigl-ucb": ("moving", rigl_ucb),
    "gmp": ("gradual", _keyless(gradual_magnitude)),
    "ste": ("gradual", _keyless(magnitude_ste)),
}
METHODS = {name: build for name, (_, build) in _ROWS.items()}
COURSES = {name: course for name, (course, _) in _ROWS.items()}
