"""Models, pruners and quantisers lower for CPU, CUDA and TPU, whatever this machine is.

Nothing is compiled, and no device is needed. What sums over edges is lowered twice: for all three
with leave to name jgc's own kernels, and for GPU and TPU without, so that none can be in it.
"""

import jax
import jax.numpy as jnp
import pytest
from jax import export

from jgc import apply, native, sites
from jgc.graph import batch, layout
from jgc.prune import METHODS as PRUNERS
from jgc.prune import apply_masks
from jgc.quant import METHODS as QUANTIZERS
from tests.models.cases import SETTINGS, TABLE, graph, variables
from tests.prune.cases import CASES, SIGNALS, at_once, plain_params

# jaxlib's own product is what sums run through where there is no C++ compiler.
OWN = [f"jgc_{name}" for name in native.TARGETS] + ["cpu_csr_sparse_dense_ffi"]
# The first row of each model; all of them sum in the same few ways.
MODELS = {name: key for key, (name, _) in reversed(SETTINGS.items())}
PLATFORMS = ["cpu", "cuda", "tpu"]
# Of methods that have none by default.
SCHEDULES = {case.name: case.schedule for case in CASES} | dict.fromkeys(
    ["ticket", "sap", "gmp", "group-lasso"], at_once
)


def lower_sums(run, *args):
    leave = [export.DisabledSafetyCheck.custom_call(name) for name in OWN]
    program = jax.jit(run)
    export.export(program, platforms=PLATFORMS, disabled_checks=leave)(*args)
    export.export(program, platforms=PLATFORMS[1:])(*args)


def total(out):
    return sum(leaf.astype(jnp.float32).sum() for leaf in jax.tree.leaves(out))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_and_its_gradient(name):
    model = TABLE[MODELS[name]]
    on = batch([graph(), graph()]) if getattr(model, "task", None) == "graph" else graph()
    held = variables(model, on)

    def run(params, on, at):
        rngs = {"dropout": jax.random.key(0)}
        every = {**held, "params": params}
        out, _, updates = apply(
            model, every, on, layout=at, train=True, rngs=rngs, mutable=("batch_stats",)
        )
        return total(out), updates

    lower_sums(jax.value_and_grad(run, has_aux=True), held["params"], on, layout(on))


@pytest.mark.parametrize("name", PRUNERS)
def test_a_pruner_and_its_update(name):
    params = plain_params()

    def run(params, sparsity):
        pruner = PRUNERS[name](sparsity, key=jax.random.key(0), schedule=SCHEDULES.get(name))
        state = pruner.init(params)
        if pruner.observe is not None:
            state = pruner.observe(state, params, params)
        state, info = pruner.update(state, params, **SIGNALS)
        pull = None if pruner.penalty is None else jax.grad(pruner.penalty, 1)(state, params)
        return apply_masks(params, state.masks), state, info, pull

    export.export(jax.jit(run), platforms=PLATFORMS)(params, jnp.float32(0.5))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_quantiser_and_its_gradient(name):
    model, on = TABLE["gcn"], graph()
    quantizer, params = QUANTIZERS[name](4), variables(model, on)["params"]
    quant = quantizer.init(params, sites(model, params, on))

    def run(params, quant, on, at):
        rngs = {"dropout": jax.random.key(0)}
        out, quant = apply(
            model, params, on, None, quant,
            quantizer=quantizer, layout=at, train=True, rngs=rngs,
        )  # fmt: skip
        cost = 0 if quantizer.cost is None else quantizer.cost(quant)
        return total(out) + cost, quant

    gradient = jax.value_and_grad(run, argnums=(0, 1), has_aux=True, allow_int=True)
    lower_sums(gradient, params, quant, on, layout(on))
