"""Parts of ONNX models: graphs as they are built, and tensors and attributes as they are read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .packages import package


def onnx(owner: str) -> Any:
    """The module, or an `ImportError` that says what to install."""
    for module in ("onnx.helper", "onnx.numpy_helper"):
        package(owner, module)
    return package(owner, "onnx")


class Graph:
    """Nodes and constants, in the order in which they are added; values are known by name.

    Args:
        owner: begins messages.
        opset: which operators there are.
        dtype: of all values.
    """

    def __init__(self, owner: str, opset: int, dtype: np.dtype):
        self.onnx, self.opset, self.dtype = onnx(owner), opset, dtype
        self.kind = self.onnx.helper.np_dtype_to_tensor_dtype(dtype)
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}

    def node(self, op: str, *inputs: str, name: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; its value's name, or those of all where it has several."""
        values = [name] if outputs == 1 else [f"{name}_{index}" for index in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(op, list(inputs), values, name=name, **attributes))
        return values[0] if outputs == 1 else values

    def constant(self, name: str, value: Any, dtype: Any = None) -> str:
        """Add a constant of the graph's dtype, or of another one."""
        self.constants[name] = np.asarray(value, dtype or self.dtype)
        return name

    def model(self, sizes: tuple[int, int], batch: int | None, metadata: Mapping[str, str]) -> Any:
        """The model whose output is the last node's value."""
        helper, numpy_helper = self.onnx.helper, self.onnx.numpy_helper
        del self.nodes[-1].output[:]
        self.nodes[-1].output.append("output")
        rows = "batch" if batch is None else batch
        ends = [
            helper.make_tensor_value_info(name, self.kind, [rows, size])
            for name, size in zip(("input", "output"), sizes, strict=True)
        ]
        tensors = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "network", ends[:1], ends[1:], tensors)
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="deepconstruct")
        # Runtimes refuse files of a newer format than they know, so it is the oldest that has these operators.
        model.ir_version = helper.find_min_ir_version_for(opsets)
        helper.set_model_props(model, dict(metadata))
        return model


def array_of(tensor: Any) -> np.ndarray:
    """The numbers of a tensor that holds them itself.

    Raises:
        ValueError: external data, a type that isn't one of numbers, or numbers that don't fill its shape.
    """
    module = onnx("from_onnx")
    if tensor.data_location == module.TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(f"tensor {tensor.name!r} lies in another file, which isn't read; store it inside")
    if tensor.HasField("segment"):
        raise ValueError(f"tensor {tensor.name!r} is stored in segments, which aren't read")
    kinds = [getattr(module.TensorProto, name) for name in ("FLOAT16", "FLOAT", "DOUBLE", "INT32", "INT64")]
    if tensor.data_type not in kinds:
        known = module.TensorProto.DataType.items()
        name = {number: name for name, number in known}.get(tensor.data_type, tensor.data_type)
        raise ValueError(f"tensor {tensor.name!r} must hold floats or sizes; got {name}")
    try:
        return np.array(module.numpy_helper.to_array(tensor))
    except Exception as error:  # of NumPy and onnx, of many kinds
        raise ValueError(f"tensor {tensor.name!r} doesn't hold what it promises ({error})") from error


def attributes_of(label: str, node: Any) -> dict[str, Any]:
    """The attributes of a node by name.

    Raises:
        ValueError: graphs, or references to attributes of a function.
    """
    module, found = onnx("from_onnx"), {}
    for attribute in node.attribute:
        if attribute.type in (module.AttributeProto.GRAPH, module.AttributeProto.GRAPHS) or attribute.ref_attr_name:
            raise ValueError(f"{label}: graphs inside of nodes can't be carried")
        found[attribute.name] = module.helper.get_attribute_value(attribute)
    return found
