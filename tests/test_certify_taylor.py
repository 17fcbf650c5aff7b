"""Certificates of smooth hidden layers on boxes, against fifty digits on dense samples."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.intervals import bias_array
from deepconstruct._certify.gates import Unprovable, prove_gate
from deepconstruct.activations import groups
from deepconstruct.linear import as_matrix
from deepconstruct.network import flat_layers

pytest.importorskip("flint")

NAMES = ("sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "exp", "sin", "square")


def exactly(activation, z):
    """An activation to fifty digits, by its formula."""
    name = activation.name()
    if name.startswith("sigmoid"):
        return 1 / (1 + mpmath.exp(-activation.inverse_temperature * z))
    if name == "gelu(tanh)":
        inner = mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf(44715) / 10**6 * z**3)
        return z * (1 + mpmath.tanh(inner)) / 2
    if name.startswith("power"):
        return z**activation.n
    return {
        "tanh": mpmath.tanh,
        "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
        "exp": mpmath.exp,
        "sin": mpmath.sin,
        "silu": lambda z: z / (1 + mpmath.exp(-z)),
        "gelu(erf)": lambda z: z * mpmath.ncdf(z),
        "square": lambda z: z * z,
    }[name](z)


def parts(construction):
    """Weights, biases, activations, readout and constant of a network with one hidden layer."""
    hidden, readout = flat_layers(construction.network)
    kinds = [kind for kind, width in groups(hidden.activation, hidden.out_size) for _ in range(width)]
    weights, values = (np.asarray(as_matrix(layer.linear), np.float64) for layer in (hidden, readout))
    return weights, bias_array(hidden), kinds, values[0], float(bias_array(readout)[0])


def product(n):
    return {(1,) * n: Fraction(1)}


def over_the_reals(construction, x):
    """The network with its stored weights, and the product of its inputs, to fifty digits."""
    weights, biases, kinds, readout, constant = parts(construction)
    with mpmath.workdps(50):
        total = mpmath.mpf(constant)
        for row, bias, kind, value in zip(weights, biases, kinds, readout, strict=True):
            z = mpmath.fdot(map(mpmath.mpf, row), map(mpmath.mpf, x)) + mpmath.mpf(bias)
            total += mpmath.mpf(value) * exactly(kind, z)
        return total, mpmath.fprod(map(mpmath.mpf, x))


def proved(construction, *, scale=1.0, ordered=True, target=None, enough=None):
    bounds = np.asarray(construction.claim.domain.box()[1]) * scale
    target = target or product(len(bounds))
    return prove_gate(*parts(construction), target, bounds, construction.network.dtype, ordered=ordered, enough=enough)


def grid(n, points):
    axes = [np.linspace(-1, 1, points)] * n
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, n)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_gates_of_all_activations_are_proved_within_their_claims(name, dtype):
    gate = dc.multiplication_gate(activation=name, dtype=dtype)
    assert proved(gate).total <= gate.claim.error.largest


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES[:-1])
def test_the_real_part_is_an_upper_bound_and_tight(name, dtype):
    gate = dc.multiplication_gate(activation=name, dtype=dtype, bound=2.0)
    bound = proved(gate)
    largest = 0.0
    for x in 2 * grid(2, 9):
        if x[0] >= abs(x[1]):
            got, wanted = over_the_reals(gate, x)
            largest = max(largest, float(abs(got - wanted)))
    assert largest <= bound.real <= 1.1 * largest + bound.rounding / 100


def test_the_rounding_holds_what_is_seen():
    for name in NAMES:
        gate = dc.multiplication_gate(activation=name, dtype="float32")
        bound, seen = proved(gate), 0.0
        x = np.random.default_rng(0).uniform(-1, 1, (200, 2)).astype(np.float32)
        for row, y in zip(x, np.asarray(gate(x))[:, 0], strict=True):
            seen = max(seen, abs(float(over_the_reals(gate, row.astype(float))[0] - mpmath.mpf(float(y)))))
        assert bound.rounding / 60 <= seen <= bound.rounding


def test_slopes_hold_differences():
    gate = dc.multiplication_gate(dtype="float64")
    slopes = proved(gate).slopes
    for x in grid(2, 5):
        moved = np.clip(x + np.array([2.0**-20, 0]), -1, 1)
        change = abs(over_the_reals(gate, x)[0] - over_the_reals(gate, moved)[0])
        assert change <= slopes[0] * abs(moved - x)[0]
    assert 1.0 <= slopes[0] <= 1.01


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["signs", "power", "bias"])
def test_flat_products_are_proved_within_their_claims(n, kind):
    options = {"signs": {}, "power": {"activation": "power"}, "bias": {"output_bias": True}}[kind]
    gate = dc.flat_product(n, dtype="float64", **options)
    bound = proved(gate, ordered=kind != "bias")
    assert bound.total <= gate.claim.error.largest
    x = np.ones(n)
    got, wanted = over_the_reals(gate, x)
    assert abs(got - wanted) <= bound.real


def test_sums_in_any_order_round_more():
    gate = dc.multiplication_gate(dtype="float32")
    assert proved(gate, ordered=False).rounding > 1.5 * proved(gate).rounding


def test_other_polynomials_are_not_the_product():
    gate = dc.multiplication_gate(dtype="float64")
    assert proved(gate, target={(2, 0): Fraction(1)}).real >= 2
    off = proved(gate, target={(1, 1): Fraction(1) + Fraction(1, 10**6)}).real
    assert 1e-6 * (1 - 1e-4) <= off <= 1e-6 * (1 + 1e-4)


def test_what_has_no_bound_says_why():
    gate = dc.multiplication_gate(dtype="float32")
    with pytest.raises(Unprovable, match="don't reach as far"):
        proved(gate, scale=100.0)
    weights, biases, kinds, readout, _ = parts(gate)
    with pytest.raises(Unprovable, match="product of signs"):
        prove_gate(
            weights, biases, kinds, -readout[::-1] * [1, 1, 1, 2], 0.0, product(2), np.ones(2), "float32", ordered=True
        )
    with pytest.raises(Unprovable, match="finite"):
        prove_gate(weights * np.nan, biases, kinds, readout, 0.0, product(2), np.ones(2), "float32")
    with pytest.raises(Unprovable, match="beyond the range"):
        prove_gate(weights, biases, kinds, readout * 1e300, 0.0, product(2), np.ones(2), "float32")
