"""jgc's side of the comparison: prints one JSON object of measurements."""

import dataclasses
import json
import sys
import time

import jax

DEVICES = int(sys.argv[1])
jax.config.update("jax_num_cpu_devices", DEVICES)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

import jgc  # noqa: E402
from jgc.data import Split  # noqa: E402
from jgc.models import GCN, GIN, GraphModel, for_task  # noqa: E402
from jgc.train import Method, Optimiser, Phase, lane, problem, train  # noqa: E402


def train_step(cora) -> list[float]:
    """Milliseconds of one GCN(16) training step with input dropout, in scans of 50 steps."""
    graph = jax.tree.map(jnp.asarray, cora.graphs[0])
    layout = jgc.graph.layout(cora.graphs[0])
    labels, mask = jnp.asarray(cora.labels), np.zeros(cora.labels.size, bool)
    mask[cora.splits[0].train] = True
    model = GCN(hidden=16, out=cora.n_class)
    params = model.init(jax.random.key(0), graph, layout)["params"]
    tx = optax.chain(optax.add_decayed_weights(5e-4), optax.adam(0.01))
    hit = jax.nn.one_hot(labels, cora.n_class) * mask[:, None] / mask.sum()

    @jax.jit
    def steps(params, opt_state, key, graph, layout):
        def step(carry, i):
            params, opt_state = carry

            def loss(params):
                rngs = {"dropout": jax.random.fold_in(key, i)}
                out, _ = jgc.apply(model, params, graph, layout=layout, train=True, rngs=rngs)
                return -(jax.nn.log_softmax(out) * hit).sum()

            updates, opt_state = tx.update(jax.grad(loss)(params), opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        return jax.lax.scan(step, (params, opt_state), jnp.arange(50))[0]

    args = (params, tx.init(params), jax.random.key(1), graph, layout)
    jax.block_until_ready(steps(*args))
    return [_seconds(lambda: jax.block_until_ready(steps(*args))) * 1000 / 50 for _ in range(9)]


def ten_seeds(cora) -> dict[str, float]:
    """Seconds of 10 seeds x 200 epochs of GCN(16), from the data to the best epochs."""
    began = time.perf_counter()
    model = for_task(GCN(hidden=16), "node", cora.n_class)
    dense = Method("dense", (Phase(200),))
    done = train(model, problem(cora), dense, [lane(seed) for seed in range(10)])
    seconds = time.perf_counter() - began
    test = float(done.state.best.test.mean())
    return {"seconds": seconds, "compile_s": done.compile_s, "run_s": done.run_s, "test": test}


def gin_epoch(proteins) -> list[float]:
    """Milliseconds of a shuffled training epoch of GIN 5x64 over all of PROTEINS, batch 32."""
    ids = np.arange(len(proteins.graphs))
    split = Split(ids[2:], ids[:1], ids[1:2], "all")
    data = dataclasses.replace(proteins, splits=(split,))
    model = GraphModel(GIN(hidden=64, out=64, layers=5), out=2)
    task = problem(data, batch_size=32)
    times = []

    def note(done, total):
        times.append(time.perf_counter())

    method = Method("dense", (Phase(12),))
    train(model, task, method, [lane(0)], optimiser=Optimiser(0.01, 0.0), chunk=1, report=note)
    return [(b - a) * 1000 for a, b in zip(times, times[1:], strict=False)]


def _seconds(run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


if __name__ == "__main__":
    found = {"jax": jax.__version__}
    cora = jgc.data.load("cora")
    found["train-step"] = train_step(cora)
    found["ten-seeds"] = ten_seeds(cora)
    found["gin-epoch"] = gin_epoch(jgc.data.load("proteins"))
    print(json.dumps(found))
