"""Certificates of smooth hidden layers on boxes, against fifty digits on dense samples and against adversaries."""

import dataclasses
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.intervals import bias_array
from deepconstruct._certify.series import range as series_range, taylor
from deepconstruct._certify.series.balls import balls, discs, ranges
from deepconstruct._certify.series.gates import Unprovable, prove_gate
from deepconstruct._certify.series.taylor import Series
from deepconstruct.activations import GELU, Exp, Sigmoid, SiLU, Sin, Softplus, Tanh, groups
from deepconstruct.domains import Box
from deepconstruct.linear import Dense, as_matrix
from deepconstruct.network import Layer, Network, flat_layers
from deepconstruct.targets import Polynomial, Product

pytest.importorskip("flint")

NAMES = ("sigmoid", "tanh", "softplus", "gelu", "gelu_tanh", "silu", "exp", "sin", "square")
SMOOTH = (Sigmoid(0.7), Sigmoid(10.0), Tanh(), Softplus(), GELU(approximate=False), GELU(), SiLU(), Exp(), Sin())
ENTRIES = (
    "multiplication_gate",
    "multiplication_square",
    "multiplication_richardson",
    "flat_product",
    "flat_product_power",
    "flat_product_symmetric",
    "flat_product_bias",
)


def exactly(activation, z):
    """An activation to fifty digits, by its formula, at real or complex numbers."""
    if isinstance(activation, Sigmoid):
        return 1 / (1 + mpmath.exp(-activation.inverse_temperature * z))
    if isinstance(activation, GELU) and activation.approximate:
        inner = mpmath.sqrt(2 / mpmath.pi) * (z + mpmath.mpf(44715) / 10**6 * z**3)
        return z * (1 + mpmath.tanh(inner)) / 2
    if isinstance(activation, GELU):
        return z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2
    return {
        "Tanh": mpmath.tanh,
        "Softplus": lambda z: mpmath.log(1 + mpmath.exp(z)),
        "Exp": mpmath.exp,
        "Sin": mpmath.sin,
        "SiLU": lambda z: z / (1 + mpmath.exp(-z)),
        "Square": lambda z: z * z,
        "Power": lambda z: z**activation.n,
    }[type(activation).__name__](z)


def parts(construction):
    """Weights, biases, activations, readout and constant of a network with one hidden layer."""
    hidden, readout = flat_layers(construction.network)
    kinds = [kind for kind, width in groups(hidden.activation, hidden.out_size) for _ in range(width)]
    weights, values = (np.asarray(as_matrix(layer.linear), np.float64) for layer in (hidden, readout))
    return weights, bias_array(hidden), kinds, values[0], float(bias_array(readout)[0])


def product(n):
    return {(1,) * n: Fraction(1)}


def over_the_reals(construction, x):
    """The network with its stored weights at one input, to fifty digits."""
    weights, biases, kinds, readout, constant = parts(construction)
    with mpmath.workdps(50):
        total = mpmath.mpf(constant)
        for row, bias, kind, value in zip(weights, biases, kinds, readout, strict=True):
            z = mpmath.fdot(map(mpmath.mpf, row), map(mpmath.mpf, x)) + mpmath.mpf(bias)
            total += mpmath.mpf(value) * exactly(kind, z)
        return total


def off_the_product(construction, x):
    with mpmath.workdps(50):
        return float(abs(over_the_reals(construction, x) - mpmath.fprod(map(mpmath.mpf, x))))


def proved(construction, *, scale=1.0, ordered=True, target=None):
    bounds = np.asarray(construction.claim.domain.box()[1]) * scale
    target = target or product(len(bounds))
    return prove_gate(*parts(construction), target, bounds, construction.network.dtype, ordered=ordered)


def grid(n, points):
    axes = [np.linspace(-1, 1, points)] * n
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, n)


def changed(construction, **fields):
    """The same network with another claim."""
    return dc.claim(construction.network, dataclasses.replace(construction.claim, **fields))


def certified(construction):
    return dc.certify(construction, method="taylor")


