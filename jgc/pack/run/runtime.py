"""`runtime`: how a restored model is run, on integers or on floats, and why."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import Array

from jgc.forward import apply
from jgc.graph import GraphsTuple, Layout
from jgc.pack.restore import Restored
from jgc.pack.run.fused import infer
from jgc.pack.run.integer import integer_apply, integer_model
from jgc.pack.run.stopwatch import rounds, spread
from jgc.pack.run.work import Forward, Work
from jgc.quant import Site


class Runtime(NamedTuple):
    """A compiled pass over some work.

    Attributes:
        name: `"integer"` or `"float"`.
        reason: Why that one.
        run: Runs it once, and waits for the answers.
        ms: Median time of one pass in milliseconds, compiling left out.
        iqr_ms: Interquartile range of the times.

    Example:
        >>> passed = Runtime("float", "nothing is quantised", run=lambda: 42, ms=1.5, iqr_ms=0.1)
        >>> passed.run(), passed.ms
        (42, 1.5)
    """

    name: str
    reason: str
    run: Callable[[], Any]
    ms: float
    iqr_ms: float

    @property
    def explain(self) -> str:
        """Which, and why, in one sentence."""
        return f"{self.name}: {self.reason}"


def runtime(restored: Restored, work: Work) -> Runtime:
    """Compiles the pass, on integers where the model can and that is faster here, else on floats.

    Which is faster depends on the machine, the graph and the model, so both are compiled and timed
    on the work itself. Answers are the same but for the rounding of float32 sums.

    Args:
        restored: From `jgc.pack.restore`.
        work: What it is run on.

    Returns:
        The `Runtime`; `explain` says why it is the one.

    Example:
        >>> import tempfile, jgc
        >>> from jgc.pack.run.work import on_graph
        >>> data = jgc.data.load("sbm")
        >>> result = jgc.compress("gat", data, quantize="qat:8", hidden=2, epochs=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     restored = jgc.pack.restore(result.save(folder))
        >>> chosen = runtime(restored, on_graph(data.graphs[0]))
        >>> chosen.run().shape, chosen.explain
        ((2708, 7), 'float: the code of GAT does more with values than integers can')
    """
    why = why_not_integer(restored)
    runs = {"float": compiled(work, *float_forward(restored))}
    if not why:
        runs["integer"] = compiled(work, *integer_forward(restored))
    found = dict(zip(runs, map(spread, rounds(list(runs.values()))), strict=True))
    best, *other = sorted(found, key=lambda name: found[name][0])
    ms, iqr_ms = (1e3 * seconds for seconds in found[best])
    told = [f"on {name}s {1e3 * found[name][0]:.3g} ms" for name in other]
    reason = why or f"a pass takes {ms:.3g} ms here, {', '.join(told)}"
    return Runtime(best, reason, runs[best], ms, iqr_ms)


def compiled(work: Work, state: Any, forward: Callable[[Any], Forward]) -> Callable[[], Any]:
    """Compiles a pass and runs it once.

    Args:
        work: What it goes over.
        state: The model's arrays.
        forward: The pass as a function of them.

    Returns:
        Runs it again, and waits for the answers.
    """
    args = jax.device_put((state, work.arrays))
    jitted = jax.jit(lambda state, arrays: work.run(forward(state), arrays))
    program: Any = jitted.lower(*args).compile()

    def run() -> Any:
        return jax.block_until_ready(program(*args))

    run()
    return run


def why_not_integer(restored: Restored) -> str:
    """Why a model cannot run on integers; empty where it can.

    Example:
        >>> from jgc.models import GCN
        >>> why_not_integer(Restored(GCN(), {}, {}, None, None, "node", "class", "", 0, 0, {}, ""))
        'nothing is quantised'
    """
    module = getattr(restored.model, "encoder", restored.model)
    if restored.quantizer is None or restored.quant is None:
        return "nothing is quantised"
    if restored.quantizer.byte_grid is None:
        return "its quantiser knows no grids of values"
    if not getattr(module, "fused", False):
        return f"the code of {type(module).__name__} does more with values than integers can"
    states = restored.quant.sites.items()
    unseen = [name for name, site in states if isinstance(site, Site) and site.range.count == 0]
    return f"the ranges of {unseen} are those of the values at hand" if unseen else ""


def float_forward(restored: Restored) -> tuple[Any, Callable[[Any], Forward]]:
    """The arrays of a model, and its pass as a function of them."""

    def forward(state: Any) -> Forward:
        variables, quant = state

        def answers(graph: GraphsTuple, layout: Layout) -> Array:
            if quant is None:
                return infer(restored.model, variables, graph, layout)
            return apply(
                restored.model, variables, graph, None, quant,
                quantizer=restored.quantizer, layout=layout,
            )[0]  # fmt: skip

        return answers

    return (restored.variables, restored.quant), forward


def integer_forward(restored: Restored) -> tuple[Any, Callable[[Any], Forward]]:
    """The same on integers; only where `why_not_integer` has no reason."""
    quantizer, quant = restored.quantizer, restored.quant
    assert quantizer is not None and quant is not None

    def forward(state: Any) -> Forward:
        def answers(graph: GraphsTuple, layout: Layout) -> Array:
            return integer_apply(restored.model, state, graph, quantizer=quantizer, layout=layout)

        return answers

    return integer_model(restored.variables, quant, quantizer), forward
