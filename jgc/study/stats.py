"""Means over seeds with their 95 % intervals, and differences paired by seed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95

# What makes two rows repetitions of one experiment when they agree on it.
GROUP = ("dataset", "split", "task", "model", "settings", "method", "sparsity", "bits", "l2",
         "metric")  # fmt: skip

ESTIMATED = (
    "val", "test", "test_oracle", "bits_features", "bytes_dense", "bytes_file", "macs", "bops",
    "train_flops", "epochs", "compile_s", "wall_s",
)  # fmt: skip

# Tables of numbers whose entries are estimated one by one.
TABLES = ("layers", "bits_by_degree", "epochs_by_layer")


class Estimate(NamedTuple):
    """A mean over seeds.

    Attributes:
        mean: Arithmetic mean.
        std: Standard deviation with `n - 1` in the denominator; 0.0 for one value.
        n: Number of values.
        low: Lower end of the 95 % interval of the mean; `None` for one value.
        high: Upper end; `None` for one value.

    Example:
        >>> round(estimate([0.80, 0.82]).mean, 3), estimate([0.8]).low
        (0.81, None)
    """

    mean: float
    std: float
    n: int
    low: float | None
    high: float | None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, the number behind the +- sign."""
        return None if self.high is None else self.high - self.mean


class Summary(NamedTuple):
    """What the seeds of one experiment say together.

    Attributes:
        group: The values that its rows share, `{key: value}`; unknown keys are absent.
        seeds: Number of rows.
        values: `{key: Estimate}` for each numeric key that at least one row has, and `ratio`,
            the dense file's bytes over this file's, and `ratio_values`, over the kept values alone.
            An entry of a table has the key `TABLE/ENTRY`, as `layers/conv1`.
        difference: Test score minus that of the dense model of the same seed; `None` where no
            dense score is known.
        latency: Medians over the rows of `latency_ms` and `latency_iqr_ms`; `None` if unknown.

    Example:
        >>> (two,) = summarise([{"method": "global", "test": t, "config": {}} for t in (0.5, 0.75)])
        >>> two.group, two.seeds, two.values["test"].mean
        ({'method': 'global'}, 2, 0.625)
    """

    group: dict[str, Any]
    seeds: int
    values: dict[str, Estimate]
    difference: Estimate | None
    latency: tuple[float, float | None] | None