# Real part ------------------------------------------------------------------------------------------


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("name", NAMES[:-1])
def test_the_real_part_is_an_upper_bound_and_tight(name):
    gate = dc.multiplication_gate(activation=name, dtype="float64", bound=2.0)
    bound = proved(gate)
    largest = max(off_the_product(gate, x) for x in 2 * grid(2, 7) if x[0] >= abs(x[1]))
    assert largest <= bound.real <= 1.15 * largest + bound.rounding / 100


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("activation", SMOOTH, ids=lambda kind: kind.name())
def test_functions_are_at_most_their_peaks_on_discs(activation):
    for center in (0.0, 0.75, -1.5):
        with balls() as module:
            found = [(float(a.mid()), float(b.mid())) for a, b in discs(activation, module.arb(center), 0.5, module)]
        assert found
        for radius, peak in found:
            circle = [center + radius * mpmath.expjpi(k / 24) for k in range(48)]
            assert max(abs(exactly(activation, z)) for z in circle) <= peak * (1 + 1e-12)
            # A pole inside would show in the mean over the circle, which is the value at the center.
            mean = mpmath.fsum(exactly(activation, z) for z in circle) / 48
            assert abs(mean - exactly(activation, mpmath.mpf(center))) <= 0.2 * peak


@pytest.mark.parametrize("activation", SMOOTH, ids=lambda kind: kind.name())
def test_ranges_hold_values_and_slopes(activation):
    width = 1 / max(1.0, getattr(activation, "inverse_temperature", 1.0))
    for low, high in ((-0.5 * width, 0.25 * width), (-3.0 * width, 2.0 * width), (1.0, 1.0)):
        found = ranges(activation, low, high)
        points = np.linspace(low, high, 41).tolist()
        values = [float(exactly(activation, mpmath.mpf(z))) for z in points]
        slopes = [abs(float(mpmath.diff(lambda z: exactly(activation, z), z))) for z in points[::4]]
        assert found.low <= min(values) <= max(values) <= found.high
        assert max(slopes) * (1 - 1e-9) <= found.slopes[1]
        assert found.height <= 1.3 * max(map(abs, values)) + 1e-12
        assert found.slopes[1] <= 1.5 * max(slopes) + 1e-12


@pytest.mark.parametrize("n", [1, 2, 3])
def test_cells_bound_polynomials(n):
    rng = np.random.default_rng(n)
    for parity in (None, 1):
        exponents = np.unique(rng.integers(0, 6, (9, n)), axis=0)
        exponents = 2 * exponents + 1 if parity else exponents
        values = rng.normal(size=len(exponents))
        peak = series_range.largest_modulus(exponents, values, 1e-3)
        x = np.concatenate([grid(n, {1: 3001, 2: 151, 3: 31}[n]), np.ones((1, n))])
        seen = np.abs(np.prod(x[:, None, :] ** exponents, axis=2) @ values).max()
        assert seen <= peak.bound <= seen + {1: 2e-3, 2: 2e-2, 3: 0.25}[n]
        assert peak.bound <= np.abs(values).sum() * (1 + 1e-12)


def test_slopes_hold_differences():
    gate = dc.multiplication_gate(dtype="float64")
    slopes = proved(gate).slopes
    for x in grid(2, 3):
        moved = np.clip(x + np.array([2.0**-20, 0]), -1, 1)
        change = abs(over_the_reals(gate, x) - over_the_reals(gate, moved))
        assert change <= slopes[0] * abs(moved - x)[0]
    assert 1.0 <= slopes[0] <= 1.01


def test_other_polynomials_are_not_the_product():
    gate = dc.multiplication_gate(dtype="float64")
    assert proved(gate, target={(2, 0): Fraction(1)}).real >= 2
    off = proved(gate, target={(1, 1): Fraction(1) + Fraction(1, 10**6)}).real
    assert 1e-6 * (1 - 1e-4) <= off <= 1e-6 * (1 + 1e-4)


# Rounding -------------------------------------------------------------------------------------------


def half_ulp(value, u):
    return u * 2.0 ** math.floor(math.log2(abs(value))) if value else 0.0


