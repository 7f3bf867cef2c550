"""`compress`: one model, one data set, one call."""

import dataclasses
from pathlib import Path
from typing import Any

import flax.linen as nn

from jgc import pack
from jgc.data import Dataset
from jgc.models import MODELS
from jgc.prune import Pruner
from jgc.quant import Quantizer
from jgc.study.job import Job, described, run_job
from jgc.study.method import DENSE, Level, parse_method, parse_quantizer
from jgc.study.method import Method as Words
from jgc.study.plan import Plan, of_model, plan
from jgc.study.recipe import Settings
from jgc.study.store import Store
from jgc.train import Method, Model, Phase, larger_is_better


@dataclasses.dataclass(frozen=True)
class Result:
    """What `compress` gives back.

    Attributes:
        rows: One a seed, dense rows first: see the keys in `jgc.study.rows`.
        model: The module, fitted to the task.
        best: The compressed model of the seed that validation likes most.
        artefact: The arguments that `jgc.pack.save` packs it with.
    """

    rows: list[dict[str, Any]]
    model: nn.Module
    best: Model
    artefact: dict[str, Any]

    def save(self, folder: str | Path) -> pack.Artefact:
        """Writes `model.safetensors` and the rows into a folder, which is made.

        Args:
            folder: Where to.

        Returns:
            The artefact as it can be loaded again.

        Raises:
            OSError: if it cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        Store(folder).append(self.rows)
        return pack.save(folder / "model.safetensors", **self.artefact)


def compress(
    model: str | nn.Module,
    data: Dataset,
    *,
    prune: str | Words | Pruner | None = None,
    quantize: str | Words | Quantizer | None = None,
    seeds: int = 1,
    **settings,
) -> Result:
    """Trains a model dense, compresses it, and measures both.

    Args:
        model: A name of `jgc.models.MODELS`, or a model of that room.
        data: From `jgc.data.load`.
        prune: `"global:0.5"`, or a `Pruner` such as `jgc.prune.global_magnitude(0.5)`.
        quantize: `"qat:8"`, or a `Quantizer` such as `jgc.quant.qat(8)`.
        seeds: Repetitions, >= 1, all in one program.
        settings: `epochs`, `finetune_epochs`, `learning_rate`, ...: see `jgc.study.Settings`.

    Returns:
        A `Result`.

    Raises:
        ValueError: for an unknown word, a value out of its range, or a setting that the model
            does not have.

    Example:
        >>> import jgc
        >>> data = jgc.data.load("sbm")
        >>> result = compress("gcn", data, prune="global:0.9", hidden=16, epochs=20)
        >>> dense, small = result.rows
        >>> small["bytes_file"] < dense["bytes_file"] / 7, round(small["sparsity"], 3)
        (True, 0.9)
    """
    if seeds < 1:
        raise ValueError(f"`seeds` must be >= 1, got {seeds}.")
    chosen = Settings(**settings)
    ready = plan(data, model, chosen) if isinstance(model, str) else of_model(data, model, chosen)
    name = model if isinstance(model, str) else _name(model)
    method, level = _method(prune, quantize, ready)
    plain = ready.method(DENSE)
    dense = Job(data, name, ready, plain, _runs(Level(), seeds))
    first = run_job(dense)
    if method.name == "dense":
        return _result(dense, level, first.rows, first.rows, first.models)
    job = Job(data, name, ready, method, _runs(level, seeds))
    second = run_job(job, dense=(dense, first.trained.state))
    return _result(job, level, first.rows + second.rows, second.rows, second.models)


def _result(job: Job, level: Level, rows, candidates, models: list[Model]) -> Result:
    sign = 1 if larger_is_better(candidates[0]["metric"]) else -1
    best = max(range(len(candidates)), key=lambda i: sign * candidates[i]["val"])
    row = candidates[best]
    told = {name: row[name] for name in ("metric", "val", "test", "config")}
    artefact = described(job, models[best], told)
    return Result(rows, job.plan.model, models[best], artefact)


def _method(prune, quantize, ready: Plan) -> tuple[Method, Level]:
    """The method and its one level, from words or from ready-made transforms."""
    prune = parse_method(prune) if isinstance(prune, str) else prune
    quantize = parse_quantizer(quantize) if isinstance(quantize, str) else quantize
    _check("prune", prune, (Words, Pruner), "'global:0.5' or jgc.prune.global_magnitude(0.5)")
    _check("quantize", quantize, (Words, Quantizer), "'qat:8' or jgc.quant.qat(8)")
    words = [part for part in (prune, quantize) if isinstance(part, Words)]
    given = [part for part in (prune, quantize) if part is not None]
    if len(words) == len(given):
        joined = _joined(words)
        return ready.method(joined), joined.levels[0]
    return _from_transforms(prune, quantize, ready)


def _joined(words: list[Words]) -> Words:
    """One method from a pruning and a quantising one, or `dense` from none."""
    if not words:
        return DENSE
    said = {key: value for word in words for key, value in word.model_dump().items() if value}
    return Words.checked(said | {"name": "+".join(word.name for word in words)}, "method")


def _check(argument: str, part, types: tuple[type, ...], example: str) -> None:
    if part is not None and not isinstance(part, types):
        raise ValueError(f"`{argument}` is a {type(part).__name__}; give {example}.")
    if isinstance(part, Words) and len(part.levels) != 1:
        raise ValueError(f"`{argument}` has {len(part.levels)} levels; give one, or run a study.")


def _from_transforms(prune, quantize, ready: Plan) -> tuple[Method, Level]:
    if any(isinstance(part, Words) for part in (prune, quantize)):
        raise ValueError("Give `prune` and `quantize` both as words or both as transforms.")
    tune = ready.finetune_epochs or 1
    phases, level = [Phase(ready.epochs)], Level()
    if prune is not None:
        phases.append(Phase(tune, prune=True))
    if quantize is not None:
        first = Phase(ready.epochs, quantize=True)
        phases = [*phases, Phase(tune, quantize=True)] if prune is not None else [first]
    name = "+".join(word for word, part in (("pruner", prune), ("quantizer", quantize)) if part)
    return Method(
        name,
        tuple(phases),
        None if prune is None else lambda sparsity, key: prune,
        None if quantize is None else lambda bits: quantize,
    ), level


def _runs(level: Level, seeds: int) -> tuple[tuple[Level, int], ...]:
    return tuple((level, seed) for seed in range(seeds))


def _name(model: nn.Module) -> str:
    names = {cls: name for name, cls in MODELS.items()}
    inner = getattr(model, "encoder", model)
    return names.get(type(inner), type(inner).__name__.lower())
