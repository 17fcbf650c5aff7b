"""Bits as signs and back."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.domains import Bits, Signs

DTYPES = ["float16", "bfloat16", "float32", "float64"]
BOTH = [(dc.bits_to_signs, Bits, Signs, lambda x: 1 - 2 * x), (dc.signs_to_bits, Signs, Bits, lambda x: (1 - x) / 2)]


@pytest.mark.default_cases(13)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 33])
@pytest.mark.parametrize("build,domain,codomain,formula", BOTH)
def test_converters_are_exact(build, domain, codomain, formula, n, dtype):
    construction = build(n, dtype=dtype)
    claim = construction.claim
    assert (claim.domain, claim.codomain, claim.error) == (domain(n), codomain(n), dc.Bound())
    bits = np.random.default_rng(n).integers(0, 2, (8, n)).astype(float)
    x = bits if domain is Bits else 1 - 2 * bits
    assert np.array_equal(np.asarray(construction(x), float), formula(x))
    assert np.array_equal(np.asarray(claim.target(x)), formula(x))
    assert dc.cost(construction).synapses == n
    assert dc.cost(construction).neurons == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("build,domain,codomain,formula", BOTH)
def test_inputs_beside_the_domain_cost_what_is_claimed(build, domain, codomain, formula, dtype):
    construction, u = build(1, dtype=dtype), float(jnp.finfo(dtype).eps) / 2
    robustness = construction.claim.robustness
    points = np.array([0.0, 1.0]) if domain is Bits else np.array([-1.0, 1.0])
    for point, shift in itertools.product(points, [2.0**-k for k in (-6, 0, 1, 7, 30)] + [1 / 3, 7.7]):
        for moved in np.asarray(jnp.asarray([point + shift, point - shift], dtype), float):
            delta, error = abs(moved - point), abs(float(construction([moved])[0]) - formula(point))
            assert error <= robustness.largest_gain * delta + robustness.rounding
    # Over the reals the slope is reached, so a smaller gain would be wrong.
    assert abs(formula(1.0) - formula(0.0)) <= robustness.largest_gain <= abs(formula(1.0) - formula(0.0)) * (1 + 2 * u)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_networks_of_both_encodings_compose(n):
    signs = dc.series(dc.bits_to_signs(n), dc.parity(n, encoding="signs"), dc.signs_to_bits(1))
    assert signs.claim.error.is_exact
    bits = np.array(list(itertools.product([0, 1], repeat=n)))
    assert np.array_equal(np.asarray(signs(bits))[:, 0], bits.sum(axis=1) % 2)


def test_one_after_the_other_is_the_identity():
    again = dc.series(dc.bits_to_signs(3), dc.signs_to_bits(3))
    assert again([0, 1, 1]).tolist() == [0, 1, 1]
    assert again.claim.robustness.largest_gain == pytest.approx(1)


@pytest.mark.parametrize("target", [dc.targets.BitsToSigns(2), dc.targets.SignsToBits(2)])
def test_targets_take_integers_of_any_kind(target):
    formula = BOTH[target == dc.targets.SignsToBits(2)][3]
    for dtype in ("bool", "uint8", "int64", "float16"):
        x = np.array([0, 1], dtype)
        assert np.array_equal(np.asarray(target(x), float), formula(x.astype(float)))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("build", [dc.bits_to_signs, dc.signs_to_bits])
def test_the_radius_ends_before_sums_overflow(build, dtype):
    construction, largest = build(1, dtype=dtype), float(jnp.finfo(dtype).max)
    radius = construction.claim.robustness.radius
    assert largest / 8 < radius < largest
    for sign in (-1.0, 1.0):
        x = np.array([[sign * radius * 0.99]]).astype(dtype)
        delta = float(abs(x[0, 0].astype(float) - sign))
        wanted = construction.claim.target.wide(np.array([[sign]])).astype(float)
        assert abs(float(construction(x)[0, 0]) - wanted[0, 0]) <= construction.claim.allowance(delta)
