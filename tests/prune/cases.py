"""One table of pruners; every duty in this folder runs over it. A new method is a row here."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx

from jgc.prune import METHODS, Pruner, Schedule, one_shot, window

# Two kernels; 4 divides neither 10 nor 6, so groups of 4 inputs end in a short one.
SHAPES = ((10, 6), (6, 5))


def at_once(sparsity):
    return one_shot(sparsity, at=0)


def steady(sparsity):
    return window(sparsity, 0, 8)


class Case(NamedTuple):
    name: str
    levels: tuple[float, ...]
    kept: Callable[[float], int]  # how many of the 90 weights survive, worked apart from the code
    schedule: Callable[..., Schedule] | None = None  # of methods that have none by default
    gradual: bool = True  # whether the sparsity may rise step by step

    def build(self, sparsity, **settings) -> Pruner:
        settings = {"schedule": self.schedule, **settings}
        return METHODS[self.name](sparsity, key=jax.random.key(7), **settings)

    def __str__(self):
        return self.name


LEVELS = (0.0, 0.25, 0.5, 0.9, 1.0)
ALL = {0.0: 90, 0.25: 68, 0.5: 45, 0.9: 9, 1.0: 0}  # 67.5 -> 68, half to even
FINE = {**ALL, 0.25: 67}
# Methods whose masks are those of another at every update; they differ in when they train.
SAME = {"snip": "saliency", "ticket": "global", "gmp": "fine"}
# Methods whose counts follow from the weights; their own tests know them.
FREE = {"sap", "group-lasso"}
CASES = (
    Case("global", LEVELS, ALL.__getitem__),
    Case("random", LEVELS, ALL.__getitem__),
    Case("lamp", LEVELS, ALL.__getitem__),
    Case("saliency", LEVELS, ALL.__getitem__),
    Case("taylor", LEVELS, ALL.__getitem__),
    Case("grasp", LEVELS, ALL.__getitem__),
    Case("synflow", LEVELS, ALL.__getitem__),
    Case("lasso", LEVELS, ALL.__getitem__, at_once),
    # By Erdos and Renyi the layers get 16 : 11 of what is kept, which changes no sum.
    Case("static", LEVELS, ALL.__getitem__, gradual=False),
    Case("set", LEVELS, ALL.__getitem__, steady, gradual=False),
    Case("rigl", LEVELS, ALL.__getitem__, steady, gradual=False),
    Case("rigl-ucb", LEVELS, ALL.__getitem__, steady, gradual=False),
    # 60 and 30 weights: 45 + 22 (22.5 to even), 30 + 15, 6 + 3
    Case("fine", LEVELS, FINE.__getitem__),
    Case("movement", LEVELS, FINE.__getitem__, at_once),
    Case("ste", LEVELS, FINE.__getitem__, at_once),
    Case("slr", LEVELS, FINE.__getitem__, at_once, gradual=False),
    Case("admm", LEVELS, FINE.__getitem__, at_once, gradual=False),
    # 6 and 5 neurons of 10 and 6 weights: 4 + 4 (4.5 and 3.75), 3 + 2 (2.5), 1 + 0 (.6 and .5)
    Case("row", LEVELS, {0.0: 90, 0.25: 64, 0.5: 42, 0.9: 10, 1.0: 0}.__getitem__),
    # one head of at most 8 neurons a layer: .75 -> 1, .5 -> 0, half to even
    Case("head", LEVELS, {0.0: 90, 0.25: 90, 0.5: 0, 0.9: 0, 1.0: 0}.__getitem__),
    # groups of 4, 4, 2 for 6 outputs and 4, 2 for 5: n = 3: 6*8 + 5*5, 2: 6*6 + 5*4, 1: 18 + 10
    Case(
        "n:m",
        (0.0, 0.25, 0.5, 0.75, 1.0),
        {0.0: 90, 0.25: 73, 0.5: 56, 0.75: 28, 1.0: 0}.__getitem__,
    ),
)


def plain_params(seed: int = 0):
    keys = jax.random.split(jax.random.key(seed), 2)
    kernels = [jax.random.normal(k, shape) for k, shape in zip(keys, SHAPES, strict=True)]
    return {
        f"dense{i}": {"bias": jnp.ones(kernel.shape[1]), "kernel": kernel}
        for i, kernel in enumerate(kernels)
    }


def linen_params():
    model = nn.Sequential([nn.Dense(6), nn.LayerNorm(), nn.Dense(5)])
    return model.init(jax.random.key(0), jnp.zeros((1, 10)))["params"]


def nnx_params():
    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        nnx.Linear(10, 6, rngs=rngs), nnx.LayerNorm(6, rngs=rngs), nnx.Linear(6, 5, rngs=rngs)
    )
    return nnx.state(model, nnx.Param)


def equinox_params():
    keys = jax.random.split(jax.random.key(0), 2)
    model = eqx.nn.Sequential(
        [eqx.nn.Linear(10, 6, key=keys[0]), eqx.nn.LayerNorm(6), eqx.nn.Linear(6, 5, key=keys[1])]
    )
    return eqx.filter(model, eqx.is_array)


LIBRARIES = {"linen": linen_params, "nnx": nnx_params, "equinox": equinox_params}
TREES = {"plain": plain_params, **LIBRARIES}


def pruned(pruner: Pruner, params):
    """Masks after the first update, compiled: uncompiled, every call would compile its branch."""
    return jax.jit(lambda p: pruner.update(pruner.init(p), p, **SIGNALS)[0].masks)(params)


def loss(params):
    return sum(jnp.sin(3 * leaf.astype(jnp.float32)).sum() for leaf in jax.tree.leaves(params))


def flow(params):
    sums = [leaf.astype(jnp.float32).sum() for leaf in jax.tree.leaves(params)]
    return jnp.prod(jnp.stack(sums))


# What `update` is told; most methods do not listen.
SIGNALS = {"loss": loss, "flow": flow, "mean_loss": 1.0}


@lru_cache
def masks_at(case: Case):
    """`(params, level) -> masks` with a traced level: one program a tree for all levels."""

    def masks(params, level):
        pruner = case.build(level)
        return pruner.update(pruner.init(params), params, **SIGNALS)[0].masks

    return jax.jit(masks)


def n_kept(masks) -> int:
    """Kept weights of the prunable leaves: those with two axes."""
    return sum(int(leaf.sum()) for leaf in jax.tree.leaves(masks) if leaf.ndim >= 2)
