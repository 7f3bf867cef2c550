"""Is a step of sparse training really cheaper where the weights are stored sparsely?

A network of two layers, one step of gradient descent on the same batch: as matrix products whose
weights are masked, as every method of jgc trains, and as products of a fixed pattern (values of the
kept weights alone, `jgc.graph.product`, whose gradient is formed for the kept entries only).

    JAX_NUM_CPU_DEVICES=1 python experiments/sparse/step.py
"""

import statistics

import jax
import jax.numpy as jnp
import numpy as np

from jgc.bench.work import repeated
from jgc.graph import product, structure

BATCH, STEPS, ROUNDS = 1024, 20, 5
SHAPES = ((16, 128, 1), (64, 256, 10), (1433, 256, 7))
DENSITIES = (0.5, 0.125, 0.03125, 0.01)


def descended(loss, params):
    slopes = jax.grad(loss)(params)
    return jax.tree.map(lambda p, g: p - 1e-3 * g, params, slopes)


def masked(rng, sizes, density, x):
    weights = [jnp.asarray(rng.normal(size=s), jnp.float32) for s in sizes]
    masks = [jnp.asarray(rng.random(s) < density) for s in sizes]

    def loss(weights):
        first, second = (jnp.where(m, w, 0.0) for w, m in zip(weights, masks, strict=True))
        return jnp.mean(jnp.square(jax.nn.relu(x @ first) @ second))

    return loss, weights


def stored(rng, sizes, density, x):
    """Rows of a pattern are outputs, and a batch lies along the last axis."""
    patterns = []
    for d_in, d_out in sizes:
        outputs, inputs = np.nonzero(rng.random((d_out, d_in)) < density)
        patterns.append(structure(outputs, inputs, n_row=d_out, n_col=d_in))
    values = [jnp.asarray(rng.normal(size=p.n_entry), jnp.float32) for p in patterns]
    columns = jnp.asarray(np.ascontiguousarray(np.asarray(x).T))

    def loss(values):
        hidden = jax.nn.relu(product(patterns[0], values[0], columns))
        return jnp.mean(jnp.square(product(patterns[1], values[1], hidden)))

    return loss, values


def timed(loss, params):
    run = jax.jit(lambda p: jax.lax.fori_loop(0, STEPS, lambda _, p: descended(loss, p), p))
    return repeated(lambda: jax.block_until_ready(run(params)), units=STEPS)


def main():
    print("layers | density | masked ms | stored ms | masked / stored")
    for d, hidden, out in SHAPES:
        sizes = ((d, hidden), (hidden, out))
        x = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, d)), jnp.float32)
        for density in DENSITIES:
            works = [
                timed(*make(np.random.default_rng(1), sizes, density, x))
                for make in (masked, stored)
            ]
            times: list[list[float]] = [[], []]
            for _ in range(ROUNDS):  # Side by side, so that what disturbs one disturbs the other.
                for work, found in zip(works, times, strict=True):
                    found += work.sample()
            dense, sparse = map(statistics.median, times)
            row = f"{density:g} | {dense:.3f} | {sparse:.3f} | {dense / sparse:.2f}"
            print(f"{d}-{hidden}-{out} | {row}")


if __name__ == "__main__":
    main()
