"""jgc's side on Cora: training steps, inference, and ten seeds from the data to the test score."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jgc.bench.work import Work, repeated
from jgc.data import Dataset, load
from jgc.forward import apply
from jgc.graph import layout as layout_of
from jgc.models import GAT, GCN, for_task
from jgc.pack import infer
from jgc.train import Method, Phase, lane, problem, train

STEPS = 50  # In one compiled call, as in training.


@functools.cache
def _cora() -> Dataset:
    return load("cora")


def train_step(model, learning_rate: float = 0.01) -> Work:
    """Milliseconds of a training step with dropout, Adam and weight decay, in scans of 50."""
    cora = _cora()
    graph, layout = jax.tree.map(jnp.asarray, cora.graphs[0]), layout_of(cora.graphs[0])
    params = model.init(jax.random.key(0), graph, layout)["params"]
    tx = optax.chain(optax.add_decayed_weights(5e-4), optax.adam(learning_rate))
    labels, ids = np.asarray(cora.labels), cora.splits[0].train
    hit = np.eye(cora.n_class, dtype=np.float32)[labels[ids]] / ids.size

    @jax.jit
    def steps(params, state, key, graph, layout, hit: Array):
        def step(carry, i):
            params, state = carry

            def loss(params):
                rngs = {"dropout": jax.random.fold_in(key, i)}
                out, _ = apply(model, params, graph, layout=layout, train=True, rngs=rngs)
                return -(jax.nn.log_softmax(out[ids]) * hit).sum()

            updates, state = tx.update(jax.grad(loss)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, state), jnp.arange(STEPS))[0]

    args = (params, tx.init(params), jax.random.key(1), graph, layout, jnp.asarray(hit))
    return repeated(lambda: jax.block_until_ready(steps(*args)), STEPS)


def inference(model) -> Work:
    """Milliseconds of one pass over the whole graph, called once at a time."""
    cora = _cora()
    graph, layout = jax.tree.map(jnp.asarray, cora.graphs[0]), layout_of(cora.graphs[0])
    params = model.init(jax.random.key(0), graph, layout)["params"]
    run = jax.jit(lambda params, graph, layout: infer(model, params, graph, layout))
    return repeated(lambda: run(params, graph, layout).block_until_ready())


def ten_seeds() -> Work:
    """Milliseconds of 10 seeds x 200 epochs of GCN(16), scored each epoch, with compiling."""
    facts = {}

    def sample() -> list[float]:
        began = time.perf_counter()
        model = for_task(GCN(hidden=16), "node", _cora().n_class)
        done = train(
            model, problem(_cora()), Method("dense", (Phase(200),)), [lane(s) for s in range(10)]
        )
        seconds = time.perf_counter() - began
        facts.update(compile_s=done.compile_s, test=float(done.state.best.test.mean()))
        return [1e3 * seconds]

    return Work(sample, facts)


MEASURES = {
    "gcn-train-step": lambda: train_step(GCN(hidden=16, out=7)),
    "gat-train-step": lambda: train_step(GAT(hidden=8, heads=8, out=7, dropout=0.6), 0.005),
    "gcn-inference": lambda: inference(GCN(hidden=16, out=7)),
    "ten-seeds": ten_seeds,
}
