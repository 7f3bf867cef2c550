"""`to_onnx`: a model as one ONNX file for ONNX Runtime and its kin, sizes left open."""

import json
from importlib.metadata import version
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import onnx
from onnx import helper

from jgc.export import rules, rules_of_axes
from jgc.export.check import check
from jgc.export.convert import Converter, Tensor
from jgc.export.onnx_graph import OnnxGraph
from jgc.export.program import Program, Weight, program, shapes, traceable
from jgc.export.reader import Port
from jgc.pack import Restored, restore
from jgc.pack.file import write_atomic

OPSET, _IR = 21, 10  # The first that know int4; ONNX Runtime 1.20 reads both.
_RULES = {**rules.RULES, **rules_of_axes.RULES}


def to_onnx(model: Restored | str | Path, path: str | Path) -> int:
    """Writes a model that any runtime of ONNX can run, on graphs of any size.

    Before the file takes its name `onnx.checker` has accepted it, and ONNX Runtime has run it on
    graphs of two sizes with the answers of `jgc.apply`. Weights on a grid are int8, or int4 up to 4
    bits, which the program decodes; values are rounded to their grids as in training.

    Args:
        model: From `jgc.pack.restore`, or the file of an artefact.
        path: The file to write; its folder must exist.

    Returns:
        Bytes of the file.

    Raises:
        ValueError: if the model cannot be exported, or its numbers differ.
        OSError: if the file cannot be written.
    """
    made = program(model if isinstance(model, Restored) else restore(model))
    written = _model(made)
    onnx.checker.check_model(written, full_check=True)
    data = written.SerializeToString()
    check(made, _runner(made, data), "The ONNX program")
    write_atomic(Path(path), data)
    return len(data)


def _model(made: Program) -> onnx.ModelProto:
    nodes, constants = _nodes(made)
    inputs = [_info(port) for port in made.inputs]
    written = helper.make_model(
        helper.make_graph(nodes, "jgc", inputs, [_info(made.output)], constants),
        producer_name="jgc", producer_version=version("jgc"), ir_version=_IR,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )  # fmt: skip
    helper.set_model_props(written, {"jgc": json.dumps(made.head())})
    return written


def _nodes(made: Program) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    graph, arrays = OnnxGraph(), shapes(made.inputs)
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
    with traceable(made):
        traced = jax.make_jaxpr(made.run)(made.variables(blank), *arrays)
    variables = jax.tree.leaves(made.variables(weights), is_leaf=lambda x: isinstance(x, Tensor))
    converter = Converter(graph, _RULES, sizes)
    try:
        answer = converter.run(traced, [*variables, *inputs])[0]
    except ValueError as error:
        name = type(made.restored.model).__name__
        raise ValueError(f"{name} cannot be exported to ONNX: {error}. StableHLO can.") from error
    output = converter.whole(answer, traced.out_avals[0].shape)
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
    if weight.scale is None or weight.zero is None:
        return Tensor(graph.constant(weight.values, name), None, held)
    dtype = weight.values.dtype
    if weight.bits <= 4:
        dtype = np.dtype({"int8": ml_dtypes.int4, "uint8": ml_dtypes.uint4}[dtype.name])
    codes = graph.constant(weight.values.astype(dtype), f"{name}/codes")
    decoded = graph.node("Cast", codes, to=onnx.TensorProto.FLOAT)
    if weight.zero.any():
        zero = graph.constant(weight.zero.astype(np.float32), f"{name}/zero")
        decoded = graph.node("Sub", decoded, zero)
    scale = graph.constant(weight.scale, f"{name}/scale")
    return Tensor(graph.node("Mul", decoded, scale), None, held)


def _runner(made: Program, data: bytes):
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [port.name for port in made.inputs]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))[0]
