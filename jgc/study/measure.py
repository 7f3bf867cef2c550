"""What a machine tells of a trained model: latency, memory, energy, and scores of every kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jgc.forward import apply
from jgc.pack.run.stopwatch import rounds, spread
from jgc.train import Method, Model, Problem

WARM_UP = 3
REPEATS = 30
SECONDS = 0.5  # Time for the repeats of a slow model.
RAPL = Path("/sys/class/powercap")


class Meter:
    """Runs models of one job through their task, compiled once, and reads what it costs.

    Masks and fake quantisation stay in the pass, as in training: a mask makes no model faster here,
    and quantisation slower. The numbers say so instead of assuming it.

    Args:
        architecture: The module, fitted to the task.
        task: From `jgc.train.problem`.
        method: The job's; its quantiser is part of the pass.
    """

    def __init__(self, architecture, task: Problem, method: Method):
        self._task = task
        quantizer = None if method.quantizer is None else method.quantizer(jax.numpy.int32(8))

        def answers(model: Model, data, split):
            def forward(graph, layout):
                variables = {"params": model.params, **model.stats}
                quant = None if quantizer is None else model.quant
                return apply(
                    architecture, variables, graph, model.masks, quant,
                    quantizer=quantizer, layout=layout,
                )[0]  # fmt: skip

            return task.answer(forward, task.select(data, split))

        def scored(answers, data, split):
            selected = task.select(data, split)
            return {name: task.score(answers, selected, name).test for name in task.metrics}

        self._compiled: Any = None
        self._jitted = jax.jit(answers)
        self._scores = jax.jit(scored)

    def scores(self, model: Model, split: int) -> dict[str, float]:
        """Every metric that fits, of the test part.

        Args:
            model: A trained model.
            split: Which split its answers are scored on.

        Returns:
            Scores by name. One that is no number, as of a class that never occurs, is left out.
        """
        args = self._ready(model, split)
        found = self._scores(self._compiled(*args), *args[1:])
        return {name: float(score) for name, score in found.items() if np.isfinite(score)}

    def cost(self, model: Model, split: int) -> dict[str, Any]:
        """What a pass costs; the same program runs whatever the weights are.

        Args:
            model: A trained model.
            split: Which split it answers.

        Returns:
            `latency_ms` and `latency_iqr_ms`: median and interquartile range of one pass (the
            whole graph; for graph tasks all held-out graphs), warm-up and compiling left out.
            `memory_bytes`: what XLA reserves for the pass, arguments, results and scratch.
            `energy_j`: of one pass, of all processor packages (RAPL) or GPUs (NVML), where the
            machine has a counter that can be read.
        """
        args = self._ready(model, split)
        middle, spread, energy = timed(lambda: jax.block_until_ready(self._compiled(*args)))
        found = {
            "latency_ms": 1e3 * middle,
            "latency_iqr_ms": 1e3 * spread,
            "memory_bytes": _memory(self._compiled),
            "energy_j": energy,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _ready(self, model: Model, split: int):
        args = model, self._task.data, np.int32(split)
        if self._compiled is None:
            self._compiled = self._jitted.lower(*args).compile()
        return jax.device_put(args)


def timed(run: Callable[[], None]) -> tuple[float, float, float | None]:
    """Median and interquartile range in seconds of a call, and its mean energy in joules.

    Args:
        run: Does the work and waits for it.

    Returns:
        `(median, range, energy)`; energy is `None` where no counter can be read.

    Example:
        >>> middle, spread, _ = timed(lambda: None)
        >>> 0 <= middle < 1e-3
        True
    """
    for _ in range(WARM_UP):
        run()
    before = _energy()
    (found,) = rounds([run], REPEATS, SECONDS)
    after = _energy()
    used = None if before is None or after is None else (after - before) / len(found)
    # The counter wraps around every few minutes: a negative difference tells nothing.
    return *spread(found), used if used is None or used > 0 else None


def _energy() -> float | None:
    """Joules that the kind of device in use has taken since some moment, where it can be read."""
    return _energy_of_gpus() if jax.default_backend() == "gpu" else _energy_of_packages()


def _energy_of_packages() -> float | None:
    """Of all processor packages, by Intel's RAPL."""
    try:
        counters = [p / "energy_uj" for p in RAPL.iterdir() if p.name.count(":") == 1]
        return sum(int(c.read_text()) for c in counters) / 1e6 if counters else None
    except (OSError, ValueError):
        return None


def _energy_of_gpus() -> float | None:
    """Of all GPUs of the machine, by NVML, where `nvidia-ml-py` is installed."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        gpus = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return sum(map(pynvml.nvmlDeviceGetTotalEnergyConsumption, gpus)) / 1e3
    except pynvml.NVMLError:  # No driver, or a GPU that does not count.
        return None


def _memory(compiled) -> int | None:
    found = compiled.memory_analysis()
    if found is None:
        return None
    sizes = found.argument_size_in_bytes, found.output_size_in_bytes, found.temp_size_in_bytes
    return sum(sizes)
