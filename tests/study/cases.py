"""Methods and recipes for tests of studies."""

from jgc.prune import METHODS as PRUNERS
from jgc.quant import METHODS as QUANTIZERS
from jgc.study import Method


def words(name, **choices):
    """A method with some amount wherever it takes one."""
    first, _, second = name.partition("+")
    amounts = {"sparsity": 0.5} if first in PRUNERS else {}
    amounts |= {"bits": 4} if {first, second} & set(QUANTIZERS) else {}
    return Method.checked({"name": name, **amounts, **choices}, "method")


def tiny_recipe(*, seeds=2, hidden=4, epochs=3, finetune=2, sparsity=(0.5, 0.9)):
    """The text of a recipe: an MLP on the embedded data, dense and pruned."""
    return f"""
name = "tiny"
seeds = {seeds}
[[run]]
dataset = "sbm"
model = "mlp"
settings = {{hidden = {hidden}, epochs = {epochs}, finetune_epochs = {finetune}}}
[[run.method]]
name = "dense"
[[run.method]]
name = "global"
sparsity = {list(sparsity)}
"""
