"""From the words of a recipe to a model, a method and an optimiser: the defaults live here."""

import inspect
from typing import NamedTuple

import flax.linen as nn

from jgc import prune, quant
from jgc.data import Dataset
from jgc.models import GraphModel, for_task, named, task_of
from jgc.study.recipe import Settings
from jgc.train import Method, Optimiser, Phase

# What every recipe of the literature agrees on; a row for a model comes over the one for its task.
DEFAULTS: dict[tuple[str, str], Settings] = {
    ("node", ""): Settings(hidden=64, epochs=200, learning_rate=0.01, weight_decay=5e-4),
    ("node", "gat"): Settings(hidden=8, epochs=300, learning_rate=0.005, dropout=0.6),
    ("link", ""): Settings(
        hidden=32, dropout=0.0, epochs=200, learning_rate=0.01, weight_decay=0.0
    ),
    ("link", "gat"): Settings(hidden=8, heads=4, learning_rate=0.005),
    ("link", "ness"): Settings(dropout=0.2, parts=4),
    ("graph", ""): Settings(
        hidden=64, epochs=100, learning_rate=0.01, weight_decay=0.0, batch_size=32, readout="sum"
    ),
    # The authors' rates. Their batches of 512 graphs make two steps an epoch, ours 26: validation
    # has settled long before epoch 50.
    ("graph", "hgp-sl"): Settings(
        hidden=128, epochs=50, learning_rate=0.001, weight_decay=0.001, dropout=0.5
    ),
}


class Plan(NamedTuple):
    """Everything that one (data set, model) needs to be trained, whatever the method.

    Attributes:
        model: Fitted to the task.
        optimiser: Adam's settings.
        epochs: Of the dense training, and of a quantised one from scratch.
        finetune_epochs: Of each phase that follows.
        batch_size: Graphs a batch.
        settings: All settings that were used, defaults filled in.
        architecture: What a ready-made model says of itself; `None` where `settings` say all.
    """

    model: nn.Module
    optimiser: Optimiser
    epochs: int
    finetune_epochs: int
    batch_size: int
    settings: Settings
    architecture: str | None = None


def plan(dataset: Dataset, model: str, settings: Settings | None = None) -> Plan:
    """Fills in defaults and builds the model.

    Args:
        dataset: What it is for.
        model: A name of `jgc.models.MODELS`.
        settings: What a recipe says; absent settings take the defaults above.

    Returns:
        The `Plan`.

    Raises:
        ValueError: for an unknown model, or a setting that the model does not have.

    Example:
        >>> import jgc.data
        >>> plan(jgc.data.load("sbm"), "gcn").model.hidden
        64
    """
    encoder, merged = build(dataset.task, model, settings)
    built = for_task(encoder, dataset.task, dataset.n_class)
    if isinstance(built, GraphModel):
        head = {"readout": merged.readout, "dropout": merged.head_dropout}
        built = built.clone(**{name: value for name, value in head.items() if value is not None})
    return of_model(dataset, built, merged)._replace(architecture=None)


def build(task: str, model: str, settings: Settings | None) -> tuple[nn.Module, Settings]:
    """Builds a model by name, not yet fitted to classes, and says all settings that were used.

    Raises:
        ValueError: for an unknown model, or a setting that the model does not have.

    Example:
        >>> model, settings = build("link", "gcn", Settings(hidden=64))
        >>> model.out, settings.epochs
        (32, 200)
    """
    layers = (DEFAULTS[task, ""], DEFAULTS.get((task, model), Settings()), settings or Settings())
    merged = Settings(
        **{k: v for layer in layers for k, v in layer.model_dump(exclude_none=True).items()}
    )
    own = ("hidden", "layers", "heads", "dropout", "input_dropout", "batch_norm")
    chosen = merged.model_dump(include=set(own), exclude_none=True)
    if task_of(model) == "link":
        chosen["out"] = chosen.pop("hidden")  # One map alone, whose width is the embedding's.
    elif task == "link":
        # The embedding is half as wide as the hidden layer: 32 and 16 in Kipf and Welling's paper.
        chosen["out"] = max(chosen["hidden"] * chosen.get("heads", 1) // 2, 1)
    elif task == "graph":
        chosen["out"] = chosen["hidden"]
    return named(model, **chosen), merged


def of_model(dataset: Dataset, model: nn.Module, settings: Settings) -> Plan:
    """The plan of a model that is built already."""
    base = DEFAULTS[dataset.task, ""]
    used = base.model_copy(update=settings.model_dump(exclude_none=True))
    assert used.epochs and used.learning_rate is not None and used.weight_decay is not None
    finetune = used.finetune_epochs
    return Plan(
        model=for_task(model, dataset.task, dataset.n_class),
        optimiser=Optimiser(used.learning_rate, used.weight_decay),
        epochs=used.epochs,
        finetune_epochs=used.epochs // 2 if finetune is None else finetune,
        batch_size=used.batch_size or 32,
        settings=used,
        architecture=" ".join(str(model).split()),
    )


def method_of(name: str, epochs: int, finetune_epochs: int) -> Method:
    """The training method behind a name of a recipe.

    A pruning method trains dense, prunes the best model and fine-tunes it; a quantiser trains
    quantised from the start; both together prune, fine-tune, and then fine-tune quantised.

    Args:
        name: `"dense"`, a key of `jgc.prune.METHODS` or `jgc.quant.METHODS`, or both as in
            `"global+qat"`.
        epochs: Of the first phase.
        finetune_epochs: Of each later one; 0 prunes without fine-tuning.

    Returns:
        The `jgc.train.Method`.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> [phase.epochs for phase in method_of("global", 200, 100).phases]
        [200, 100]
    """
    first, _, second = name.partition("+")
    if name == "dense":
        return Method(name, (Phase(epochs),))
    if first in prune.METHODS:
        # A rate of 0 changes no weight: the pruned model is scored as it is.
        tune = Phase(finetune_epochs, prune=True) if finetune_epochs else Phase(1, True, rate=0.0)
        phases = (Phase(epochs), tune)
        if not second:
            return Method(name, phases, _pruner(first))
        if second in quant.METHODS:
            phases = (*phases, Phase(max(finetune_epochs, 1), quantize=True))
            return Method(name, phases, _pruner(first), _quantizer(second))
    elif not second and first in quant.METHODS:
        return Method(name, (Phase(epochs, quantize=True),), None, _quantizer(first))
    known = ["dense", *prune.METHODS, *quant.METHODS]
    raise ValueError(f"Unknown method {name!r}: known are {known} and PRUNER+QUANTISER.")


def _pruner(name: str):
    factory = prune.METHODS[name]
    takes = inspect.signature(factory).parameters

    def build(sparsity, key):
        given = {"sparsity": sparsity, "key": key}
        return factory(**{word: value for word, value in given.items() if word in takes})

    return build


def _quantizer(name: str):
    return lambda bits: quant.METHODS[name](bits)
