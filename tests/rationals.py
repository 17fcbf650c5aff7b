"""Exact arithmetic for tests: networks and polynomials over the rationals, from the numbers that are stored.

Floats are multiples of powers of two, and all that happens here keeps them so: a batch is held as
integers over one power of two, which is exact and far faster than an array of fractions.
"""

import dataclasses
import itertools
from fractions import Fraction
from typing import Any

import numpy as np

import deepconstruct as dc
from deepconstruct._bias import bias_vector
from deepconstruct.activations import AbstractActivation, Concatenate, Identity, Power, ReLU, Square, Step
from deepconstruct.linear import AbstractLinear, Composed, DirectSum, Stack
from deepconstruct.network import flat_layers
from deepconstruct.targets import AbstractTarget, Polynomial


@dataclasses.dataclass(frozen=True)
class Dyadic:
    """Numbers `integers / 2^digits`, Python integers in an object array."""

    integers: np.ndarray
    digits: int

    def to(self, digits: int) -> np.ndarray:
        """The integers over a larger power of two."""
        return self.integers << (digits - self.digits)


def dyadic(values: Any) -> Dyadic:
    """Floats as they are."""
    values = np.asarray(values, np.float64)
    ratios = [value.as_integer_ratio() for value in values.ravel().tolist()]
    digits = max((below.bit_length() - 1 for _, below in ratios), default=0)
    integers = np.empty(len(ratios), object)
    integers[:] = [(above << digits) // below for above, below in ratios]
    return Dyadic(integers.reshape(values.shape), digits)


def fractions(values: Any) -> np.ndarray:
    """Floats as an object array of fractions."""
    values = np.asarray(values, np.float64)
    found = np.empty(values.size, object)
    found[:] = [Fraction(value) for value in values.ravel().tolist()]
    return found.reshape(values.shape)


def evaluate(network: dc.Network | dc.Construction, x: Any) -> np.ndarray:
    """What a network computes over the reals: fractions `(batch, out_size)`, for floats `(batch, in_size)`."""
    values = dyadic(x)
    for layer in flat_layers(network.network if isinstance(network, dc.Construction) else network):
        values = apply_linear(layer.linear, values)
        bias = bias_vector(layer.bias)
        if bias is not None:
            values = _sum(values, dyadic(bias))
        values = activate(layer.activation, values)
    return values.integers * Fraction(1, 2**values.digits)


def apply_linear(linear: AbstractLinear, x: Dyadic) -> Dyadic:
    """A map on a batch, factor by factor and part by part as it is stored."""
    if isinstance(linear, Composed):
        return apply_linear(linear.outer, apply_linear(linear.inner, x))
    if isinstance(linear, Stack):
        return _joined([apply_linear(part, x) for part in linear.parts])
    if isinstance(linear, DirectSum):
        starts = np.cumsum([0, *(part.in_size for part in linear.parts)])
        slices = [Dyadic(x.integers[:, a:b], x.digits) for a, b in itertools.pairwise(starts)]
        return _joined([apply_linear(part, y) for part, y in zip(linear.parts, slices, strict=True)])
    rows, cols, stored = linear.entries()
    weights = dyadic(stored)
    integers = np.zeros((len(x.integers), linear.out_size), object)
    for row, col, weight in zip(rows.tolist(), cols.tolist(), weights.integers, strict=True):
        integers[:, row] += weight * x.integers[:, col]
    return Dyadic(integers, x.digits + weights.digits)


def activate(activation: AbstractActivation, z: Dyadic) -> Dyadic:
    """An activation that keeps rationals rational."""
    if isinstance(activation, Concatenate):
        cuts = np.cumsum(activation.widths)[:-1]
        pieces = zip(activation.activations, np.split(z.integers, cuts, axis=-1), strict=True)
        parts = [activate(part, Dyadic(piece, z.digits)) for part, piece in pieces]
        digits = max(part.digits for part in parts)
        return Dyadic(np.concatenate([part.to(digits) for part in parts], axis=-1), digits)
    if isinstance(activation, Identity):
        return z
    if isinstance(activation, ReLU):
        return Dyadic(np.where(z.integers > 0, z.integers, 0), z.digits)
    if isinstance(activation, Step):
        return Dyadic((z.integers > 0).astype(int).astype(object), 0)
    if isinstance(activation, Square | Power):
        degree = activation.n if isinstance(activation, Power) else 2
        return Dyadic(z.integers**degree, z.digits * degree)
    raise TypeError(f"{activation.name()} doesn't keep rationals rational")


def evaluate_polynomial(target: AbstractTarget, x: Any) -> np.ndarray:
    """A polynomial by its definition: fractions `(batch, outputs)`, for floats `(batch, variables)`."""
    assert isinstance(target, Polynomial)
    points = fractions(x)
    columns = [sum((_term(points, *term) for term in terms), 0 * points[:, 0]) for terms in target.outputs]
    return np.stack(columns, axis=1)


def _term(points: np.ndarray, exponents: tuple[int, ...], coefficient: float) -> np.ndarray:
    term = np.full(len(points), Fraction(coefficient), object)
    for column, exponent in zip(points.T, exponents, strict=True):
        term = term * column**exponent
    return term


def _sum(a: Dyadic, b: Dyadic) -> Dyadic:
    digits = max(a.digits, b.digits)
    return Dyadic(a.to(digits) + b.to(digits), digits)


def _joined(parts: list[Dyadic]) -> Dyadic:
    digits = max(part.digits for part in parts)
    return Dyadic(np.concatenate([part.to(digits) for part in parts], axis=1), digits)


def error_within(construction: dc.Construction, x: np.ndarray, wanted: np.ndarray, moved: Any = None) -> Fraction:
    """By how much the network at `moved` (or `x`) errs beyond its absolute claim: at most 0 if it keeps it.

    `wanted` holds the exact values at `x`, as fractions; the network runs in its own precision.
    """
    claim = construction.claim
    inputs = x if moved is None else moved
    delta = float(np.abs(fractions(inputs) - fractions(x)).max())
    error = np.abs(fractions(construction(inputs)) - wanted).max()
    return error - Fraction(claim.error.absolute) - Fraction(claim.allowance(delta if moved is not None else 0.0))
