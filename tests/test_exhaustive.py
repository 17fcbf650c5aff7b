"""Proofs at every point of a finite domain: against rationals, running networks, and claims that are a little false."""

import dataclasses
import os
import subprocess
import sys
import time
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._arithmetic.integers import on_grid, products
from deepconstruct._arithmetic.running import enclose
from deepconstruct._certify.points import exhaustive, pointwise
from deepconstruct._certify.points.pointwise import Pointwise
from deepconstruct._certify.points.values import FLOATING
from deepconstruct.activations import Concatenate, Identity, Power, ReLU, Square, Step
from deepconstruct.domains import Bits, Box, Points, Product, Signs, Space
from deepconstruct.linear import Butterfly, Composed, Dense, DirectSum, SignPatterns, SignProduct, Stack
from deepconstruct.network import Layer, Network
from machine import Machine, net

METHOD = exhaustive.METHOD
OPTIONS: Any = None
REALS = np.random.default_rng(0).normal(size=16)

BUILT = {
    "parity": lambda dtype: dc.parity(5, dtype=dtype),
    "parity_step": lambda dtype: dc.parity(6, activation="step", dtype=dtype),
    "parity_sigmoid": lambda dtype: dc.parity(4, activation="sigmoid", dtype=dtype),
    "parity_unfused": lambda dtype: dc.catalog.build("parity_unfused", 4, dtype=dtype),
    "parity_count": lambda dtype: dc.catalog.build("parity_count", 5, dtype=dtype),
    "parity_dnf": lambda dtype: dc.catalog.build("parity_dnf", 4, dtype=dtype),
    "parity_bounded_depth": lambda dtype: dc.catalog.build("parity_bounded_depth", {"n": 6, "depth": 3}, dtype=dtype),
    "boolean_function": lambda dtype: dc.catalog.build("boolean_function", 3, dtype=dtype),
    "boolean_reals": lambda dtype: dc.boolean_function(REALS, dtype=dtype),
    "boolean_minterm": lambda dtype: dc.catalog.build("boolean_minterm", 3, dtype=dtype),
    "boolean_sigmoid": lambda dtype: dc.catalog.build("boolean_sigmoid", 3, dtype=dtype),
    "boolean_classifier": lambda dtype: dc.catalog.build("boolean_classifier", 3, dtype=dtype),
    "bit_product": lambda dtype: dc.catalog.build("bit_product", 3, dtype=dtype),
    "bits_to_signs": lambda dtype: dc.catalog.build("bits_to_signs", 3, dtype=dtype),
    "signs_to_bits": lambda dtype: dc.catalog.build("signs_to_bits", 3, dtype=dtype),
}


def proof(construction):
    """The certificate of the exact proof alone, about points of the domain; nothing is run."""
    assert METHOD.applies(construction) is None
    still = dataclasses.replace(construction.claim, robustness=dc.Robustness())
    return pointwise.prove(dc.claim(construction.network, still), "exhaustive")


def bound(certificate):
    assert certificate.verdict == "proved", str(certificate)
    assert (certificate.backend, certificate.counterexample) == (None, None)
    assert certificate.found is not None
    return certificate.found


def with_error(construction, error):
    return dc.claim(construction.network, dataclasses.replace(construction.claim, error=error))


