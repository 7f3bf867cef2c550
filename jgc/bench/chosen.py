"""jgc's side of any model on any data set: an epoch as it is trained, and a pass."""

import time

import jax
import numpy as np

from jgc.bench.work import Work, repeated
from jgc.data import load
from jgc.models import task_of
from jgc.pack import infer
from jgc.study.job import problem_of
from jgc.study.method import DENSE
from jgc.study.plan import Plan, check_fit, plan
from jgc.train import Problem, lane, train

CALLS = 5  # Of a training; the first is the warm-up.
EPOCHS = {"node": 20, "link": 20, "graph": 1}  # In a call: those of one graph are short.


def _ready(dataset: str, model: str) -> tuple[Plan, Problem, int]:
    data = load(dataset, task=task_of(model))
    ready = plan(data, model)
    check_fit(data, ready)
    return ready, problem_of(data, ready)(), EPOCHS[data.task]


def epoch(dataset: str, model: str) -> Work:
    """Milliseconds of an epoch of one lane: training, then scores of validation and test."""
    ready, task, each = _ready(dataset, model)
    method, facts = ready._replace(epochs=CALLS * each).method(DENSE), {}

    def sample() -> list[float]:
        ends: list[float] = []
        done = train(
            ready.model, task, method, [lane(0)], optimiser=ready.optimiser, chunk=each,
            report=lambda done, of: ends.append(time.perf_counter()),
        )  # fmt: skip
        facts["compile_s"] = done.compile_s
        return [1e3 * float(gap) / each for gap in np.diff(ends)]

    return Work(sample, facts)


def inference(dataset: str, model: str) -> Work:
    """Milliseconds of a pass: the whole graph, or all graphs that are held out."""
    ready, task, _ = _ready(dataset, model)
    data = task.select(task.data, jax.numpy.int32(0))
    graph, layout, _ = task.batch(data, 0, 0, jax.random.key(0))
    variables = ready.model.init(jax.random.key(0), graph, layout)

    @jax.jit
    def run(variables, data):
        return task.answer(lambda *inputs: infer(ready.model, variables, *inputs), data)

    return repeated(lambda: jax.block_until_ready(run(variables, data)))


MEASURES = {"epoch-of": epoch, "pass-of": inference}
