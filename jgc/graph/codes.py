"""Arrays of codes, and results that wait: how a model runs on fused kernels without knowing.

`Codes` are bytes on a grid, `Floats` plain numbers; `Pending` is a sum or product of either whose
steps are not done yet. All act as arrays. What fits the
kernels (a row or column of factors, a bias, ReLU, another grid) is added to the steps that wait;
other operators and methods decode to float32 first. Functions of `jax.numpy` may refuse them, so
only modules that say `fused = True` are handed any.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from jgc.graph.features import SparseRows
from jgc.graph.fused import float_sum
from jgc.graph.integer import ByteWeights, byte_matmul, byte_sum
from jgc.graph.steps import Step, Steps, through
from jgc.graph.structure import Structure


class _Decodes(ABC):
    """Whatever an array can do and its own class does not, the decoded values do."""

    @abstractmethod
    def __jax_array__(self) -> Array:
        """The values, float32."""

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
        step: Of the grid, float32 `[]`; or of each row's, `[n, 1]`.
        zero: Code of 0, int32 `[]`.
        backend: That sums them, `"native"`, or `"segment"` or `"scatter"` (XLA).

    Example:
        >>> x = Codes(jnp.array([[12, 10]], jnp.uint8), jnp.float32(0.5), jnp.int32(10), "segment")
        >>> jnp.asarray(x).tolist()
        [[1.0, 0.0]]
    """

    def __init__(self, codes: Array, step: Array, zero: Array, backend: str):
        self.codes, self.step, self.zero, self.backend = codes, step, zero, backend

    def __jax_array__(self) -> Array:
        """The values, float32."""
        return (self.codes.astype(jnp.int32) - self.zero).astype(jnp.float32) * self.step

    @property
    def has_one_grid(self) -> bool:
        """Whether sums of several rows' codes mean anything."""
        return self.step.ndim == 0

    def matmul(self, weights: ByteWeights, steps: Array) -> Any:
        """`values @ weights`, whose columns have `steps` of their own, float32 `[width]`."""
        each = steps * self.step if self.has_one_grid else steps
        factors = (Step("times_column", each),)
        if not self.has_one_grid:
            factors = (*factors, Step("times_row", self.step[:, 0]))
        shape = (self.codes.shape[0], weights.width)

        def run(todo: Steps, out) -> Array:
            return byte_matmul(self.codes, self.zero, weights, todo, out, self.backend)

        return Pending(run, shape, factors, self.backend)

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


class Floats(_Decodes):
    """Float32 values whose sums and products wait for what follows them.

    Attributes:
        values: Float32 `[n, width]`, or sparse rows.
        backend: That sums them.

    Example:
        >>> jnp.asarray(Floats(jnp.array([[1.0, 2.0]]), "segment")).tolist()
        [[1.0, 2.0]]
    """

    has_one_grid = True

    def __init__(self, values: Any, backend: str):
        self.values, self.backend = values, backend

    def __jax_array__(self) -> Array:
        """The values themselves."""
        return self.values

    def matmul(self, kernel: Array) -> Any:
        """`values @ kernel`."""

        def run(todo: Steps, out) -> Array:
            x = self.values
            if isinstance(x, SparseRows):
                return float_sum(x.structure, x.values, kernel, todo, backend=self.backend)
            return through(todo, x @ kernel, out)

        return Pending(run, (self.values.shape[0], kernel.shape[1]), (), self.backend, floats=True)

    def summed(self, pattern: Structure, own: Array | None) -> Any:
        """Sums over the rows of a pattern, each row's own value `own` times."""
        if own is not None:
            own = jnp.broadcast_to(jnp.asarray(own, jnp.float32), (pattern.n_row,))

        def run(todo: Steps, out) -> Array:
            del out  # Floats lie on no grid, so nothing but float32 is asked for.
            return float_sum(pattern, None, self.values, todo, own=own, backend=self.backend)

        return Pending(run, (pattern.n_row, self.values.shape[1]), (), self.backend, floats=True)