def claimed(network, function, domain, error: Any = 0.0, codomain=None, **more):
    target = function if isinstance(function, dc.targets.AbstractTarget) else dc.Target("given", function)
    codomain = codomain or Space(network.out_size)
    return dc.claim(network, dc.Claim(target, domain, codomain, error, dtype=network.dtype.name, **more))


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("dtype", [pytest.param("float16", marks=pytest.mark.slow), "float32", "float64"])
@pytest.mark.parametrize("name", BUILT)
def test_finite_claims_of_the_library_are_proved(name, dtype):
    if name == "boolean_classifier":
        pytest.importorskip("flint")
    construction = BUILT[name](dtype)
    certificate, claim = proof(construction), construction.claim
    found = bound(certificate)
    assert found.absolute <= claim.error.absolute
    assert certificate.inputs == claim.domain.cardinality
    assert FLOATING not in certificate.trusts
    evidence = certificate.evidence
    assert isinstance(evidence, Pointwise)
    assert found.absolute <= (evidence.real + evidence.rounding) * (1 + 1e-15)
    if claim.error.is_exact:
        assert (evidence.digits is not None, evidence.real, evidence.rounding) == (True, 0, 0)
    else:
        # Neither what is proved, nor less.
        assert proof(with_error(construction, found.absolute)).verdict == "proved"
        assert proof(with_error(construction, 0.98 * found.absolute)).verdict == "undecided"
    x = claim.domain.corners()
    ran = np.abs(np.asarray(construction(x)).astype(np.longdouble) - claim.target.wide(x)).max()
    assert ran <= found.absolute


def test_bfloat16_counts_its_own_digits():
    for name in ("parity", "boolean_function", "bits_to_signs"):
        assert bound(proof(BUILT[name]("bfloat16"))).is_exact
    wide = net(([[1.0] * 300],), dtype="bfloat16")
    points = Points(np.ones((1, 300)))
    assert proof(claimed(wide, lambda x: x.sum(axis=-1, keepdims=True), points)).verdict == "undecided"


def test_certify_runs_nothing_that_it_can_prove(monkeypatch):
    def refuse(*args):
        raise AssertionError("was run")

    monkeypatch.setattr("deepconstruct._certify.comparison.runner", refuse)
    certificate = METHOD.run(dc.parity(10, dtype="float32"), OPTIONS)
    assert str(certificate) == "proved (exhaustive, 1,024 inputs): error 0"


def test_sixteen_bits_are_proved_in_a_moment():
    construction = dc.parity(16, dtype="float32")
    began = time.perf_counter()
    assert bound(proof(construction)).is_exact
    assert time.perf_counter() - began < 1


# Users' networks -----------------------------------------------------------------------------------


def adder(wrong=False):
    """Two numbers of two bits each, lowest first, and the three bits of their sum."""
    steps = net(
        ([[1, 0, 1, 0], [1, 0, 1, 0]] + [[1, 2, 1, 2]] * 6, [-0.5, -1.5, *(0.5 - k for k in range(1, 7))], Step()),
        ([[1, -1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, -1, 0, 1], [0, 0, 0, 0, 0, 1, 0, 0 if not wrong else 1]],),
    )
    table = [[(s >> k) & 1 for k in range(3)] for s in ((i & 3) + (i >> 2) for i in range(16))]
    return claimed(steps, dc.targets.BooleanFunction(table), Bits(4), codomain=Bits(3))


def test_a_hand_written_adder_is_proved_and_a_wrong_one_refuted():
    assert bound(proof(adder())).is_exact
    found = dc.certify(adder(wrong=True), method="exhaustive")
    assert found.verdict == "refuted"
    assert found.counterexample is not None
    x = np.array(found.counterexample)
    assert x[0] + x[2] + 2 * (x[1] + x[3]) == 6


def test_a_trained_xor_with_a_threshold_is_proved():
    trained = net(
        ([[3.187, 3.201], [5.914, 5.902]], [-4.893, -2.644], dc.activations.Sigmoid()),
        ([[-9.61, 9.02]], [-4.11], Step()),
    )
    xor = claimed(trained, dc.targets.Parity(2), Bits(2), codomain=Bits(1))
    certificate = proof(xor)
    assert bound(certificate).is_exact
    assert any("ulps" in text for text in certificate.trusts)