def worst_rounding(construction, x, u, *, ordered):
    """What an adversary makes of every operation at one input, to first order.

    He adds the inputs one by one, the bias last if `ordered` and else first, then the units in pairs or one by one.
    """
    weights, biases, kinds, readout, _ = parts(construction)
    total, terms = 0.0, []
    for row, bias, kind, value in zip(weights, biases, kinds, readout, strict=True):
        addends = [*(row * x), bias] if ordered else [bias, *(row * x)]
        off = sum(half_ulp(w * y, u) for w, y in zip(row, x, strict=True) if math.frexp(w)[0] not in (0.5, -0.5))
        partial = 0.0
        for place, addend in enumerate(addends):
            partial += addend
            off += half_ulp(partial, u) if place and addend else 0.0
        z = mpmath.mpf(float(row @ x + bias))
        height, slope = exactly(kind, z), mpmath.diff(lambda t: exactly(kind, t), z)  # noqa: B023
        of_argument = isinstance(kind, GELU) and abs(z) > 0.5
        off = float(abs(slope)) * off + 2 * kind.ulps() * half_ulp(float(z if of_argument else height), u)
        total += abs(value) * off
        terms.append(float(value * height))
    if ordered:
        while len(terms) > 1:
            half = len(terms) // 2
            terms = [a + b for a, b in zip(terms[:half], terms[half:], strict=True)]
            total += sum(half_ulp(term, u) for term in terms) / 2  # the weight, which comes later, is no power of two
    else:
        total += sum(half_ulp(term, u) for term in terms)
        total += sum(half_ulp(sum(sorted(terms)[: k + 2]), u) for k in range(len(terms) - 1))
    return total


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("name", NAMES[:-1])
@pytest.mark.parametrize("ordered", [True, False])
def test_adversaries_stay_within_the_rounding_and_come_near(name, ordered):
    gate = dc.multiplication_gate(activation=name, dtype="float32")
    bound = proved(gate, ordered=ordered).rounding
    x = np.random.default_rng(0).uniform(-1, 1, (8, 2)).astype(np.float32).astype(float)
    x = np.concatenate([x, grid(2, 2)])
    seen = max(worst_rounding(gate, row, 2.0**-24, ordered=ordered) for row in x)
    assert bound / 2.5 <= seen <= bound


def test_the_rounding_holds_what_is_seen():
    for name in NAMES[::3]:
        gate = dc.multiplication_gate(activation=name, dtype="float32")
        x = np.random.default_rng(0).uniform(-1, 1, (100, 2)).astype(np.float32)
        outputs = np.asarray(gate(x))[:, 0].tolist()
        seen = max(abs(over_the_reals(gate, row) - y) for row, y in zip(x.tolist(), outputs, strict=True))
        bound = proved(gate).rounding
        assert bound / 60 <= seen <= bound


def test_sums_in_any_order_round_more():
    gate = dc.multiplication_gate(dtype="float32")
    assert proved(gate, ordered=False).rounding > 1.5 * proved(gate).rounding


def test_what_has_no_bound_says_why():
    gate = dc.multiplication_gate(dtype="float32")
    with pytest.raises(Unprovable, match="don't reach as far"):
        proved(gate, scale=100.0)
    weights, biases, kinds, readout, _ = parts(gate)

    def tried(weights=weights, readout=readout, ordered=False):
        prove_gate(weights, biases, kinds, readout, 0.0, product(2), np.ones(2), "float32", ordered=ordered)

    with pytest.raises(Unprovable, match="product of signs"):
        tried(readout=readout * [1, 1, 1, 2], ordered=True)
    with pytest.raises(Unprovable, match="finite"):
        tried(weights=weights * np.nan)
    with pytest.raises(Unprovable, match="beyond the range"):
        tried(readout=readout * 1e300)
    with pytest.raises(TypeError, match="own classes"):
        prove_gate(weights, biases, [dc.activations.ReLU()] * 4, readout, 0.0, product(2), np.ones(2), "float32")
    with pytest.raises(ValueError, match="weights of shape"):
        prove_gate(weights[:3], biases, kinds, readout, 0.0, product(2), np.ones(2), "float32")


# Certificates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ENTRIES)
def test_entries_are_proved_and_what_is_claimed_of_moved_inputs_too(name, dtype):
    construction = dc.catalog.build(name, dtype=dtype)
    found = certified(construction)
    assert (found.verdict, found.covers) == ("proved", ("error", "robustness"))
    assert found.found is not None
    assert 0.3 * construction.claim.error.largest <= found.found.largest <= construction.claim.error.largest
    assert isinstance(found.evidence, Series)
    assert found.evidence.real[0] + found.evidence.rounding[0] <= found.found.largest * (1 + 1e-12)
    # The claim is only proved down to what was found.
    planted = changed(construction, error=found.found.largest * 0.98)
    assert certified(planted).verdict == "undecided"
    exact = changed(construction, error=found.found.largest)
    assert certified(exact).verdict == "proved"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_gates_of_all_activations_are_proved(name, dtype):
    found = certified(dc.multiplication_gate(activation=name, dtype=dtype))
    assert (found.verdict, found.covers) == ("proved", ("error", "robustness"))
    assert ("units in the last place" in " ".join(found.trusts)) == (name != "square")
    assert any("Arb" in text for text in found.trusts)


