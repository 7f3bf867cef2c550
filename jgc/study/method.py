"""`Method`: a way of compressing and its levels, as recipes and the command line name it."""

import inspect
import itertools
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt, StrictStr, model_validator

from jgc.study.rows import did_you_mean
from jgc.study.toml import Table

Name = Annotated[StrictStr, Field(min_length=1, description="a name in quotes")]
Fraction = Annotated[StrictFloat, Field(ge=0, le=1)]
Bits = Annotated[StrictInt, Field(ge=2, le=8)]


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


class Method(Table):
    """One way of compressing, at one or more levels.

    Attributes:
        name: `dense`, a pruning method, a quantiser, or both as `global+qat` (prune, then
            quantise).
        sparsity: Fractions of the prunable weights to remove; empty without pruning.
        bits: Widths of the quantised weights; empty without quantisation.
    """

    name: Name
    sparsity: Annotated[tuple[Fraction, ...], BeforeValidator(_listed)] = Field(
        (), description="a fraction in [0, 1] (0.5 removes half of the weights) or a list of them"
    )
    bits: Annotated[tuple[Bits, ...], BeforeValidator(_listed)] = Field(
        (), description="a whole number in 2..8 or a list of them"
    )

    @property
    def levels(self) -> tuple[tuple[float | None, int | None], ...]:
        """Every `(sparsity, bits)` of the method, sparsity outside, `None` where it has none.

        Example:
            >>> Method(name="dense").levels
            ((None, None),)
        """
        return tuple(itertools.product(self.sparsity or (None,), self.bits or (None,)))

    @model_validator(mode="after")
    def _amounts_fit_the_name(self) -> "Method":
        takes = _takes(self.name)
        given = {key for key in ("sparsity", "bits") if getattr(self, key)}
        for key in sorted(given - takes):
            raise ValueError(f"method `{self.name}` takes no `{key}`.")
        for key in sorted(takes - given):
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
        Method(name='global', sparsity=(0.5,), bits=())
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
        Method(name='qat', sparsity=(), bits=(8,))
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
    """Which of `sparsity` and `bits` a method takes, read off its factories."""
    if name == "dense":
        return frozenset()
    # Late: these rooms import jax, which reading rows and reports can do without.
    from jgc.prune import METHODS as PRUNERS
    from jgc.quant import METHODS as QUANTIZERS

    first, plus, second = name.partition("+")
    tables = (PRUNERS, QUANTIZERS) if plus else ({**PRUNERS, **QUANTIZERS},)
    taken: set[str] = set()
    for part, table in zip((first, second), tables, strict=False):
        if part not in table:
            known = table if plus else ["dense", *table]
            raise ValueError(f"unknown method `{part}`{did_you_mean(part, known)}")
        taken |= set(inspect.signature(table[part]).parameters) & {"sparsity", "bits"}
    return frozenset(taken)
