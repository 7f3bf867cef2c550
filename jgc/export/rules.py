"""The operations of our programs on elements and on shapes, each as nodes of ONNX."""

import functools
import math
from typing import Any

import jax
import numpy as np
from onnx.helper import np_dtype_to_tensor_dtype

from jgc.export.convert import LARGEST_KNOWN, Converter, Dims, Equation, Rule, Tensor, known

# jax's name -> ONNX's, where the two mean the same.
_SAME = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min",
    "neg": "Neg", "abs": "Abs", "sign": "Sign", "floor": "Floor", "ceil": "Ceil", "exp": "Exp",
    "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "logistic": "Sigmoid", "erf": "Erf",
    "pow": "Pow", "eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater",
    "ge": "GreaterOrEqual", "lt_to": "Less", "le_to": "LessOrEqual", "and": "And", "or": "Or",
    "not": "Not", "xor": "Xor",
}  # fmt: skip


def on_elements(rule: Rule) -> Rule:
    """Marks a rule that treats every element alike, so that arguments need not be repeated."""
    setattr(rule, "on_elements", True)  # noqa: B010 - a function has no such field to a checker
    return rule


def _joined(*args: Tensor) -> Dims:
    """The shape that tensors have together, as they are held."""
    rank = max(len(arg.held) for arg in args)
    padded = [(*[1] * (rank - len(arg.held)), *arg.held) for arg in args]
    return tuple(next((d for d in dims if not _is(d, 1)), 1) for dims in zip(*padded, strict=True))


def _is(dim: Any, number: int) -> bool:
    return isinstance(dim, int) and dim == number


def _all(tensor: Tensor, number: float) -> bool:
    return tensor.known is not None and bool((tensor.known == number).all())


@on_elements
def _same(c: Converter, equation: Equation, *args: Tensor) -> Tensor:
    name = equation.primitive.name
    kept = _kept(name, *args) if len(args) == 2 else None
    if kept is not None and len(kept.held) == len(equation.outvars[0].aval.shape):
        return kept
    natural = name in ("add", "mul", "max") and all(arg.natural for arg in args)
    return c.add(_SAME[name], *args, held=_joined(*args), natural=natural)


def _kept(name: str, a: Tensor, b: Tensor) -> Tensor | None:
    """The result of an operation that changes nothing, or whose result is known."""
    for x, y in ((a, b), (b, a)):
        whole_numbers = x.known is not None and x.known.dtype.kind in "iu"
        if name == "and" and (_all(x, True) or _all(y, False)):
            return y
        if name == "or" and (_all(x, False) or _all(y, True)):
            return y
        if (name == "mul" and _all(x, 1)) or (name == "add" and whole_numbers and _all(x, 0)):
            return y
        if name == "max" and y.natural and _all(x, 0):
            return y
    never = name == "lt" and a.natural and _all(b, 0)
    return known(np.zeros([1] * len(a.held), bool)) if never else None


@on_elements
def _select(c: Converter, equation: Equation, which: Tensor, *cases: Tensor) -> Tensor:
    if len(cases) != 2:
        raise ValueError("ONNX chooses between two only")
    no, yes = cases
    taken = yes if _all(which, True) else no if _all(which, False) else None
    if taken is not None and len(taken.held) == len(equation.outvars[0].aval.shape):
        return taken
    return c.add("Where", which, yes, no, held=_joined(which, yes, no))


