"""jgc's side of sums over edges: float32 and bytes, gradients, cost against size, bandwidth."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.bench import inputs
from jgc.bench.inputs import LARGE, SMALL, WIDTH
from jgc.bench.work import Work, repeated
from jgc.graph import Structure, product, structure
from jgc.graph.integer import byte_sum

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 5_000_000, 10_000_000)


def _pattern(n_node: int, n_edge: int) -> Structure:
    senders, receivers = inputs.power_law(n_node, n_edge)
    return structure(receivers, senders, n_row=n_node, n_col=n_node)


def _clocked(run: Callable, *args, **facts) -> Work:
    compiled = jax.jit(run)
    return repeated(lambda: jax.block_until_ready(compiled(*args)), **facts)


def float32(n_node: int, n_edge: int) -> Work:
    """Sums of float32 rows of 64 over incoming edges, weighted as the peers' product is."""
    args = _pattern(n_node, n_edge), jnp.ones(n_edge), jnp.asarray(inputs.values(n_node, WIDTH))
    return _clocked(product, *args, **_traffic(n_node, n_edge, 4))


def int8(n_node: int, n_edge: int) -> Work:
    """Sums of int8 rows of 64 over incoming edges, in int32."""
    codes = np.random.default_rng(1).integers(0, 256, (n_node, WIDTH), np.uint8)
    grid = jnp.zeros((), jnp.int32)

    def run(pattern: Structure, codes: Array, zero: Array) -> Array:
        return byte_sum(pattern, codes, zero, (), out=jnp.float32)

    return _clocked(run, _pattern(n_node, n_edge), jnp.asarray(codes), grid)


def edge_gradient(segment: bool) -> Work:
    """Forward, backward and the gradient of every edge weight, on 1e5 nodes and 1e6 edges."""
    n_node, n_edge = SMALL
    pattern = _pattern(n_node, n_edge)
    x = jnp.asarray(inputs.values(n_node, WIDTH))

    def ours(w: Array, x: Array, pattern: Structure) -> Array:
        return product(pattern, w, x)

    def plain(w: Array, x: Array, pattern: Structure) -> Array:
        gathered = w[:, None] * x[pattern.cols]
        return jax.ops.segment_sum(gathered, pattern.rows, n_node, indices_are_sorted=True)

    def run(pattern: Structure, w: Array, x: Array):
        y, back = jax.vjp(lambda w, x: (plain if segment else ours)(w, x, pattern), w, x)
        return y, back(y)

    return _clocked(run, pattern, jnp.ones(n_edge), x)


def scaling() -> Work:
    """Float32 sums from 1e4 to 1e7 edges, ten a node; the time is the largest's."""
    found: dict[str, float] = {}

    def sample() -> list[float]:
        for n_edge in SIZES:
            times = float32(n_edge // 10, n_edge).sample()
            found[str(n_edge)] = 1e6 * float(np.median(times)) / n_edge
        return times

    return Work(sample, {"ns_by_edges": found})


def bandwidth() -> Work:
    """Float32 sums beside what this machine's memory gives: streams, and random rows of 256 B."""
    n_node, n_edge = LARGE
    work = float32(n_node, n_edge)
    stream = jnp.ones(1 << 26)  # 256 MiB
    copied = _clocked(lambda x: x + 1, stream)
    order = np.random.default_rng(2).permutation(n_node)
    rows = structure(np.arange(n_node), order, n_row=n_node, n_col=n_node)
    taken = _clocked(lambda p, x: product(p, None, x), rows, jnp.ones((n_node, WIDTH)))
    facts = dict(work.facts)

    def sample() -> list[float]:
        times = work.sample()
        middle = {name: float(np.median(w.sample())) for name, w in rates.items()}
        facts["stream_gb_s"] = 2 * stream.nbytes / middle["stream"] / 1e6
        facts["random_rows_gb_s"] = 2 * 4 * WIDTH * n_node / middle["rows"] / 1e6
        facts["gathered_gb_s"] = facts["bytes_gathered"] / float(np.median(times)) / 1e6
        return times

    rates = {"stream": copied, "rows": taken}
    return Work(sample, facts)


def _traffic(n_node: int, n_edge: int, width: int) -> dict[str, int]:
    """Bytes that a sum asks for: every gathered row (no cache), or each row once (all cache)."""
    lists = 8 * n_edge + 4 * n_node
    row = width * WIDTH
    return {
        "bytes_gathered": lists + row * (n_edge + n_node),
        "bytes_once": lists + 2 * row * n_node,
    }


MEASURES = {
    "sum-f32-1e5": lambda: float32(*SMALL),
    "sum-f32-1e6": lambda: float32(*LARGE),
    "sum-int8-1e5": lambda: int8(*SMALL),
    "sum-int8-1e6": lambda: int8(*LARGE),
    "edge-gradient": lambda: edge_gradient(segment=False),
    "edge-gradient-xla": lambda: edge_gradient(segment=True),
    "scaling": scaling,
    "bandwidth": bandwidth,
}
