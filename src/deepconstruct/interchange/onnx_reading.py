"""ONNX models as networks."""

import base64
import io
import os
import warnings
from typing import Any

import jax
import numpy as np

from .._checks import check_flag, check_size
from .._files import load
from ..activations import AbstractActivation, Sigmoid, groups, join
from ..network import Network
from .limits import MOST_BYTES, check_length, content_of, is_path, refused
from .onnx_messages import array_of, attributes_of, onnx
from .onnx_nodes import RULES, Node
from .onnx_units import Z
from .onnx_values import Value, finished
from .onnx_writing import METADATA, NEWEST
from .plain import Plain, lowered, same

_OLDEST = 7
_DOMAINS = ("", "ai.onnx")


def from_onnx(model: Any, *, structure: bool = True, max_bytes: int = MOST_BYTES) -> Network:
    """A network from an ONNX model: a chain of layers with one input and one output.

    Read are `Gemm`, `MatMul`, `Add`, `Sub`, `Mul`, `Div` by powers of two, `Relu`, `Sigmoid`, `Tanh`,
    `Softplus`, `Exp`, `Sin`, `Gelu` (also written out with `Erf` or `Tanh`), `Pow`, `Softmax`, `Sign` of `Relu`
    (a step), `Split` and `Concat` of a layer's units, `Flatten`, `Reshape`, `Identity` and constants. Anything
    else is refused by the name of its node. Nothing in the file is run, and it may name no other files.

    Args:
        model: the path of a file, its content, or an `onnx.ModelProto`.
        structure: whether a network that `to_onnx` stored beside the graph is given back, with its structured
            maps, if the graph is bit for bit that network's; there is a warning if it isn't.
        max_bytes: the largest file that is read.

    Returns:
        The network, in the dtype of the model; without stored structure, all matrices are dense.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file that is no model or too large, external data, a node, constant or graph that can't be
            carried, NaN or infinite weights, float64 without x64.
        TypeError: something else than a path, bytes or a model.
        ImportError: without onnx.

    Exactness: the weights are the same bit for bit; only GELU written out is taken for GELU if its constants are
    within `1e-6` of the right ones.

    Example:
        >>> import deepconstruct as dc
        >>> model = dc.interchange.to_onnx(dc.parity(4))
        >>> dc.interchange.from_onnx(model)([1, 0, 1, 1]).tolist()
        [1.0]
    """
    limit = check_size("from_onnx", "max_bytes", max_bytes)
    check_flag("from_onnx", "structure", structure)
    parsed = _parsed(model, limit)
    with refused("from_onnx", "the model is malformed"):
        network = _Reader(parsed).network()
    text = {prop.key: prop.value for prop in parsed.metadata_props}.get(METADATA)
    if text is None or not structure:
        return network
    stored, reason = _stored(text, network, limit)
    if stored is None:
        warnings.warn(f"from_onnx: the structure stored in the file isn't used: {reason}", RuntimeWarning, stacklevel=2)
    return network if stored is None else stored


def _parsed(model: Any, limit: int) -> Any:
    kind = onnx("from_onnx").ModelProto
    if isinstance(model, kind):
        return model
    if is_path(model):
        content, name = content_of("from_onnx", model, limit), f"from_onnx: {os.fspath(model)}"
    elif isinstance(model, bytes):
        content, name = check_length("from_onnx: the content", model, limit), "from_onnx: the content"
    else:
        raise TypeError(f"from_onnx: expected a path, bytes or an onnx.ModelProto; got {type(model).__name__}")
    try:
        parsed = kind.FromString(content)
    except Exception as error:  # protobuf's own kinds
        raise ValueError(f"{name} is no ONNX model ({error})") from error
    if not parsed.HasField("graph") or not parsed.opset_import:
        raise ValueError(f"{name} is no ONNX model (it has no graph, or doesn't say of which opset)")
    return parsed


