"""One table of quantisers; every duty in this folder runs over it. A new method is a row here."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx

from jgc.quant import METHODS, Place, Quantizer

PLACE = Place((12, 3), jnp.float32, of_nodes=True)
SITES = {"conv1/message": PLACE, "output": PLACE}
# The same values in a batch of two graphs.
BATCH = {site: place._replace(n_graph=2) for site, place in SITES.items()}


class Case(NamedTuple):
    name: str
    settings: dict
    method: str = "qat"
    sites: dict = SITES

    def build(self, bits) -> Quantizer:
        return METHODS[self.method](bits, **self.settings)

    @property
    def one_grid(self) -> bool:
        """Whether a site has one grid, given by the values at hand alone."""
        return self.method != "a2q"

    def __str__(self):
        return self.name


def anywhere(site: str) -> bool:
    return site != "output"


CASES = (
    Case("qat", {}),
    Case("qat-tensor-abs", {"per_channel": False, "ranges": "abs", "clip_gradient": False}),
    Case("qat-affine-per", {"symmetric_weights": False, "ranges": "per"}),
    Case("qat-symmetric-values", {"symmetric_values": True}),
    Case("degree", {}, "degree"),
    Case("degree-mom-ste", {"ranges": "mom", "clip_gradient": False}, "degree"),
    Case("a2q", {"is_feature": anywhere}, "a2q"),
    Case("a2q-groups", {"is_feature": anywhere, "groups": 5}, "a2q", BATCH),
)


def plain_params(seed: int = 0):
    kernel = jax.random.normal(jax.random.key(seed), (10, 6)).at[3:5].set(0.0).at[:, 2].set(0.0)
    return {"conv1": {"att": jnp.ones((2, 6)), "bias": jnp.ones(6), "kernel": kernel}}


def linen_params():
    return nn.Dense(6).init(jax.random.key(0), jnp.zeros((1, 10)))["params"]


def nnx_params():
    return nnx.state(nnx.Linear(10, 6, rngs=nnx.Rngs(0)), nnx.Param)


def equinox_params():
    return eqx.filter(eqx.nn.Linear(10, 6, key=jax.random.key(0)), eqx.is_array)


TREES: dict[str, Callable] = {
    "plain": plain_params,
    "linen": linen_params,
    "nnx": nnx_params,
    "equinox": equinox_params,
}


def values(seed: int = 0):
    """Values `[12, 3]` of one site, on both sides of zero."""
    return jax.random.normal(jax.random.key(seed), (12, 3)) * 2.0 + 0.5
