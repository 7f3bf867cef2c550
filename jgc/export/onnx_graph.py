"""`OnnxGraph`: the nodes and constants of an ONNX file while it is being written."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class OnnxGraph:
    """Nodes in an order in which they can run, and the constants that they read; each only once."""

    def __init__(self):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self._names: dict[Any, str] = {}
        self._unsqueezed: dict[str, tuple[str, ...]] = {}

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node unless there is one that does the same; returns the name of its output."""
        if op == "Squeeze" and inputs[1:] == self._unsqueezed.get(inputs[0], ("", ""))[1:]:
            return self._unsqueezed[inputs[0]][0]
        key = (op, inputs, str(sorted(attributes.items())))
        if key not in self._names:
            name = self._names[key] = f"{op}_{len(self.nodes)}"
            if op == "Unsqueeze":
                self._unsqueezed[name] = inputs
            self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return self._names[key]

    def constant(self, array: np.ndarray, name: str = "") -> str:
        """Adds a constant, under a name of its own where it is given one; returns its name."""
        array = np.asarray(array)
        key = (array.dtype, array.shape, array.tobytes(), name)
        if key not in self._names:
            self._names[key] = name or f"constant_{len(self.constants)}"
            self.constants[self._names[key]] = numpy_helper.from_array(array, self._names[key])
        return self._names[key]

    def ints(self, *numbers: int) -> str:
        """Adds a vector of int64, as axes and shapes are."""
        return self.constant(np.array(numbers, np.int64))

    def reached(self, output: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
        """The nodes and constants on which an output depends."""
        wanted, kept = {output}, []
        for node in reversed(self.nodes):
            if node.output[0] in wanted:
                kept.append(node)
                wanted.update(node.input)
        return kept[::-1], [held for name, held in self.constants.items() if name in wanted]
