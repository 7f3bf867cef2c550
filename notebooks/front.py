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
# # A whole accuracy-size front in one program, on TPU, GPU or CPU
#
# How far can a model be pruned? The answer is a curve, and every point of it wants several seeds.
# In jgc the sparsity and the seed are traced values, so all of them are **lanes** of one program
# that is compiled once: a GPU or TPU runs its lanes as one batch, a CPU one lane a core after
# another, and several devices share the lanes among them. In Colab choose the device under Runtime,
# Change runtime type.

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

# %%
# Few epochs when a test runs this file, the usual number otherwise.
smoke = bool(os.environ.get("JGC_NB_SMOKE"))
epochs, seeds = (4, 2) if smoke else (200, 10)
levels = [0.0, 0.9] if smoke else [0.0, 0.5, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99]

# %% [markdown]
# ## The lanes
#
# A method is a list of phases and the transforms that they use. Here: train dense, then prune
# globally by magnitude and train what is left. `sparsity` arrives as a traced number.

# %%
from jgc.models import GCN, for_task
from jgc.prune import global_magnitude
from jgc.train import Method, Phase, lane, problem, train

data = jgc.data.load("sbm")
model = for_task(GCN(hidden=16), data.task, data.n_class)
phases = Phase(epochs), Phase(epochs // 2, prune=True)
method = Method("global", phases, lambda sparsity, key: global_magnitude(sparsity))
lanes = [lane(seed, sparsity=level) for level in levels for seed in range(seeds)]

# %%
front = train(model, problem(data), method, lanes)
steps = len(lanes) * method.epochs
print(
    f"{len(lanes)} lanes of {method.epochs} epochs in {front.traces} program on "
    f"{min(len(lanes), len(jax.local_devices()))} devices ({kind}): "
    f"{front.compile_s:.1f} s to compile, {front.run_s:.1f} s to run, "
    f"{1e3 * front.run_s / steps:.2f} ms an epoch of a lane"
)

# %% [markdown]
# ## The front
#
# Every lane kept the model of the epoch that validation chose, with its masks. Its size is that of
# the file that would be written, positions of the kept weights included.

# %%
import numpy as np

best, shape = front.state.best, (len(levels), seeds)
test = 100 * np.asarray(best.test).reshape(shape)
models = [jax.tree.map(lambda a, i=i: a[i], best.model) for i in range(len(lanes))]
size = np.reshape([jgc.pack.file_bytes(m.params, m.masks) for m in models], shape)
for level, scores, bytes_ in zip(levels, test, size, strict=True):
    print(
        f"{level:5.2f}  {scores.mean():5.1f} +- {scores.std():.1f} %  {bytes_.mean():9,.0f} bytes"
    )

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(6, 4))
axes.errorbar(size.mean(1), test.mean(1), yerr=test.std(1), marker="o", capsize=3)
axes.set_xscale("log")
axes.set(
    title="sbm, GCN(16)",
    xlabel="bytes of the file",
    ylabel=f"test accuracy, %, over {seeds} seeds",
)
for level, x, y in zip(levels, size.mean(1), test.mean(1), strict=True):
    axes.annotate(f"{level:g}", (x, y), xytext=(4, 5), textcoords="offset points")
figure.savefig("front.png")

# %% [markdown]
# ## From here
#
# - Bits are traced too: `lane(seed, bits=4)` with `Phase(epochs, quantize=True)` and a quantiser.
# - `jgc study FILE.toml` runs such fronts for many data sets, models and methods, writes each row
#   as it is finished, goes on where it was stopped, and draws the figures.
