"""What nodes do to values: one function an operator."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..activations import join
from .onnx_units import Z, activation_of
from .onnx_values import Value, applied, matrix_map, scaled, started


class Node:
    """A node whose inputs are known: values, or constants as arrays.

    Args:
        label: its name and operator, for messages.
        inputs: one an input, `None` where one is left out.
        attributes: by name; what a rule has looked at is taken away.
        outputs: how many there are.
        opset: the version of the operators.
    """

    def __init__(self, label: str, inputs: list[Any], attributes: dict[str, Any], outputs: int, opset: int):
        self.label, self.inputs, self.attributes = label, inputs, attributes
        self.outputs, self.opset = outputs, opset

    def refusal(self, reason: str) -> ValueError:
        return ValueError(f"from_onnx: {self.label}: {reason}")

    def value(self, index: int = 0) -> Value:
        """An input that depends on the network's."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, Value):
            raise self.refusal(f"its input {index} must depend on the network's input, and not be a constant")
        return found

    def constant(self, index: int) -> np.ndarray:
        """An input that is a constant."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, np.ndarray):
            raise self.refusal(f"its input {index} must be a constant")
        return found

    def pair(self) -> tuple[Value, Any, bool]:
        """The value and the other of two inputs, and whether the value stands first."""
        if len(self.inputs) != 2:
            raise self.refusal("it must have two inputs")
        first = isinstance(self.inputs[0], Value)
        return (self.value(0), self.inputs[1], True) if first else (self.value(1), self.inputs[0], False)

    def finish(self) -> None:
        """Refuse attributes that no rule has looked at."""
        if self.attributes:
            raise self.refusal(f"its attribute {min(self.attributes)!r} isn't known")


def _spread(node: Node, value: Value, constant: np.ndarray) -> np.ndarray:
    """A constant as one number a feature."""
    shape = (1, *value.features) if value.batched else value.features
    try:
        spread = np.broadcast_to(constant, shape)
    except ValueError:
        raise node.refusal(f"a constant of shape {constant.shape} doesn't fit features {value.features}") from None
    return spread.ravel()


def _gemm(node: Node) -> Value:
    value, matrix = node.value(0), node.constant(1)
    for name in ("alpha", "beta"):
        if node.attributes.pop(name, 1.0) != 1:
            raise node.refusal(f"{name} must be 1, since its product with weights would be rounded")
    if node.attributes.pop("transA", 0):
        raise node.refusal("transA must be 0")
    if matrix.ndim != 2 or not value.batched or len(value.features) != 1:
        raise node.refusal("it must multiply (batch, features) by a matrix")
    matrix = matrix if node.attributes.pop("transB", 0) else matrix.T
    made = _product(node, value, matrix)
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return made
    return dataclasses.replace(made, bias=_spread(node, made, node.constant(2)))


def _matmul(node: Node) -> Value:
    if not isinstance(node.inputs[0], Value):
        raise node.refusal("the constant matrix must stand second, as inputs are rows")
    matrix = node.constant(1)
    if matrix.ndim != 2:
        raise node.refusal(f"it must multiply by a matrix; got shape {matrix.shape}")
    return _product(node, node.value(0), matrix.T)


def _product(node: Node, value: Value, matrix: np.ndarray) -> Value:
    if not value.is_flat or value.features[-1] != matrix.shape[1] or 0 in matrix.shape:
        raise node.refusal(f"a matrix of shape {matrix.shape[::-1]} doesn't fit features {value.features}")
    return started(value, node.label, matrix_map(matrix), None)


def _add(node: Node) -> Value:
    value, other, _ = node.pair()
    if isinstance(other, Value):
        return _joined(node, "plus", *node.inputs)
    return _shifted(node, value, other)


def _sub(node: Node) -> Value:
    value, other, first = node.pair()
    if isinstance(other, Value) or not first:
        raise node.refusal("only constants can be subtracted")
    return _shifted(node, value, -other)


def _shifted(node: Node, value: Value, constant: np.ndarray) -> Value:
    numbers = _spread(node, value, constant)
    if value.is_open:
        return dataclasses.replace(value, bias=numbers, node=node.label)
    if constant.size == 1:
        return applied(value, node.label, "add", value.units, constant.reshape(())[()])
    return started(value, node.label, None, numbers)


def _mul(node: Node) -> Value:
    value, other, _ = node.pair()
    if isinstance(other, Value):
        return _joined(node, "times", *node.inputs)
    numbers = _spread(node, value, other)
    if other.size == 1:
        return applied(value, node.label, "mul", value.units, other.reshape(())[()])
    return scaled(value, node.label, numbers)


def _div(node: Node) -> Value:
    value, other, first = node.pair()
    if isinstance(other, Value) or not first or not other.all():
        raise node.refusal("it must divide by constants that aren't 0")
    inverse = 1 / other
    if np.all(np.abs(np.frexp(other)[0]) == 0.5):
        numbers = _spread(node, value, inverse)
        is_one = other.size == 1
        made = applied(value, node.label, "mul", value.units, inverse.reshape(())[()]) if is_one else None
        return scaled(value, node.label, numbers) if made is None else made
    if other.size != 1:
        raise node.refusal("it must divide by powers of two: others would be rounded; multiply by constants instead")
    return applied(value, node.label, "div", value.units, other.reshape(())[()])


def _pow(node: Node) -> Value:
    value, power = node.value(0), node.constant(1)
    n = float(power.reshape(-1)[0]) if power.size == 1 else 0
    if n != int(n) or not 1 <= n <= 2**20:
        raise node.refusal("the power must be one integer of at least 1")
    return applied(value, node.label, "pow", value.units, int(n))


def _joined(node: Node, operator: str, first: Value, second: Value) -> Value:
    """Two expressions of the same sums as one."""
    same = all(getattr(first, name) is getattr(second, name) for name in ("layers", "linear", "bias", "whole"))
    if not same or first.features != second.features or first.start != second.start:
        raise node.refusal("it joins two branches: networks are chains of layers here")
    return applied(first, node.label, operator, first.units, second.units)


def _unary(operator: str) -> Callable[[Node], Value]:
    return lambda node: applied(node.value(), node.label, operator, node.value().units)


def _gelu(node: Node) -> Value:
    approximate = node.attributes.pop("approximate", b"none")
    if approximate not in (b"none", b"tanh"):
        raise node.refusal(f"approximate must be 'none' or 'tanh'; got {approximate!r}")
    value = node.value()
    return applied(value, node.label, "gelu", value.units, approximate == b"tanh")


def _softmax(node: Node) -> Value:
    value = node.value()
    _check_last(node, value, node.attributes.pop("axis", 1 if node.opset < 13 else -1))
    return applied(value, node.label, "softmax", value.units)


def _check_last(node: Node, value: Value, axis: int) -> None:
    rank = len(value.features) + value.batched
    if axis not in (-1, rank - 1) or not value.is_flat:
        raise node.refusal(f"its axis must be that of all features, the last; got axis {axis}")


def _flatten(node: Node) -> Value:
    value = node.value()
    if not value.batched or node.attributes.pop("axis", 1) not in (1, -len(value.features)):
        raise node.refusal("its axis must be 1, that behind the batch")
    return dataclasses.replace(value, features=(value.size,), node=node.label)


def _reshape(node: Node) -> Value:
    value, shape = node.value(), [int(size) for size in node.constant(1).ravel()]
    node.attributes.pop("allowzero", 0)
    rows, rest = shape[:1], shape[1:]
    known = int(np.prod([size for size in rest if size != -1], dtype=object)) if rest else 0
    if -1 in rest and known > 0 and rows != [-1]:
        rest = [value.size // known if size == -1 else size for size in rest]
    fits = value.batched and rest and min(rest) > 0 and np.prod(rest, dtype=object) == value.size
    if not fits or rows[0] not in (-1, 0, value.batch):
        raise node.refusal(f"it must keep the axis of the batch and all features; got shape {shape}")
    return dataclasses.replace(value, features=tuple(rest), node=node.label)


def _split(node: Node) -> list[Value]:
    value = node.value()
    _check_last(node, value, node.attributes.pop("axis", 0))
    sizes = _sizes(node, value)
    if sum(sizes) != value.size or min(sizes) < 1 or len(sizes) != node.outputs:
        raise node.refusal(f"its parts must be of all {value.size} features; got sizes {sizes}")
    if value.whole is not None or value.units != Z:
        value = started(value, node.label, None, None)
    starts = np.cumsum([0, *sizes[:-1]])
    return [
        dataclasses.replace(value, features=(size,), whole=value, start=int(start), node=node.label)
        for size, start in zip(sizes, starts, strict=True)
    ]


def _sizes(node: Node, value: Value) -> list[int]:
    given = node.attributes.pop("split", None)
    node.attributes.pop("num_outputs", None)
    if len(node.inputs) > 1:
        given = node.constant(1).ravel()
    if given is None:
        each = -(-value.size // node.outputs)
        given = [each] * (node.outputs - 1) + [value.size - each * (node.outputs - 1)]
    return [int(size) for size in given]


def _concat(node: Node) -> Value:
    parts = [node.value(index) for index in range(len(node.inputs))]
    axis, whole = node.attributes.pop("axis", None), parts[0].whole
    ends = np.cumsum([0, *(part.size for part in parts)])
    if whole is None or any(part.whole is not whole for part in parts):
        raise node.refusal("it joins branches: only the parts of one Split can be concatenated")
    if [part.start for part in parts] != list(ends[:-1]) or ends[-1] != whole.size:
        raise node.refusal("it must concatenate all parts of a Split in their order")
    _check_last(node, whole, axis)
    found = [_activation(node, part) for part in parts]
    joined = join([(activation, part.size) for activation, part in zip(found, parts, strict=True)])
    return applied(whole, node.label, "is", joined)


def _activation(node: Node, part: Value) -> Any:
    found = activation_of(part.units)
    if found is None:
        raise node.refusal(f"{part.node} gives no activation of dc.activations")
    return found


def _identity(node: Node) -> Value:
    return node.value()


RULES: dict[str, Callable[[Node], Any]] = {
    **{name: _unary(name.lower()) for name in ("Relu", "Sigmoid", "Tanh", "Softplus", "Exp", "Sin", "Erf", "Sign")},
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Sub": _sub,
    "Mul": _mul,
    "Div": _div,
    "Pow": _pow,
    "Gelu": _gelu,
    "Softmax": _softmax,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Split": _split,
    "Concat": _concat,
    "Identity": _identity,
}
