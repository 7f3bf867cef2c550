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
# # Compress your first GNN in five lines
#
# We train a graph convolutional network on a small citation network, remove nine tenths of its
# weights, and keep the small file. Then we do it again with 8-bit numbers and look at what each
# file saves and what it costs. It takes about a minute on a CPU, and nothing is downloaded but jgc.

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
# Jupyter and Colab can show tables and figures; as a plain script we print them.
try:
    from IPython.display import Image, Markdown, display
except ImportError:
    Image, Markdown, display = str, str, print

# Few epochs when a test runs this file, the usual number otherwise.
smoke = bool(os.environ.get("JGC_NB_SMOKE"))
epochs = 5 if smoke else 200

# %% [markdown]
# ## Five lines
#
# `sbm` is generated on the spot and has Cora's shape: 2708 papers in 7 fields, 1433 words, and
# citations between them; 140 papers are there to learn from, 500 to choose by, 1000 to test on.
# `global:0.9` removes the nine tenths of all weights that are smallest, wherever they are, and then
# trains the rest for half as many epochs again. Three seeds: one run says little.

# %%
data = jgc.data.load("sbm")
pruned = jgc.compress("gcn", data, prune="global:0.9", hidden=16, seeds=3, epochs=epochs)
file = pruned.save("first_gnn")
display(Markdown(jgc.report.to_markdown(jgc.report.tables(pruned.rows))))
print(f"{file.n_bytes:,} bytes, where float32 takes {pruned.rows[0]['bytes_dense']:,}")

# %% [markdown]
# Validation chose the epoch; the test column is the score at that epoch. The dense model was
# trained too, for comparison. `file` is the size of a file that restores the model exactly, and
# `smaller` compares it with plain float32.
#
# ## Quantise
#
# `qat:8` trains with weights, and the values between layers, rounded to 8 bits, so that the model
# learns to live with it.

# %%
quantised = jgc.compress("gcn", data, quantize="qat:8", hidden=16, seeds=3, epochs=epochs)
rows = pruned.rows + [row for row in quantised.rows if row["method"] != "dense"]
display(Markdown(jgc.report.to_markdown(jgc.report.tables(rows))))

# %%
# Test accuracy against bytes: up and to the left is better.
figures = jgc.report.write_figures(rows, "first_gnn")
display(Image(str(next(path for path in figures if path.name == "bytes.png"))))

# %% [markdown]
# ## Load the small one
#
# `save` wrote the file of the seed that validation likes most. What comes back from it is the
# masked model bit for bit, so its accuracy on the test papers is the one reported in its row.

# %%
small = jgc.pack.load("first_gnn/model.safetensors")
answers, _ = jgc.apply(pruned.model, small.params, data.graphs[0])
test = data.splits[0].test
accuracy = (answers[test].argmax(-1) == data.labels[test]).mean()
print(f"{small.n_bytes:,} bytes, test accuracy {accuracy:.3f}, reported {small.meta['test']:.3f}")

# %% [markdown]
# ## From here
#
# - A real network: `jgc.data.load("cora")`. All names: `jgc.data.names()`.
# - Both at once: `jgc.compress("gcn", data, prune="global:0.9", quantize="qat:4", hidden=16)`.
# - A whole front in one program: the notebook `front`.
# - A whole study, resumable, with a report: `jgc study quickstart` in a terminal.
