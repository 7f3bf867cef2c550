"""A step on one device and on eight, in turn in one process: rows with `what` = "beside".

python experiments/devices/beside.py [EDGES]
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ["JAX_NUM_CPU_DEVICES"] = "8"

import jax  # noqa: E402
from blocks import blocks  # noqa: E402
from jax.sharding import Mesh  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

import jgc  # noqa: E402
from jgc.graph.exchange import AXIS  # noqa: E402
from jgc.models import GCN, for_task  # noqa: E402
from jgc.train import problem  # noqa: E402
from jgc.train.lanes import data_specs, placed  # noqa: E402

ROUNDS = 7


def step(task, model):
    """Loss and gradient of all training nodes, dropout included."""

    def run(params, data):
        graph, layout, target = task.batch(task.select(data, 0), 0, 0, None)

        def loss(params):
            rngs = {"dropout": jax.random.key(1)}
            out, _ = jgc.apply(model, params, graph, layout=layout, train=True, rngs=rngs)
            return task.loss(out, target)

        return jax.value_and_grad(loss)(params)

    if task.parts is None:
        return jax.jit(run), task.data
    mesh = Mesh(jax.devices(), (AXIS,))
    mapped = jax.shard_map(
        run, mesh=mesh, in_specs=(P(), data_specs(mesh)), out_specs=P(), check_vma=False
    )
    return jax.jit(mapped), placed(task.data, data_specs(mesh), mesh)


def main(n_edge: int) -> None:
    data = blocks(n_edge // 10, n_edge, n_split=1)
    model = for_task(GCN(hidden=64), "node", data.n_class)
    whole = problem(data)
    graph, layout, _ = whole.batch(whole.select(whole.data, 0), 0, 0, None)
    params = model.init(jax.random.key(0), graph, layout)["params"]
    tasks = {
        "one": whole,
        "eight": problem(data, devices=8),
        "eight, int8": problem(data, devices=8, wire="int8"),
    }
    steps = {name: step(task, model) for name, task in tasks.items()}
    took: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    losses = {}
    for i in range(ROUNDS + 1):
        for name, (run, arrays) in steps.items():
            began, worked = time.perf_counter(), time.process_time()
            loss, _ = jax.block_until_ready(run(params, arrays))
            losses[name] = float(loss)
            if i:  # The first compiles.
                took[name].append(time.perf_counter() - began)
                cpu[name].append(time.process_time() - worked)
    row = {
        "what": "beside", "edges": n_edge, "losses": losses,
        "s": {name: statistics.median(times) for name, times in took.items()},
        "cpu_s": {name: statistics.median(times) for name, times in cpu.items()},
        "ratio": {
            name: statistics.median(t / o for t, o in zip(took[name], took["one"], strict=True))
            for name in took
        },
        "load": os.getloadavg(), "cores": os.cpu_count(), "jax": jax.__version__,
    }  # fmt: skip
    with Path(__file__).with_name("rows.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(row)


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000)
