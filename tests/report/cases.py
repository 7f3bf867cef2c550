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