def test_the_largest_of_four_numbers_on_a_grid():
    pairs = net(
        ([[1, -1, 0, 0], [0, 1, 0, 0], [0, -1, 0, 0], [0, 0, 1, -1], [0, 0, 0, 1], [0, 0, 0, -1]], None, ReLU())
    )
    both = [[1, 1, -1, 0, 0, 0], [0, 0, 0, 1, 1, -1]]
    last = np.array([[1, -1], [0, 1], [0, -1]]) @ both
    network = Network((*pairs.layers, *net((last, None, ReLU()), ([[1, 1, -1]],)).layers))
    x = np.array(np.meshgrid(*[np.arange(-3, 4) / 4] * 4)).reshape(4, -1).T
    certificate = proof(claimed(network, lambda x: x.max(axis=-1, keepdims=True), Points(x)))
    assert bound(certificate).is_exact
    assert FLOATING in certificate.trusts


# What must not be proved ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "network,function",
    [
        (net(([[1.0, -1.0, 1 - 2.0**-24]],)), lambda x: x[..., 2:]),  # one order gives this, and another not
        (net(([[3e38, 3e38, 0]],), ([[0.0]],)), lambda x: 0 * x[..., :1]),
        (net(([[3e38, -3e38, 3e38]], None, ReLU()), ([[0.0]],)), lambda x: 0 * x[..., :1]),
        (net(([[2.0**-140, 0, 0]],)), lambda x: x[..., :1] * 2.0**-140),  # may be flushed
        (net(([[2.0**-100, 0, 0]], None, Square())), lambda x: x[..., :1] * 2.0**-200),
        (
            net(([[0.1, 0.2, -0.3]], None, Step())),
            lambda x: jnp.heaviside(x[..., :1] + 2 * x[..., 1:2] - 3 * x[..., 2:], 0),
        ),
    ],
)
def test_what_rounding_may_spoil_is_not_proved(network, function):
    assert proof(claimed(network, function, Bits(3))).verdict == "undecided"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_targets_that_are_not_finite_are_not_proved(value):
    made = claimed(net(([[1.0]],)), lambda x: jnp.where(x == 1, value, x), Bits(1), 1e30)
    assert proof(made).verdict == "undecided"


def test_weights_that_are_no_numbers_are_not_proved():
    made = dc.parity(3, dtype="float32")
    for value in (np.nan, np.inf):
        broken = jax.tree.map(lambda w, value=value: w.at[(0,) * w.ndim].set(value), made.network)
        found = pointwise._Totals(with_error(made, 1e30).claim)
        x = np.asarray(made.claim.domain.enumerate(np.arange(8)))
        found.add(x, enclose(broken, x, x, made.claim.domain.steps()))
        assert not found.holds


@pytest.mark.parametrize("change", ["up", "down", "sign", "twice", "zero"])
@pytest.mark.parametrize("name", ["parity", "boolean_reals", "parity_step"])
def test_changed_weights_are_proved_only_if_they_keep_the_claim_in_rationals(name, change):
    made, draw = BUILT[name]("float32"), np.random.default_rng(len(name + change))
    x = made.claim.domain.corners()
    wanted = made.claim.target.exact(x)
    leaves, tree = jax.tree.flatten(made.network)
    for index, leaf in enumerate(leaves):
        changed = np.array(leaf)
        place = tuple(int(draw.integers(size)) for size in changed.shape)
        old = changed[place]
        changed[place] = {
            "up": np.nextafter(old, np.float32(np.inf)),
            "down": np.nextafter(old, np.float32(-np.inf)),
            "sign": -old,
            "twice": 2 * old,
            "zero": 0,
        }[change]
        mutant = dc.claim(
            jax.tree.unflatten(tree, [*leaves[:index], jnp.asarray(changed), *leaves[index + 1 :]]), made.claim
        )
        certificate = proof(mutant)
        if certificate.verdict == "proved":
            off = np.abs(rationals.evaluate(mutant, x) - wanted).max()
            assert off <= Fraction(bound(certificate).absolute) <= Fraction(made.claim.error.absolute)


