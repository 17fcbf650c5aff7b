"""Activations as functions in C99."""

from typing import Any

import numpy as np

from .. import activations
from ..activations import AbstractActivation
from .plain import refusal


def literal(value: Any, dtype: np.dtype) -> str:
    """A number of that dtype in C, exactly."""
    number = float(np.asarray(value, dtype))
    digits, power = number.hex().split("p")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    text = "0.0" if number == 0 else f"{digits}p{power}"
    return text + "f" * (dtype == np.float32)


class Functions:
    """The functions that a program needs, each once.

    Args:
        dtype: of all numbers.
    """

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.real = "float" if dtype == np.float32 else "double"
        self.suffix = "f" if dtype == np.float32 else ""
        self.found: dict[str, str] = {}

    def applied(self, activation: AbstractActivation, start: int, width: int, layer: int) -> list[str]:
        """Statements that apply an activation to units `start, ..., start + width - 1` of the array `to`."""
        kind = type(activation)
        if kind is activations.Identity:
            return []
        if kind is activations.Softmax:
            self._define("softmax", _SOFTMAX)
            return [f"apply_softmax(to + {start}, {width});"]
        if kind not in _BODIES:
            raise refusal("to_c", activation, layer)
        name, body = _BODIES[kind](activation, self)
        self._define(name, f"static REAL apply_{name}(REAL z)\n{{\n    {body}\n}}")
        return [f"for (i = {start}; i < {start + width}; i++)", f"    to[i] = apply_{name}(to[i]);"]

    def _define(self, name: str, text: str) -> None:
        self.found[name] = text.replace("REAL", self.real).replace("SUFFIX", self.suffix)

    def number(self, value: float) -> str:
        return literal(value, self.dtype)


_SOFTMAX = """static void apply_softmax(REAL *z, int size)
{
    REAL most = z[0], total = 0;
    int i;
    for (i = 1; i < size; i++)
        if (z[i] > most)
            most = z[i];
    for (i = 0; i < size; i++) {
        z[i] = expSUFFIX(z[i] - most);
        total += z[i];
    }
    for (i = 0; i < size; i++)
        z[i] /= total;
}"""


def _sigmoid(activation: Any, functions: Functions) -> tuple[str, str]:
    scale = activation.inverse_temperature
    name = "sigmoid" if scale == 1 else f"sigmoid_{_word(scale)}"
    z = "z" if scale == 1 else f"({functions.number(scale)} * z)"
    return name, f"return 1 / (1 + expSUFFIX(-{z}));"


def _power(activation: Any, functions: Functions) -> tuple[str, str]:
    body = (
        "REAL result = 1;\n    unsigned n;\n"
        f"    for (n = {activation.n}; n > 0; n >>= 1) {{\n"
        "        if (n & 1)\n            result *= z;\n"
        "        if (n > 1)\n            z *= z;\n    }\n    return result;"
    )
    return f"power_{activation.n}", body


def _gelu(activation: Any, functions: Functions) -> tuple[str, str]:
    half, number = functions.number(0.5), functions.number
    if not activation.approximate:
        # By erfc, so that nothing cancels where the result is small.
        return "gelu", f"return {half} * z * erfcSUFFIX(-{number(np.sqrt(0.5))} * z);"
    inner = f"{number(np.sqrt(2 / np.pi))} * (z + {number(0.044715)} * (z * z * z))"
    return "gelu_tanh", f"return {half} * z * (1 + tanhSUFFIX({inner}));"


def _word(value: float) -> str:
    """A number as a part of a name."""
    return float(value).hex().replace("-", "m").replace("+", "").replace(".", "_")


# What compares with 0 passes NaN on.
_BODIES = {
    activations.ReLU: lambda *_: ("relu", "return z < 0 ? 0 : z;"),
    activations.Step: lambda *_: ("step", "return z > 0 ? 1 : z == z ? 0 : z;"),
    activations.Square: lambda *_: ("square", "return z * z;"),
    activations.Power: _power,
    activations.Sigmoid: _sigmoid,
    activations.Tanh: lambda *_: ("hyperbolic_tangent", "return tanhSUFFIX(z);"),
    activations.Softplus: lambda *_: (
        "softplus",
        "return (z > 0 ? z : 0) + log1pSUFFIX(expSUFFIX(-fabsSUFFIX(z)));",
    ),
    activations.Exp: lambda *_: ("exponential", "return expSUFFIX(z);"),
    activations.GELU: _gelu,
    activations.SiLU: lambda *_: ("silu", "return z / (1 + expSUFFIX(-z));"),
    activations.Sin: lambda *_: ("sine", "return sinSUFFIX(z);"),
}
