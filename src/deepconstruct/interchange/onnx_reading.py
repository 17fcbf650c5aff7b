"""ONNX models as networks."""

import base64
import io
import warnings
from typing import Any

import numpy as np

from .._checks import check_available, check_flag, check_size
from .._files import load
from ..construction.encoding import digest
from ..linear import Dense
from ..network import Network, flat_layers
from .onnx_messages import array_of, attributes_of, onnx
from .onnx_nodes import RULES, Node
from .onnx_units import Z
from .onnx_values import MOST_UNITS, Value, finished
from .onnx_writing import METADATA, NEWEST
from .plain import FLOATS, entries, lowered, raised
from .untrusted import MOST_BYTES, content_of, refused

_OLDEST = 7
_DOMAINS = ("", "ai.onnx")


def from_onnx(model: Any, *, structure: bool = True, max_bytes: int = MOST_BYTES) -> Network:
    """A network from an ONNX model: a chain of layers with one input and one output.

    Read are `Gemm`, `MatMul`, `Add`, `Sub` of constants, `Mul`, `Div` by a power of two, `Relu`, `Sigmoid`,
    `Tanh`, `Softplus`, `Exp`, `Sin`, `Gelu` (also written out with `Erf` or `Tanh`), `Pow`, `Softmax`, `Sign` of
    `Relu` (a step), `Split` and `Concat` of a layer's units, `Flatten`, `Reshape`, `Identity` and constants.
    Anything else is refused by the name of its node. Nothing in the file is run, and it may name no other files.

    Args:
        model: the path of a file, its content, or an `onnx.ModelProto`.
        structure: whether a network that `to_onnx` stored beside the graph is given back, with its structured
            maps, if the graph is bit for bit that network's; there is a warning if it isn't.
        max_bytes: the largest file that is read.

    Returns:
        The network, in the dtype of the model; without stored structure, matrices are dense.

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
    check_flag("from_onnx", "structure", structure)
    parsed, name = _parsed(model, max_bytes)
    with refused(name):
        network = _Reader(parsed).network()
    text = next((prop.value for prop in parsed.metadata_props if prop.key == METADATA), None)
    if text is None or not structure:
        return network
    stored, reason = _stored(text, network, max_bytes)
    if stored is None:
        warnings.warn(f"{name}: the structure stored in the file isn't used: {reason}", RuntimeWarning, stacklevel=2)
    return network if stored is None else stored


def _parsed(model: Any, max_bytes: int) -> tuple[Any, str]:
    """The model, and how messages about it begin."""
    kind = onnx("from_onnx").ModelProto
    if isinstance(model, kind):
        check_size("from_onnx", "max_bytes", max_bytes)
        return model, "from_onnx"
    content, name = content_of("from_onnx", model, max_bytes)
    with refused(name):
        parsed = kind.FromString(content)
    if not parsed.HasField("graph") or not parsed.opset_import:
        raise ValueError(f"{name} is no ONNX model (it has no graph, or doesn't say of which opset)")
    return parsed, name


class _Reader:
    """Follows the nodes of a model; what is known of every value is `found` by its name."""

    def __init__(self, model: Any):
        self.graph, self.opset = model.graph, _opset(model)
        if model.functions:
            raise ValueError(f"functions can't be carried; got {model.functions[0].name!r}")
        if self.graph.sparse_initializer:
            raise ValueError("sparse initializers can't be carried; write dense ones")
        self.found: dict[str, Any] = {tensor.name: array_of(tensor) for tensor in self.graph.initializer}

    def network(self) -> Network:
        inputs = [value for value in self.graph.input if value.name not in self.found]
        for what, values in (("input", inputs), ("output", self.graph.output)):
            if len(values) != 1:
                names = ", ".join(repr(value.name) for value in values)
                raise ValueError(f"the graph must have one {what}; got {len(values)}: {names}")
        self.dtype, self.found[inputs[0].name] = _input(inputs[0])
        for node in self.graph.node:
            self._follow(node)
        output = self.found.get(self.graph.output[0].name)
        layers = finished(output) if isinstance(output, Value) else ()
        if not layers:
            raise ValueError("the output must be that of a layer of the input; got a graph without layers")
        return Network(layers)

    def _follow(self, node: Any) -> None:
        """Find what a node gives."""
        label = f"node {node.name or ', '.join(node.output)!r} ({node.op_type})"
        if node.domain not in _DOMAINS or node.op_type not in (*RULES, "Constant"):
            domain = "" if node.domain in _DOMAINS else f" of {node.domain!r}"
            raise ValueError(f"{label}: this operator{domain} can't be carried; known are {', '.join(RULES)}")
        missing = [name for name in node.input if name and name not in self.found]
        if missing:
            raise ValueError(f"{label}: no node before it gives {missing[0]!r}")
        again = [name for name in node.output if name in self.found]
        if again:
            raise ValueError(f"{label}: there are two values {again[0]!r}")
        self.found.update(zip(node.output, self._given(node, label), strict=True))

    def _given(self, node: Any, label: str) -> list[Any]:
        attributes = attributes_of(label, node)
        given = [self.found[name] if name else None for name in node.input]
        if node.op_type == "Constant":
            return [_constant(label, attributes)]
        if node.op_type == "Identity" and len(given) == 1:  # of a constant, too
            return given
        read = Node(label, given, attributes, outputs=len(node.output), opset=self.opset, dtype=self.dtype)
        made = RULES[node.op_type](read)
        read.finish()
        return made if isinstance(made, list) else [made]


def _opset(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    if not versions or not _OLDEST <= versions[0] <= NEWEST:
        raise ValueError(f"the opset must be from {_OLDEST} to {NEWEST}; got {versions or 'none'}")
    return versions[0]


def _input(value: Any) -> tuple[np.dtype, Value]:
    """The dtype of the input, and what is known of it."""
    label, kind = f"input {value.name!r}", value.type.tensor_type
    dtypes = onnx("from_onnx").helper.tensor_dtype_to_np_dtype
    dtype = np.dtype(dtypes(kind.elem_type) if kind.elem_type else object)
    if dtype.name not in FLOATS:
        raise ValueError(f"{label} must be of float16, float32 or float64; got {dtype}")
    check_available(label, dtype)
    sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim]
    batched = len(sizes) > 1
    features = tuple(sizes[1:] if batched else sizes)
    if not features or min(features) < 1:
        raise ValueError(f"{label} must have a static number of features; got shape {sizes}, 0 where it isn't static")
    found = Value((), None, None, Z, features, batched, (sizes[0] or None) if batched else None, label)
    if found.size > MOST_UNITS:
        raise ValueError(f"{label} must have at most {MOST_UNITS} features; got shape {sizes}")
    return dtype, found


def _constant(label: str, attributes: dict[str, Any]) -> np.ndarray:
    if len(attributes) != 1:
        raise ValueError(f"{label}: it must have one value; got {sorted(attributes)}")
    (name, value), *_ = attributes.items()
    if name == "value":
        return array_of(value)
    if name in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if name in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    raise ValueError(f"{label}: constants of {name!r} can't be carried")


def _stored(text: str, network: Network, max_bytes: int) -> tuple[Network | None, str]:
    """The network stored beside the graph; or `None`, and why not."""
    try:
        stored = load(io.BytesIO(base64.b64decode(text, validate=True)), max_bytes=max_bytes)
        if isinstance(stored, Network) and _is_written_as(stored, network):
            return stored, ""
    except (TypeError, ValueError) as error:
        return None, str(error)
    return None, "it is that of another graph"


def _is_written_as(stored: Network, network: Network) -> bool:
    """Whether the graph is what `to_onnx` writes for the stored network, bit for bit."""
    # A small file may hold structured maps that are vast when written out.
    if not all(type(layer.linear) is Dense for layer in flat_layers(network)) or entries(stored) != entries(network):
        return False
    return digest(raised(lowered("from_onnx", stored))) == digest(network)
