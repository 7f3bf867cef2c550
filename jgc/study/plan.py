"""From the words of a recipe to a model, an optimiser and the lengths of a training."""

from typing import NamedTuple

import flax.linen as nn
import jax

from jgc.data import Dataset, training_graph
from jgc.models import GAT, GraphModel, for_task, named, task_of
from jgc.study.defaults import DEFAULTS
from jgc.study.method import Method as Words
from jgc.study.recipe import Settings
from jgc.study.translate import Heads, method_of
from jgc.train import GradES, Kfac, Method, Optimiser, Stopping, check_metrics


class Plan(NamedTuple):
    """Everything that one (data set, model) needs to be trained, whatever the method.

    Attributes:
        model: Fitted to the task.
        optimiser: Adam's settings.
        epochs: Of the dense training, and of a quantised one from scratch.
        finetune_epochs: Of each phase that follows.
        batch_size: Graphs or rows a batch; `None`: as `jgc.train.problem` has it.
        settings: All settings that were used, defaults filled in.
        architecture: What a ready-made model says of itself; `None` where `settings` say all.
        n_out: Width of the answers; `None` for links, whose answers are products of embeddings.
        stopping: What may end a phase early.
    """

    model: nn.Module
    optimiser: Optimiser
    epochs: int
    finetune_epochs: int
    batch_size: int | None
    settings: Settings
    architecture: str | None = None
    n_out: int | None = None
    stopping: Stopping = Stopping()

    def method(self, words: Words) -> Method:
        """The training method behind the words of a recipe, with this plan's lengths.

        Raises:
            ValueError: for pruning heads of a model that has none.
        """
        encoder, heads = getattr(self.model, "encoder", self.model), None
        if isinstance(encoder, GAT):
            heads = Heads(encoder.heads, encoder.hidden)
        elif words.name.partition("+")[0] == "head":
            raise ValueError(
                "method `head` prunes attention heads, which `gat` and `supergat` have, but not "
                f"`{type(encoder).__name__.lower()}`; try `row`."
            )
        return method_of(words, self.epochs, self.finetune_epochs, self.n_out, heads)


def plan(dataset: Dataset, model: str, settings: Settings | None = None) -> Plan:
    """Fills in defaults and builds the model.

    Args:
        dataset: What it is for.
        model: A name of `jgc.models.MODELS`.
        settings: What a recipe says; absent settings take those of `DEFAULTS`.

    Returns:
        The `Plan`.

    Raises:
        ValueError: for an unknown model, or a setting that the model does not have.

    Example:
        >>> import jgc.data
        >>> plan(jgc.data.load("sbm"), "gcn").model.hidden
        64
    """
    encoder, merged = build(dataset.task, model, settings, rows_of(dataset))
    built = for_task(encoder, dataset.task, dataset.n_class)
    if isinstance(built, GraphModel):
        head = {
            "readout": merged.readout,
            "dropout": merged.head_dropout,
            "head_layers": merged.head_layers,
        }
        built = built.clone(**{name: value for name, value in head.items() if value is not None})
    return of_model(dataset, built, merged)._replace(architecture=None)


def check_fit(dataset: Dataset, ready: Plan) -> None:
    """Shows a data set to its model without training or computing anything.

    Raises:
        ValueError: for a data set that the model cannot take, such as one without edge features;
            for a metric that does not fit its labels.

    Example:
        >>> import jgc.data
        >>> data = jgc.data.load("motif")
        >>> check_fit(data, plan(data, "mpnn"))
        Traceback (most recent call last):
            ...
        ValueError: `mpnn` reads `graph.edges`, which this data set lacks...
    """
    graph = dataset.graphs[0]
    if dataset.task == "link":
        graph = training_graph(dataset, dataset.splits[0])
    check_metrics(dataset, ready.settings.metric, ready.settings.choose)
    jax.eval_shape(lambda key: ready.model.init(key, graph), jax.random.key(0))


def rows_of(dataset: Dataset) -> str | None:
    """What the nodes are where no edge joins them: "pairs" or "vectors"; else `None`.

    Example:
        >>> import jgc.data
        >>> rows_of(jgc.data.load("sbm"))
    """
    if dataset.task != "node" or dataset.graphs[0].senders.size:
        return None
    return "pairs" if dataset.kind == "binary" else "vectors"


def build(
    task: str, model: str, settings: Settings | None, rows: str | None = None
) -> tuple[nn.Module, Settings]:
    """Builds a model by name, not yet fitted to classes, and says all settings that were used.

    Args:
        task: "node", "link" or "graph".
        model: A name of `jgc.models.MODELS`.
        settings: What a recipe says.
        rows: From `rows_of`.

    Raises:
        ValueError: for an unknown model, or a setting that the model does not have.

    Example:
        >>> model, settings = build("link", "gcn", Settings(hidden=64))
        >>> model.out, settings.epochs
        (32, 200)
    """
    merged = DEFAULTS[task, ""]
    for key in ((task, model), (rows or "", ""), (rows or "", model)):
        merged = _over(merged, DEFAULTS.get(key))
    merged = _over(merged, settings)
    own = ("hidden", "layers", "heads", "dropout", "input_dropout", "batch_norm")
    own += ("narrowing", "bias")
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
    base = _over(DEFAULTS[dataset.task, ""], DEFAULTS.get((rows_of(dataset) or "", "")))
    used = _over(base, settings)
    assert used.epochs and used.learning_rate is not None and used.weight_decay is not None
    finetune, damping = used.finetune_epochs, used.kfac_damping
    kfac = None if damping is None else Kfac(damping)
    return Plan(
        model=for_task(model, dataset.task, dataset.n_class),
        optimiser=Optimiser(
            used.learning_rate,
            used.weight_decay,
            kfac,
            used.rule or "adam",
            used.momentum or 0.0,
            bool(used.nesterov),
            used.rate_decay or 1.0,
        ),
        epochs=used.epochs,
        finetune_epochs=used.epochs // 2 if finetune is None else finetune,
        batch_size=used.batch_size,
        settings=used,
        architecture=" ".join(str(model).split()),
        n_out=None if dataset.task == "link" else dataset.n_class,
        stopping=Stopping(used.patience, GradES(**used.grades) if used.grades else None),
    )


def _over(base: Settings, settings: Settings | None) -> Settings:
    """The settings, and those of the base where they say nothing."""
    said = {} if settings is None else settings.model_dump(exclude_none=True)
    return base.model_copy(update=said)
