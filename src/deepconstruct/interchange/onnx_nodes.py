"""What nodes do to values: one function an operator."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._static import to_jax
from ..activations import AbstractActivation, Identity, join
from ..linear import Dense
from .onnx_units import Z, activation_of
from .onnx_values import Value, applied, diagonal, started


class Node:
    """A node whose inputs are known: values, or constants as arrays.

    Args:
        label: its name and operator, for messages.
        inputs: one an input, `None` where one is left out.
        attributes: by name; what a rule has looked at is taken away.
        outputs: how many there are.
        opset: the version of the operators.
        dtype: of all values and weights.
    """

    def __init__(
        self, label: str, inputs: list[Any], attributes: dict[str, Any], *, outputs: int, opset: int, dtype: np.dtype
    ):
        self.label, self.inputs, self.attributes = label, inputs, attributes
        self.outputs, self.opset, self.dtype = outputs, opset, dtype

    def refusal(self, reason: str) -> ValueError:
        return ValueError(f"{self.label}: {reason}")

    def value(self, index: int = 0) -> Value:
        """An input that depends on the network's."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, Value):
            raise self.refusal(f"its input {index} must depend on the network's input, and not be a constant")
        return found

    def numbers(self, index: int) -> np.ndarray:
        """An input that is a constant of weights."""
        found = self._constant(index)
        if found.dtype != self.dtype:
            raise self.refusal(f"its input {index} must be of {self.dtype}, as the network's input; got {found.dtype}")
        if not np.all(np.isfinite(found)):
            raise self.refusal(f"its input {index} must be finite; got {found[~np.isfinite(found)][0]}")
        return found

    def sizes(self, index: int) -> list[int]:
        """An input that is a constant of sizes."""
        found = self._constant(index)
        if found.dtype.kind != "i":
            raise self.refusal(f"its input {index} must hold integers; got {found.dtype}")
        return [int(size) for size in found.ravel()]

    def _constant(self, index: int) -> np.ndarray:
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, np.ndarray):
            raise self.refusal(f"its input {index} must be a constant")
        return found

    def operands(self) -> tuple[Value, Value | np.ndarray]:
        """The value and the other of two inputs that may come in any order."""
        if len(self.inputs) != 2:
            raise self.refusal("it must have two inputs")
        first = 0 if isinstance(self.inputs[0], Value) else 1
        other = self.inputs[1 - first]
        return self.value(first), other if isinstance(other, Value) else self.numbers(1 - first)

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


def _number(node: Node, value: Value, constant: np.ndarray) -> Any:
    """A constant of one element as that number; `None` if it has more."""
    if constant.size != 1:
        return None
    _spread(node, value, constant)
    return constant.ravel()[0]


def _gemm(node: Node) -> Value:
    value, matrix = node.value(0), node.numbers(1)
    for name in ("alpha", "beta"):
        if node.attributes.pop(name, 1.0) != 1:
            raise node.refusal(f"{name} must be 1, since its product with weights would be rounded")
    if node.attributes.pop("transA", 0):
        raise node.refusal("transA must be 0")
    if matrix.ndim != 2 or not value.batched or len(value.features) != 1:
        raise node.refusal("it must multiply (batch, features) by a matrix")
    made = _product(node, value, matrix if node.attributes.pop("transB", 0) else matrix.T)
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return made
    return dataclasses.replace(made, bias=_spread(node, made, node.numbers(2)))


def _matmul(node: Node) -> Value:
    if not isinstance(node.inputs[0], Value):
        raise node.refusal("the constant matrix must stand second, as inputs are rows")
    matrix = node.numbers(1)
    if matrix.ndim != 2:
        raise node.refusal(f"it must multiply by a matrix; got shape {matrix.shape}")
    return _product(node, node.value(0), matrix.T)


def _product(node: Node, value: Value, matrix: np.ndarray) -> Value:
    if not value.is_flat or value.features[-1] != matrix.shape[1] or 0 in matrix.shape:
        raise node.refusal(f"a matrix of shape {matrix.shape[::-1]} doesn't fit features {value.features}")
    return started(value, node.label, Dense(to_jax(np.ascontiguousarray(matrix))), None)


def _add(node: Node) -> Value:
    value, other = node.operands()
    return _joined(node, "plus", value, other) if isinstance(other, Value) else _shifted(node, value, other)


def _sub(node: Node) -> Value:
    if not isinstance(node.inputs[0], Value) or not isinstance(node.operands()[1], np.ndarray):
        raise node.refusal("only constants can be subtracted")
    return _shifted(node, node.value(), -node.numbers(1))


def _shifted(node: Node, value: Value, constant: np.ndarray) -> Value:
    numbers = _spread(node, value, constant)
    if value.is_open:
        return dataclasses.replace(value, bias=numbers, node=node.label)
    number = _number(node, value, constant)
    if number is None:
        return started(value, node.label, None, numbers)
    return applied(value, node.label, "add", value.units, number)


