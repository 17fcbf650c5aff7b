"""How far one gate, a smooth hidden layer with one output, is off a polynomial on a box, as it runs.

    |fl(N)(x) - p(x)| <= |N(x) - p(x)| + |fl(N)(x) - N(x)|    for all floats |x_i| <= B_i.

The first part, over the reals with the weights as stored, is the range of a polynomial whose coefficients are made
in balls (`series_terms`, `series_range`), the second one the rounding model's (`series_rounding`).
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..activations import AbstractActivation
from ..linear.signs import sign_table
from .series_balls import POLYNOMIAL, SMOOTH, degree
from .series_powers import powers_read
from .series_range import largest_modulus
from .series_rounding import Format, activated, halved, mixed_differences, pre_activations, summed
from .series_terms import Exponents, Units, Unprovable as Unprovable, expand

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
    readout: np.ndarray | Sequence[Fraction],
    constant: float | Fraction,
    target: Mapping[Exponents, Fraction],
    bounds: np.ndarray,
    dtype: Any,
    *,
    ordered: bool = False,
    enough: float | None = None,
) -> GateBound:
    """Bound `|fl(N)(x) - p(x)|` for `N(x) = constant + sum_k readout_k f_k(biases_k + weights_k x)`.

    Needs python-flint. Inputs are floats of the dtype, of any sign, up to `bounds`: who has others, off by
    something, inflates the bounds.

    Args:
        weights: the stored weights of the units, shape `(units, n)`, in double precision.
        biases: theirs, shape `(units,)`.
        activations: theirs, of `SMOOTH` or `POLYNOMIAL`.
        readout: one stored number a unit.
        constant: what is added to the output.
        target: the polynomial `p`, its coefficients by exponents.
        bounds: positive, shape `(n,)`.
        dtype: of the network.
        ordered: whether the units are summed as `SignPatterns` and `SignProduct` do (then all of the readout has one
            modulus, with the signs of `SignProduct`, and there is no constant); else in any order.
        enough: how much larger than needed the real part may be; by default 1/256 of the rounding.

    Returns:
        The bounds.

    Raises:
        Unprovable: with the reason, where there is no bound.
        TypeError: an activation without a series in balls.
    """
    weights, biases, bounds = (np.asarray(part, np.float64) for part in (weights, biases, bounds))
    values = np.array([float(value) for value in readout])
    _check(weights, biases, activations, values, float(constant), bounds)
    if ordered and not is_signed(values, float(constant)):
        raise Unprovable("its readout isn't a product of signs")
    form = Format.of(dtype)
    sums = pre_activations(weights, biases, bounds, form, ordered)
    held = activated(activations, biases, sums, form)
    if ordered:
        differences = mixed_differences(activations, weights, biases, bounds)
        rounding = halved(float(values[0]), held, differences, form)[2]
    else:
        rounding = summed(values, float(constant), held, form)[2]
    powers = {degree(activation) for activation in activations}
    if len(powers) == 1 and None not in powers:
        value = polynomial_bound(target, bounds)
        refined = powers_read(
            powers.pop() or 0, weights, biases, values, float(constant), bounds, value, form,
            in_order=ordered, in_pairs=ordered,
        )  # fmt: skip
        rounding = min(rounding, refined)
    if not math.isfinite(rounding):
        raise Unprovable(f"numbers beyond the range of {np.dtype(dtype).name} may come up")
    exact = [Fraction(value) for value in readout]
    units = Units(activations, weights, biases, exact, Fraction(constant))
    return bounded(units, target, bounds, rounding, _SHARE * rounding if enough is None else enough)


def bounded(
    units: Units, target: Mapping[Exponents, Fraction], bounds: np.ndarray, rounding: float, enough: float
) -> GateBound:
    """The real part beside a rounding that is known."""
    terms = expand(units, target, bounds, enough)
    peak = largest_modulus(terms.exponents, terms.coefficients, enough)
    real = (peak.bound + terms.rest) * (1 + 2.0**-52)
    return GateBound(real, rounding, tuple(terms.slopes.tolist()), terms.order, peak.cells)


def polynomial_bound(target: Mapping[Exponents, Fraction], bounds: np.ndarray) -> float:
    """A bound of `|p(x)|`, by the sum of the moduli of its terms."""
    exact = [Fraction(float(bound)) for bound in bounds]
    total = sum(
        (abs(value) * math.prod(b**k for b, k in zip(exact, a, strict=True)) for a, value in target.items()),
        Fraction(0),
    )
    return rounded_up(total)


def rounded_up(value: Fraction) -> float:
    """A float that is at least as large."""
    try:
        return math.nextafter(float(value), math.inf)
    except OverflowError:
        return math.inf


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
    bounds: np.ndarray,
) -> None:
    if not all(type(activation) in (*SMOOTH, *POLYNOMIAL) for activation in activations):
        raise TypeError("gates: expected smooth activations of this library's own classes")
    shape = len(activations), len(bounds)
    if weights.shape != shape or biases.shape != shape[:1] or readout.shape != shape[:1]:
        raise ValueError(f"gates: expected weights of shape {shape}; got {weights.shape}")
    numbers = (weights, biases, readout, np.array([constant]), bounds)
    if not all(np.all(np.isfinite(part)) for part in numbers) or not np.all(bounds > 0):
        raise Unprovable("weights that aren't finite, or an empty box")
