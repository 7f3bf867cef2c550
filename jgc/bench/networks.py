"""jgc's side of whole networks: an int8 artefact beside float32, an epoch of small graphs."""

import dataclasses
import time

import jax
import numpy as np

from jgc.bench import inputs
from jgc.bench.inputs import SMALL, WIDTH
from jgc.bench.work import Work, repeated
from jgc.data import Split, load
from jgc.forward import apply, sites
from jgc.graph import from_edges
from jgc.graph import layout as layout_of
from jgc.models import GCN, GIN, GraphModel
from jgc.pack import compact, infer, integer_apply, integer_model
from jgc.quant import qat
from jgc.train import Method, Optimiser, Phase, lane, problem, train
from jgc.tree import map_named

EPOCHS = 6


def _network():
    """A GCN of two layers of 64 on 1e5 nodes and 1e6 edges."""
    senders, receivers = inputs.power_law(*SMALL)
    # On the device already: a numpy array would be copied there in every call.
    graph = jax.device_put(from_edges(senders, receivers, nodes=inputs.values(SMALL[0], WIDTH)))
    layout, model = layout_of(graph), GCN(hidden=WIDTH, out=WIDTH)
    return model, model.init(jax.random.key(0), graph, layout)["params"], graph, layout


def float32() -> Work:
    """Milliseconds of a pass in float32."""
    model, params, graph, layout = _network()
    run = jax.jit(lambda params, graph, layout: infer(model, params, graph, layout))
    return repeated(lambda: run(params, graph, layout).block_until_ready())


def integers() -> Work:
    """Milliseconds of a pass on bytes: 8-bit weights and values, ranges from one training pass."""
    model, params, graph, layout = _network()
    quantizer = qat(8, ranges="abs")
    start = quantizer.init(params, sites(model, params, graph, layout))
    _, quant = apply(
        model, params, graph, None, start, quantizer=quantizer, layout=layout, train=True,
        rngs={"dropout": jax.random.key(1)},
    )  # fmt: skip
    state = integer_model(params, quant, quantizer)
    run = jax.jit(lambda *args: integer_apply(model, args[0], args[1], quantizer=quantizer,
                                              layout=args[2]))  # fmt: skip
    return repeated(lambda: run(state, graph, layout).block_until_ready())


def structured(half: bool) -> Work:
    """Milliseconds of a GCN of 256 neurons, or of what is left when every other one is pruned."""
    _, _, graph, layout = _network()
    model = GCN(hidden=256, out=7)
    variables = model.init(jax.random.key(0), graph, layout)
    if half:

        def kept(name: str, leaf):
            columns = np.arange(leaf.shape[-1]) % 2 == 0 if leaf.shape[-1] == 256 else True
            return np.broadcast_to(columns, leaf.shape)

        masks = map_named(kept, variables["params"])
        variables = compact(model, variables, graph, masks).variables
    run = jax.jit(lambda variables, graph, layout: infer(model, variables, graph, layout))
    return repeated(lambda: run(variables, graph, layout).block_until_ready())


def _proteins():
    """PROTEINS with all graphs but two to train on."""
    held = load("proteins")
    ids = np.arange(len(held.graphs))
    held = dataclasses.replace(held, splits=(Split(ids[2:], ids[:1], ids[1:2], "all"),))
    return problem(held, batch_size=32), GraphModel(GIN(hidden=64, out=64, layers=5), out=2)


def gin_epoch() -> Work:
    """Milliseconds of a shuffled training epoch of GIN 5x64 over PROTEINS, batch 32."""
    (task, model), facts = _proteins(), {}

    def sample() -> list[float]:
        times: list[float] = []
        done = train(
            model, task, Method("dense", (Phase(EPOCHS),)), [lane(0)],
            optimiser=Optimiser(0.01, 0.0), chunk=1,
            report=lambda done, of: times.append(time.perf_counter()),
        )  # fmt: skip
        facts["compile_s"] = done.compile_s
        return [1e3 * float(gap) for gap in np.diff(times)]

    return Work(sample, facts)


def gin_inference() -> Work:
    """Milliseconds of an evaluation pass over all of an epoch's batches."""
    task, model = _proteins()
    data = task.select(task.data, jax.numpy.int32(0))
    graph, layout, _ = task.batch(data, 0, 0, jax.random.key(0))
    variables = model.init(jax.random.key(0), graph, layout)

    @jax.jit
    def run(variables, data):
        def batch(_, step):
            graph, layout, _ = task.batch(data, 0, step, jax.random.key(0))
            return None, apply(model, variables, graph, layout=layout)[0]

        return jax.lax.scan(batch, None, jax.numpy.arange(task.steps))[1]

    return repeated(lambda: jax.block_until_ready(run(variables, data)))


MEASURES = {
    "gcn64-f32": float32,
    "gcn64-int8": integers,
    "gcn256": lambda: structured(half=False),
    "gcn256-half": lambda: structured(half=True),
    "gin-epoch": gin_epoch,
    "gin-inference": gin_inference,
}
