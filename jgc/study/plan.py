"""From the words of a recipe to a model, a method and an optimiser: the defaults live here."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax

from jgc import prune, quant
from jgc.data import Dataset, training_graph
from jgc.models import GAT, GraphModel, for_task, named, task_of
from jgc.study.course import Course, course
from jgc.study.method import PRUNER_CHOICES
from jgc.study.method import Method as Words
from jgc.study.recipe import Settings
from jgc.train import GradES, Kfac, Method, Optimiser, Phase, Stopping, check_metrics
from jgc.tree import PathPredicate, is_kernel, output_axis

# What every recipe of the literature agrees on; a row for a model comes over the one for its task.
DEFAULTS: dict[tuple[str, str], Settings] = {
    ("node", ""): Settings(hidden=64, epochs=200, learning_rate=0.01, weight_decay=5e-4),
    ("node", "gat"): Settings(hidden=8, epochs=300, learning_rate=0.005, dropout=0.6),
    # PyG's examples/super_gat.py.
    ("node", "supergat"): Settings(hidden=8, epochs=300, learning_rate=0.005, dropout=0.6),
    # PyG's examples/cora.py has a weight decay of 5e-3 on raw words; here each row sums to 1, and
    # weights some 18 times as large take the task's 5e-4.
    ("node", "splinecnn"): Settings(hidden=16),
    # The authors' code, and that of the powers it tries (1 to 10) which is best on Cora's
    # validation part.
    ("node", "ssp"): Settings(hidden=16, input_dropout=0.0, kfac_damping=0.01, guess_power=3.0),
    ("link", ""): Settings(
        hidden=32, dropout=0.0, epochs=200, learning_rate=0.01, weight_decay=0.0
    ),
    ("link", "gat"): Settings(hidden=8, heads=4, learning_rate=0.005),
    ("link", "supergat"): Settings(hidden=8, heads=4, learning_rate=0.005),
    ("link", "ness"): Settings(dropout=0.2, parts=4),
    ("graph", ""): Settings(
        hidden=64, epochs=100, learning_rate=0.01, weight_decay=0.0, batch_size=32, readout="sum"
    ),
    # ProtGNN's Configures.py. Differs: its code leaves the dropout out before a head of one map.
    ("graph", "gnnnet"): Settings(
        hidden=128, learning_rate=0.005, batch_size=24, readout="max", head_layers=1
    ),
    ("graph", "gin-a2q"): Settings(batch_size=128, readout="mean", head_dropout=0.0),
    ("graph", "supergat"): Settings(heads=2),
    # The authors' batches; their rate is 5e-5, for 50 epochs.
    ("graph", "walkpool"): Settings(hidden=32, epochs=30, learning_rate=0.001),
    # The authors' rates. Their batches of 512 graphs make two steps an epoch, ours 26: validation
    # has settled long before epoch 50.
    ("graph", "hgp-sl"): Settings(
        hidden=128, epochs=50, learning_rate=0.001, weight_decay=0.001, dropout=0.5
    ),
    # Rows come over "node": pairs of vectors of arXiv 2209.04766, vectors of nodes
    ("pairs", ""): Settings(
        epochs=20, batch_size=1024, rule="sgd", learning_rate=0.05, rate_decay=0.98,
        weight_decay=0.0,
    ),
    ("pairs", "mlp"): Settings(hidden=128, layers=2, dropout=0.0),
    ("vectors", ""): Settings(
        epochs=20, batch_size=512, learning_rate=0.004, rate_decay=0.99, weight_decay=0.001
    ),
    # Differs: the authors drop and cut off at 0 after the last map too, so that no logit is below.
    ("vectors", "mlp"): Settings(hidden=256, layers=3, narrowing=2, bias=False, dropout=0.1),
}  # fmt: skip


class Heads(NamedTuple):
    """The inner attention layers of a model.

    Attributes:
        n: Heads of a layer.
        features: Outputs of a head.
    """

    n: int
    features: int


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


def method_of(
    words: Words,
    epochs: int,
    finetune_epochs: int,
    n_out: int | None = None,
    heads: Heads | None = None,
) -> Method:
    """The training method behind the words of a recipe.

    A pruning method trains as its course says (`course`); a quantiser trains quantised from the
    start; both together prune, fine-tune, and then fine-tune quantised.

    Args:
        words: Name and choices; the amounts are no part of a program.
        epochs: Of the first phase, and of one from scratch.
        finetune_epochs: Of each later one; 0 prunes without fine-tuning.
        n_out: Width of the answers: layers that wide lose no neurons.
        heads: Of the layers that lose heads; by default any layer does, 8 outputs a head.

    Returns:
        The `jgc.train.Method`.

    Example:
        >>> words = Words(name="global", sparsity=0.5)
        >>> [phase.epochs for phase in method_of(words, 200, 100).phases]
        [200, 100]
    """
    first, _, second = words.name.partition("+")
    if words.name in ("dense", "l2"):
        return Method(words.name, (Phase(epochs),), l2=words.name == "l2")
    if first in quant.METHODS:
        phases = (Phase(epochs, quantize=True),)
        return Method(words.label, phases, None, _quantizer(first, words))
    way = course(first, words.after, epochs, finetune_epochs)
    build = _pruner(words, way, n_out, heads)
    if not second:
        return Method(words.label, way.phases, build, stored=words.stored)
    phases = (*way.phases, Phase(max(finetune_epochs, 1), quantize=True))
    return Method(words.label, phases, build, _quantizer(second, words))


def _pruner(words: Words, way: Course, n_out: int | None, heads: Heads | None):
    """`(sparsity, key) -> Pruner`, by the words of a recipe and the course of its training."""
    name = words.name.partition("+")[0]
    given: dict[str, Any] = {"schedule": way.schedule, "every": way.every}
    for choice in PRUNER_CHOICES:
        if getattr(words, choice) is not None:
            given[choice] = getattr(words, choice)
    if name == "head" and heads is not None:
        given["features"] = heads.features
        given["is_prunable"] = _as_wide_as(heads.n * heads.features)
    elif _takes_neurons(name, words):
        given["is_prunable"] = _not_as_wide_as(n_out)
    return lambda sparsity, key: prune.METHODS[name](sparsity, key=key, **given)


def _takes_neurons(name: str, words: Words) -> bool:
    """Whether whole neurons go: those of the last layer are the answers and must stay."""
    default = {"row": "row", "group-lasso": "row"}.get(name)
    return (words.structure or default) == "row"


def _not_as_wide_as(width: int | None) -> PathPredicate:
    return lambda name, leaf: is_kernel(name, leaf) and leaf.shape[output_axis(name)] != width


def _as_wide_as(width: int) -> PathPredicate:
    return lambda name, leaf: is_kernel(name, leaf) and leaf.shape[output_axis(name)] == width


def _quantizer(name: str, words: Words):
    choices = {
        "ranges": words.ranges,
        "clip_gradient": words.gradient and words.gradient == "gc",
        "bits_values": words.bits_values,
    }
    given = {key: choice for key, choice in choices.items() if choice is not None}
    return lambda bits: quant.METHODS[name](bits, **given)
