"""Trees, masks and masks' shapes that every duty of the room is run over."""

import jax
import jax.numpy as jnp
import numpy as np

from jgc.quant.grid import symmetric_grid

RNG = np.random.default_rng(0)


def gcn(d_in=1433, hidden=16, d_out=7):
    """Parameters of Cora's GCN, Glorot uniform."""
    shapes = {"conv1": (d_in, hidden), "conv2": (hidden, d_out)}
    return {
        name: {
            "kernel": (RNG.uniform(-1, 1, shape) * (6 / sum(shape)) ** 0.5).astype(np.float32),
            "bias": RNG.normal(size=shape[1]).astype(np.float32),
        }
        for name, shape in shapes.items()
    }


def global_masks(params, sparsity):
    """Keeps the largest kernels' weights over all layers."""
    kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
    scores = np.sort(np.abs(np.concatenate([kernel.ravel() for kernel in kernels])))
    threshold = np.append(scores, np.inf)[round(sparsity * scores.size)]
    return jax.tree.map(
        lambda p: np.abs(p) >= threshold if p.ndim == 2 else np.ones(p.shape, bool), params
    )


def channel_grids(params, masks, bits):
    """Symmetric grids of the kernels, a scale for each output channel."""
    grids = {}
    for name, layer in params.items():
        largest = np.abs(layer["kernel"] * masks[name]["kernel"]).max(axis=0, keepdims=True)
        grids[f"{name}/kernel"] = symmetric_grid(jnp.asarray(largest), bits)
    return grids


def _random(*shape, density, seed=0):
    return np.random.default_rng(seed).random(shape) < density


MASKS = {
    "scalar kept": np.ones((), bool),
    "scalar pruned": np.zeros((), bool),
    "one kept": np.ones(1, bool),
    "no weights": np.ones((0, 4), bool),
    "all kept": np.ones((40, 30), bool),
    "all pruned": np.zeros((40, 30), bool),
    "first kept": np.arange(1000) == 0,
    "last kept": np.arange(1000) == 999,
    "last pruned": np.arange(1000) != 999,
    "gap of 254": np.isin(np.arange(600), [254, 599]),
    "gap of 255": np.isin(np.arange(600), [255, 599]),
    "gaps of 256, 510": np.isin(np.arange(1200), [256, 767, 1199]),
    "half": np.arange(64) % 2 == 0,
    "2 of 4": _random(64, 64, density=0.5).repeat(2, 0) ^ (np.arange(128) % 2 == 0)[:, None],
    "columns": np.broadcast_to(_random(16, density=0.3), (1433, 16)),
    "rows": np.broadcast_to(_random(1433, 1, density=0.3), (1433, 16)),
    "rows and columns": _random(1433, 1, density=0.3) & _random(16, density=0.5),
    "a filter of 3 axes": np.broadcast_to(_random(8, density=0.5), (5, 6, 8)),
    **{f"density {d}": _random(200, 50, density=d) for d in (0.003, 0.1, 0.5, 0.9, 0.99)},
}

TREES = {
    "gcn": gcn(40, 8, 3),
    "one number": {"temperature": np.float32(-0.0)},
    "empty array": {"w": np.zeros((0, 5), np.float32), "b": np.ones(3, np.float32)},
    "bfloat16": {"w": np.asarray(jnp.linspace(-1, 1, 300, dtype=jnp.bfloat16)).reshape(20, 15)},
    "whole numbers": {"count": np.int32(7), "code": np.arange(-9, 9, dtype=np.int8)},
    "float64": {"w": np.linspace(0, 1, 11)},
    "not finite": {"w": np.array([np.nan, -np.inf, -0.0, 1e-45], np.float32)},
    "deep": {"a": {"b": {"c": {"w": np.ones((2, 2), np.float32)}}, "w": np.ones(2, np.float32)}},
    "lists": {"layers": [np.ones(2, np.float32), np.zeros(3, np.float32)]},
    "jax arrays": {"w": jnp.arange(6.0).reshape(2, 3)},
    "nothing": {},
}
