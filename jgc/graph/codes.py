"""Arrays of codes, and results that wait: how a model computes in integers without knowing.

`Codes` are bytes on a grid; `Pending` is an integer sum whose steps are not done yet. Both act as
arrays. What fits the kernels (a row or column of factors, a bias, ReLU, another grid) is added to
the steps that wait; whatever else a model does with them decodes them to float32 first, so that
every model runs, in integers where it can.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from jgc.graph.integer import ByteWeights, Step, Steps, byte_matmul, byte_sum
from jgc.graph.structure import Structure


class _Decodes:
    """Whatever an array can do and its own class does not, the decoded values do."""

    def __jax_array__(self) -> Array:
        raise NotImplementedError

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__jax_array__(), name)


def _decoded(operator: str):
    def run(self, *args):
        return getattr(self.__jax_array__(), operator)(*args)

    return run


# Python looks operators up on the class, not by `__getattr__`.
for _operator in ("getitem", "mul", "rmul", "add", "radd", "sub", "rsub", "truediv", "rtruediv",
                  "matmul", "neg", "pow", "lt", "le", "gt", "ge"):  # fmt: skip
    setattr(_Decodes, f"__{_operator}__", _decoded(f"__{_operator}__"))


class Codes(_Decodes):
    """Values on a grid of bytes, `(codes - zero) * step`.

    Attributes:
        codes: uint8 `[n, width]`.
        step: Of the grid, float32 `[]`.
        zero: Code of 0, int32 `[]`.
        backend: That sums them, `"native"` or `"segment"` (XLA).
    """

    def __init__(self, codes: Array, step: Array, zero: Array, backend: str):
        self.codes, self.step, self.zero, self.backend = codes, step, zero, backend

    def __jax_array__(self) -> Array:
        """The values, float32."""
        return (self.codes.astype(jnp.int32) - self.zero).astype(jnp.float32) * self.step

    def matmul(self, weights: ByteWeights, steps: Array) -> Any:
        """`values @ weights`, whose columns have `steps` of their own, float32 `[width]`."""
        factors = Step("times_column", steps * self.step)
        shape = (self.codes.shape[0], weights.width)

        def run(todo: Steps, out) -> Array:
            return byte_matmul(self.codes, self.zero, weights, todo, out, self.backend)

        return Pending(run, shape, (factors,), self.backend)

    def summed(self, pattern: Structure, own: Array | None) -> Any:
        """Sums over the rows of a pattern, each row's own value `own` times."""
        if own is not None:
            own = jnp.broadcast_to(jnp.asarray(own, jnp.float32), (pattern.n_row,))

        def run(todo: Steps, out) -> Array:
            return byte_sum(
                pattern, self.codes, self.zero, todo, own=own, out=out, backend=self.backend
            )

        factor = Step("times", jnp.reshape(self.step, 1))
        return Pending(run, (pattern.n_row, self.codes.shape[1]), (factor,), self.backend)


class Pending(_Decodes):
    """A float32 array that is an integer sum and the steps that it still has to pass.

    Attributes:
        shape: `(n, width)`.
        steps: What follows the sum.
    """

    ndim = 2
    dtype = jnp.dtype("float32")

    def __init__(
        self,
        run: Callable[[Steps, Any], Array],
        shape: tuple[int, int],
        steps: Steps,
        backend: str,
    ):
        self._run, self.shape, self.steps, self._backend = run, shape, steps, backend
        self._grid: tuple[Array, Array, Array] | None = None
        self._values: Array | None = None
        self._codes: Codes | None = None

    def on_grid(self, step: Array, zero: Array, top: Array) -> "Pending":
        """Rounded to codes 0..`top` of a grid, whose code of 0 is `zero`."""
        low, high = (-zero).astype(jnp.float32), (top - zero).astype(jnp.float32)
        table = jnp.stack([1.0 / step, low, high, step])
        rounded = self._then("grid", table)
        rounded._grid = step, zero, table
        return rounded

    def codes(self) -> Codes | None:
        """As codes, where rounding to a grid was the last step; else `None`."""
        if self._grid is None:
            return None
        if self._codes is None:
            step, zero, table = self._grid
            last = Step("codes", table.at[3].set(zero.astype(jnp.float32)))
            codes = self._run((*self.steps[:-1], last), jnp.uint8)
            self._codes = Codes(codes, step, zero, self._backend)
        return self._codes

    def __jax_array__(self) -> Array:
        """All steps done."""
        if self._values is None:
            codes = self._codes
            self._values = (
                self._run(self.steps, jnp.float32) if codes is None else codes.__jax_array__()
            )
        return self._values

    def relu(self) -> "Pending":
        """`max(x, 0)`."""
        return self._then("relu", jnp.zeros(0))

    def __mul__(self, other):
        """By a row or a column of factors or a number; by anything else, decoded."""
        other = jnp.asarray(other)
        if other.size == 1:
            return self._then("times", other.reshape(1))
        if other.shape == (self.shape[0], 1):
            return self._then("times_row", other[:, 0])
        if _is_column(other, self.shape):
            return self._then("times_column", other.reshape(-1))
        return self.__jax_array__() * other

    def __add__(self, other):
        """A value a column; anything else, decoded."""
        other = jnp.asarray(other)
        if _is_column(other, self.shape):
            return self._then("plus_column", other.reshape(-1))
        return self.__jax_array__() + other

    def __sub__(self, other):
        """As `+`."""
        return self + -jnp.asarray(other)

    __rmul__, __radd__ = __mul__, __add__

    def _then(self, name: str, table: Array) -> "Pending":
        step = Step(name, jnp.asarray(table, jnp.float32))
        return Pending(self._run, self.shape, (*self.steps, step), self._backend)


def relu(x: Any) -> Any:
    """`max(x, 0)`, also of what is still pending."""
    return x.relu() if isinstance(x, Pending) else jnp.maximum(x, 0)


def as_codes(x: Any) -> Codes | None:
    """The codes of a value that has some; `None` for plain arrays and what is on no grid."""
    return x if isinstance(x, Codes) else x.codes() if isinstance(x, Pending) else None


def _is_column(other: Array, shape: tuple[int, int]) -> bool:
    return other.shape in ((shape[1],), (1, shape[1]))
