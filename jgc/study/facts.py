"""What a row says of a trained lane: bytes, computed operations and FLOPs, epochs."""

from typing import Any

import jax
import numpy as np

from jgc import pack
from jgc.graph import in_degree
from jgc.pack.flops import UPDATE, training_flops
from jgc.pack.operations import Product, at_level
from jgc.prune import kept_fractions, sparsity_of
from jgc.quant import average_bits, bits_by_degree, learned_sites
from jgc.study.job import Job
from jgc.study.plan import rows_of
from jgc.train import Model, Optimiser, Problem, TrainState, is_straight_through


def sizes(
    job: Job, found: list[Product], bits: int, model: Model, artefact: dict[str, Any]
) -> dict[str, Any]:
    """Bytes of the files, and computed operations a graph or row."""
    variables = {"params": model.params, **model.stats}
    cost = pack.total(at_level(found, model.masks, bits))
    sizes = {
        "bytes_dense": pack.dense_bytes(variables),
        "bytes_file": pack.file_bytes(**artefact),
        "macs": cost.macs / _n_item(job),
        "bops": cost.bops / _n_item(job),
    }
    if model.masks is not None:
        sizes["sparsity"] = achieved(model)
        sizes["bytes_values"] = pack.values_bytes(model.params, model.masks)
        kept = kept_fractions(model.masks)
        sizes["layers"] = {n.removesuffix("/kernel"): round(float(k), 4) for n, k in kept.items()}
    if model.quant is not None and learned_sites(model.quant):
        sizes["bits_features"] = round(float(average_bits(model.quant)), 3)
        # Elsewhere nodes have groups, or a graph a split.
        if job.dataset.task == "node" and not rows_of(job.dataset):
            by_degree = bits_by_degree(model.quant, in_degree(job.dataset.graphs[0]))
            sizes["bits_by_degree"] = {name: round(bits, 3) for name, bits in by_degree.items()}
    return sizes


def achieved(model: Model) -> float:
    """Sparsity; its fourth decimal would only tell of the rounding to whole weights."""
    return round(float(sparsity_of(model.masks)), 3)


def _n_item(job: Job) -> int:
    """Number of graphs; a row is a graph of its own."""
    rows = rows_of(job.dataset)
    return int(job.dataset.graphs[0].n_node[0]) if rows else len(job.dataset.graphs)


def train_flops(
    job: Job, task: Problem, found: list[Product], i: int, state: TrainState, params
) -> float | None:
    """Computed FLOPs of a lane's whole training; `None` where edges are dealt into parts."""
    if (job.plan.settings.parts or 1) > 1 or job.plan.optimiser.kfac is not None:
        return None
    dataset, phases, log = job.dataset, job.method.phases, state.pruned
    share = 1.0
    if dataset.labels is not None and (dataset.task == "graph" or rows_of(dataset)):
        split = dataset.splits[job.runs[i][1] % len(dataset.splits)]
        share = len(split.train) / len(dataset.labels)
    kept = {} if log is None else {n: np.asarray(c[i]) for n, c in log.kept.items()}
    make = job.method.pruner
    trained = np.concatenate([np.full(phase.epochs, phase.rate > 0) for phase in phases])
    if state.stop is not None:
        trained &= np.asarray(state.stop.ran[i])
    return training_flops(
        found,
        kept,
        trained,
        share=share,
        steps=task.steps,
        n_params=sum(leaf.size for leaf in jax.tree.leaves(params)),
        update=UPDATE[_rule(job.plan.optimiser)],
        gradients=None if log is None else np.asarray(log.gradients[i]),
        straight_through=make is not None and is_straight_through(make),
    )


def _rule(optimiser: Optimiser) -> str:
    if optimiser.rule == "adam" or not optimiser.momentum:
        return optimiser.rule
    return "nesterov" if optimiser.nesterov else "momentum"


def epochs(job: Job, state: TrainState, i: int) -> dict[str, Any]:
    """Epochs that lane `i` ran, where it might have ended early, and that each matrix trained."""
    if state.stop is None:
        return {}
    ran, told = state.stop.ran[i], {}
    if state.freeze is not None:
        begin = job.method.epochs - job.method.phases[-1].epochs
        whole = int(ran[begin:].sum())
        at = {name: int(epochs[i]) for name, epochs in state.freeze.frozen_at.items()}
        told["epochs_by_layer"] = {
            name.removesuffix("/kernel"): whole if epoch < 0 else epoch - begin
            for name, epoch in at.items()
        }
    return {"epochs": int(ran.sum()), **told}