@pytest.mark.parametrize(("n", "options"), [(1, {}), (4, {}), (3, {"activation": "power"}), (3, {"output_bias": True})])
def test_flat_products_are_proved(n, options):
    for bound in (1.0, 0.3):
        assert certified(dc.flat_product(n, dtype="float64", bound=bound)).verdict == "proved"


@pytest.mark.slow
def test_five_factors_are_proved_fast():
    for dtype in ("float32", "float64"):
        found = certified(dc.flat_product(5, dtype=dtype))
        assert found.verdict == "proved"
        assert found.seconds < 10


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gates_of_narrow_formats_are_proved(dtype):
    for name in ("square", "softplus"):
        assert certified(dc.multiplication_gate(activation=name, dtype=dtype)).verdict == "proved"


def test_dense_gates_and_gates_side_by_side_are_proved():
    gate = dc.multiplication_gate(dtype="float64")
    for construction in (
        dc.densify(gate),
        dc.parallel(gate, dc.multiplication_gate(activation="tanh", bound=2.0, dtype="float64")),
        dc.fan_out(gate, gate),
    ):
        found = certified(construction)
        assert found.verdict == "proved"
        assert found.found is not None
        assert found.found.largest >= 0.2 * construction.claim.error.largest


def test_false_claims_of_moved_inputs_are_not_covered():
    gate = dc.multiplication_gate(dtype="float64")
    moved = gate.claim.robustness
    for fields in ({"gain": moved.gain * 0.98}, {"rounding": 0.0}, {"radius": 1.2 * moved.radius}):
        found = certified(changed(gate, robustness=dataclasses.replace(moved, **fields)))
        assert (found.verdict, found.covers) == ("proved", ("error",))
    assert certified(changed(gate, robustness=dc.Robustness())).covers == ("error", "robustness")


def mutants(network):
    """Every leaf changed in one place, by a unit in the last place, in sign, doubled, and zeroed."""
    leaves, structure = jax.tree.flatten(network)
    for place, leaf in enumerate(leaves):
        flat = np.asarray(leaf).ravel()
        for value in (np.nextafter(flat[0], flat.dtype.type(9)), -flat[0], 2 * flat[0], 0 * flat[0]):
            other = flat.copy()
            other[0] = value
            moved = [*leaves[:place], jnp.asarray(other.reshape(np.shape(leaf))), *leaves[place + 1 :]]
            yield jax.tree.unflatten(structure, moved)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mutants_that_are_wrong_over_the_reals_are_not_proved(dtype):
    verdicts = []
    for name in ("softplus", "square"):
        gate = dc.multiplication_gate(activation=name, dtype=dtype)
        for network in mutants(gate.network):
            mutant = dc.claim(network, gate.claim)
            off = max(off_the_product(mutant, x) for x in ([1, 1], [1, -1], [0.7, 0.7], [0.0, 1.0]))
            verdict = certified(mutant).verdict
            verdicts.append(verdict)
            assert verdict == "undecided" or off <= gate.claim.error.largest
            if name == "softplus" and off > gate.claim.error.largest:
                assert verdict == "undecided"
    assert {"proved", "undecided"} == set(verdicts)


def user(weights, biases, activation, readout, terms, *, low=-1.0, high=1.0, error=1.0, dtype="float64", target=None):
    """A user's own network of one input, claimed to be a polynomial."""
    hidden = Layer(jnp.asarray(weights, dtype), jnp.asarray(biases, dtype), activation)
    network = Network((hidden, Layer(jnp.asarray(readout, dtype)[None], None)))
    target = target or Polynomial(1, (tuple(terms),))
    return dc.claim(network, dc.Claim(target, Box(1, low, high), Box(1, -50.0, 50.0), dc.Bound(error), dtype=dtype))


def test_series_are_cut_up_far_from_zero():
    for activation in SMOOTH[2:7]:
        network = user([[3.0]], [0.5], activation, [1.0], [((1,), 1.0)], low=-2.0, high=2.5, error=9.0)
        found = certified(network)
        x = mpmath.linspace(-2, 2.5, 91)
        seen = max(float(abs(over_the_reals(network, [z]) - z)) for z in x)
        assert found.found is not None
        assert seen * (1 - 1e-12) <= found.found.largest <= 1.01 * seen