class Pending(_Decodes):
    """A float32 array that is a sum or a product and the steps that it still has to pass.

    Attributes:
        shape: `(n, width)`.
        steps: What follows the sum.

    Example:
        >>> total = Pending(lambda steps, out: jnp.ones((1, 2)), (1, 2), (), "segment")
        >>> total.shape, jnp.asarray(total).tolist()
        ((1, 2), [[1.0, 1.0]])
    """

    ndim = 2
    dtype = jnp.dtype("float32")

    def __init__(
        self,
        run: Callable[[Steps, Any], Array],
        shape: tuple[int, int],
        steps: Steps,
        backend: str,
        floats: bool = False,
    ):
        self._run, self.shape, self.steps, self._backend = run, shape, steps, backend
        self._floats = floats
        self._grid: tuple[Array, Array, Array] | None = None  # step, zero, top
        self._values: Array | None = None
        self._codes: Codes | None = None

    def on_grid(self, step: Array, zero: Array, top: Array) -> "Pending":
        """Rounded to codes 0..`top` of a grid, whose code of 0 is `zero`."""
        rounded = self._then("grid", _bounds(step, zero, top, step))
        rounded._grid = step, zero, top
        return rounded

    def operand(self) -> Codes | Floats | None:
        """As codes, where rounding to a grid was the last step, or as floats if it was made so."""
        if self._grid is None:
            return Floats(self.__jax_array__(), self._backend) if self._floats else None
        if self._codes is None:
            step, zero, top = self._grid
            last = Step("codes", _bounds(step, zero, top, zero))
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
        return Pending(self._run, self.shape, (*self.steps, step), self._backend, self._floats)


def on_grid(x: Any, step: Array, zero: Array, top: Array, backend: str) -> Codes | Pending:
    """Values on a grid: codes of an array, one more step of what is pending.

    Args:
        x: `[n, width]`.
        step: Of the grid, float32 `[]`.
        zero: Code of 0, int32 `[]`.
        top: Largest code, int32 `[]`.
        backend: That will sum codes, `"native"`, `"segment"` or `"scatter"`.

    Returns:
        What stands for `(clip(round(x / step), -zero, top - zero)) * step`.

    Example:
        >>> grid = jnp.float32(0.5), jnp.int32(4), jnp.int32(15)
        >>> x = on_grid(jnp.array([[0.6, 9.0]]), *grid, "segment")
        >>> x.codes.tolist(), jnp.asarray(x).tolist()
        ([[5, 15]], [[0.5, 5.5]])
    """
    if isinstance(x, Pending):
        return x.on_grid(step, zero, top)
    last = Step("codes", _bounds(step, zero, top, zero))
    return Codes(through((last,), jnp.asarray(x), jnp.uint8), step, zero, backend)


def on_row_grids(x: Array, step: Array, zero: Array, top: Array, backend: str) -> Codes:
    """As `on_grid` where each row has a grid of its own, all `[n, 1]`.

    Example:
        >>> step, zero = jnp.array([[1.0], [2.0]]), jnp.array([[3], [7]])
        >>> x = on_row_grids(jnp.array([[9.0], [5.9]]), step, zero, 2 * zero, "segment")
        >>> x.codes.tolist(), jnp.asarray(x).tolist()
        ([[131], [131]], [[3.0], [6.0]])
    """
    rounded = jnp.clip(jnp.round(x * (1.0 / step)), -zero, top - zero).astype(jnp.int32)
    # One code of 0 for all rows, whatever their widths: in the middle where a bit is the sign.
    middle = jnp.where((zero > 0).any(), 128, 0)
    return Codes((rounded + middle).astype(jnp.uint8), step, middle, backend)


def relu(x: Any) -> Any:
    """`max(x, 0)`, also of what is still pending.

    Example:
        >>> relu(jnp.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    return x.relu() if isinstance(x, Pending) else jnp.maximum(x, 0)


def as_operand(x: Any) -> Codes | Floats | None:
    """What fused sums and products of a value run on; `None` for plain arrays.

    Example:
        >>> as_operand(jnp.ones((1, 1))) is None
        True
        >>> type(as_operand(Floats(jnp.ones((1, 1)), "segment"))).__name__
        'Floats'
    """
    return x if isinstance(x, Codes | Floats) else x.operand() if isinstance(x, Pending) else None


def _bounds(step: Array, zero: Array, top: Array, last: Array) -> Array:
    """The table of the steps `grid` and `codes`, which differ in their last number."""
    return jnp.stack([1.0 / step, *(n.astype(jnp.float32) for n in (-zero, top - zero, last))])


def _is_column(other: Array, shape: tuple[int, int]) -> bool:
    return other.shape in ((shape[1],), (1, shape[1]))
