"""`Method`: a way of compressing and its levels, as recipes and the command line name it."""

import inspect
import itertools
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt, StrictStr, model_validator

from jgc.study.rows import did_you_mean
from jgc.study.toml import Table

Name = Annotated[StrictStr, Field(min_length=1, description="a name in quotes")]
Fraction = Annotated[StrictFloat, Field(ge=0, le=1)]
Bits = Annotated[StrictInt, Field(ge=2, le=8)]
Strength = Annotated[StrictFloat, Field(ge=0)]


class Level(NamedTuple):
    """How much is compressed; `None` where the method does not, or only its own transform knows.

    Attributes:
        sparsity: Fraction of the prunable weights removed, in [0, 1].
        bits: Width of quantised weights, 2..8.
        l2: Strength of the L2 penalty, >= 0.
    """

    sparsity: float | None = None
    bits: int | None = None
    l2: float | None = None


AMOUNTS = ("sparsity", "bits", "l2")
# Choices that a pruner's factory takes by the same name.
PRUNER_CHOICES = ("structure", "budget")
CHOICES = ("after", "stored", "ranges", "gradient", "bits_values", *PRUNER_CHOICES)
# The parameter of a quantiser's factory behind each choice.
_PARAMETERS = {"ranges": "ranges", "gradient": "clip_gradient", "bits_values": "bits_values"}


def _ordered(values: tuple) -> tuple[list, list]:
    """The values rising and falling, each once: a list in another order is a slip of the pen."""
    return sorted(set(values)), sorted(set(values), reverse=True)


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class Method(Table):
    """One way of compressing, at one or more levels.

    Attributes:
        name: `dense`, `l2`, a pruning method, a quantiser, or both as `global+qat` (prune, then
            quantise).
        sparsity: Fractions of the prunable weights to remove; empty without pruning.
        bits: Widths of the quantised weights; empty without quantisation.
        l2: Strengths of the penalty that stands in for the weight decay; of `l2` only.
        after: What follows pruning: `finetune` (the default), `none`, training the pruned shape
            from its first weights (`rewind`), or from new ones for as many epochs as the dense
            model (`scratch`) or twice as many.
        ranges: How value ranges run: `abs`, `mom` or `per`; by default the quantiser's own.
        bits_values: Width of the values between layers; by default that of the weights.
        gradient: Through clipped values: `gc` (0) or `ste` (1); by default the quantiser's own.
        structure: What is pruned as one unit: `element`, `row`, `column` or `block`; by default
            the pruner's own.
        budget: How a sparse training deals its weights out: `erdos-renyi` (the default) or
            `uniform`.
        stored: Sparse kernels are trained as their kept entries alone, which is quicker on CPU
            where few are kept (`jgc.train.Method`); for pruning without quantisation.

    References:
        Liu et al., "Rethinking the Value of Network Pruning", ICLR 2019, sec. 3 (Scratch-E and -B).
    """

    name: Name
    sparsity: Annotated[tuple[Fraction, ...], BeforeValidator(_listed)] = Field(
        (), description="a fraction in [0, 1] (0.5 removes half of the weights) or a list of them"
    )
    bits: Annotated[tuple[Bits, ...], BeforeValidator(_listed)] = Field(
        (), description="a whole number in 2..8 or a list of them"
    )

    l2: Annotated[tuple[Strength, ...], BeforeValidator(_listed)] = Field(
        (), description="a number >= 0 or a list of them"
    )
    after: Annotated[
        Literal["finetune", "none", "rewind", "scratch", "scratch-2x"] | None,
        Field(description='"finetune", "none", "rewind", "scratch" or "scratch-2x"'),
    ] = None
    ranges: Annotated[
        Literal["abs", "mom", "per"] | None, Field(description='"abs", "mom" or "per"')
    ] = None
    bits_values: Bits | None = Field(None, description="a whole number in 2..8")
    gradient: Annotated[Literal["gc", "ste"] | None, Field(description='"gc" or "ste"')] = None
    structure: Annotated[
        Literal["element", "row", "column", "block"] | None,
        Field(description='"element", "row", "column" or "block"'),
    ] = None
    budget: Annotated[
        Literal["erdos-renyi", "uniform"] | None, Field(description='"erdos-renyi" or "uniform"')
    ] = None

    stored: bool = Field(False, description="true or false")

    @property
    def levels(self) -> tuple[Level, ...]:
        """Every level of the method, sparsity outermost, `None` where it has none.

        Example:
            >>> [level.bits for level in Method(name="qat", bits=[8, 4]).levels]
            [8, 4]
        """
        amounts = (getattr(self, key) or (None,) for key in AMOUNTS)
        return tuple(itertools.starmap(Level, itertools.product(*amounts)))

    @property
    def label(self) -> str:
        """The name with every choice that is not the default, as rows show it.

        Example:
            >>> Method(name="global", sparsity=0.5, after="none").label
            'global/none'
        """
        wide = None if self.bits_values is None else f"values-{self.bits_values}"
        stored = "stored" if self.stored else None
        choices = self.after, self.ranges, self.gradient, wide, self.structure, self.budget, stored
        return "/".join([self.name, *(word for word in choices if word and word != "finetune")])

    @model_validator(mode="after")
    def _amounts_fit_the_name(self) -> "Method":
        takes = _takes(self.name)
        given = {key for key in (*AMOUNTS, *CHOICES) if getattr(self, key)}
        for key in sorted(given - takes):
            raise ValueError(f"method `{self.name}` takes no `{key}`.")
        for key in AMOUNTS:
            if list(getattr(self, key)) not in (ordered := _ordered(getattr(self, key))):
                raise ValueError(f"`{key}` is a list out of order; write {ordered[0]}.")
        for key in sorted((takes & set(AMOUNTS)) - given):
            allowed = Method.model_fields[key].description
            raise ValueError(f"method `{self.name}` needs `{key}`: {allowed}.")
        return self


