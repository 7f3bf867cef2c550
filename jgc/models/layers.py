"""The parts that all architectures share: sites, linear maps of sparse features, norm, dropout."""

from typing import Any, ClassVar, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph import Pending, SparseRows, dropout, relu

Values = TypeVar("Values", Array, SparseRows)


class Site(nn.Module):
    """A named point at which a quantiser may act; by itself the identity.

    Models hold no other trace of compression. `jgc.apply` intercepts the calls of sites and hands
    the value with the site's path (`"conv1/message"`) to the quantiser.

    Example:
        >>> import jax
        >>> Site(name="input").apply({}, jnp.ones(2), jnp.ones(2, bool)).tolist()
        [1.0, 1.0]
    """

    @nn.compact
    def __call__(self, x: Array, mask: Array) -> Array:
        """Returns `x`, `[n, ...]`; `mask`, bool `[n]`, is True where an entry is real.

        Where rows are nodes it is `layout.node_mask` itself: that is how they are known as nodes.
        """
        del mask
        return x


def at_input(x: Any, node_mask: Array) -> Any:
    """Passes node features through the site `input`; of sparse rows the stored entries."""
    site = Site(name="input")
    if not isinstance(x, SparseRows):
        return site(x, node_mask)
    return x._replace(values=site(x.values, node_mask[x.structure.rows]))


def stored_width(module: nn.Module, name: str, features: int) -> int:
    """How wide a layer is: as its stored array, or `features` where there is none yet.

    So a model runs on the arrays of a compacted one (`jgc.pack.compact`) without being told.

    Args:
        module: The layer, inside a call.
        name: Of the array, whose last axis is the width.
        features: Width at the start.
    """
    stored = module.get_variable("params", name)
    return features if stored is None else stored.shape[-1]


class Linear(nn.Module):
    """`x @ kernel + bias` for dense features or sparse rows.

    Attributes:
        features: Width of the result when parameters are made; later it is that of the kernel.
        use_bias: Adds a bias, zero at first. One that is stored is always added.

    Example:
        >>> import jax
        >>> params = Linear(3).init(jax.random.key(0), jnp.ones((2, 4)))["params"]
        >>> {name: leaf.shape for name, leaf in sorted(params.items())}
        {'bias': (3,), 'kernel': (4, 3)}
    """

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array | SparseRows) -> Array:
        """Maps `[n, d_in]` to `[n, features]`."""
        width = stored_width(self, "kernel", self.features)
        shape = (x.shape[-1], width)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        y = x.matmul(kernel) if isinstance(x, SparseRows) else x @ kernel
        if self.use_bias or self.has_variable("params", "bias"):
            y = y + self.param("bias", nn.initializers.zeros, (width,))[None]
        return y


class Dropout(nn.Module):
    """Dropout by the counter hash of `jgc.graph.dropout`, on stored entries of sparse rows only.

    Attributes:
        rate: Probability in `[0, 1)` of dropping an entry.
    """

    fused: ClassVar[bool] = True

    rate: float

    @nn.compact
    def __call__(self, x: Values, train: bool) -> Values:
        """Drops entries when `train`, with the rng stream `"dropout"`."""
        if not train or self.rate == 0:
            return x
        return dropout(x, self.rate, self.make_rng("dropout"), self.rows(x))

    def rows(self, x: Values) -> Array | None:
        """Which rows of a whole graph those of `x` are; `jgc.models.part` answers in its place."""
        del x
        return None


class BatchNorm(nn.Module):
    """Batch normalisation over real nodes (or graphs) only; padding never enters a statistic.

    As torch's: running statistics move by 0.1 a step, with the unbiased variance; epsilon 1e-5.
    Sums over nodes are products with the mask, which XLA runs twice as fast on CPU as reductions.

    References:
        Ioffe and Szegedy, arXiv 1502.03167, algorithm 1.
    """

    fused: ClassVar[bool] = True

    @nn.compact
    def __call__(self, x: Array, mask: Array, train: bool) -> Array:
        """Normalises `[n, d]` over the rows where `mask`, bool `[n]`, is True."""
        d = x.shape[-1:]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, d)
        running_var = self.variable("batch_stats", "var", jnp.ones, d)
        scale = self.param("scale", nn.initializers.ones, d)
        bias = self.param("bias", nn.initializers.zeros, d)
        mean, var = running_mean.value[None], running_var.value[None]
        # The loops that pad a batch multiply a value from layer to layer; inf * 0 would be no 0.
        if not isinstance(x, Pending):  # Integers are finite.
            x = jnp.where(mask[:, None], x, 0)
        if train:
            n = jnp.maximum(self.total(mask.sum()), 1)
            share = (mask / n)[None].astype(x.dtype)
            mean = self.total(jnp.matmul(share, x, precision="highest"))
            var = self.total(jnp.matmul(share, (x - mean) ** 2, precision="highest"))
            if not self.is_initializing():
                unbiased = var[0] * n / jnp.maximum(n - 1, 1)
                running_mean.value = 0.9 * running_mean.value + 0.1 * mean[0]
                running_var.value = 0.9 * running_var.value + 0.1 * unbiased
        return (x - mean) * (jax.lax.rsqrt(var + 1e-5) * scale[None]) + bias[None]

    def total(self, x: Array) -> Array:
        """The sum over all parts of a graph; `jgc.models.part` answers in its place."""
        return x


class MLP2(nn.Module):
    """Linear, batch norm (optional), ReLU, linear: the update network of GIN.

    Attributes:
        hidden: Width between the two.
        features: Width of the result.
        batch_norm: Normalise between.
        norm_last: Normalise at the end instead, after one more ReLU.
    """

    fused: ClassVar[bool] = True

    hidden: int
    features: int
    batch_norm: bool = True
    norm_last: bool = False

    def setup(self):
        """Builds the two maps; `first` has its bias apart, so that it can precede a sum."""
        self.first = Linear(self.hidden, use_bias=False)
        width = stored_width(self, "first_bias", self.hidden)
        self.first_bias = self.param("first_bias", nn.initializers.zeros, (width,))
        self.norm = BatchNorm() if self.batch_norm else None
        self.second = Linear(self.features)

    def before(self, x: Array | SparseRows) -> Array:
        """The first map without its bias, `[n, d] -> [n, hidden]`."""
        return self.first(x)

    def __call__(self, summed: Array, mask: Array, train: bool) -> Array:
        """All that follows the first map, `[n, hidden] -> [n, features]`."""
        h = summed + self.first_bias[None]
        if self.norm is None:
            return self.second(relu(h))
        if self.norm_last:
            return self.norm(relu(self.second(relu(h))), mask, train)
        return self.second(relu(self.norm(h, mask, train)))
