"""Parts that all architectures share, where the duties of whole models do not reach."""

import jax
import jax.numpy as jnp
import numpy as np

from jgc.models.layers import BatchNorm


def test_padding_that_overflowed_enters_no_statistic_nor_gradient():
    """A batch padded by thousands of loops at one node grows there by as much in every layer."""
    x = jnp.array([[1.0], [3.0], [jnp.inf], [1e30]])
    mask = jnp.array([True, True, False, False])
    norm = BatchNorm()
    variables = norm.init(jax.random.key(0), x, mask, False)

    def loss(params, x):
        full = variables | {"params": params}
        y, moved = norm.apply(full, x, mask, True, mutable=["batch_stats"])
        return (y * jnp.array([[1.0], [2.0], [0.0], [0.0]])).sum(), (y, moved["batch_stats"])

    (_, (y, stats)), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(variables["params"], x)
    # Mean 2, biased variance 1, unbiased 2.
    np.testing.assert_allclose(y[:2, 0], [-1, 1], rtol=1e-4)
    np.testing.assert_allclose([stats["mean"][0], stats["var"][0]], [0.2, 1.1], rtol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((y, grads)))
