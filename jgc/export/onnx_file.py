"""A `Program` as the bytes of an ONNX file."""

import json
from importlib.metadata import version

import jax
import ml_dtypes
import numpy as np
import onnx
from onnx import helper

from jgc.export import rules, rules_of_axes
from jgc.export.convert import Converter, Tensor
from jgc.export.onnx_graph import OnnxGraph
from jgc.export.program import Program
from jgc.export.reader import Port
from jgc.export.weight import Weight

OPSET, _IR = 21, 10  # The first that know int4.
RULES = {**rules.RULES, **rules_of_axes.RULES}


def to_bytes(made: Program) -> bytes:
    """Writes the file.

    Args:
        made: The program.

    Returns:
        Its bytes, accepted by `onnx.checker`.

    Raises:
        ValueError: if the program holds an operation that has no rule.
    """
    nodes, constants = _nodes(made)
    inputs = [_info(port) for port in made.inputs]
    written = helper.make_model(
        helper.make_graph(nodes, "jgc", inputs, [_info(made.output)], constants),
        producer_name="jgc", producer_version=version("jgc"), ir_version=_IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    helper.set_model_props(written, {"jgc": json.dumps(made.head())})
    onnx.checker.check_model(written, full_check=True)
    return written.SerializeToString(deterministic=True)


def _nodes(made: Program) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    graph, arrays = OnnxGraph(), made.shapes()
    inputs = [
        Tensor(port.name, None, array.shape, port.below != "" or port.total != "")
        for port, array in zip(made.inputs, arrays, strict=True)
    ]
    sizes: dict[str, tuple[str, int]] = {}
    for tensor in inputs:
        for axis, dim in enumerate(tensor.held):
            sizes.setdefault(str(dim), (tensor.name, axis))
    weights = {name: _weight(graph, name, weight) for name, weight in made.weights.items()}
    blank = {name: jax.ShapeDtypeStruct(t.held, np.float32) for name, t in weights.items()}
    with made.traceable():
        traced = jax.make_jaxpr(made.run)(made.variables(blank), *arrays)
    variables = jax.tree.leaves(made.variables(weights), is_leaf=lambda x: isinstance(x, Tensor))
    converter = Converter(graph, RULES, sizes)
    try:
        answer = converter.run(traced, [*variables, *inputs])[0]
        output = converter.whole(answer, traced.out_avals[0].shape)
    except ValueError as error:
        raise ValueError(f"{made.name} cannot be exported to ONNX: {error}.") from error
    graph.nodes.append(helper.make_node("Identity", [output], [made.output.name], "answers"))
    return graph.reached(made.output.name)


def _info(port: Port) -> onnx.ValueInfoProto:
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype))
    return helper.make_tensor_value_info(port.name, dtype, port.dims)


def _weight(graph: OnnxGraph, name: str, weight: Weight) -> Tensor:
    """A weight in the file: its codes and the nodes that decode them, or the weight itself.

    Not by DequantizeLinear: ONNX Runtime (1.31) fuses one before a MatMul into a MatMulNBits that
    rounds the other factor to bytes of its own, and so answers other numbers.
    """
    held = weight.values.shape
    if weight.scale is None:
        return Tensor(graph.constant(weight.values, name), None, held)
    dtype = weight.values.dtype
    if weight.bits <= 4:
        dtype = np.dtype({"int8": ml_dtypes.int4, "uint8": ml_dtypes.uint4}[dtype.name])
    codes = graph.constant(weight.values.astype(dtype), f"{name}/codes")
    decoded = graph.node("Cast", codes, to=onnx.TensorProto.FLOAT)
    if weight.zero is not None:
        zero = graph.constant(weight.zero.astype(np.float32), f"{name}/zero")
        decoded = graph.node("Sub", decoded, zero)
    scale = graph.constant(weight.scale, f"{name}/scale")
    return Tensor(graph.node("Mul", decoded, scale), None, held)
