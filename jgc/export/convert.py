"""`Converter`: any of our programs as ONNX, operation by operation, from what jax has traced.

The models' own code is traced once, so that a new model or quantiser needs no writer of its own;
what it may be made of is the table of rules (`jgc.export.rules`).
"""

import ast
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from jgc.export.onnx_graph import OnnxGraph

Dims = Sequence[Any]  # Numbers and jax's symbols.
Equation = Any  # jax's: an operation, its variables and their shapes.
# Operations that only call a program, and where they keep it.
_CALLS = {
    "jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr", "custom_vmap_call": "call",
}  # fmt: skip
LARGEST_KNOWN = 4096  # Numbers of an array that is worked out here and not in the program.


class Tensor(NamedTuple):
    """A value of the program on its way into the file.

    Attributes:
        name: In the file; `""` where the numbers are known.
        known: The numbers, where they are known now.
        held: Its shape in the file, with a 1 for an axis that is yet to be repeated.
        natural: Its numbers are never below 0.
    """

    name: str
    known: np.ndarray | None
    held: Dims
    natural: bool = False


Rule = Callable[..., Any]


class Converter:
    """Turns traced programs into nodes.

    What depends on nothing but numbers is computed here, once. Nothing is repeated along an axis
    before an operation asks for it: those on elements do it themselves.

    Attributes:
        graph: Where the nodes go.
    """

    def __init__(self, graph: OnnxGraph, rules: dict[str, Rule], sizes: dict[str, tuple[str, int]]):
        """`sizes` says for every symbol, as text, the input and the axis that have it."""
        self.graph, self._rules, self._sizes = graph, rules, sizes

    def run(self, program: ClosedJaxpr, args: list[Tensor]) -> list[Tensor]:
        """Writes a program whose arguments are in the file already; returns its results."""
        jaxpr = program.jaxpr
        begun = [*map(known, program.consts), *args]
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], begun, strict=True))

        def read(atom) -> Tensor:
            if not isinstance(atom, Literal):
                return values[atom]
            aval: Any = atom.aval
            return known(np.asarray(atom.val, aval.dtype))

        for equation in jaxpr.eqns:
            found = self._equation(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, found, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def add(
        self, op: str, *args: Tensor | str, held: Dims, natural: bool = False, **attributes: Any
    ) -> Tensor:
        """Adds a node; tensors go in as they are held."""
        names = (arg if isinstance(arg, str) else self.name(arg) for arg in args)
        return Tensor(self.graph.node(op, *names, **attributes), None, tuple(held), natural)

    def name(self, tensor: Tensor) -> str:
        """The name of a tensor as it is held; known numbers become a constant."""
        return tensor.name if tensor.known is None else self.graph.constant(tensor.known)

    def whole(self, tensor: Tensor, dims: Dims) -> str:
        """The name of a tensor repeated to its full shape."""
        name = self.name(tensor)
        if tuple(tensor.held) == tuple(dims):
            return name
        return self.graph.node("Expand", name, self.shape(dims))

    def shape(self, dims: Dims, inferred: bool = False) -> str:
        """A shape as a vector; with `inferred` a single symbol is left to ONNX to find."""
        symbols = [dim for dim in dims if not isinstance(dim, int)]
        if inferred and len(symbols) == 1:
            return self.graph.ints(*(dim if isinstance(dim, int) else -1 for dim in dims))
        if not symbols:
            return self.graph.ints(*dims)
        sizes = [self.size(dim) for dim in dims]
        return sizes[0] if len(sizes) == 1 else self.graph.node("Concat", *sizes, axis=0)

    def size(self, dim: Any) -> str:
        """A size, as a vector of one number."""
        return self.graph.ints(dim) if isinstance(dim, int) else self._of_text(str(dim))

    def _of_text(self, text: str) -> str:
        """A size that jax writes as text: sums and products of symbols."""
        if text in self._sizes:
            name, axis = self._sizes[text]
            return self.graph.node("Shape", name, start=axis, end=axis + 1)
        if f"{text} - 1" in self._sizes:
            return self.graph.node("Add", self._of_text(f"{text} - 1"), self.graph.ints(1))
        tree = ast.parse(text, mode="eval").body
        match tree:
            case ast.Constant(value=int(number)):
                return self.graph.ints(number)
            case ast.UnaryOp(op=ast.USub(), operand=of):
                return self.graph.node("Neg", self._of_text(ast.unparse(of)))
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as op, right=right):
                ends = (self._of_text(ast.unparse(end)) for end in (left, right))
                return self.graph.node(type(op).__name__.replace("Mult", "Mul"), *ends)
        raise ValueError(f"the size {text} has no form in ONNX")

    def _equation(self, equation: Equation, args: list[Tensor]) -> list[Tensor]:
        name = equation.primitive.name
        called = program_of(equation)
        if called is not None:
            return self.run(called, args)
        rule = self._rules.get(name)
        found = _folded(equation, args, getattr(rule, "on_elements", False))
        if found is not None:
            return found
        if rule is None:
            raise ValueError(f"the operation `{name}` of jax has no form in ONNX here")
        found = rule(self, equation, *args)
        return found if isinstance(found, list) else [found]


def known(array: Any) -> Tensor:
    """A tensor of known numbers."""
    array = np.asarray(array)
    return Tensor("", array, array.shape, array.dtype.kind in "ui" and bool((array >= 0).all()))


def program_of(equation: Equation) -> ClosedJaxpr | None:
    """The program that an operation only calls; `None` for an operation of its own."""
    name, params = equation.primitive.name, equation.params
    if name == "call_hi_primitive":  # Since jax 0.12: it says what it consists of when asked.
        shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars]
        return jax.make_jaxpr(params["_prim"].expand)(*shapes)
    if name not in _CALLS:
        return None
    called = params[_CALLS[name]]
    # Since jax 0.12 every program holds its constants.
    return called if hasattr(called, "consts") else ClosedJaxpr(called, [])


def _folded(equation: Equation, args: list[Tensor], on_elements: bool) -> list[Tensor] | None:
    """The results, where all arguments are known and the results are small."""
    arrays = [arg.known for arg in args if arg.known is not None]
    if not args or len(arrays) < len(args) or equation.primitive.name == "broadcast_in_dim":
        return None
    if on_elements:
        arrays = np.broadcast_arrays(*arrays)
    else:
        atoms = (*equation.invars, *equation.outvars)
        shapes = [atom.aval.shape for atom in atoms]
        if not all(isinstance(dim, int) for shape in shapes for dim in shape):
            return None
        if max(int(np.prod(shape)) for shape in shapes) > LARGEST_KNOWN:
            return None
        arrays = [np.broadcast_to(a, s) for a, s in zip(arrays, shapes, strict=False)]
    found = equation.primitive.bind(*map(jnp.asarray, arrays), **equation.params)
    return [known(each) for each in (found if equation.primitive.multiple_results else [found])]