class _Reader:
    """Follows the nodes of a model."""

    def __init__(self, model: Any):
        self.graph = model.graph
        self.opset = _opset(model)
        if model.functions:
            raise ValueError(f"from_onnx: functions can't be carried; got {model.functions[0].name!r}")
        if self.graph.sparse_initializer:
            raise ValueError("from_onnx: sparse initializers can't be carried; write dense ones")
        self.found: dict[str, Any] = {tensor.name: array_of(tensor) for tensor in self.graph.initializer}

    def network(self) -> Network:
        inputs = [value for value in self.graph.input if value.name not in self.found]
        for what, values in (("input", inputs), ("output", self.graph.output)):
            if len(values) != 1:
                names = ", ".join(repr(value.name) for value in values)
                raise ValueError(f"from_onnx: the graph must have one {what}; got {len(values)}: {names}")
        self.dtype, self.found[inputs[0].name] = _input(inputs[0])
        for node in self.graph.node:
            self._follow(node)
        output = self.found.get(self.graph.output[0].name)
        layers = finished(output) if isinstance(output, Value) else ()
        if not layers:
            raise ValueError("from_onnx: the output must be that of a layer of the input; got a graph without layers")
        network = Network(layers)
        if jax.tree.leaves(network) and network.dtype != self.dtype:
            raise ValueError(f"from_onnx: all weights must be of {self.dtype}, as the input; got {network.dtype}")
        return network

    def _follow(self, node: Any) -> None:
        label = f"node {node.name or ', '.join(node.output)!r} ({node.op_type})"
        attributes = attributes_of(label, node)
        if node.domain not in _DOMAINS or (node.op_type not in RULES and node.op_type != "Constant"):
            domain = "" if node.domain in _DOMAINS else f" of {node.domain!r}"
            raise ValueError(
                f"from_onnx: {label}: this operator{domain} can't be carried; known are {', '.join(RULES)}"
            )
        if node.op_type == "Constant":
            self.found[node.output[0]] = _constant(label, attributes, self.dtype)
            return
        missing = [name for name in node.input if name and name not in self.found]
        if missing:
            raise ValueError(f"from_onnx: {label}: no node before it gives {missing[0]!r}")
        given = [self.found[name] if name else None for name in node.input]
        if given and all(not isinstance(value, Value) for value in given) and node.op_type == "Identity":
            self.found[node.output[0]] = given[0]
            return
        read = Node(label, given, attributes, len(node.output), self.opset)
        made = RULES[node.op_type](read)
        read.finish()
        self.found.update(zip(node.output, made if isinstance(made, list) else [made], strict=True))


def _opset(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    if not versions or not _OLDEST <= versions[0] <= NEWEST:
        raise ValueError(f"from_onnx: the opset must be from {_OLDEST} to {NEWEST}; got {versions or 'none'}")
    return versions[0]


def _input(value: Any) -> tuple[np.dtype, Value]:
    """The dtype of the input, and what is known of it."""
    helper, kind = onnx("from_onnx").helper, value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type) if kind.elem_type else np.dtype(object)
    if dtype not in (np.float16, np.float32, np.float64):
        raise ValueError(f"from_onnx: input {value.name!r} must be of float16, float32 or float64; got {dtype}")
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    batched = len(sizes) > 1
    features = tuple(sizes[1:] if batched else sizes)
    if not features or not all(features) or min(features) < 1:  # pyright: ignore[reportArgumentType]
        raise ValueError(f"from_onnx: input {value.name!r} must have a static number of features; got shape {sizes}")
    label = f"input {value.name!r}"
    return dtype, Value((), None, None, Z, features, batched, sizes[0] if batched else None, label)  # pyright: ignore[reportArgumentType]


def _constant(label: str, attributes: dict[str, Any], dtype: np.dtype) -> np.ndarray:
    if len(attributes) != 1:
        raise ValueError(f"from_onnx: {label}: it must have one value; got {sorted(attributes)}")
    (name, value), *_ = attributes.items()
    if name == "value":
        return array_of(value)
    if name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise ValueError(f"from_onnx: {label}: constants of {name!r} can't be carried")


def _stored(text: str, network: Network, limit: int) -> tuple[Network | None, str]:
    """The network stored beside the graph; or `None`, and why not."""
    try:
        stored = load(io.BytesIO(base64.b64decode(text, validate=True)), max_bytes=limit)
        if not isinstance(stored, Network):
            return None, "it is no network"
        if same(_normal(stored), _normal(network)):
            return stored, ""
    except (TypeError, ValueError) as error:
        return None, str(error)
    return None, "it is that of another graph"


def _normal(network: Network) -> tuple[Plain, ...]:
    """Plain layers with activations as a graph has them."""
    return tuple(
        Plain(layer.matrix, layer.bias, _as_read(layer), layer.layer) for layer in lowered("from_onnx", network)
    )


def _as_read(layer: Plain) -> AbstractActivation:
    parts = groups(layer.activation, len(layer.matrix))
    return join([(_rounded(activation, layer.matrix.dtype), width) for activation, width in parts])


def _rounded(activation: AbstractActivation, dtype: np.dtype) -> AbstractActivation:
    if type(activation) is not Sigmoid:
        return activation
    return Sigmoid(float(dtype.type(activation.inverse_temperature)))
