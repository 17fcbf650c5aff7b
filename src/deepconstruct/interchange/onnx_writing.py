"""Networks as ONNX models."""

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import activations
from .._checks import check_flag, check_size
from .._files import save
from .._io.atomic import write_atomically
from ..activations import AbstractActivation, groups
from ..construction import as_network
from .onnx_messages import Graph, onnx
from .plain import Plain, lowered, refusal

# The operators that are written, from the oldest version in which all of them are to the newest that was tried.
OLDEST, NEWEST = 13, 27
# Since this version there is an operator for it.
_GELU_SINCE = 20
METADATA = "deepconstruct"


def to_onnx(
    network: Any,
    path: str | os.PathLike | None = None,
    *,
    opset: int | None = None,
    batch: int | None = None,
    structure: bool = True,
) -> Any:
    """A network as an ONNX model, and as a file.

    The model takes `input` of shape `(batch, in_size)` and gives `output` of shape `(batch, out_size)`. Every
    layer is a `Gemm` (a `MatMul` if it has no bias) with its dense matrix, and nodes for its activation; blocks
    that are repeated are unrolled. A classifier gives the probabilities of its softmax; the class is left to
    whoever runs it (`argmax`).

    Args:
        network: a `Network` or `Construction` of real weights in float16, float32 or float64.
        path: where to write the file, if anywhere.
        opset: the version of the operators, 13 at least; the newest known if `None`.
        batch: how many inputs a run takes; any number of them if `None`.
        structure: whether to store the network itself beside its graph, as `dc.save` does, in the model's
            `metadata_props` (`deepconstruct`, in base64): `dc.load` reads its structured maps and labels from
            there. Leave it out where nobody is to learn how the network is built.

    Returns:
        The `onnx.ModelProto`.

    Raises:
        TypeError: no network, an ensemble, complex weights (use `dc.realify`), or another dtype.
        ValueError: an activation that isn't the library's own, such as `Custom`; an opset or a batch that
            isn't known.
        ImportError: without onnx.

    Exactness: the weights are the same bit for bit. Runtimes may add in any order, as claims allow; what a claim
    counts on beyond that is kept for `Composed` and `SignProduct` maps, whose steps are nodes of their own, but
    not for the order of `SignPatterns`: for them, write `dc.densify(construction)`, whose claim holds in any
    order. Their own `Sigmoid`, `Tanh`, `Softplus` and so on may err more than claims allow (`activation.ulps()`).
    `Step` is `Sign(Relu(z))`: 0 at 0, and NaN stays NaN. onnxruntime has no float64 `Softplus` or GELU.

    Cost: a dense matrix a layer.

    Example:
        >>> import deepconstruct as dc
        >>> model = dc.interchange.to_onnx(dc.parity(4), opset=13)
        >>> [node.op_type for node in model.graph.node]
        ['Gemm', 'Relu', 'Gemm', 'Relu', 'MatMul']
    """
    plain = lowered("to_onnx", network)
    graph = Graph("to_onnx", _opset(opset), plain[0].matrix.dtype)
    rows = None if batch is None else check_size("to_onnx", "batch", batch)
    check_flag("to_onnx", "structure", structure)
    value = "input"
    for index, layer in enumerate(plain):
        value = _layer(graph, index, layer, value)
    sizes = plain[0].matrix.shape[1], plain[-1].matrix.shape[0]
    model = graph.model(sizes, rows, _stored(network) if structure else {})
    if path is not None:
        content = model.SerializeToString(deterministic=True)
        write_atomically(Path(path), lambda file: file.write(content))
    return model


def _opset(opset: int | None) -> int:
    known = min(NEWEST, onnx("to_onnx").defs.onnx_opset_version())
    found = known if opset is None else check_size("to_onnx", "opset", opset, minimum=OLDEST)
    if found > known:
        raise ValueError(f"to_onnx: opset must be at most {known}; got {found}")
    return found


def _stored(network: Any) -> dict[str, str]:
    """The network as a file of `dc.save`, as text."""
    file = io.BytesIO()
    save(file, as_network("to_onnx", network, read=True))
    return {METADATA: base64.b64encode(file.getvalue()).decode()}


