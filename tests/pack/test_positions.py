import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jgc.pack.encode import positions
from tests.pack.cases import MASKS

MASK = st.one_of(
    hnp.arrays(bool, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)),
    hnp.arrays(bool, 700, elements=st.just(False), fill=st.booleans()),
    st.sets(st.integers(0, 2999), max_size=9).map(lambda kept: np.isin(np.arange(3000), [*kept])),
)


@pytest.mark.parametrize("encoding", positions.ENCODINGS)
@pytest.mark.parametrize("case", MASKS)
def test_each_encoding_gives_back_the_mask(case, encoding):
    mask = MASKS[case]
    data = positions.ENCODINGS[encoding].encode(mask)
    if data is None:  # the others can say every mask
        assert encoding in ("dense", "axes", "rows")
    else:
        back = positions.decode(encoding, data, mask.shape, int(mask.sum()))
        assert back.dtype == bool
        np.testing.assert_array_equal(back, mask, strict=True)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(MASK)
def test_the_smallest_gives_back_any_mask(mask):
    name, data = positions.encode(mask)
    back = positions.decode(name, data, mask.shape, int(mask.sum()))
    np.testing.assert_array_equal(back, mask, strict=True)
    assert len(data) <= -(-mask.size // 8)  # never worse than a bitmap


@pytest.mark.parametrize(
    ("case", "name", "n_bytes"),
    [
        ("all kept", "dense", 0),
        ("all pruned", "index", 0),
        ("no weights", "dense", 0),
        ("first kept", "index", 1),  # a gap of 0 takes 0 bits beside the width
        ("last kept", "index", 3),  # a gap of 999 takes 10 bits
        ("last pruned", "index", 3),
        ("columns", "axes", 1 + 1 + 2),
        ("rows", "rows", 10 + 159),  # rows by Rice: 410 of 1433 cost 154 bytes in theory
        ("rows and columns", "rows", 10 + 159 + 4),
    ],
)
def test_choice_and_bytes_by_hand(case, name, n_bytes):
    chosen, data = positions.encode(MASKS[case])
    assert (chosen, len(data)) == (name, n_bytes)


def test_random_positions_cost_near_their_entropy():
    mask = np.random.default_rng(0).random((1433, 16)) < 0.1
    p = mask.mean()
    bound = mask.size * -(p * math.log2(p) + (1 - p) * math.log2(1 - p)) / 8
    name, data = positions.encode(mask)
    assert name == "rice"
    assert len(data) < 1.02 * bound
    # The pruned tenth costs what the kept tenth costs.
    assert len(positions.encode(~mask)[1]) == len(data)


def test_rows_without_weights_cost_once():
    rng = np.random.default_rng(0)
    used = rng.random(1433) < 0.08
    mask = used[:, None] & (rng.random((1433, 16)) < 0.2)
    used = mask.any(1)
    name, data = positions.encode(mask)

    def bound(part):
        p = part.mean()
        return part.size * -(p * math.log2(p) + (1 - p) * math.log2(1 - p)) / 8

    assert name == "rows"
    assert len(data) < 10 + 1.04 * (bound(used) + bound(mask[used]))
    assert len(data) < 0.8 * len(positions.ENCODINGS["rice"].encode(mask))


def test_repeating_patterns_cost_less_than_a_bitmap():
    mask = np.tile([True, False, False, True], 4000)
    assert positions.encode(mask)[0] == "zbitmap"
    assert len(positions.encode(mask)[1]) < 40


@pytest.mark.parametrize(
    ("name", "data", "shape", "kept", "match"),
    [
        ("runs", b"", (4,), 4, "'runs', known are"),
        ("dense", b"a", (4,), 4, "take no bytes"),
        ("dense", b"", (4,), 3, "keep 4 weights, the manifest says 3"),
        ("bitmap", b"\1\1", (4,), 2, "4 numbers of 1 bits are 1 bytes, got 2"),
        ("bitmap", b"\1", (4,), 2, "keep 1 weights, the manifest says 2"),
        ("axes", b"\0", (2, 2), 4, "no flag 0 or 1 for axis 1"),
        ("axes", b"\0\2", (2, 2), 4, "no flag 0 or 1 for axis 1"),
        ("axes", b"\0\0\0", (2, 2), 4, "take 2 bytes, got 3"),
        ("axes", b"\1", (2,), 1, "2 numbers of 1 bits are 1 bytes, got 0"),
        ("index", b"", (9,), 1, "take no bytes, 1 weights were due"),
        ("index", b"\x04\x0f", (9,), 1, "reach weight 15 of a tensor of 9"),
        ("index", b"\x28" + bytes(5), (9,), 1, "must be 0..32 bits"),
        ("rice", b"", (9,), 1, "no number of bits in 0..32"),
        ("rice", b"\x21" + bytes(9), (9,), 1, "no number of bits in 0..32"),
        ("rice", b"\0", (9,), 1, "list 0 weights, 1 were due"),
        ("rice", b"\0\3", (9,), 1, "list 2 weights, 1 were due"),
        ("rice", b"\x08\0", (9,), 1, "list 0 weights, 1 were due"),
        ("rice", b"\x20" + bytes(4) + b"\4", (9,), 1, "reach beyond the last weight"),
        ("rice", b"\4\x0f\1", (9,), 1, "reach weight 15 of a tensor of 9"),
        ("gaps", b"", (9,), 1, "list 0 weights, 1 were due"),
        ("gaps", b"junkjunk", (9,), 1, "damaged"),
        ("rows", b"", (9, 9), 1, "no head of a matrix"),
        ("rows", bytes(10), (9,), 1, "no head of a matrix"),
        ("rows", bytes(8) + b"\0\x09", (9, 9), 1, "no head of a matrix"),
        ("rows", b"\x0a" + bytes(9), (9, 9), 1, "keep 10 rows of 9"),
        ("rows", b"\1" + bytes(9), (9, 2), 3, "keep 1 rows of 9"),
        ("rows", b"\1" + bytes(9), (9, 2), 2, "keep 9 weights, the manifest says 1"),
        ("rows", b"\1\0\0\0\2\0\0\0\2\0\1\0", (9, 2), 1, "keep 2 weights, the manifest says 1"),
        ("zbitmap", b"junkjunk", (9,), 1, "damaged"),
    ],
)
def test_bytes_that_lie(name, data, shape, kept, match):
    with pytest.raises(ValueError, match=match):
        positions.decode(name, data, shape, kept)
