"""Methods of a recipe, for the tests of this room."""

from jgc.prune import METHODS as PRUNERS
from jgc.quant import METHODS as QUANTIZERS
from jgc.study import Method


def words(name, **choices):
    """A method with some amount wherever it takes one."""
    first, _, second = name.partition("+")
    amounts = {"sparsity": 0.5} if first in PRUNERS else {}
    amounts |= {"bits": 4} if {first, second} & set(QUANTIZERS) else {}
    return Method.checked({"name": name, **amounts, **choices}, "method")