@pytest.mark.parametrize(
    "dtype", [*(pytest.param(d, marks=pytest.mark.slow) for d in ("bfloat16", "float64")), "float16", "float32"]
)
def test_no_order_of_operations_leaves_what_is_proved(dtype):
    draw, proved = np.random.default_rng(7), 0
    for number in range(12):
        activation = (ReLU(), Step(), Square(), Power(3))[number % 4]
        shapes, layers = [(3, 3), (2, 3), (1, 2)], []
        for shape in shapes:
            fine, coarse = draw.normal(size=shape), draw.integers(-3, 4, shape) * 2.0 ** draw.integers(-3, 3)
            weights = np.where(draw.random(shape) < 0.4, fine, coarse)
            layers.append((weights, np.round(draw.normal(size=shape[0]), 1), activation))
        network = net(*layers[:-1], (*layers[-1][:2], Identity()), dtype=dtype)
        x = Bits(3).corners()
        table = rationals.evaluate(network, x).astype(float) + draw.normal(size=(8, 1)) * 1e-3 * (number % 3)
        if np.abs(table).max() > 3e4:
            continue  # beyond float16
        certificate = proof(claimed(network, dc.targets.BooleanFunction(table), Bits(3), 1e4))
        if certificate.verdict == "proved":
            proved += 1
            most = Fraction(bound(certificate).absolute)
            for row in range(8):
                for order in range(6):
                    off = abs(Machine(dtype, order).run(network, x[row])[0] - Fraction(float(table[row, 0])))
                    assert off <= most
    assert proved >= 6


# Claims of all kinds -------------------------------------------------------------------------------


def test_relative_bounds_and_one_an_output():
    network = net(([[1.0, 0.0], [0.0, 1.5]],))
    both = dc.Bound(0.25, 0.3)
    found = bound(proof(claimed(network, lambda x: x, Bits(2), both)))
    assert (found.absolute, found.relative) == (0.25, pytest.approx(0.25))
    assert bound(proof(claimed(network, lambda x: x, Bits(2), dc.Bound((0.0, 0.5))))) == dc.Bound((0.0, 0.5))
    for tight in (dc.Bound(0.25, 0.24), dc.Bound((0.0, 0.49)), dc.Bound((0.0, 0.49), 0.001), dc.Bound(0.1, 0.3)):
        assert proof(claimed(network, lambda x: x, Bits(2), tight)).verdict == "undecided"


def test_values_must_lie_in_the_codomain():
    third = dc.targets.Polynomial(1, ((((1,), 1 + 2.0**-30),),))
    for codomain, verdict in ((Box(1, 0, 1), "undecided"), (Box(1, 0, 2), "proved"), (Bits(1), "undecided")):
        made = claimed(net(([[1 + 2.0**-30]],), dtype="float64"), third, Bits(1), 1e-6, codomain)
        assert proof(made).verdict == verdict


def test_products_of_domains_and_points():
    domain = Product((Bits(2), Points(np.array([[0.25], [-3.0], [7.5]])), Signs(1)))
    made = claimed(net(([[1, -2, 4, 8]],)), dc.targets.Polynomial(4, ((((1, 0, 0, 0), 1.0), ((0, 1, 0, 0), -2.0),
        ((0, 0, 1, 0), 4.0), ((0, 0, 0, 1), 8.0)),)), domain)  # fmt: skip
    certificate = proof(made)
    assert bound(certificate).is_exact
    assert certificate.inputs == 24
    tenth = claimed(net(([[1.0]],)), lambda x: x, Points(np.array([[0.1]])))
    assert pointwise.prove(tenth, "exhaustive").verdict == "undecided"


def test_classes_of_ones_own_are_left_to_running():
    class Odd(ReLU):
        def __call__(self, z, *, axis=-1):
            return -z

    @dataclasses.dataclass(frozen=True)
    class Some(Bits):
        pass

    for made in (
        claimed(net(([[1.0]],), ([[1.0]], None, Odd())), lambda x: x, Bits(1)),
        claimed(net(([[1j]],), dtype="complex64"), lambda x: 1j * x, Bits(1), codomain=Space(1, "complex")),
        claimed(net(([[1.0]],)), lambda x: x, Some(1)),
        claimed(net(([[1.0]],)), lambda x: x.astype("complex64"), Bits(1), codomain=Space(1, "complex")),
    ):
        assert pointwise.prove(made, "exhaustive").verdict == "undecided"


