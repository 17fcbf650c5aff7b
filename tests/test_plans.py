"""What builders of products remember of their wiring, what they say of extreme sizes, and orders of summation."""

import math

import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.construction import Built
from deepconstruct.construction.plans import Circuit, GatePlan, Sum


def plan_of(construction):
    assert isinstance(construction.origin, Built)
    hash(construction.origin.plan)
    return construction.origin.plan


def bias_and_scale(hidden):
    return float(hidden.bias.values[0]), float(hidden.linear.scales[0])


def test_one_gate_remembers_patterns_bias_and_scale():
    gate = dc.multiplication_gate(bound=2.0, dtype="float64")
    plan, hidden = plan_of(gate), gate.network.layers[0]
    assert isinstance(hidden, dc.Layer)
    assert plan == GatePlan(2, "signs", *bias_and_scale(hidden))
    assert plan_of(dc.flat_product(3, activation="power")).kind == "fixed"
    assert plan_of(dc.flat_product(2, output_bias=True)).kind == "subsets"
    assert plan_of(dc.multiplication_gate(richardson=True)).mix != 0


def test_circuits_are_remembered():
    one = (Sum(((0, 1.0),)), Sum(((1, 1.0),)))
    wanted = Circuit((1.0, 1.0), ((one,),), (Sum(((0, 1.0),)),))
    assert plan_of(dc.product_tree(2)) == wanted
    built = [
        dc.polynomial({(2, 1): 1.0, (0, 0): 2.0}),
        dc.quadratic_form(np.eye(2)),
        dc.gaussian_classifier([[-1.0], [1.0]], [[1.0]]),
        dc.hamiltonian_classifier([{(1,): 1.0}, {(1,): -1.0}]),
    ]
    assert all(isinstance(plan_of(construction), Circuit) for construction in built)


BEYOND = [
    (lambda bound: dc.multiplication_gate(bound=bound, dtype="float32"), "multiplication_gate"),
    (lambda bound: dc.multiplication_gate(bound=bound, richardson=True, dtype="float32"), "multiplication_gate"),
    (lambda bound: dc.flat_product(3, bound=bound, dtype="float32"), "flat_product"),
    (lambda bound: dc.product_tree(400, bound=bound, activation="square", dtype="float32"), "product_tree"),
    (lambda bound: dc.polynomial({(2, 3): 1.0}, bound=bound, dtype="float32"), "polynomial"),
    (lambda bound: dc.quadratic_form(np.eye(2), bound=bound, dtype="float32"), "quadratic_form"),
]


@pytest.mark.parametrize("bound,way", [(1e30, "down"), (1e-30, "up"), (1e300, "down"), (1e-300, "up")])
@pytest.mark.parametrize("build,owner", BEYOND)
def test_inputs_beyond_the_range_are_to_be_scaled_the_right_way(build, owner, bound, way):
    if bound == 1e-30 and owner == "quadratic_form":
        assert build(bound).claim.error.largest < 1e-30  # what is flushed to zero is off by itself
        return
    with pytest.raises(ValueError, match=rf"{owner}: .* beyond the range of float32; scale the inputs {way}"):
        build(bound)


def test_scaled_inputs_are_within_the_range():
    assert all(math.isfinite(build(1.0).claim.error.largest) for build, _ in BEYOND)


def test_coefficients_and_sums_beyond_the_range_are_refused():
    with pytest.raises(
        ValueError, match=r"polynomial: values of up to 1e\+10 are beyond the range of float16; scale the"
    ):
        dc.polynomial({(1,): 1e10}, dtype="float16")
    with pytest.raises(ValueError, match=r"polynomial: coefficients of up to 1e\+05 are beyond the range of float16"):
        dc.polynomial({(1,): 1e5}, bound=1e-4, dtype="float16")


def test_no_bound_in_few_digits_is_said_with_ways_that_work():
    with pytest.raises(
        ValueError, match=r"product_tree: no error bound holds for .* in float16 at n=64; use dtype='float64"
    ):
        dc.product_tree(64, dtype="float16")
    assert dc.product_tree(64, dtype="float64").claim.error.largest < 1e-6


@pytest.mark.parametrize("join", [dc.fan_out, dc.parallel])
def test_dense_matrices_count_what_joined_gates_lose_with_their_order(join):
    gate = dc.multiplication_gate(dtype="float32")
    both = join(gate, gate)
    assert dc.densify(both).claim.error.largest > both.claim.error.largest
