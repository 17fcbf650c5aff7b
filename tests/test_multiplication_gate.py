"""Multiplication gates: measured errors against the known ones, claims that are sound and tight, refusals."""

# Builders take activations by name.
# pyright: reportArgumentType=false

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import (
    GELU,
    Custom,
    Exp,
    Power,
    Sigmoid,
    SiLU,
    Sin,
    Softplus,
    Square,
    Tanh,
)
from marks import slow_among

# The least errors that a search over scales measured on [-1, 1]^2, in float32 and float64.
LEAST = {
    "sigmoid": (1.6e-5, 2.2e-11),
    "tanh": (4.3e-5, 7.9e-11),
    "softplus": (1.4e-5, 1.5e-11),
    "gelu": (1.5e-5, 2.3e-11),
    "gelu_tanh": (1.8e-5, 2.9e-11),
    "silu": (1.5e-5, 2.5e-11),
    "exp": (2.9e-4, 8.1e-9),
    "sin": (2.1e-4, 7.8e-9),
    "square": (1.4e-7, 2.2e-16),
}
SMOOTH = [name for name in LEAST if name != "square"]
DTYPES = ["float32", "float64"]
EVERY = pytest.mark.parametrize("activation,dtype", [(name, dtype) for name in LEAST for dtype in DTYPES])


@functools.cache
def unit_points() -> np.ndarray:
    line = np.linspace(-1, 1, 161)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    return np.concatenate([grid, np.random.default_rng(0).uniform(-1, 1, (20_000, 2))])


@functools.cache
def build(activation: str, dtype: str, bound: float = 1.0, richardson: bool = False) -> dc.Construction:
    return dc.multiplication_gate(activation=activation, dtype=dtype, bound=bound, richardson=richardson)


def points(gate: dc.Construction) -> np.ndarray:
    bound = float(gate.claim.domain.high)  # pyright: ignore[reportAttributeAccessIssue]
    return (unit_points() * bound).astype(gate.claim.dtype)


def measured(gate: dc.Construction, moved: np.ndarray | float = 0.0) -> float:
    """The largest error found, for inputs that are off by `moved`."""
    x = points(gate)
    exact = x[:, 0].astype(np.longdouble) * x[:, 1]
    got = np.asarray(gate(x + np.asarray(moved, x.dtype)))
    assert got.dtype == gate.claim.dtype
    return float(np.abs(got[:, 0] - exact).max())


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.default_cases(2)
@EVERY
def test_the_error_is_near_the_least_known(activation, dtype):
    assert measured(build(activation, dtype)) <= 3 * LEAST[activation][DTYPES.index(dtype)]


@pytest.mark.default_cases(6)
@pytest.mark.parametrize("bound", [1.0, 0.1, 3.0, 10.0])
@EVERY
def test_the_claimed_error_is_above_the_measured_one_and_within_ten_times_of_it(activation, dtype, bound):
    gate = build(activation, dtype, bound)
    found = measured(gate)
    assert found <= gate.claim.error.absolute <= 10 * found


@pytest.mark.parametrize("bound", [0.1, 3.0, 10.0])
@EVERY
def test_errors_are_relative_to_the_square_of_the_bound(activation, dtype, bound):
    least = LEAST[activation][DTYPES.index(dtype)]
    assert measured(build(activation, dtype, bound)) <= 3 * least * bound**2


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("activation,dtype", [("sigmoid", "float32"), ("silu", "float64"), ("square", "float32")])
def test_errors_inside_jit_and_over_other_layouts_stay_within_the_claim(activation, dtype):
    gate = build(activation, dtype)
    x = points(gate)
    exact = x[:, 0].astype(np.longdouble) * x[:, 1]
    for run in (jax.jit(lambda v: gate(v)), jax.jit(jax.vmap(gate.network)), jax.jit(lambda v: gate(v.T, axis=0).T)):
        assert np.abs(np.asarray(run(x))[:, 0] - exact).max() <= gate.claim.error.absolute