def _layer(graph: Graph, index: int, layer: Plain, value: str) -> str:
    name = f"layer{index}"
    if layer.bias is None:
        weight = graph.constant(f"{name}_weight", layer.matrix.T)
        value = graph.node("MatMul", value, weight, name=f"{name}_sums")
    else:
        weight = graph.constant(f"{name}_weight", layer.matrix)
        bias = graph.constant(f"{name}_bias", layer.bias)
        value = graph.node("Gemm", value, weight, bias, name=f"{name}_sums", transB=1)
    parts = groups(layer.activation, len(layer.matrix))
    if len(parts) == 1:
        return _activated(graph, name, parts[0][0], value, layer.layer)
    widths = graph.constant(f"{name}_widths", [width for _, width in parts], np.int64)
    # Since opset 18 the number of outputs is said by the sizes, as before.
    values = graph.node("Split", value, widths, name=f"{name}_part", outputs=len(parts), axis=-1)
    done = [
        _activated(graph, f"{name}_{number}", part, values[number], layer.layer)
        for number, (part, _) in enumerate(parts)
    ]
    return graph.node("Concat", *done, name=f"{name}_units", axis=-1)


# What is one operator without attributes.
_OPERATORS = {
    activations.ReLU: "Relu",
    activations.Tanh: "Tanh",
    activations.Softplus: "Softplus",
    activations.Exp: "Exp",
    activations.Sin: "Sin",
}


def _activated(graph: Graph, name: str, activation: AbstractActivation, z: str, layer: int) -> str:
    """Nodes for the activation of units `z`."""
    kind = type(activation)
    if kind is activations.Identity:
        return z
    if kind in _OPERATORS:
        return graph.node(_OPERATORS[kind], z, name=f"{name}_units")
    if kind not in _WRITERS:
        raise refusal("to_onnx", activation, layer)
    return _WRITERS[kind](graph, name, activation, z)


def _step(graph: Graph, name: str, activation: Any, z: str) -> str:
    # `Greater` would turn NaN into 0.
    return graph.node("Sign", graph.node("Relu", z, name=f"{name}_above"), name=f"{name}_units")


def _square(graph: Graph, name: str, activation: Any, z: str) -> str:
    return graph.node("Mul", z, z, name=f"{name}_units")


def _power(graph: Graph, name: str, activation: Any, z: str) -> str:
    return graph.node("Pow", z, graph.constant(f"{name}_power", activation.n), name=f"{name}_units")


def _sigmoid(graph: Graph, name: str, activation: Any, z: str) -> str:
    if activation.inverse_temperature != 1:
        scale = graph.constant(f"{name}_scale", activation.inverse_temperature)
        z = graph.node("Mul", z, scale, name=f"{name}_scaled")
    return graph.node("Sigmoid", z, name=f"{name}_units")


def _silu(graph: Graph, name: str, activation: Any, z: str) -> str:
    return graph.node("Mul", z, graph.node("Sigmoid", z, name=f"{name}_share"), name=f"{name}_units")


def _gelu(graph: Graph, name: str, activation: Any, z: str) -> str:
    if graph.opset >= _GELU_SINCE:
        approximate = "tanh" if activation.approximate else "none"
        return graph.node("Gelu", z, name=f"{name}_units", approximate=approximate)
    inner = _tanh_argument(graph, name, z) if activation.approximate else _erf_argument(graph, name, z)
    share = graph.node("Tanh" if activation.approximate else "Erf", inner, name=f"{name}_share")
    shifted = graph.node("Add", share, graph.constant(f"{name}_one", 1.0), name=f"{name}_shifted")
    half = graph.node("Mul", z, graph.constant(f"{name}_half", 0.5), name=f"{name}_halved")
    return graph.node("Mul", half, shifted, name=f"{name}_units")


def _erf_argument(graph: Graph, name: str, z: str) -> str:
    return graph.node("Mul", z, graph.constant(f"{name}_root", np.sqrt(0.5)), name=f"{name}_inner")


def _tanh_argument(graph: Graph, name: str, z: str) -> str:
    cubed = graph.node("Pow", z, graph.constant(f"{name}_three", 3.0), name=f"{name}_cubed")
    small = graph.node("Mul", cubed, graph.constant(f"{name}_small", 0.044715), name=f"{name}_little")
    total = graph.node("Add", z, small, name=f"{name}_total")
    return graph.node("Mul", total, graph.constant(f"{name}_root", np.sqrt(2 / np.pi)), name=f"{name}_inner")


def _softmax(graph: Graph, name: str, activation: Any, z: str) -> str:
    return graph.node("Softmax", z, name=f"{name}_units", axis=-1)


_WRITERS = {
    activations.Step: _step,
    activations.Square: _square,
    activations.Power: _power,
    activations.Sigmoid: _sigmoid,
    activations.SiLU: _silu,
    activations.GELU: _gelu,
    activations.Softmax: _softmax,
}
