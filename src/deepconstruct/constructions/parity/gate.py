"""Parity of a few inputs, from the sum of them.

A gate with `k` inputs looks at their sum `s`, which on bits is 0, 1, ..., k, and has hidden units
`act(s - t_j)`. Its wire, the value that it hands on, is an affine function of its last units:

    fused    wire = sum_j w_j act(s - t_j) + c             k units
    unfused  wire = A act(sum_j w_j act(s - t_j) + c - theta) + B     k + 1 units

For k = 2 the fused ReLU gate is `relu(s) - 2 relu(s - 1)`, which is 0, 1, 0 at s = 0, 1, 2.
"""

import dataclasses

import numpy as np

from ..._arithmetic.logistic import logistic
from ...activations import AbstractActivation, ReLU, Sigmoid, Step


@dataclasses.dataclass(frozen=True)
class Gate:
    """The numbers of one gate, in double precision.

    Attributes:
        thresholds: `t_j`, shape `(k,)`.
        weights, shift: `w_j` and `c`.
        output: for an unfused gate `(theta, A, B)`, else `None`.
    """

    activation: AbstractActivation
    thresholds: np.ndarray
    weights: np.ndarray
    shift: float
    output: tuple[float, float, float] | None = None

    @property
    def arity(self) -> int:
        return len(self.thresholds)

    @property
    def wire(self) -> tuple[np.ndarray, float]:
        """Weights and shift that read the wire off the gate's last units."""
        if self.output is None:
            return self.weights, self.shift
        _, scale, shift = self.output
        return np.array([scale]), shift

    def partial_sums(self) -> tuple[float, float]:
        """What the positive and what the negative terms of the wire's sum add up to on bits, at most."""
        sums = np.arange(self.arity + 1.0)[:, None] - self.thresholds
        units = np.maximum(sums, 0.0) if isinstance(self.activation, ReLU) else (sums > 0).astype(float)
        return tuple(float((units @ np.maximum(sign * self.weights, 0)).max()) for sign in (1, -1))  # pyright: ignore[reportReturnType]


def parity_gate(arity: int, activation: AbstractActivation, readout: str, *, fused: bool) -> Gate:
    """The gate with `arity` inputs."""
    signs = (-1.0) ** np.arange(arity)
    halves = np.arange(arity) + 0.5
    if isinstance(activation, ReLU):
        weights = np.concatenate([[1.0], 2 * signs[1:]])
        return Gate(activation, np.arange(arity) * 1.0, weights, 0.0, None if fused else (0.0, 1.0, 0.0))
    if isinstance(activation, Step):
        return Gate(activation, halves, signs, 0.0, None if fused else (0.5, 1.0, 0.0))
    assert isinstance(activation, Sigmoid)
    beta = activation.inverse_temperature
    weights, shift = signs, 0.0
    if readout == "calibrated":
        weights, shift = _calibrated(beta, halves)
    return Gate(activation, halves, weights, shift, None if fused else _output(beta, readout))


def _calibrated(beta: float, thresholds: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and shift for which the sigmoid gate is exact at s = 0, ..., k, whatever beta is."""
    sums = np.arange(len(thresholds) + 1)
    units = logistic(beta * (sums[:, None] - thresholds))
    system = np.concatenate([units, np.ones((len(sums), 1))], axis=1)
    solution = np.linalg.solve(system, sums % 2)
    return solution[:-1], float(solution[-1])


def _output(beta: float, readout: str) -> tuple[float, float, float]:
    if readout == "raw":
        return 0.5, 1.0, 0.0
    scale = 1 / np.tanh(beta / 4)  # 1 / (S(beta / 2) - S(-beta / 2))
    return 0.5, float(scale), float(-scale * logistic(-beta / 2))
