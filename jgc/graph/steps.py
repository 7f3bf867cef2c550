"""Steps: what happens to a sum before it is written.

Done one after the other in memory, scaling, shifting and rounding cost more than the sums that they
follow. The C++ kernels do them in registers; elsewhere XLA does.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

# In the order in which the kernels number them (`jgc/native/steps.h`).
STEPS = ("times_row", "times_column", "plus_column", "times", "relu", "grid", "codes")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Step:
    """What happens to a result before it is written.

    Attributes:
        name: One of `STEPS`. Static.
        table: Float32. `times_row`: `[n_row]`; `times_column` and `plus_column`: `[width]`;
            `times`: `[1]`; `relu`: `[0]`; `grid`: 1 / step, smallest and largest code less the zero
            point, step, and the value is rounded to the grid; `codes`: the same with the zero
            point in the place of the step, and the value becomes its code; only as the last.
    """

    name: str = dataclasses.field(metadata={"static": True})
    table: Array

    def __post_init__(self):
        """Refuses a name that no kernel knows."""
        if self.name not in STEPS:
            raise ValueError(f"`name` must be one of {list(STEPS)}, got {self.name!r}.")


Steps = tuple[Step, ...]


def call(target: str, result: jax.ShapeDtypeStruct, steps: Steps, *operands: Array) -> Array:
    """Calls a C++ kernel: the steps' tables are its last operands, their names an attribute."""
    names = np.array([STEPS.index(step.name) for step in steps], np.int32)
    tables = [step.table.astype(jnp.float32) for step in steps]
    return jax.ffi.ffi_call(target, result)(*operands, *tables, steps=names)


def through(steps: Steps, total: Array, out) -> Array:
    """All steps done to `[n, width]` by XLA, as the kernels do them; `out` is the result's type."""
    t = total.astype(jnp.float32)
    for step in steps:
        table = step.table
        if step.name == "times_row":
            t = t * table[:, None]
        elif step.name in ("times_column", "times"):
            t = t * table[None]
        elif step.name == "plus_column":
            t = t + table[None]
        elif step.name == "relu":
            t = jnp.maximum(t, 0)
        else:
            code = jnp.clip(jnp.round(t * table[0]), table[1], table[2])
            t = code * table[3] if step.name == "grid" else code + table[3]
    return t.astype(out)