def _mul(node: Node) -> Value:
    value, other = node.operands()
    if isinstance(other, Value):
        return _joined(node, "times", value, other)
    number = _number(node, value, other)
    if number is None:
        return started(value, node.label, diagonal(_spread(node, value, other)), None)
    return applied(value, node.label, "mul", value.units, number)


def _div(node: Node) -> Value:
    value, number = node.value(), _number(node, node.value(), node.numbers(1))
    if number is None or number == 0:
        raise node.refusal("it must divide by one number that isn't 0; multiply by constants instead")
    inverse = 1 / number
    is_exact = abs(np.frexp(number)[0]) == 0.5 and np.finfo(node.dtype).tiny <= abs(inverse) < np.inf
    # Others would be rounded; all that they may be is a part of GELU written out.
    operator, factor = ("mul", inverse) if is_exact else ("div", number)
    return applied(value, node.label, operator, value.units, factor)


def _pow(node: Node) -> Value:
    value, power = node.value(), node._constant(1)
    n = float(power.ravel()[0]) if power.size == 1 else 0.0
    if not n.is_integer() or not 1 <= n <= 2**20:
        raise node.refusal("the power must be one integer of at least 1")
    return applied(value, node.label, "pow", value.units, int(n))


def _joined(node: Node, operator: str, first: Value, second: Value) -> Value:
    """Two expressions of the same sums as one."""
    if not first.has_sums_of(second):
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


def _check_last(node: Node, value: Value, axis: Any) -> None:
    rank = len(value.features) + value.batched
    if axis not in (-1, rank - 1) or not value.is_flat:
        raise node.refusal(f"its axis must be the last, and hold all features; got axis {axis}")


def _flatten(node: Node) -> Value:
    value = node.value()
    if not value.batched or node.attributes.pop("axis", 1) not in (1, -len(value.features)):
        raise node.refusal("its axis must be 1, that behind the batch")
    return dataclasses.replace(value, features=(value.size,), node=node.label)


def _reshape(node: Node) -> Value:
    value, shape = node.value(), node.sizes(1)
    rows, rest = shape[:1], shape[1:]
    known = math.prod(size for size in rest if size != -1)
    if rest.count(-1) == 1 and known > 0 and rows != [-1]:
        rest = [value.size // known if size == -1 else size for size in rest]
    fits = value.batched and rest and min(rest) > 0 and math.prod(rest) == value.size
    if not fits or rows[0] not in (-1, 0, value.batch) or node.attributes.pop("allowzero", 0):
        raise node.refusal(f"it must keep the axis of the batch and all features; got shape {shape}")
    return dataclasses.replace(value, features=tuple(rest), node=node.label)


def _split(node: Node) -> list[Value]:
    value = node.value()
    _check_last(node, value, node.attributes.pop("axis", 0))
    sizes = _part_sizes(node, value)
    if len(sizes) != node.outputs or min(sizes) < 1 or sum(sizes) != value.size:
        raise node.refusal(f"its parts must be of all {value.size} features; got sizes {sizes}")
    if value.whole is not None or value.units != Z:
        value = started(value, node.label, None, None)
    starts = np.cumsum([0, *sizes[:-1]])
    return [
        dataclasses.replace(value, features=(size,), whole=value, start=int(start), node=node.label)
        for size, start in zip(sizes, starts, strict=True)
    ]


def _part_sizes(node: Node, value: Value) -> list[int]:
    given = node.attributes.pop("split", None)
    node.attributes.pop("num_outputs", None)  # they are counted
    if len(node.inputs) > 1:
        given = node.sizes(1)
    if given is None:
        each = -(-value.size // node.outputs)
        given = [each] * (node.outputs - 1) + [value.size - each * (node.outputs - 1)]
    return list(given)


def _concat(node: Node) -> Value:
    parts = [node.value(index) for index in range(max(len(node.inputs), 1))]
    axis, whole = node.attributes.pop("axis", None), parts[0].whole
    ends = np.cumsum([0, *(part.size for part in parts)])
    if whole is None or any(part.whole is not whole for part in parts):
        raise node.refusal("it joins branches: only the parts of one Split can be concatenated")
    if [part.start for part in parts] != list(ends[:-1]) or ends[-1] != whole.size:
        raise node.refusal("it must concatenate all parts of a Split in their order")
    _check_last(node, whole, axis)
    found = [_activation(node, part) for part in parts]
    joined = join([(activation, part.size) for activation, part in zip(found, parts, strict=True)])
    return applied(whole, node.label, "is", Z, joined)


def _activation(node: Node, part: Value) -> AbstractActivation:
    found = Identity() if part.units == Z else activation_of(part.units)
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
