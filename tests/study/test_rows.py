import hashlib

import numpy as np
import pytest

from jgc.study.rows import check_row, row_key

ROW = {
    "dataset": "cora", "split": "public", "task": "node", "model": "gcn", "method": "global",
    "sparsity": 0.5, "seed": 3, "metric": "accuracy", "val": 0.8, "test": 0.79,
    "bytes_dense": 92240, "bytes_file": 11000, "config": {"model": "gcn", "seed": 3},
}  # fmt: skip

BAD_ROWS = [
    ({"sparsty": 0.5}, "no key `sparsty`, did you mean `sparsity`"),
    ({"sparsity": 1.2}, "`sparsity` of a row is 1.2; it must be a fraction in \\[0, 1\\]"),
    ({"test": 81.5}, "`test` of a row is 81.5; it must be a fraction"),
    ({"val": float("nan")}, "`val` of a row is nan.*Leave out"),
    ({"metric": "mae", "test": float("inf")}, "`test` of a row is inf; it must be a finite number"),
    ({"seed": True}, "`seed` of a row is True; it must be a whole number >= 0"),
    ({"bytes_file": 10.5}, "`bytes_file` of a row is 10.5"),
    ({"model": ""}, "`model` of a row is ''"),
    ({"latency_ms": None}, "`latency_ms` of a row is None"),
    ({"config": [1]}, "`config` of a row is \\[1\\]"),
    ({"key": "abc"}, "`key` is 'abc', but `config` hashes to"),
]


def test_key_is_the_start_of_the_sha256_of_canonical_json():
    text = '{"a":[1,0.5],"b":{"c":"x"}}'
    expected = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert row_key({"b": {"c": "x"}, "a": (1, 0.5)}) == expected


@pytest.mark.parametrize(
    "same",
    [
        {"seed": 1.0, "sparsity": 0.5},
        {"sparsity": np.float64(0.5), "seed": np.int32(1)},
        {"seed": 1, "sparsity": 0.5, "bits": None},
    ],
)
def test_key_ignores_order_number_types_and_unset_settings(same):
    assert row_key(same) == row_key({"seed": 1, "sparsity": 0.5})


def test_key_tells_true_from_one_and_refuses_what_json_cannot_say():
    assert row_key({"a": True}) != row_key({"a": 1})
    for bad in (float("nan"), object()):
        with pytest.raises(ValueError, match="`config` has no canonical JSON"):
            row_key({"a": bad})


def test_a_good_row_comes_back_plain_with_its_key():
    row = check_row(ROW | {"test": np.float32(0.5), "seed": np.int64(3)})
    assert type(row["test"]) is float and type(row["seed"]) is int
    assert row["key"] == row_key(ROW["config"])
    assert check_row(row) == row


def test_an_error_metric_may_exceed_one():
    assert check_row(ROW | {"metric": "mae", "val": 1.5, "test": 2.5})["test"] == 2.5


@pytest.mark.parametrize("change, message", BAD_ROWS)
def test_bad_rows(change, message):
    with pytest.raises(ValueError, match=message):
        check_row(ROW | change)


@pytest.mark.parametrize("missing", ["dataset", "seed", "config"])
def test_missing_keys(missing):
    with pytest.raises(ValueError, match=f"must have the key `{missing}`"):
        check_row({key: value for key, value in ROW.items() if key != missing})