def test_tables_beside_their_bits_are_evaluated_in_floating_point():
    identity = dc.targets.BooleanFunction([0, 1])
    certificate = proof(claimed(net(([[1.0]],)), identity, Points(np.array([[0.0], [1.0]]))))
    assert FLOATING not in certificate.trusts
    certificate = proof(claimed(net(([[0.0]],)), identity, Points(np.array([[0.25]]))))
    assert FLOATING in certificate.trusts


def test_without_flint_probabilities_are_evaluated_in_floating_point(monkeypatch):
    monkeypatch.setattr("deepconstruct._certify.points.values.has_flint", lambda: False)
    certificate = proof(BUILT["boolean_classifier"]("float32"))
    assert bound(certificate).absolute > 0
    assert FLOATING in certificate.trusts


def test_too_much_work_is_left_to_running(monkeypatch):
    monkeypatch.setattr(pointwise, "_GRID_WORK", 100)
    certificate = proof(dc.parity(4, dtype="float32"))
    assert "too many to prove one by one" in str(certificate)


def test_blocks_make_no_difference(monkeypatch):
    whole = proof(BUILT["boolean_reals"]("float32"))
    monkeypatch.setattr(pointwise, "_CELLS", 64)
    assert dataclasses.replace(proof(BUILT["boolean_reals"]("float32")), seconds=whole.seconds) == whole


SHARED = """
import jax, numpy as np, deepconstruct as dc
from deepconstruct._certify import comparison, exhaustive
assert jax.local_device_count() == 2
made, placed = dc.parity(8, dtype="float32"), []
put = jax.device_put
jax.device_put = lambda x, place: placed.append(put(x, place)) or placed[-1]
found = exhaustive.enumerated(made)
jax.device_put = put
assert (found.verdict, found.inputs, found.backend) == ("proved", 256, "cpu"), found
assert {len(x.sharding.device_set) for x in placed if isinstance(x, jax.Array)} == {2}
assert [x.addressable_shards[0].data.shape for x in placed if isinstance(x, jax.Array)] == [(128, 8)]
wrong = dc.claim(jax.tree.map(lambda w: 2 * w, made.network), made.claim)
assert exhaustive.enumerated(wrong).verdict == "refuted"
odd = dc.Claim(made.claim.target, dc.domains.Points(np.eye(8)[:5]), made.claim.codomain)
assert exhaustive.enumerated(dc.claim(made.network, odd)).inputs == 5
"""


@pytest.mark.slow
def test_devices_share_what_is_run():
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    found = subprocess.run([sys.executable, "-c", SHARED], env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


# The engine ----------------------------------------------------------------------------------------


def test_networks_on_grids_against_rationals():
    draw = np.random.default_rng(3)

    def whole(*shape):
        return jnp.asarray(draw.integers(-3, 4, shape) / 4, "float64")

    network = Network(
        (
            Layer(Stack((Dense(whole(3, 4)), SignPatterns(whole(4)))), whole(19), ReLU()),
            Layer(
                DirectSum(
                    (Composed(Dense(whole(2, 1)), Dense(whole(1, 15))), SignProduct(jnp.asarray(0.5, "float64"), 2))
                )
            ),
            Layer(Dense(whole(6, 3)), whole(6), Power(3)),
            Layer(Dense(whole(5, 6)), None, Step()),
            Layer(Dense(whole(4, 5)), None, Square()),
            Layer(Butterfly(whole(2, 2, 2, 1), [3, 1, 0, 2])),
        )
    )
    x = draw.integers(-2, 3, (50, 4)).astype(float)
    mixed = Network((Layer(Dense(jnp.eye(3)), None, Concatenate((Step(), Square(), ReLU()), (1, 1, 1))),))
    assert on_grid(mixed)(np.full((1, 3), -2.0)).tolist() == [[0, 4, 0]]
    assert np.array_equal(on_grid(network)(x), rationals.evaluate(network, x).astype(float))
    assert 100 < products(network) < 300