@pytest.mark.parametrize(("low", "high"), [(-2.0, 2.0), (0.0, 3.0), (-0.5, 6.0)])
def test_approximations_of_a_user_are_proved_on_boxes_beyond_the_reach_of_one_series(low, high):
    x = np.linspace(low, high, 20_001)
    error = np.abs(np.tanh(2 * x) - 0.6 * x).max()
    for share, verdict in ((0.995, "undecided"), (1.005, "proved")):
        found = certified(user([[2.0]], [0.0], "tanh", [1.0], [((1,), 0.6)], low=low, high=high, error=error * share))
        assert found.verdict == verdict
        assert share < 1 or getattr(found.evidence, "boxes", 0) > 1


def test_units_of_several_kinds_and_biases_are_proved():
    mixed = dc.activations.Concatenate((Tanh(), GELU(), dc.activations.Square()), (1, 1, 2))
    biases, weights, readout = np.array([0.5, -0.25, 1.0, 0.0]), np.array([1.0, -0.5, 0.25, 1.0]), [1.0, 2.0, -1.0, 0.5]
    x = np.linspace(-1, 1, 4001)
    z = weights * x[:, None] + biases
    gelu = np.asarray(GELU()(jnp.asarray(z[:, 1])))
    values = np.tanh(z[:, 0]) + 2 * gelu - z[:, 2] ** 2 + z[:, 3] ** 2 / 2
    error = np.abs(values - 0.3 * x).max()
    for share, verdict in ((0.99, "undecided"), (1.01, "proved")):
        network = user(weights[:, None], biases, mixed, readout, [((1,), 0.3)], low=-1.0, high=1.0, error=error * share)
        assert certified(network).verdict == verdict


def refused(construction):
    with pytest.raises(ValueError) as caught:
        certified(construction)
    return str(caught.value)


def test_what_it_does_not_apply_to_says_why(monkeypatch):
    gate = dc.multiplication_gate(dtype="float64")
    plain = user([[1.0]], [0.0], "tanh", [1.0], [((1,), 1.0)])
    assert certified(plain).verdict == "proved"
    assert "smooth activations" in refused(user([[1.0]], [0.0], "relu", [1.0], [((1,), 1.0)]))
    custom = dc.activations.Custom(jnp.arctan, "arctan")
    assert "derivatives of arctan" in refused(user([[1.0]], [0.0], custom, [1.0], [((1,), 1.0)]))
    own = dc.Target("own", lambda x: x)
    assert certified(user([[1.0]], [0.0], "tanh", [1.0], (), target=own)).verdict == "undecided"
    assert "one hidden layer" in refused(dc.product_tree(4, dtype="float64"))
    assert "up to 12 inputs" in refused(dc.flat_product(13, activation="power", dtype="float64"))
    small = changed(gate, codomain=Box(1, -0.5, 1.0))
    assert "outside" in str(certified(small))
    assert certified(changed(gate, target=Product(2), domain=Box(2, -1.0, 1.5))).verdict == "undecided"
    monkeypatch.setattr(taylor, "has_flint", lambda: False)
    assert "python-flint" in refused(gate)


def test_huge_and_subnormal_weights_are_not_proved():
    huge = user([[1e38]], [0.0], "exp", [1.0], [((1,), 1.0)], dtype="float32")
    assert certified(huge).verdict == "undecided"
    # A weight may be flushed to zero; beside the claim it is nothing, unless the readout makes it count.
    for readout, verdict in ((1.0, "proved"), (2.0**127, "undecided")):
        network = user(
            [[2.0**-130]], [0.0], "sin", [readout], [((1,), readout * 2.0**-130)], error=1e-3, dtype="float32"
        )
        assert certified(network).verdict == verdict


def test_dense_maps_promise_no_order():
    gate = dc.multiplication_gate(dtype="float64")
    hidden, readout = flat_layers(gate.network)
    matrix = Layer(Dense(as_matrix(readout.linear)), None)
    assert certified(dc.claim(Network((hidden, matrix)), gate.claim)).verdict == "undecided"
    patterns = Layer(Dense(as_matrix(hidden.linear)), hidden.bias, hidden.activation)
    assert certified(dc.claim(Network((patterns, readout)), gate.claim)).verdict == "undecided"