@pytest.mark.parametrize("bound", [0.1, 1.0, 10.0])
@EVERY
def test_claims_hold_for_inputs_that_are_off(activation, dtype, bound):
    claim = build(activation, dtype, bound).claim
    assert claim.robustness.radius > 0
    for share in (0.01, 1.0):
        delta = share * claim.robustness.radius
        signs = np.sign(unit_points()) * np.random.default_rng(1).choice([1, 1, 1, -1], unit_points().shape)
        # Mostly outwards, where a product moves most; a little less than delta, as inputs are rounded.
        moved = signs * delta * (1 - 1e-5)
        assert measured(build(activation, dtype, bound), moved) <= claim.error.absolute + claim.allowance(delta)


def test_the_gain_is_that_of_a_product():
    claim = build("sigmoid", "float64", 3.0).claim
    assert 2 * 3.0 <= claim.robustness.gain <= 1.1 * 2 * 3.0


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("activation", list(LEAST))
def test_a_zero_input_gives_zero_up_to_rounding(activation):
    # Over the reals a gate with a zero input is exact, whatever its bias and scale.
    gate = dc.multiplication_gate(activation=activation, dtype="float64", scale=2.0**-4)
    x = np.stack([np.linspace(-1, 1, 101), np.zeros(101)], axis=1)
    for points in (x, x[:, ::-1]):
        assert np.abs(np.asarray(gate(points))).max() <= 1e-11


@pytest.mark.parametrize("activation", list(LEAST))
def test_the_built_in_claims_are_proved_ones(activation):
    assert not build(activation, "float32").claim.is_estimate
    assert build(activation, "float32").claim.target == dc.targets.Product(2)


# Eight neurons ------------------------------------------------------------------------------------


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", slow_among(SMOOTH, SMOOTH[1::2]))
def test_eight_neurons_keep_their_claim(activation, dtype):
    gate = build(activation, dtype, richardson=True)
    assert measured(gate) <= gate.claim.error.absolute <= 20 * measured(gate)
    assert dc.cost(gate).neurons == 8


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", SMOOTH)
def test_eight_neurons_claim_and_reach_less_error_than_four(activation, dtype):
    four, eight = build(activation, dtype), build(activation, dtype, richardson=True)
    assert eight.claim.error.absolute < four.claim.error.absolute
    assert measured(eight) < measured(four)


@pytest.mark.parametrize("bound", [0.1, 10.0])
def test_eight_neurons_scale_with_the_bound_and_take_inputs_that_are_off(bound):
    gate = build("sigmoid", "float64", bound, richardson=True)
    claim = gate.claim
    assert measured(gate) <= claim.error.absolute <= 1e-11 * bound**2
    moved = np.sign(unit_points()) * claim.robustness.radius * (1 - 1e-9)
    assert measured(gate, moved) <= claim.error.absolute + claim.allowance(claim.robustness.radius)


# Costs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", list(LEAST))
def test_a_gate_has_four_neurons_in_one_hidden_layer(activation):
    cost = dc.cost(build(activation, "float32"))
    assert (cost.depth, cost.neurons, cost.width, cost.linear_neurons) == (1, 4, 4, 0)
    assert cost.synapses == 12


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("activation,richardson", [("sigmoid", False), ("tanh", True), ("square", False)])
def test_the_dense_form_is_the_same_function(activation, richardson):
    gate = build(activation, "float64", richardson=richardson)
    dense = dc.densify(gate)
    x = points(gate)[:500]
    # The same units, summed in another order.
    assert np.abs(np.asarray(dense(x)) - np.asarray(gate(x))).max() <= gate.claim.error.absolute
    assert all(isinstance(layer.linear, dc.linear.Dense) for layer in dense.network.layers)  # pyright: ignore


# Your own activation ------------------------------------------------------------------------------


def twisted(z):
    return z * jnp.tanh(z)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "function", slow_among([jnp.arctan, twisted, jax.nn.gelu, lambda z: 1 / (1 + z * z)], [twisted, jax.nn.gelu])
)
def test_any_jax_function_with_a_curvature_multiplies(function, dtype):
    gate = dc.multiplication_gate(activation=function, dtype=dtype)
    assert gate.claim.is_estimate
    assert measured(gate) <= gate.claim.error.absolute  # an estimate, but it should be a good one
    assert gate.claim.error.absolute <= (2e-3 if dtype == "float32" else 1e-8)
    assert dc.cost(gate).neurons == 4


