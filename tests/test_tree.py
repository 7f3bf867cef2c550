"""Names of parameters and selection by rank, shared by prune and quant."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from jgc.topk import keep_top, kth_largest
from jgc.tree import chosen, input_axis, is_kernel, named_leaves, output_axis

KEY = jax.random.key(0)
LINEAR = {
    "linen": (lambda: nn.Dense(2).init(KEY, jnp.zeros((1, 3)))["params"], "kernel", (3, 2)),
    "nnx": (lambda: nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(0)), nnx.Param), "kernel", (3, 2)),
    "equinox": (lambda: eqx.filter(eqx.nn.Linear(3, 2, key=KEY), eqx.is_array), "weight", (2, 3)),
}


@pytest.mark.parametrize("library", LINEAR)
def test_names_and_axes_agree_between_libraries(library):
    build, name, shape = LINEAR[library]
    leaves = named_leaves(build())
    assert set(leaves) == {"bias", name}
    assert chosen(build(), is_kernel, "is_prunable") == (name,)
    assert leaves[name].shape == shape
    assert shape[output_axis(name)] == 2 and shape[input_axis(name)] == 3


def test_two_leaves_of_one_name():
    with pytest.raises(ValueError, match="two leaves named 'a/b'"):
        named_leaves({"a": {"b": jnp.ones(1)}, "a/b": jnp.ones(1)})


def test_selection_is_the_stable_sort():
    rng = np.random.default_rng(0)
    select = jax.jit(keep_top)
    for _ in range(30):
        scores = rng.integers(-3, 4, (2, 13)).astype(np.float32) / 2
        scores[0, 0], scores[1, 5], scores[0, 7] = -np.inf, np.inf, -0.0
        count = int(rng.integers(0, 14))
        rank = np.argsort(np.argsort(-scores, axis=-1, kind="stable"), axis=-1, kind="stable")
        np.testing.assert_array_equal(select(scores, count), rank < count)


def test_kth_largest_is_the_sorted_value():
    values = np.random.default_rng(1).normal(size=57).astype(np.float32)
    kth = jax.jit(kth_largest)
    for k in (1, 2, 30, 57):
        assert float(kth(values, k)) == np.sort(values)[::-1][k - 1]
