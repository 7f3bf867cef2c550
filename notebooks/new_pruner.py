# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Add a pruning method in twenty lines
#
# In jgc a pruning method is a composition of four choices: a **score** for every weight (larger =
# keep), a **budget** (what is ranked together), a **structure** (what is pruned as one unit) and a
# **schedule** (when). Write the one that is new, take the others from `jgc.prune`, and train with
# it at once. Here the score is new: the share that a weight has in the length of its layer.

# %%
# Install jgc where it is missing. The jax, numpy and flax that are here stay as they are.
import importlib.util
import subprocess
import sys
from importlib.metadata import distributions

if importlib.util.find_spec("jgc") is None:
    home, kept = "https://github.com/jgc-authors/jgc", ("jax", "jaxlib", "numpy", "flax")
    stay = [f"{found.name}=={found.version}" for found in distributions() if found.name in kept]
    subprocess.run(["git", "clone", "-q", "--depth", "1", home, "jgc-source"], check=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "./jgc-source", *stay], check=True
    )

# %%
# What is there to compute on? On a CPU, jgc spreads its lanes over the cores, if jax knows of them.
import os

os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(os.cpu_count()))

import jax

import jgc

kind = {"tpu": "a TPU", "gpu": "a GPU"}.get(jax.default_backend(), "the CPU")
print(f"jgc {jgc.__version__}, jax {jax.__version__}: this runs on {kind}, {jax.devices()}")

# %% [markdown]
# ## The method
#
# Nothing in it knows of graphs, of models or of the training loop: it takes any tree of parameters,
# and works inside `jit` with a traced sparsity.

# %%
import jax.numpy as jnp

from jgc.prune import Score, constant, element, global_, pruner


def shares(params, memory, **signals):
    def share(leaf):
        length = jnp.sqrt(jnp.sum(jnp.square(leaf.astype(jnp.float32))))
        return jnp.abs(leaf) / jnp.maximum(length, 1e-30)

    return jax.tree.map(share, params)


def share_magnitude(sparsity):
    score = Score(init=lambda params: (), scores=shares)
    return pruner(score=score, budget=global_, structure=element, schedule=constant(sparsity))


# %% [markdown]
# By hand: 1, 2, 3 and 4 have the length of 5.48, so their shares go up to 0.73; 0.1 and 0.1 have a
# share of 0.71 each. At half, 4 and the two small ones of the small layer stay: magnitude alone
# would have kept 2, 3 and 4.

# %%
params = {
    "a": {"kernel": jnp.array([[1.0, -2.0], [3.0, 4.0]])},
    "b": {"kernel": jnp.array([[0.1, 0.1]])},
}
by_share = share_magnitude(0.5)
state, info = by_share.update(by_share.init(params), params)
assert state.masks["a"]["kernel"].tolist() == [[False, False], [False, True]]
assert state.masks["b"]["kernel"].tolist() == [[True, True]]

# %% [markdown]
# ## Train with it
#
# `jgc.compress` takes a ready pruner where it takes a word. Beside it, magnitude: same seeds, same
# epochs, same rows.

# %%
# Few epochs when a test runs this file, the usual number otherwise.
smoke = bool(os.environ.get("JGC_NB_SMOKE"))
settings = {"hidden": 16, "seeds": 3, "epochs": 5 if smoke else 200}

data = jgc.data.load("sbm")
for method in (share_magnitude, jgc.prune.global_magnitude):
    rows = jgc.compress("gcn", data, prune=method(0.9), **settings).rows
    scores = [100 * row["test"] for row in rows if row["method"] != "dense"]
    size = f"{rows[-1]['bytes_file']:,} bytes"
    print(f"{method.__name__}: {sum(scores) / len(scores):.1f} %, {size}")

# %% [markdown]
# ## Make it part of jgc
#
# A row in the table of `jgc/prune/table.py` gives it a name for the command line and for recipes, a
# row in `tests/prune/cases.py` runs all duties of a pruning method over it: exact counts, ties,
# parameters of Linen, NNX and Equinox, traced levels, masks that never leak. `CONTRIBUTING.md` has
# the steps.
