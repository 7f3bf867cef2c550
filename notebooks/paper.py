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
# # Read a paper's table again: arXiv 2510.22058, ours beside theirs
#
# "Pruning and Quantization Impact on Graph Neural Networks" (arXiv 2510.22058) prunes and quantises
# four networks on four data sets. It gives no seeds, no splits and no rates for most of its cells.
# jgc ran the same table with ten seeds or folds a cell, chose every epoch on validation, and added
# controls. This notebook trains nothing: it reads the rows of that study, which lie in the
# repository, and rebuilds the tables through the code of `jgc report`.

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

# The rows lie beside the package in a clone, and in the folder that the first cell fetched.
from pathlib import Path

clones = Path(jgc.__file__).parents[1], Path("jgc-source")
study = next(clone / "experiments/paper" for clone in clones if (clone / "experiments").is_dir())

# %%
rows = jgc.study.Store(study).rows()
print(f"{len(rows):,} rows of {len({(row['dataset'], row['model']) for row in rows})} pairs")

# %% [markdown]
# ## Cell by cell
#
# `difference` is ours minus theirs, in percent. A cell is *reached* when ours is not below theirs
# by more than their spread and half a unit of the last digit that they print. Cells marked with a
# dagger are damaged in the paper's text, and the last column says how.

# %%
beside = jgc.report.beside(rows, "2510.22058")
display(Markdown(jgc.report.to_markdown([part for part in beside if "Table 10" in part.title])))

# %%
lines = [line for part in beside for line in part.lines]
reached = sum(line[part.header.index("reached")] == "yes" for part in beside for line in part.lines)
print(f"{reached} of {len(lines)} cells are reached")
short = [part._replace(lines=tuple(x for x in part.lines if "no" in x)) for part in beside]
display(Markdown(jgc.report.to_markdown([part for part in short if part.lines])))

# %% [markdown]
# ## What the paper lacks: controls
#
# Is it the choice of the weights that keeps the score, or would any smaller network do? `random`
# prunes at random, `global/scratch` trains the shape that pruning found from new weights, and a
# second table has a dense network that is smaller from the start.

# %%
wanted = ("dense", "global", "global/none", "global/scratch", "random")
controls = [
    row
    for row in rows
    if row["dataset"] == "bbbp-pyg" and row["model"] == "gnnnet" and row["method"] in wanted
]
display(Markdown(jgc.report.to_markdown(jgc.report.tables(controls))))

# %%
# Test score against bytes: up and to the left is better.
figures = jgc.report.write_figures(controls, "paper")
display(Image(str(next(path for path in figures if path.name == "bytes.png"))))

# %% [markdown]
# ## From here
#
# - What was tried to reach the cells, and why some are not reached: `experiments/paper/README.md`.
# - To run the study anew, or a part of it: `jgc study paper-2510.22058 --only "cora link"`.
