import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jgc.pack.encode import values

DTYPES = [np.float32, np.float16, jnp.bfloat16, np.float64, np.int8, np.int32, np.uint16, bool]
CODES = st.integers(2, 8).flatmap(
    lambda bits: hnp.arrays(
        np.int64, st.integers(0, 60), elements=st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    )
)


@pytest.mark.parametrize("name", values.PLAIN)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 3, 5000])
def test_numbers_come_back_bit_for_bit(dtype, name, n):
    dtype = np.dtype(dtype)
    noise = np.random.default_rng(n).integers(
        0, 2 if dtype.kind == "b" else 256, n * dtype.itemsize
    )
    numbers = noise.astype(np.uint8).view(dtype)  # every NaN and subnormal there is
    data = values.PLAIN[name].encode(numbers) if n else b""
    back = values.decode(name, data, n, dtype)
    assert back.dtype == dtype
    assert back.tobytes() == numbers.tobytes()


@pytest.mark.parametrize("name", values.CODES)
@settings(derandomize=True, deadline=None, max_examples=60)
@given(CODES)
def test_codes_come_back(name, codes):
    data = values.CODES[name].encode(codes) if codes.size else b""
    assert values.decode(name, data, codes.size, np.dtype(np.int32)).tolist() == codes.tolist()


@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_take_their_bits_and_three_bytes(bits):
    q_max = 2 ** (bits - 1) - 1
    codes = np.random.default_rng(0).integers(-q_max, q_max + 1, 1000)
    name, data = values.encode(codes, codes=True)
    assert len(data) <= 3 + -(-1000 * bits // 8)
    assert name == "packed" or bits in (2, 3)  # 3 of 4 levels are 1.6 bits of information


def test_codes_that_are_mostly_zero_are_entropy_coded():
    codes = (np.random.default_rng(0).random(4000) < 0.02).astype(np.int64)
    name, data = values.encode(codes * 7, codes=True)
    assert name == "coded"
    assert len(data) < 4000 * 3 / 8 / 3


def test_exponents_shrink_and_mantissas_stay():
    weights = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    kept = weights[np.abs(weights) > 1.6449]  # the top tenth: within a factor of 4
    name, data = values.encode(kept, codes=False)
    assert name == "planes"
    assert len(data) < 0.82 * kept.nbytes


def test_codes_wider_than_a_byte_are_refused():
    with pytest.raises(ValueError, match="span -1..255"):
        values.encode(np.array([-1, 255]), codes=True)


@pytest.mark.parametrize(
    ("name", "data", "match"),
    [
        ("raw", bytes(11), "3 values of float32 take 12 bytes, not 11"),
        ("planes", b"junkjunk", "damaged"),
        ("packed", b"\0", "at least 3 bytes"),
        ("packed", b"\0\0\x04\0", "3 numbers of 4 bits are 2 bytes, got 1"),
        ("packed", b"\0\0\xff\0", "must be 0..32 bits"),
        ("coded", b"\0\0", "at least 3 bytes"),
        ("pickled", b"", "'pickled', known are"),
    ],
)
def test_bytes_that_lie(name, data, match):
    with pytest.raises(ValueError, match=match):
        values.decode(name, data, 3, np.dtype(np.float32))


def test_fewer_numbers_than_due():
    numbers = np.zeros(2, np.float32)
    with pytest.raises(ValueError, match="take 12 bytes, not 8"):
        values.decode("planes", values.PLAIN["planes"].encode(numbers), 3, numbers.dtype)
    codes = np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="3 codes were due, 2 are there"):
        values.decode("coded", values.CODES["coded"].encode(codes), 3, codes.dtype)