def estimate(values: Iterable[float]) -> Estimate:
    """Mean, standard deviation and the Student t interval of the mean.

    The interval is `mean +- t(0.975, n - 1) * std / sqrt(n)`. It assumes seeds that are
    independent, and so says nothing of other splits or data sets.

    Args:
        values: At least one finite number.

    Returns:
        The `Estimate`; of one value there is no interval.

    Raises:
        ValueError: if `values` is empty.

    Example:
        >>> estimate([1.0, 2.0, 3.0]).std
        1.0
        >>> round(estimate([1.0, 2.0, 3.0]).half_width, 4)  # 4.3027 / sqrt(3)
        2.4841

    References:
        Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    x = np.asarray(list(values), np.float64)
    if x.size == 0:
        raise ValueError("`values` is empty: there is no mean of nothing.")
    mean = float(x.mean())
    if x.size == 1:
        return Estimate(mean, 0.0, 1, None, None)
    std = float(x.std(ddof=1))
    half = float(stdtrit(x.size - 1, (1 + CONFIDENCE) / 2)) * std / x.size**0.5
    return Estimate(mean, std, x.size, mean - half, mean + half)


def paired_difference(a: Mapping[Any, float], b: Mapping[Any, float]) -> Estimate | None:
    """Mean and interval of `a - b` over the seeds that both have.

    Pairing removes what a seed does to both, so the interval is narrower than the two apart.

    Args:
        a: `{seed: score}`.
        b: `{seed: score}` of what `a` is compared with.

    Returns:
        The `Estimate` of the difference, or `None` if no seed is in both.

    Example:
        >>> difference = paired_difference({0: 0.75, 1: 0.5, 2: 0.5}, {0: 0.5, 1: 0.25})
        >>> difference.mean, difference.std, difference.n
        (0.25, 0.0, 2)
    """
    shared = [seed for seed in a if seed in b]
    return estimate(a[seed] - b[seed] for seed in shared) if shared else None


def summarise(rows: Sequence[Mapping[str, Any]], by: Sequence[str] = GROUP) -> list[Summary]:
    """Groups rows and estimates every number of a group over its seeds.

    Args:
        rows: Result rows (`jgc.study.rows`).
        by: Keys that rows of a group share. `settings` stands for the entries of
            `config["settings"]` that differ between rows of one data set and model, such as the
            width of two models of one name.

    Returns:
        One `Summary` a group, in the order in which groups first appear. Numbered splits of a data
        set (`fold-0`, `fold-1`, ...) are repetitions, grouped under their plain name. The dense
        score that a row is compared with is its own `dense_test`, else the `test` of the dense row
        of the same seed, data and model.

    Example:
        >>> rows = [{"method": "dense", "seed": s, "test": t, "config": {}}
        ...         for s, t in enumerate([0.5, 0.75])]
        >>> [(s.group, s.values["test"].mean) for s in summarise(rows)]
        [({'method': 'dense'}, 0.625)]
    """
    rows = _with_settings(_with_kinds_of_split(rows))
    dense = {_where(row): row["test"] for row in rows if _is_dense(row) and "test" in row}
    groups: dict[tuple, list] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key) for key in by), []).append(row)
    return [
        _summary({key: value for key, value in zip(by, values, strict=True) if value is not None},
                 group, dense)
        for values, group in groups.items()
    ]  # fmt: skip


def _summary(group: dict[str, Any], rows: list[dict], dense: dict) -> Summary:
    values = {key: _column(rows, key) for key in ESTIMATED}
    for name, key in (("ratio", "bytes_file"), ("ratio_values", "bytes_values")):
        values[name] = [
            row["bytes_dense"] / row[key] for row in rows if row.get(key) and "bytes_dense" in row
        ]
    for key in TABLES:
        names = dict.fromkeys(name for row in rows for name in row.get(key, ()))
        for name in names:
            values[f"{key}/{name}"] = _column([row.get(key, {}) for row in rows], name)
    latency, spread = _column(rows, "latency_ms"), _column(rows, "latency_iqr_ms")
    return Summary(
        group,
        len(rows),
        {key: estimate(column) for key, column in values.items() if column},
        None if all(map(_is_dense, rows)) else _difference(rows, dense),
        (median(latency), median(spread) if spread else None) if latency else None,
    )


def _column(rows: list[dict], key: str) -> list[float]:
    return [row[key] for row in rows if key in row]


def _difference(rows: list[dict], dense: dict) -> Estimate | None:
    tests = {_where(row): row["test"] for row in rows if "test" in row}
    own = {_where(row): row["dense_test"] for row in rows if "dense_test" in row}
    return paired_difference(tests, dense | own)


def _is_dense(row: Mapping[str, Any]) -> bool:
    return row.get("method") == "dense"


def _where(row: Mapping[str, Any]) -> tuple:
    keys = ("dataset", "split", "task", "model", "settings", "metric", "seed")
    return tuple(row.get(key) for key in keys)


def _with_kinds_of_split(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copies of the rows in which the folds of a data set, `fold-0`, ..., are all called `fold`."""
    copies = [dict(row) for row in rows]
    kinds: dict[tuple, list[dict]] = {}
    for row in copies:
        kind = re.sub(r"-\d+$", "", row.get("split", ""))
        kinds.setdefault((row.get("dataset"), row.get("task"), kind), []).append(row)
    for (_, _, kind), members in kinds.items():
        if len({row.get("split") for row in members}) > 1:
            for row in members:
                row["split"] = kind
    return copies


def _with_settings(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Copies of the rows; `settings` tells apart two runs that share all words."""
    runs: dict[tuple, list[dict]] = {}
    copies = [dict(row) for row in rows]
    for row in copies:
        words = ("dataset", "split", "task", "model", "metric")
        runs.setdefault(tuple(row.get(word) for word in words), []).append(row)
    for members in runs.values():
        settings = [row.get("config", {}).get("settings") or {} for row in members]
        names = sorted({name for own in settings for name in own})
        varying = [name for name in names if len({str(own.get(name)) for own in settings}) > 1]
        for row, own in zip(members, settings, strict=True):
            if varying:
                row["settings"] = ", ".join(f"{name}={own.get(name)}" for name in varying)
    return copies
