"""Operations along axes as nodes of ONNX: sums, products, gathers, and sums over edges."""

from typing import Any

import numpy as np
from onnx import TensorProto

from jgc.export.convert import Converter, Dims, Equation, Rule, Tensor

_FIRST = np.iinfo(np.int64).min  # As the end of a slice that runs backwards: up to the start.


def _reduced(op: str) -> Rule:
    def rule(c: Converter, equation: Equation, x: Tensor) -> Tensor:
        axes = c.graph.ints(*equation.params["axes"])
        name = c.whole(x, equation.invars[0].aval.shape)
        held = equation.outvars[0].aval.shape
        if equation.invars[0].aval.dtype != bool:
            return c.add(op, name, axes, keepdims=0, held=held)
        number = c.graph.node("Cast", name, to=TensorProto.INT32)
        number = c.add(op, number, axes, keepdims=0, held=held)
        return c.add("Cast", number, to=TensorProto.BOOL, held=held)

    return rule


def _cumsum(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    dims = equation.invars[0].aval.shape
    axis = c.graph.constant(np.array(equation.params["axis"], np.int64))
    backwards = int(equation.params["reverse"])
    return c.add("CumSum", c.whole(x, dims), axis, reverse=backwards, held=dims, natural=x.natural)


def _dot(c: Converter, equation: Equation, a: Tensor, b: Tensor) -> Tensor:
    (over_a, over_b), (batch_a, batch_b) = equation.params["dimension_numbers"]
    dims = [atom.aval.shape for atom in equation.invars]
    names = [c.whole(x, d) for x, d in zip((a, b), dims, strict=True)]
    held = equation.outvars[0].aval.shape
    first = tuple(range(len(batch_a)))
    last_by_second_last = over_a == (len(dims[0]) - 1,) and over_b == (len(first),)
    if batch_a == batch_b == first and last_by_second_last and len(dims[1]) == len(first) + 2:
        return c.add("MatMul", *names, held=held)
    words = [[chr(ord(at) + i) for i in range(len(d))] for at, d in zip("an", dims, strict=True)]
    for i, j in zip((*over_a, *batch_a), (*over_b, *batch_b), strict=True):
        words[1][j] = words[0][i]
    shared = [words[0][i] for i in batch_a]
    gone = {*shared, *(words[0][i] for i in over_a)}
    rest = [letter for word in words for letter in word if letter not in gone]
    text = f"{''.join(words[0])},{''.join(words[1])}->{''.join(shared + rest)}"
    return c.add("Einsum", *names, equation=text, held=held)


def _slice(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    params, dims = equation.params, equation.invars[0].aval.shape
    steps = params["strides"] or [1] * len(dims)
    bounds = params["start_indices"], params["limit_indices"], steps
    cut = _cut(c, c.whole(x, dims), dims, range(len(dims)), *bounds)
    return Tensor(cut, None, equation.outvars[0].aval.shape, x.natural)


def _cut(c: Converter, name: str, dims: Dims, axes, starts, ends, steps) -> str:
    """A slice along those axes of which it does not take all."""
    bounds = zip(axes, starts, ends, steps, strict=True)
    part = [bound for bound in bounds if bound[1:] != (0, dims[bound[0]], 1)]
    if not part:
        return name
    axes, starts, ends, steps = zip(*part, strict=True)
    where = c.graph.ints(*axes), c.graph.ints(*steps)
    return c.graph.node("Slice", name, c.shape(starts), c.shape(ends), *where)


def _rev(c: Converter, equation: Equation, x: Tensor) -> Tensor:
    axes, dims = equation.params["dimensions"], equation.invars[0].aval.shape
    starts, ends, steps = (c.graph.ints(*[n] * len(axes)) for n in (-1, _FIRST, -1))
    return c.add("Slice", c.whole(x, dims), starts, ends, c.graph.ints(*axes), steps, held=dims)


def _gather(c: Converter, equation: Equation, x: Tensor, indices: Tensor) -> Tensor:
    dims, id_dims = (atom.aval.shape for atom in equation.invars)
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    gone, held, rank = numbers.collapsed_slice_dims, equation.outvars[0].aval.shape, len(id_dims)
    axis = _axis_of_rows(numbers, sizes, dims, rank, len(held))
    if axis is None and rank != 1:
        raise ValueError(f"a gather by {numbers} has no form in ONNX here")
    if axis is None:
        found = _part(c, c.whole(x, dims), indices, numbers.start_index_map, dims, sizes)
        found = c.graph.node("Squeeze", found, c.graph.ints(*gone)) if gone else found
        return Tensor(found, None, held, x.natural)
    ids = c.add("Squeeze", indices, c.graph.ints(rank - 1), held=indices.held[:-1])
    ids = c.whole(ids, id_dims[:-1])
    if equation.invars[1].aval.dtype != np.int32:  # Others are not allowed.
        ids = c.graph.node("Cast", ids, to=TensorProto.INT64)
    found = c.graph.node("Gather", c.whole(x, dims), ids, axis=axis)
    if not gone:
        found = c.graph.node("Unsqueeze", found, c.graph.ints(axis + rank - 1))
    return Tensor(found, None, held, x.natural)


def _axis_of_rows(numbers: Any, sizes: Dims, dims: Dims, rank: int, new_rank: int) -> int | None:
    """The axis along which whole rows are taken, which lie where it was; `None` for other parts."""
    if len(numbers.start_index_map) != 1:
        return None
    axis = numbers.start_index_map[0]
    whole = (*dims[:axis], 1, *dims[axis + 1 :])
    places = (*range(axis), *range(axis + rank - 1, new_rank))
    return axis if tuple(sizes) == whole and numbers.offset_dims == places else None


def _part(c: Converter, name: str, starts: Tensor, axes, dims: Dims, sizes: Dims) -> str:
    """A part of some size along some axes, from a place that may be computed."""
    steps = [1] * len(axes)
    if starts.known is not None:
        first = starts.known.tolist()
        ends = [start + sizes[axis] for start, axis in zip(first, axes, strict=True)]
        return _cut(c, name, dims, axes, first, ends, steps)
    first = c.graph.node("Cast", c.name(starts), to=TensorProto.INT64)
    ends = c.graph.node("Add", first, c.shape([sizes[axis] for axis in axes]))
    return c.graph.node("Slice", name, first, ends, c.graph.ints(*axes), c.graph.ints(*steps))


def _scatter(reduction: str) -> Rule:
    """Rows of updates joined at rows of an array.

    By ScatterElements. ScatterND would be faster and need no index for each number, but ONNX
    Runtime (1.31) runs it on several threads which overwrite each other's sums: with 1e6 edges five
    runs of five were wrong.
    """

    def rule(c: Converter, equation: Equation, x: Tensor, at: Tensor, updates: Tensor) -> Tensor:
        dims, ids_dims, update_dims = (atom.aval.shape for atom in equation.invars)
        numbers = equation.params["dimension_numbers"]
        if (
            (numbers.inserted_window_dims, numbers.scatter_dims_to_operand_dims) != ((0,), (0,))
            or len(ids_dims) != 2
            or numbers.update_window_dims != tuple(range(1, len(dims)))
        ):
            raise ValueError(f"a scatter by {numbers} has no form in ONNX here")
        ids = c.add("Squeeze", at, c.graph.ints(1), held=at.held[:1])
        if len(dims) > 1:
            axes = c.graph.ints(*range(1, len(dims)))
            ids = c.add("Unsqueeze", ids, axes, held=(*ids.held, *[1] * (len(dims) - 1)))
        names = (c.whole(t, d) for t, d in ((x, dims), (ids, update_dims), (updates, update_dims)))
        return c.add("ScatterElements", *names, axis=0, reduction=reduction, held=dims,
                     natural=x.natural and updates.natural)  # fmt: skip

    return rule


def _scan(c: Converter, equation: Equation, *args: Tensor) -> list[Tensor]:
    """A loop of known length, written out."""
    params = equation.params
    fixed, carried = _parts(params)
    carry, rows, made = list(args[fixed:carried]), [], []
    for x, atom in zip(args[carried:], equation.invars[carried:], strict=True):
        rows.append([_row(c, x, atom.aval.shape, i) for i in range(params["length"])])
    steps = list(range(params["length"]))
    for step in reversed(steps) if params["reverse"] else steps:
        found = c.run(params["jaxpr"], [*args[:fixed], *carry, *(row[step] for row in rows)])
        carry, made = found[: len(carry)], [*made, found[len(carry) :]]
    made = made[::-1] if params["reverse"] else made
    for each, var in zip(zip(*made, strict=True), equation.outvars[len(carry) :], strict=True):
        carry.append(_stacked(c, each, var.aval.shape, 0))
    return carry


def _parts(params: dict[str, Any]) -> tuple[int, int]:
    """Where a loop's constants end in its arguments, and where what it carries ends."""
    if "ft_in" in params:  # Since jax 0.12.
        constants, carry, _ = map(len, params["ft_in"].unpack())
    else:
        constants, carry = params["num_consts"], params["num_carry"]
    return constants, constants + carry


def _row(c: Converter, x: Tensor, dims: Dims, i: int) -> Tensor:
    row = c.graph.constant(np.array(i, np.int64))
    return c.add("Gather", c.whole(x, dims), row, axis=0, held=dims[1:], natural=x.natural)


def _stack(c: Converter, equation: Equation, *args: Tensor) -> Tensor:
    return _stacked(c, args, equation.outvars[0].aval.shape, equation.params["axis"])


def _stacked(c: Converter, args: Any, dims: Dims, axis: int) -> Tensor:
    one = tuple(dim for i, dim in enumerate(dims) if i != axis)
    rows = [c.graph.node("Unsqueeze", c.whole(x, one), c.graph.ints(axis)) for x in args]
    return c.add("Concat", *rows, axis=axis, held=dims)


RULES: dict[str, Rule] = {
    "reduce_sum": _reduced("ReduceSum"),
    "reduce_max": _reduced("ReduceMax"),
    "reduce_min": _reduced("ReduceMin"),
    "reduce_or": _reduced("ReduceMax"),
    "reduce_and": _reduced("ReduceMin"),
    "cumsum": _cumsum,
    "dot_general": _dot,
    "slice": _slice,
    "rev": _rev,
    "gather": _gather,
    "scatter-add": _scatter("add"),
    "scatter-max": _scatter("max"),
    "scan": _scan,
    "stack": _stack,
}
