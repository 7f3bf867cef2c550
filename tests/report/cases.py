"""Rows of an invented study: two data sets, two tasks, every kind of method."""

import numpy as np

from jgc.study.rows import check_row

METHODS = (
    # method, sparsity, bits, drop of the score, bytes over dense bytes
    ("dense", None, None, 0.0, 1.0),
    ("global", 0.5, None, 0.002, 0.56),
    ("global", 0.9, None, 0.012, 0.125),
    ("qat", None, 8, 0.001, 0.262),
    ("qat", None, 4, 0.021, 0.137),
    ("global+qat", 0.9, 4, 0.03, 0.04),
)
RUNS = (
    # dataset, split, task, model, metric, dense score, dense bytes
    ("sbm", "public", "node", "gcn", "accuracy", 0.815, 92_240),
    ("motif", "random", "graph", "gin", "accuracy", 0.942, 61_384),
    ("esol", "random", "graph", "gcn", "mae", 0.71, 22_120),
)


def study(runs=RUNS, methods=METHODS, seeds=5) -> list[dict]:
    """Rows of every run, method and seed; the noise of a seed is shared by its methods."""
    return [
        _row(run, method, seed, 0.006 * np.random.default_rng(seed).standard_normal())
        for run in runs
        for method in methods
        for seed in range(seeds)
    ]


def _row(run, method, seed, noise) -> dict:
    dataset, split, task, model, metric, score, n_bytes = run
    name, sparsity, bits, drop, share = method
    wobble = 0.002 * np.random.default_rng([seed, len(name)]).standard_normal()
    worse = -drop if metric == "accuracy" else drop
    test = score + noise + worse + wobble
    row = {
        "dataset": dataset, "split": split, "task": task, "model": model, "method": name,
        "sparsity": sparsity, "bits": bits, "seed": seed, "metric": metric,
        "val": test - 0.004, "test": test, "test_oracle": test + 0.003,
        "dense_test": None if name == "dense" else score + noise,
        "bytes_dense": n_bytes, "bytes_file": round(share * n_bytes),
        "macs": 1.2e7 * (1 - (sparsity or 0)), "bops": 1.2e7 * (bits or 32) ** 2,
        "latency_ms": 1.1 if name == "dense" else None,
        "latency_iqr_ms": 0.05 if name == "dense" else None,
        "wall_s": 2.0, "device": "cpu x2", "jax": "0.10.2", "jgc": "0.1.0",
        "config": {"dataset": dataset, "model": model, "method": name, "sparsity": sparsity,
                   "bits": bits, "seed": seed, "settings": {"hidden": 16}},
    }  # fmt: skip
    return check_row({key: value for key, value in row.items() if value is not None})


LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CHOICES = ("", "/mom/gc", "/mom/ste", "/per/ste")

# As many methods on one panel as a large study has.
CROWD = (
    METHODS[0],
    *(
        (f"{pruner}{after}", s, None, worse * scale * s**3, 1.05 - s)
        for pruner, worse in (("global", 1.0), ("fine", 1.3))
        for after, scale in (("", 0.02), ("/none", 0.3), ("/scratch", 0.03), ("/scratch-2x", 0.01))
        for s in LEVELS
    ),
    *(
        (f"{quantizer}{choice}", None, bits, drop + 0.004 * i + 0.02 * (8 - bits), bits / 30)
        for quantizer, drop in (("qat", 0.004), ("degree", 0.0))
        for i, choice in enumerate(CHOICES)
        for bits in (8, 4)
    ),
    ("a2q", None, 4, 0.01, 0.1),
    *(("global+qat", s, bits, 0.01 + 0.03 * s + 0.02 * (8 - bits), (1.05 - s) * bits / 30)
      for s in (0.5, 0.9) for bits in (8, 4)),
)  # fmt: skip

# Weights of each layer, and their scale: the smaller, the more of them one ranking removes.
LAYERS = {
    "encoder/conv1/mlp/first": 0.6, "encoder/conv1/mlp/second": 0.9,
    "encoder/conv2/mlp/first": 1.0, "encoder/conv2/mlp/second": 1.1,
    "encoder/conv3/mlp/first": 1.2, "encoder/conv3/mlp/second": 1.0,
    "encoder/conv4/mlp/first": 1.3, "encoder/conv4/mlp/second": 1.5,
    "encoder/conv5/mlp/first": 1.1, "encoder/conv5/mlp/second": 1.7,
    "head1": 2.0, "head2": 3.0,
}  # fmt: skip
DEGREES = ("0", "1", "2", "3-4", "5-8", "9-16", "17-32", "33-64", "65-128", "129-256")


def with_insides(rows: list[dict], n_layer=12) -> list[dict]:
    """The rows with what pruning kept of each layer, the bits that nodes learned, what froze."""
    return [check_row({**row, **_insides(row, n_layer)}) for row in rows]


def _insides(row: dict, n_layer: int) -> dict:
    wobble = 0.02 * np.random.default_rng(row["seed"]).standard_normal()
    found = {"train_flops": 3e9 * (1.02 - row.get("sparsity", 0))}
    if "sparsity" in row:
        found["layers"] = {
            name: float(np.clip((1 - row["sparsity"]) ** (1 / scale) + wobble, 0, 1))
            for name, scale in [*LAYERS.items()][:n_layer]
        }
    if row["method"] == "dense":
        found["epochs"] = 60 + row["seed"]
        found["epochs_by_layer"] = {name: 5 * i + row["seed"] for i, name in enumerate(LAYERS)}
    if row["method"].startswith("a2q"):
        found["bits_by_degree"] = {
            name: 1.5 + 0.5 * i + (i + 1) * wobble for i, name in enumerate(DEGREES)
        }
    return found