def test_bounds_of_derivatives_make_the_claim_proved():
    bounded = Custom(jnp.sin, "sine", ((6, 1.0),))
    gate = dc.multiplication_gate(activation=bounded, dtype="float64")
    assert not gate.claim.is_estimate
    assert measured(gate) <= gate.claim.error.absolute <= 10 * build("sin", "float64").claim.error.absolute


@pytest.mark.parametrize("bounds", [((1, 1.0),), ((2, 1.0),), ((1, 1.0), (2, 1.0))])
def test_bounds_of_low_derivatives_alone_prove_nothing_but_do_no_harm(bounds):
    # A bound of the slope is what `lipschitz` takes; the product needs orders above two.
    gate = dc.multiplication_gate(activation=Custom(jnp.sin, "sine", bounds), dtype="float64")
    assert measured(gate) <= gate.claim.error.absolute


@pytest.mark.parametrize(
    "act", [Sigmoid(3.0), Sigmoid(0.25), Tanh(), Softplus(), GELU(), SiLU(), Exp(), Sin(), Square(), Power(2)]
)
def test_activation_objects_are_taken_as_they_are(act):
    gate = dc.multiplication_gate(activation=act, dtype="float64")
    assert gate.network.layers[0].activation == act  # pyright: ignore[reportAttributeAccessIssue]
    assert measured(gate) <= gate.claim.error.absolute <= 1e-7


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("inverse_temperature", [1e-3, 0.1, 10.0, 300.0])
def test_the_temperature_of_a_sigmoid_does_not_matter(inverse_temperature):
    gate = dc.multiplication_gate(activation=Sigmoid(inverse_temperature), dtype="float64")
    assert measured(gate) <= gate.claim.error.absolute <= 3 * build("sigmoid", "float64").claim.error.absolute


@pytest.mark.parametrize("n", [3, 4, 6])
def test_higher_powers_multiply_too(n):
    gate = dc.multiplication_gate(activation=Power(n), dtype="float64")
    assert measured(gate) <= gate.claim.error.absolute <= 1e-7


# Bias and scale -----------------------------------------------------------------------------------


def test_bias_and_scale_may_be_chosen():
    gate = dc.multiplication_gate(bias=-1.3, scale=0.01, dtype="float64")
    hidden = gate.network.layers[0]
    assert np.asarray(hidden.bias.values) == pytest.approx(-1.3)  # pyright: ignore
    assert np.asarray(hidden.linear.scales) == pytest.approx([0.01, 0.01])  # pyright: ignore
    assert measured(gate) <= gate.claim.error.absolute
    assert gate.claim.error.absolute > build("sigmoid", "float64").claim.error.absolute


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 0.3])
@pytest.mark.parametrize("bias", [-2.0, 1.0, None])
def test_every_bias_and_scale_has_a_sound_claim(bias, scale):
    gate = dc.multiplication_gate(bias=bias, scale=scale, dtype="float64")
    assert measured(gate) <= gate.claim.error.absolute


def test_the_best_bias_is_close_to_a_zero_of_the_fourth_derivative():
    hidden = build("sigmoid", "float64").network.layers[0]
    bias = np.asarray(hidden.bias.values)  # pyright: ignore
    assert np.abs(bias) == pytest.approx(np.log(5 + 2 * np.sqrt(6)), rel=1e-4)


@pytest.mark.parametrize("bound", [1e-20, 1e-18, 1e-15, 1e15, 1e18, 1e20])
def test_a_bound_whose_weights_leave_the_range_of_the_dtype_is_refused_or_served(bound):
    try:
        gate = dc.multiplication_gate(bound=bound, dtype="float32")
    except ValueError:
        assert not 1e-16 < bound < 1e16
    else:
        assert measured(gate) <= gate.claim.error.absolute