def parse_method(text: str) -> Method:
    """Reads a pruning method from one word, as `--prune` takes it.

    Args:
        text: `NAME:SPARSITY`.

    Raises:
        ValueError: for another shape, an unknown name, or a sparsity outside [0, 1].

    Example:
        >>> parse_method("global:0.5")
        Method(name='global', sparsity=(0.5,), bits=(), ...)
    """
    return _parse(text, "sparsity", float, "global:0.5")


def parse_quantizer(text: str) -> Method:
    """Reads a quantiser from one word, as `--quantize` takes it.

    Args:
        text: `NAME:BITS`.

    Raises:
        ValueError: for another shape, an unknown name, or bits outside 2..8.

    Example:
        >>> parse_quantizer("qat:8")
        Method(name='qat', sparsity=(), bits=(8,), ...)
    """
    return _parse(text, "bits", int, "qat:8")


def _parse(text: str, key: str, number, example: str) -> Method:
    name, colon, amount = text.rpartition(":")
    try:
        values = {"name": name, key: number(amount)} if colon else {"name": text}
    except ValueError:
        raise ValueError(f"`{text}` is not NAME:{key.upper()}, such as `{example}`.") from None
    return Method.checked(values, f"`{text}`")


@cache
def _takes(name: str) -> frozenset[str]:
    """Which amounts and choices a method takes, read off its factories."""
    if name in ("dense", "l2"):
        return frozenset({name} & set(AMOUNTS))
    # Late: these rooms import jax, which reading rows and reports can do without.
    from jgc.prune import COURSES
    from jgc.prune import METHODS as PRUNERS
    from jgc.quant import METHODS as QUANTIZERS

    first, plus, second = name.partition("+")
    tables = (PRUNERS, QUANTIZERS) if plus else ({**PRUNERS, **QUANTIZERS},)
    taken: set[str] = set()
    for part, table in zip((first, second), tables, strict=False):
        if part not in table:
            known = table if plus else ["dense", "l2", *table]
            raise ValueError(f"unknown method `{part}`{did_you_mean(part, known)}")
        parameters = set(inspect.signature(table[part]).parameters)
        taken |= parameters & set(AMOUNTS)
        taken |= parameters & set(PRUNER_CHOICES)
        taken |= {"stored"} if part in PRUNERS and not plus else set()
        taken |= {"after"} if COURSES.get(part) in ("after", "rewound") else set()
        taken |= {key for key, behind in _PARAMETERS.items() if behind in parameters}
    return frozenset(taken)


DENSE = Method.checked({"name": "dense"}, "dense")
