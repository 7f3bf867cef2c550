"""What `test_part_problem` runs in processes of its own: eight devices, or one of two processes."""

import json
import sys

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

import jgc
from jgc.graph.exchange import AXIS
from jgc.models import GAT, GCN, GIN, GraphSAGE
from jgc.train import Method, Phase, join, lane, problem, train
from tests.train.cases import tiny_nodes

ARCHITECTURES = {
    "gcn": GCN(hidden=4, out=3),
    "sage": GraphSAGE(hidden=4, out=3),
    "gin": GIN(hidden=4, out=3, layers=2, dropout=0.5),
    "gat": GAT(hidden=2, heads=2, out=3),
}


def slopes(task, model, data, variables):
    """Loss and gradient of a step in training, statistics left out of it."""
    graph, layout, target = task.batch(task.select(data, 0), 0, 0, None)
    rest = {name: tree for name, tree in variables.items() if name != "params"}

    def loss(params):
        out, _, _ = jgc.apply(
            model, {"params": params, **rest}, graph, layout=layout, train=True,
            rngs={"dropout": jax.random.key(1)}, mutable=("batch_stats",),
        )  # fmt: skip
        return task.loss(out, target)

    return jax.value_and_grad(loss)(variables["params"])


def eight(*names: str) -> dict:
    """Largest differences of loss and of gradient from one device."""
    data, models = tiny_nodes(), {name: ARCHITECTURES[name] for name in names}
    whole, dealt = problem(data, backend="segment"), problem(data, backend="segment", devices=8)
    mesh = Mesh(jax.devices(), (AXIS,))
    graph, layout, _ = whole.batch(whole.select(whole.data, 0), 0, 0, None)
    variables = {n: m.init(jax.random.key(0), graph, layout) for n, m in models.items()}

    def all_models(task):
        return lambda data: {n: slopes(task, m, data, variables[n]) for n, m in models.items()}

    specs = ((P(AXIS), P(None, AXIS)),)
    mapped = jax.shard_map(
        all_models(dealt), mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False
    )
    found, want = jax.jit(mapped)(dealt.data), jax.jit(all_models(whole))(whole.data)
    far = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), found, want)
    return {name: [loss, max(jax.tree.leaves(grads))] for name, (loss, grads) in far.items()}


def process(address: str, number: str) -> list:
    """Losses of two epochs."""
    join(address, 2, int(number), seconds=60)
    data = tiny_nodes()
    model = jgc.models.for_task(GCN(hidden=8), "node", data.n_class)
    lanes = [lane(0), lane(1, split=1)]
    task = problem(data, devices=2, wire="float32")
    return train(model, task, Method("dense", (Phase(2),)), lanes).state.loss.tolist()


if __name__ == "__main__":
    word, *rest = sys.argv[1:]
    print(json.dumps({"eight": eight, "process": process}[word](*rest)))
