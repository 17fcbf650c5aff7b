"""How far one gate, a smooth hidden layer with one output, is off a polynomial on a box, as it runs.

    |fl(N)(x) - p(x)| <= |N(x) - p(x)| + |fl(N)(x) - N(x)|    for all floats of a box.

The first part, over the reals with the weights as stored, is the range of a polynomial whose coefficients are made
in balls (`series_terms`, `series_range`), the second one the rounding model's (`series_rounding`).
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ...activations import AbstractActivation
from ...linear.signs import sign_table
from .balls import POLYNOMIAL, SMOOTH, degree
from .powers import powers_read
from .range import largest_modulus
from .rounding import Cell, Format, activated, halved, mixed_differences, pre_activations, summed
from .terms import Exponents, Units, Unprovable as Unprovable, about, expand

# What is left out of the real part is at most this share of the rounding.
_SHARE = 2.0**-8


@dataclasses.dataclass(frozen=True)
class GateBound:
    """What was proved of a gate, for all floats of a box.

    Attributes:
        real: a bound of `|N(x) - p(x)|` over the reals, with the weights as stored.
        rounding: a bound of `|fl(N)(x) - N(x)|`.
        slopes: bounds of `|dN/dx_i|` on the box.
        order: the polynomial that was bounded has all terms of lower degree.
        cells: into how many the box was cut.
    """

    real: float
    rounding: float
    slopes: tuple[float, ...]
    order: int
    cells: int

    @property
    def total(self) -> float:
        """A bound of `|fl(N)(x) - p(x)|`."""
        return math.nextafter(self.real + self.rounding, math.inf)


def prove_gate(
    weights: np.ndarray,
    biases: np.ndarray,
    activations: Sequence[AbstractActivation],
    readout: np.ndarray,
    constant: float,
    target: Mapping[Exponents, Fraction],
    bounds: np.ndarray,
    dtype: Any,
    *,
    center: np.ndarray | None = None,
    ordered: bool = False,
    enough: float | None = None,
) -> GateBound:
    """Bound `|fl(N)(x) - p(x)|` for `N(x) = constant + sum_k readout_k f_k(biases_k + weights_k x)`.

    Needs python-flint. Inputs are floats of the dtype in the box: who has others, off by something, inflates it.

    Args:
        weights: the stored weights of the units, shape `(units, n)`, in double precision.
        biases: theirs, shape `(units,)`.
        activations: theirs, of `SMOOTH` or `POLYNOMIAL`.
        readout: one stored number a unit.
        constant: what is added to the output.
        target: the polynomial `p`, its coefficients by exponents.
        bounds: half the widths of the box, positive, shape `(n,)`.
        dtype: of the network.
        center: of the box, shape `(n,)`; by default 0.
        ordered: whether the units are summed as `SignPatterns` and `SignProduct` do (then all of the readout has one
            modulus, with the signs of `SignProduct`, and there is no constant); else in any order.
        enough: how much larger than needed the real part may be; by default 1/256 of the rounding.

    Returns:
        The bounds.

    Raises:
        Unprovable: with the reason, where there is no bound.
        TypeError: an activation without a series in balls.
    """
    weights, biases, bounds, readout = (np.asarray(part, np.float64) for part in (weights, biases, bounds, readout))
    cell = Cell(np.zeros_like(bounds) if center is None else np.asarray(center, np.float64), bounds)
    _check(weights, biases, activations, readout, constant, cell)
    if ordered and not is_signed(readout, constant):
        raise Unprovable("its readout isn't a product of signs")
    form = Format.of(dtype)
    sums = pre_activations(weights, biases, cell, form, ordered)
    held = activated(activations, sums, form)
    if ordered:
        differences = mixed_differences(activations, weights, biases, cell, sums)
        rounding = halved(float(readout[0]), held, differences, form)[2]
    else:
        rounding = summed(readout, constant, held, form)[2]
    power = one_power(activations)
    if power is not None:
        corners = powers_read(power, weights, biases, readout, constant, cell, form, ordered=ordered)
        rounding = min(rounding, corners)
    units = Units(activations, weights, fractions(biases), fractions(readout), Fraction(float(constant)))
    return bounded(units, target, cell, rounding, enough)


def bounded(
    units: Units, target: Mapping[Exponents, Fraction], cell: Cell, rounding: float, enough: float | None
) -> GateBound:
    """The real part beside a rounding that is known.

    Raises:
        Unprovable: with the reason, where there is no bound.
    """
    if not math.isfinite(rounding):
        raise Unprovable("numbers may come up that are beyond the range of the dtype, or sums too long for it")
    enough = max(_SHARE * rounding, 1e-300) if enough is None else enough
    terms = expand(units.about(cell.center), about(target, cell.center), cell.half, enough)
    peak = largest_modulus(terms.exponents, terms.coefficients, enough)
    real = (peak.bound + terms.rest) * (1 + 2.0**-50)  # more than what three roundings take away
    return GateBound(real, rounding, tuple(terms.slopes.tolist()), terms.order, peak.cells)


def fractions(values: np.ndarray) -> list[Fraction]:
    """Floats as exact numbers."""
    return [Fraction(value) for value in values.tolist()]


def one_power(activations: Sequence[AbstractActivation]) -> int | None:
    """The degree of activations that are all one power."""
    degrees = {degree(activation) for activation in activations}
    return degrees.pop() if len(degrees) == 1 else None


def is_signed(readout: np.ndarray, constant: float) -> bool:
    """Whether a readout is one number times the products of the signs of all patterns."""
    levels = len(readout).bit_length() - 1
    if constant or len(readout) != 2**levels:
        return False
    return bool(np.all(readout == readout[0] * sign_table(levels).prod(axis=1)))


def _check(
    weights: np.ndarray,
    biases: np.ndarray,
    activations: Sequence[AbstractActivation],
    readout: np.ndarray,
    constant: float,
    cell: Cell,
) -> None:
    if not all(type(activation) in (*SMOOTH, *POLYNOMIAL) for activation in activations):
        raise TypeError("gates: expected smooth activations of this library's own classes")
    shape = len(activations), len(cell.half)
    if weights.shape != shape or biases.shape != shape[:1] or readout.shape != shape[:1]:
        raise ValueError(f"gates: expected weights of shape {shape}; got {weights.shape}")
    numbers = (weights, biases, readout, np.array([constant]), cell.center, cell.half)
    if not all(np.all(np.isfinite(part)) for part in numbers) or not np.all(cell.half > 0):
        raise Unprovable("weights that aren't finite, or an empty box")
