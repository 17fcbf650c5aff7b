"""Composed claims: their arithmetic on claims made by hand, and their soundness on drawn compositions."""

import dataclasses
import math

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import deepconstruct as dc
from deepconstruct._static import like
from deepconstruct.domains import AbstractDomain, Bits, Box, Product, Space
from deepconstruct.targets import AbstractTarget
from deepconstruct.testing import constructions, excess, inputs
from marks import slow_among

UNIT = Box(1, -1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Scale(AbstractTarget):
    """Multiplication by a matrix that is diagonal; linear, as it declares."""

    factors: tuple[float, ...]

    @property
    def name(self):
        return f"scale{self.factors}"

    def _evaluate(self, x):
        return x * like(x, self.factors)

    @property
    def is_linear(self):
        return True

    def matrix(self):
        return np.diag(self.factors)

    def stretch(self):
        return min(self.factors), max(self.factors)


def made(
    name: str = "f",
    error: tuple[float, float] = (0.0, 0.0),
    *,
    radius: float = 0.0,
    gain: float = 0.0,
    rounding: float = 0.0,
    domain: AbstractDomain = UNIT,
    codomain: AbstractDomain = UNIT,
    target: AbstractTarget | None = None,
) -> dc.Construction:
    """A construction whose numbers are chosen, on an identity network."""
    layer = dc.Layer(dc.linear.Dense(jnp.eye(codomain.size, domain.size)))
    size = codomain.size
    same = dc.Target(name, lambda x: x if x.shape[-1] == size else jnp.resize(x, (*x.shape[:-1], size)))
    target = same if target is None else target
    return dc.claim(
        dc.Network((layer,)),
        dc.Claim(target, domain, codomain, dc.Bound(*error), dc.Robustness(radius, gain, rounding), "float64", name),
    )


def near(value: float) -> object:
    # Bounds are rounded up by a few units in the last place, and never down.
    return pytest.approx(value, rel=1e-11)


def test_series_multiplies_the_inner_error_by_the_outer_gain():
    claim = dc.series(made(error=(0.01, 0)), made(error=(0.002, 0), radius=0.5, gain=3)).claim
    assert claim.error.absolute == near(0.002 + 3 * 0.01)
    assert claim.error.absolute >= 0.032
    assert claim.error.relative == 0


def test_series_multiplies_gains():
    assert dc.series(made(radius=1, gain=5), made(radius=10, gain=3)).claim.robustness.gain == near(15)


@pytest.mark.parametrize(
    "inner,outer,expected",
    [
        ({"radius": 2, "gain": 1}, {"radius": 0.5}, 0.5),
        ({"radius": 0.1, "gain": 1}, {"radius": 0.5}, 0.1),
        ({"radius": 2, "gain": 4}, {"radius": 0.5}, 0.125),
        ({"radius": 2, "gain": 4, "error": (0.3, 0)}, {"radius": 0.5}, 0.05),
        ({"radius": 2, "gain": 4, "rounding": 0.1}, {"radius": 0.5}, 0.1),
        ({"radius": 2, "gain": 0, "error": (0.3, 0)}, {"radius": 0.5}, 2),
        ({"radius": 2, "gain": 4}, {"radius": 0}, 0),
        ({"radius": 2, "gain": 0}, {"radius": 0}, 0),
        ({"radius": math.inf, "gain": 2}, {"radius": math.inf}, math.inf),
        ({"radius": math.inf, "gain": 2}, {"radius": 1}, 0.5),
    ],
)
def test_radius_is_what_the_outer_network_leaves(inner, outer, expected):
    radius = dc.series(made(**inner), made(gain=1, **outer)).claim.robustness.radius
    assert radius == near(expected)
    assert radius <= expected


def test_exact_inner_networks_pass_both_roundings_on():
    claim = dc.series(made(radius=1, gain=1, rounding=0.01), made(radius=5, gain=3, rounding=0.2)).claim
    assert claim.error.is_exact
    assert claim.robustness.rounding == near(0.2 + 3 * 0.01)


def test_inexact_inner_networks_make_the_outer_one_round():
    claim = dc.series(made(error=(0.01, 0), radius=1, gain=1), made(radius=5, gain=3, rounding=0.2)).claim
    assert claim.error.absolute == near(3 * 0.01 + 0.2)
    assert claim.robustness.rounding == 0


def test_relative_errors_pass_linear_targets():
    outer = made("g", (0, 0.02), radius=math.inf, gain=8, target=Scale((2.0, 8.0)), domain=Space(2), codomain=Space(2))
    inner = made(error=(0, 0.01), radius=1, gain=1, domain=Box(2, -1, 1), codomain=Space(2))
    error = dc.series(inner, outer).claim.error
    carried = 0.01 * 8 / 2
    assert error.relative == near(carried + 0.02 * (1 + carried))
    assert error.absolute == 0


def test_relative_errors_are_absolute_on_a_bounded_range():
    inner = made(error=(0.001, 0.01), domain=Box(2, -3, 4), codomain=Box(2, -3, 4))
    outer = made(radius=1, gain=2, domain=Box(2, -3, 4), codomain=Box(2, -3, 4))
    error = dc.series(inner, outer).claim.error
    assert error.absolute == near(2 * (0.001 + 0.01 * math.sqrt(32)))
    assert error.relative == 0


def test_relative_errors_make_the_outer_network_round_too():
    # Its inputs are off the domain by the relative error, so its rounding can't be left out.
    outer = made("g", radius=math.inf, gain=1, rounding=0.5, target=Scale((1.0,)))
    claim = dc.series(made(error=(0, 0.01)), outer).claim
    assert claim.error.absolute >= 0.5


PAIR = [
    made("f", (0.1, 0.02), radius=3, gain=1, rounding=0.01),
    made("g", (0.2, 0.01), radius=2, gain=5, rounding=0.03, codomain=Box(1, 0.0, 9.0)),
]


@pytest.mark.parametrize("join", [dc.parallel, dc.fan_out])
def test_joined_claims_keep_errors_and_gains_of_every_output_and_the_least_radius(join):
    claim = join(*PAIR).claim
    assert claim.error == dc.Bound((0.1, 0.2), 0.02)
    assert claim.robustness == dc.Robustness(2, (1, 5), 0.03)
    assert claim.codomain == Product((UNIT, Box(1, 0.0, 9.0)))
    assert claim.source == "f; g"


def test_domains_of_joined_claims():
    assert dc.parallel(*PAIR).claim.domain == Box(2, -1.0, 1.0)
    assert dc.fan_out(*PAIR).claim.domain == UNIT


def test_repeating_is_a_series_of_claims():
    part = made(error=(0.01, 0), radius=1, gain=1.5)
    claim = dc.repeat(part, 3).claim
    assert claim.error.absolute == near(0.01 * (1 + 1.5 + 1.5**2))
    assert claim.robustness.gain == near(1.5**3)


@pytest.mark.parametrize(
    "inner,outer,message",
    [
        (made(error=(0.1, 0)), made("g"), "f errs by up to 0.1 but g takes only exact inputs"),
        (made(error=(0.1, 0)), made("g", radius=0.05), "f errs by up to 0.1 but g takes inputs off by at most 0.05"),
        (made(codomain=Box(1, -2.0, 2.0)), made("g"), r"f gives Box\(n=1, low=-2.0.*\(size 1\) but g takes Box"),
        (made(codomain=Space(2)), made("g"), r"f gives Space\(n=2.*\(size 2\) but g takes .* \(size 1\)"),
        (
            made(error=(0, 0.1), codomain=Space(1)),
            made("g", radius=1, domain=Space(1)),
            "f has a relative error on an unbounded range, which g can't take",
        ),
        (
            made(error=(0, 0.1), codomain=Space(2)),
            made("g", radius=math.inf, target=Scale((0.0, 1.0)), domain=Space(2), codomain=Space(2)),
            r"scale\(0.0, 1.0\) may shrink the output of f more than its relative error",
        ),
    ],
)
def test_errors_the_outer_network_cannot_take_are_refused(inner, outer, message):
    with pytest.raises(ValueError, match=f"series: {message}"):
        dc.series(inner, outer)


def test_exact_inputs_suit_a_radius_of_zero():
    assert dc.series(made(), made("g")).claim.error.is_exact


def test_repeating_beyond_the_radius_is_refused():
    with pytest.raises(ValueError, match=r"f of f of f errs by up to 0\.3 but f takes inputs off by at most 0\.25"):
        dc.repeat(made(error=(0.1, 0), radius=0.25, gain=1), 4)


# Soundness ----------------------------------------------------------------------------------------


def moves(construction: dc.Construction) -> st.SearchStrategy[np.ndarray]:
    """Directions of max norm at most 1 with a factor, corners of the cube among them."""
    shape = (4, construction.in_size)
    corners = hnp.arrays(np.float64, shape, elements=st.sampled_from([-1.0, 0.0, 1.0]))
    inside = hnp.arrays(np.float64, shape, elements=st.floats(-1, 1, width=32))
    return st.tuples(corners | inside, st.sampled_from([1.0, 1.0, 0.5, 1e-3, 1e-6])).map(lambda pair: pair[0] * pair[1])


def moved_points(construction: dc.Construction, x: np.ndarray, move: np.ndarray) -> np.ndarray:
    # Rounding the moved input must not carry it beyond the radius.
    radius = min(construction.claim.robustness.radius, 50.0) * (1 - 2.0**-10)
    return (x + radius * move).astype(construction.claim.dtype)


def raw(n: int, dtype: str, *, fused: bool = True) -> dc.Construction:
    return dc.parity(n, activation="sigmoid", readout="raw", fused=fused, dtype=dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@hypothesis.settings(max_examples=12)
@hypothesis.given(data=st.data())
def test_drawn_compositions_keep_their_claims(dtype, data):
    tree = data.draw(constructions(dtype=dtype))
    x = data.draw(inputs(tree))
    assert excess(tree, x) <= 0
    assert excess(tree, x, moved_points(tree, x, data.draw(moves(tree)))) <= 0
    assert math.isfinite(tree.claim.robustness.rounding)


OUTER = {
    "relu": lambda dtype: dc.parity(3, dtype=dtype),
    "step": lambda dtype: dc.parity(3, activation="step", dtype=dtype),
    "calibrated": lambda dtype: dc.parity(3, activation="sigmoid", dtype=dtype),
    "raw": lambda dtype: raw(3, dtype),
    "unfused": lambda dtype: raw(3, dtype, fused=False),
    "count": lambda dtype: dc.parity_shallow(3, dtype=dtype),
    "count, step": lambda dtype: dc.parity_shallow(3, activation="step", dtype=dtype),
    "dnf": lambda dtype: dc.parity_shallow(3, kind="dnf", dtype=dtype),
}
EVERY_OUTER = pytest.mark.parametrize("outer", OUTER.values(), ids=OUTER.keys())
BITS9 = ((np.arange(2**9)[:, None] >> np.arange(9)) & 1) * 1.0


@pytest.mark.default_cases(1)
@EVERY_OUTER
@pytest.mark.parametrize(
    "dtype,merge", slow_among([("float32", True), ("float64", True), ("float32", False)], [("float64", True)])
)
def test_inexact_inner_networks_stay_within_the_composed_claim(outer, dtype, merge):
    tree = dc.series(dc.parallel(*[raw(3, dtype)] * 3), outer(dtype), merge=merge)
    assert excess(tree, BITS9) <= 0
    rng = np.random.default_rng(0)
    for move in (
        rng.choice([-1.0, 1.0], BITS9.shape),
        rng.uniform(-1, 1, BITS9.shape),
        rng.uniform(-1e-3, 1e-3, BITS9.shape),
    ):
        assert excess(tree, BITS9, moved_points(tree, BITS9, move)) <= 0


@pytest.mark.default_cases(4)
@EVERY_OUTER
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outer_networks_take_any_inner_error_up_to_their_radius(outer, dtype):
    construction = outer(dtype)
    claim, run = construction.claim, jax.jit(construction.network)
    wires = ((np.arange(8)[:, None] >> np.arange(3)) & 1) * 1.0
    signs = 1 - 2 * wires  # every corner of the cube of errors
    for delta in claim.robustness.radius * (1 - 2.0**-10) * np.array([1e-4, 0.1, 0.5, 0.9, 1.0]):
        disturbed = (wires[:, None] + delta * signs[None]).astype(dtype)
        actual = float(np.max(np.abs(disturbed - wires[:, None])))
        error = np.abs(np.asarray(run(disturbed), float) - (wires.sum(axis=-1) % 2)[:, None, None])
        assert np.max(error) <= claim.error.absolute + claim.robustness.gain * actual + claim.robustness.rounding


@pytest.mark.default_cases(2)
@pytest.mark.parametrize(
    "build",
    [
        lambda dtype: dc.series(dc.fft(8, dtype=dtype), dc.fft(8, inverse=True, dtype=dtype)),
        lambda dtype: dc.parallel(dc.fft(4, dtype=dtype), dc.fft(8, norm="ortho", dtype=dtype)),
        lambda dtype: dc.fan_out(dc.fft(8, dtype=dtype), dc.fft(8, norm="forward", dtype=dtype)),
        lambda dtype: dc.repeat(dc.fft(8, norm="ortho", dtype=dtype), 4),
        lambda dtype: dc.realify(dc.series(dc.fft(8, dtype=dtype), dc.fft(8, dtype=dtype))),
    ],
    ids=["series", "parallel", "fan_out", "repeat", "realify"],
)
def test_linear_compositions_keep_their_relative_claims(build):
    tree = build("complex64")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, tree.in_size)) * 10.0 ** rng.uniform(-3, 3, (200, 1))
    if tree.claim.domain == Space(tree.in_size, "complex"):
        x = x + 1j * rng.normal(size=x.shape)
    x = x.astype(tree.claim.dtype)
    assert tree.claim.error.relative > 0
    assert excess(tree, x) <= 0
    assert excess(tree, x, (x + rng.uniform(-5, 5, x.shape)).astype(tree.claim.dtype)) <= 0


def test_a_wrong_claim_is_noticed():
    # The checks above can fail: half of the true error, or of the true gain, is too little.
    tree = dc.series(dc.parallel(raw(3, "float64"), raw(3, "float64")), dc.parity(2, dtype="float64"))
    low = dataclasses.replace(tree.claim, error=dc.Bound(tree.claim.error.absolute / 10))
    assert excess(dc.claim(tree.network, low), BITS9[:64, :6]) > 0
    relu = dc.parity(4, dtype="float64")
    flat = dataclasses.replace(relu.claim, robustness=dataclasses.replace(relu.claim.robustness, gain=0.5))
    assert excess(dc.claim(relu.network, flat), np.zeros((1, 4)), np.full((1, 4), 0.2)) > 0


def test_bits_of_the_inner_network_fit_the_outer_domain():
    tree = dc.series(dc.parallel(raw(2, "float64"), raw(2, "float64")), dc.parity(2, dtype="float64"))
    assert tree.claim.domain == Bits(4)
    assert tree.claim.codomain == Bits(1)
    assert tree.claim.error.absolute >= 2 * raw(2, "float64").claim.error.absolute
