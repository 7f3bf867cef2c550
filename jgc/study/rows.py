"""The result row: its keys, their ranges, and the hash that names it."""

import difflib
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

# Metrics that are fractions in [0, 1]; larger is better. Any other metric is an error measure in
# the unit of its labels; smaller is better.
FRACTION_METRICS = frozenset(
    {"accuracy", "roc_auc", "average_precision", "macro_f1", "micro_f1", "hits"}
)


# What each key holds, in the words of `_KINDS` below.
FIELDS = {
    "dataset": "word",
    "split": "word",
    "task": "word",
    "model": "word",
    "method": "word",
    "sparsity": "fraction",
    "bits": "amount",
    "l2": "amount",
    "bits_features": "amount",
    "layers": "numbers",
    "bits_by_degree": "numbers",
    "seed": "count",
    "metric": "word",
    "val": "score",
    "test": "score",
    "test_oracle": "score",
    "scores": "numbers",
    "dense_test": "score",
    "bytes_dense": "count",
    "bytes_file": "count",
    "bytes_values": "count",
    "macs": "amount",
    "bops": "amount",
    "train_flops": "amount",
    "epochs": "count",
    "epochs_by_layer": "numbers",
    "latency_ms": "amount",
    "latency_iqr_ms": "amount",
    "memory_bytes": "count",
    "energy_j": "amount",
    "compile_s": "amount",
    "wall_s": "amount",
    "device": "word",
    "jax": "word",
    "jgc": "word",
    "config": "table",
    "key": "word",
}
REQUIRED = ("dataset", "task", "model", "method", "seed", "metric", "config")


def row_key(config: Mapping[str, Any]) -> str:
    """The name of a configuration: the start of the SHA-256 of its canonical JSON.

    Order does not matter, `1` and `1.0` are the same number, and a setting that is `None` is the
    same as a setting that is absent, so that a new optional setting renames no old row.

    Args:
        config: Settings: words, numbers, booleans, lists and tables of them.

    Returns:
        Sixteen hexadecimal digits.

    Raises:
        ValueError: if `config` holds something that JSON cannot name, such as NaN or an object.

    Example:
        >>> row_key({"model": "gcn", "seed": 0})
        'bbdc2c7075fe3dd7'
        >>> row_key({"seed": 0.0, "model": "gcn", "bits": None})
        'bbdc2c7075fe3dd7'
    """
    try:
        text = json.dumps(
            _canonical(config), sort_keys=True, separators=(",", ":"), allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"`config` has no canonical JSON: {error}.") from None
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Checks a row and returns it as plain Python, with its key.

    Args:
        row: The keys of `FIELDS`; what is unknown is left out. Numpy and jax scalars are welcome.

    Returns:
        A new dict in the order of `FIELDS`, `key` filled in from `config`.

    Raises:
        ValueError: for an unknown or missing key, a value outside its range, or a `key` that is
            not the hash of `config`.

    Example:
        >>> row = check_row({"dataset": "cora", "task": "node", "model": "gcn", "method": "dense",
        ...                  "seed": 0, "metric": "accuracy", "test": 0.815, "config": {"seed": 0}})
        >>> row["key"] == row_key({"seed": 0})
        True
    """
    for name in row:
        if name not in FIELDS:
            raise ValueError(f"A row has no key `{name[:80]}`{did_you_mean(name, FIELDS)}")
    for name in REQUIRED:
        if name not in row:
            raise ValueError(f"A row must have the key `{name}`; it has {sorted(row)}.")
    plain = {name: _plain(row[name]) for name in FIELDS if name in row}
    for name, value in plain.items():
        _check_value(name, value, plain["metric"])
    key = row_key(plain["config"])
    if plain.setdefault("key", key) != key:
        raise ValueError(f"`key` is {plain['key']!r}, but `config` hashes to {key!r}.")
    return plain


def did_you_mean(word: str, known) -> str:
    """The end of a sentence about an unknown word: the nearest known one, else all of them.

    Example:
        >>> did_you_mean("sparsty", ["bits", "sparsity"])
        ', did you mean `sparsity`?'
        >>> did_you_mean("zzz", ["bits", "sparsity"])
        '; known: bits, sparsity.'
    """
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f", did you mean `{near[0]}`?" if near else f"; known: {', '.join(known)}."


def _check_value(name: str, value, metric) -> None:
    kind = FIELDS[name]
    if kind == "score":
        kind = "fraction" if metric in FRACTION_METRICS else "number"
    meaning, accepts = _KINDS[kind]
    if not accepts(value):
        raise ValueError(
            f"`{name}` of a row is {value!r:.80}; it must be {meaning}. Leave out what is unknown."
        )


def _is_number(value) -> bool:
    # Beyond float64 a whole number has no mean; comparing one with a float is exact.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_amount(value) -> bool:
    return _is_number(value) and value >= 0


def _is_word(value) -> bool:
    """Text that any file can hold: half a surrogate pair cannot be written."""
    return isinstance(value, str) and value != "" and value.isprintable()


def _are_numbers(value) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "word": ("a word", _is_word),
    "number": ("a finite number", _is_number),
    "amount": ("a finite number >= 0", _is_amount),
    "count": ("a whole number >= 0", lambda value: type(value) is int and _is_amount(value)),
    "fraction": ("a fraction in [0, 1]", lambda value: _is_number(value) and 0 <= value <= 1),
    "table": ("a table of settings", lambda value: isinstance(value, dict)),
    "numbers": ("a table of finite numbers", _are_numbers),
}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    # Scalars of numpy and jax; nothing here needs to know either library.
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _canonical(value: Any) -> Any:
    value = _plain(value)
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
