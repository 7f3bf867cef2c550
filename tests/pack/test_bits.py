import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jgc.pack.encode import bits, entropy


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.data(), st.integers(0, 32))
def test_packed_numbers_come_back_in_the_bytes_promised(data, width):
    numbers = data.draw(st.lists(st.integers(0, 2**width - 1), max_size=40))
    packed = bits.pack(numbers, width)
    assert len(packed) == -(-len(numbers) * width // 8)
    assert bits.unpack(packed, width, len(numbers)).tolist() == numbers


def test_layout_by_hand():
    # 5, 6, 3 at 3 bits, lowest bit first: 101 011 11|0 -> 0b11_110_101, 0b0.
    assert bits.pack([5, 6, 3], 3) == bytes([0b11_110_101, 0b0])


@pytest.mark.parametrize(("numbers", "width"), [([4], 2), ([-1], 8), ([1], 0), ([0], 33)])
def test_numbers_that_do_not_fit(numbers, width):
    with pytest.raises(ValueError, match="must be"):
        bits.pack(numbers, width)


def test_too_few_bytes():
    with pytest.raises(ValueError, match="3 numbers of 5 bits are 2 bytes, got 1"):
        bits.unpack(b"\0", 5, 3)


@pytest.mark.parametrize("parts", [[], [b""], [b"abc"], [b"\0" * 300_000, b"xyz" * 50_000]])
def test_entropy_round_trip(parts):
    joined = b"".join(parts)
    assert entropy.decompress(entropy.compress(parts), len(joined)) == joined


def test_entropy_stops_at_the_length_allowed():
    bomb = entropy.compress([bytes(10_000_000)])
    assert len(bomb) < 2000
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than the 1000 bytes"):
        entropy.decompress(bomb, 1000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_entropy_refuses_noise():
    noise = np.random.default_rng(0).bytes(200)
    with pytest.raises(ValueError, match="damaged"):
        entropy.decompress(noise, 1000)


def test_exponents_have_statistics_of_their_own():
    # One table for noise and constants together would save little of the constants.
    noise = np.random.default_rng(0).bytes(4000)
    assert len(entropy.compress([noise, b"a" * 4000])) < 4050