@on_elements
def _convert(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    dtype = np.dtype(equation.params["new_dtype"])
    if equation.invars[0].aval.dtype == dtype:
        return x
    return c.add("Cast", x, to=np_dtype_to_tensor_dtype(dtype), held=x.held, natural=x.natural)


@on_elements
def _identity(c: Converter, equation: Equation, *args: Tensor) -> Any:
    return list(args)


@on_elements
def _round(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    if equation.params["rounding_method"] != jax.lax.RoundingMethod.TO_NEAREST_EVEN:
        raise ValueError("ONNX rounds halves to even only")
    return c.add("Round", x, held=x.held)


def _chain(*ops: str) -> Rule:
    """A rule of nodes one after the other."""

    @on_elements
    def rule(c: Converter, equation: Equation, x: Tensor) -> Tensor:
        return functools.reduce(lambda x, op: c.add(op, x, held=x.held), ops, x)

    return rule


@on_elements
def _not_equal(c: Converter, equation: Equation, a: Tensor, b: Tensor) -> Tensor:
    equal = c.add("Equal", a, b, held=_joined(a, b))
    return c.add("Not", equal, held=equal.held)


@on_elements
def _expm1(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    one = known(np.ones([], equation.invars[0].aval.dtype))
    return c.add("Sub", c.add("Exp", x, held=x.held), one, held=x.held)


@on_elements
def _integer_pow(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    power = known(np.array(equation.params.get("y", 2), equation.invars[0].aval.dtype))
    return c.add("Pow", x, power, held=x.held)


@on_elements
def _shift_left(c: Converter, equation: Equation, x: Tensor, by: Tensor) -> Tensor:
    """By a product: ONNX shifts unsigned numbers only."""
    two = known(np.array(2, equation.invars[1].aval.dtype))
    return c.add("Mul", x, c.add("Pow", two, by, held=by.held), held=_joined(x, by))


@on_elements
def _clamp(c: Converter, equation: Equation, low: Tensor, x: Tensor, high: Tensor) -> Tensor:
    above = c.add("Max", x, low, held=_joined(x, low))
    return c.add("Min", above, high, held=_joined(above, high))


def _broadcast(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    rank, kept = len(equation.params["shape"]), equation.params["broadcast_dimensions"]
    new = tuple(axis for axis in range(rank) if axis not in kept)
    if x.known is not None:
        return known(np.expand_dims(x.known, new))
    held = [1] * rank
    for axis, dim in zip(kept, x.held, strict=True):
        held[axis] = dim
    if not new:
        return x._replace(held=tuple(held))
    return c.add("Unsqueeze", x, c.graph.ints(*new), held=held, natural=x.natural)


def _reshape(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    dims = equation.params["new_sizes"]
    if x.known is not None and x.known.size == 1:
        return known(x.known.reshape([1] * len(dims)))
    name = c.whole(x, equation.invars[0].aval.shape)
    return c.add("Reshape", name, c.shape(dims, True), held=dims, natural=x.natural)


def _squeeze(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    axes = equation.params["dimensions"]
    held = [dim for axis, dim in enumerate(x.held) if axis not in axes]
    if x.known is not None:
        return known(np.squeeze(x.known, axes))
    return c.add("Squeeze", x, c.graph.ints(*axes), held=held, natural=x.natural)


def _transpose(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    axes = equation.params["permutation"]
    return c.add("Transpose", x, perm=axes, held=[x.held[axis] for axis in axes])


def _concatenate(c: Converter, equation: Equation, *args: Tensor) -> Tensor:
    names = [c.whole(x, atom.aval.shape) for x, atom in zip(args, equation.invars, strict=True)]
    held, axis = equation.outvars[0].aval.shape, equation.params["dimension"]
    return c.add("Concat", *names, axis=axis, held=held, natural=all(x.natural for x in args))


def _iota(c: Converter, equation: Equation) -> Tensor:
    dims, along = equation.params["shape"], equation.params["dimension"]
    if all(isinstance(dim, int) for dim in dims) and math.prod(dims) <= LARGEST_KNOWN:
        return known(equation.primitive.bind(**equation.params))
    zero, one = (c.graph.constant(np.array(n, np.int64)) for n in (0, 1))
    end = c.graph.node("Squeeze", c.size(dims[along]), c.graph.ints(0))
    counted = c.add("Range", zero, end, one, held=(dims[along],), natural=True)
    to = np_dtype_to_tensor_dtype(np.dtype(equation.params["dtype"]))
    counted = c.add("Cast", counted, to=to, held=counted.held, natural=True)
    others = [axis for axis in range(len(dims)) if axis != along]
    held = [dim if axis == along else 1 for axis, dim in enumerate(dims)]
    if not others:
        return counted
    return c.add("Unsqueeze", counted, c.graph.ints(*others), held=held, natural=True)


def _size(c: Converter, equation: Equation) -> Tensor:
    to = np_dtype_to_tensor_dtype(np.dtype(equation.outvars[0].aval.dtype))
    scalar = c.graph.node("Squeeze", c.size(equation.params["dim"]), c.graph.ints(0))
    return c.add("Cast", scalar, to=to, held=(), natural=True)


RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("copy", "copy_p", "stop_gradient", "optimization_barrier"), _identity),
    "select_n": _select,
    "convert_element_type": _convert,
    "round": _round,
    "rsqrt": _chain("Sqrt", "Reciprocal"),
    "ne": _not_equal,
    "expm1": _expm1,
    "integer_pow": _integer_pow,
    "square": _integer_pow,
    "shift_left": _shift_left,
    "clamp": _clamp,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "concatenate": _concatenate,
    "iota": _iota,
    "dim_as_value": _size,
}
