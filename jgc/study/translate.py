"""From the words of a recipe's method to the method that trains."""

from typing import Any, NamedTuple

from jgc import prune, quant
from jgc.study.course import Course, course
from jgc.study.method import PRUNER_CHOICES
from jgc.study.method import Method as Words
from jgc.train import Method, Phase
from jgc.tree import PathPredicate, is_kernel, output_axis


class Heads(NamedTuple):
    """The inner attention layers of a model.

    Attributes:
        n: Heads of a layer.
        features: Outputs of a head.
    """

    n: int
    features: int


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
