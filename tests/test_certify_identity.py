"""Proofs by polynomials in rationals: against exact evaluation, sampled runs, and networks that are wrong."""

import dataclasses
import itertools
import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._certify.polynomials.monomials import Budget, Unknown, moved, powers_of_sums, size
from deepconstruct._certify.polynomials.targets import exact, inverted, logarithm, logits_of, target_polynomials
from deepconstruct._certify.polynomials.wires import levels_of, split
from deepconstruct.activations import Concatenate, Identity, Power, Softmax, Square
from deepconstruct.domains import Bits, Box, Points, Space
from deepconstruct.linear import Composed, Dense, DirectSum, SignPatterns, SignProduct, Stack
from deepconstruct.network import Layer, Network, flat_layers
from deepconstruct.targets import GaussianClassifier, HamiltonianClassifier, Polynomial, Product
from rationals import evaluate, fractions
from variants import claiming, corners_and_points

CUBIC = {(3, 0): 1.0, (1, 2): -2.5, (0, 0): 0.3}
FORM = [[2.0, -1.0, 0.25], [-1.0, 2.0, -1.0], [0.0, -1.0, 0.5]]
SPINS = [{(1, 1, 0): -0.5, (0, 1, 1): -0.5}, {(1, 1, 0): 0.5, (0, 2, 0): 0.1}]
MEANS, SPREADS = [[-1.0, 0.5], [0.25, 1.0]], [[[1.0, 0.5], [0.5, 2.0]], [[0.5, 0.0], [0.0, 0.7]]]
BUILT = {
    "gate": lambda dtype: dc.multiplication_gate(activation="square", bound=3.0, dtype=dtype),
    "one": lambda dtype: dc.product_tree(1, activation="square", dtype=dtype),
    "tree": lambda dtype: dc.product_tree(7, activation="square", bound=1.5, dtype=dtype),
    "cubic": lambda dtype: dc.polynomial(CUBIC, bound=(2.0, 0.75), dtype=dtype),
    "form": lambda dtype: dc.quadratic_form(FORM, dtype=dtype),
    "flat": lambda dtype: dc.flat_product(5, activation="power", dtype=dtype),
    "spins": lambda dtype: dc.hamiltonian_classifier(SPINS, [0.9, 0.1], dtype=dtype),
    "normal": lambda dtype: dc.gaussian_classifier(MEANS, SPREADS, [0.3, 0.7], dtype=dtype),
}


def proof(construction) -> Any:
    return dc.certify(construction, method="identity")


def with_network(construction, network):
    return dc.claim(network, construction.claim)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_is_proved_and_nothing_less_is(name, dtype):
    construction = BUILT[name](dtype)
    found = proof(construction)
    assert (found.verdict, found.covers, found.backend) == ("proved", ("error", "robustness"), None)
    assert 0 < found.found.largest <= construction.claim.error.largest
    assert proof(claiming(construction, error=found.found)).verdict == "proved"
    assert proof(claiming(construction, error=0.98 * found.found.largest)).verdict == "undecided"


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("name", BUILT)
def test_running_stays_within_what_is_proved(name):
    construction = BUILT[name]("float32")
    x = corners_and_points(construction)
    errors = np.abs(np.asarray(construction(x), np.longdouble) - construction.claim.target.wide(x))
    assert 0 <= errors.max() <= proof(construction).found.largest
    assert errors.max() > 0 or name in ("one",)


@pytest.mark.parametrize("name", ["gate", "tree", "cubic", "form", "flat"])
def test_the_difference_over_the_reals_bounds_exact_evaluation(name):
    construction = BUILT[name]("float32")
    evidence = proof(construction).evidence
    x = corners_and_points(construction, 20)
    wanted = [exact_value(target_polynomials(construction.claim.target, x.shape[1], Budget())[0], row) for row in x]
    off = max(abs(a - b) for a, b in zip(evaluate(construction, x)[:, 0], wanted, strict=True))
    assert off <= evidence.difference
    assert (evidence.difference == 0) == (name == "tree")


def exact_value(poly, row):
    values = fractions(row)
    return sum(c * math.prod((values[i] ** e for i, e in key), start=Fraction(1)) for key, c in poly.items())


def test_any_order_of_half_precision_is_within_what_is_proved():
    """In half precision rounding is large, and orders of summation are drawn; FMA isn't, as NumPy has none."""
    rng, worst = np.random.default_rng(1), 0.0
    construction = dc.product_tree(4, activation="square", dtype="float16")
    found = proof(construction)
    assert found.verdict == "proved"
    for _ in range(200):
        x = value = (rng.choice([-1.0, 1.0], 4) * rng.uniform(0.8, 1.0, 4)).astype(np.float16)
        for layer in flat_layers(construction.network):
            for linear in split(layer.linear):
                value = shuffled(linear, value, rng)
            value = value * value if isinstance(layer.activation, Square) else value
        exact = math.prod(map(Fraction, x.astype(float).tolist()))
        worst = max(worst, float(abs(Fraction(float(value[0])) - exact)))
    assert found.found.largest / 16 < worst <= found.found.largest


def shuffled(linear, value, rng):
    """A map in half precision, its terms added in a random order."""
    rows, cols, weights = map(np.asarray, linear.entries())
    out = np.zeros(linear.out_size, np.float16)
    for place in rng.permutation(len(rows)):
        out[rows[place]] += weights[place] * value[cols[place]]
    return out


def leaves(network):
    return jax.tree.flatten(network)


@pytest.mark.parametrize("name", ["tree", "form", "flat", "normal"])
@pytest.mark.parametrize("change", ["sign", "double", "zero"])
def test_wrong_weights_are_never_proved(name, change):
    construction = BUILT[name]("float32")
    parts, structure = leaves(construction.network)
    rng = np.random.default_rng(3)
    for index in rng.permutation(len(parts))[:3]:
        weights = np.array(parts[index])
        place = rng.integers(weights.size)
        weights.flat[place] = {"sign": -1, "double": 2, "zero": 0}[change] * weights.flat[place]
        network = jax.tree.unflatten(structure, [*parts[:index], jnp.asarray(weights), *parts[index + 1 :]])
        x = corners_and_points(construction)
        off = np.abs(np.asarray(network(x)) - construction.claim.target.wide(x)).max()
        found = proof(with_network(construction, network))
        # Signs of a layer of squares don't matter, nor does an even pair of changes.
        assert (found.verdict == "proved") == (off <= construction.claim.error.largest)


def test_weights_off_by_an_ulp_are_proved_within_the_claim():
    construction = dc.product_tree(4, activation="square", dtype="float32")
    exact = proof(construction)
    parts, structure = leaves(construction.network)
    weights = np.array(parts[0])
    weights.flat[0] = np.nextafter(weights.flat[0], np.float32(2))
    network = jax.tree.unflatten(structure, [jnp.asarray(weights), *parts[1:]])
    found = proof(with_network(construction, network))
    assert (exact.evidence.difference, exact.evidence.terms) == (0, 1)
    assert found.verdict == "proved"
    assert found.evidence.terms > 1
    assert exact.found.largest < found.found.largest
    assert 2.0**-26 < found.evidence.difference < 2.0**-22


@pytest.mark.parametrize("size", [1e-40, 1e30])
def test_weights_that_are_lost_or_overflow_prove_nothing_false(size):
    weights = np.array([[size], [1.0]], np.float32)
    hidden = Layer(Dense(jnp.asarray(weights)), None, Square())
    network = Network((hidden, Layer(Dense(jnp.asarray([[1.0, 1.0]], "float32")), None, Identity())))
    target = Polynomial(1, ((((2,), 1.0),),))
    claim = dc.Claim(target, Box(1, -1, 1), Box(1, -2, 2), dc.Bound(1e-5))
    found = proof(dc.claim(network, claim))
    assert found.verdict == ("proved" if size < 1 else "undecided")
    # A weight that is read as zero leaves nothing.
    tiny = Network((Layer(Dense(jnp.asarray([[1e-40]], "float32")), None, Identity()),))
    stated = dc.Claim(
        Polynomial(1, ((((1,), float(np.float32(1e-40))),),)), Box(1, -1e3, 1e3), Space(1), dc.Bound(1e-38)
    )
    assert proof(dc.claim(tiny, stated)).verdict == "undecided"
    assert proof(claiming(dc.claim(tiny, stated), error=1e-36)).verdict == "proved"


def test_what_isnt_about_polynomials_is_refused_or_left_open():
    construction = dc.product_tree(2, activation="square")

    class Own(Product):
        pass

    own = dataclasses.replace(construction.claim, target=dc.Target("product", lambda x: x[..., :1] * x[..., 1:]))
    assert "known as polynomials" in str(proof(dc.claim(construction.network, own)))
    assert proof(claiming(construction, target=Own(2))).verdict == "undecided"
    assert proof(claiming(construction, codomain=Box(1, -0.5, 0.5))).verdict == "undecided"
    assert proof(claiming(construction, codomain=Bits(1))).verdict == "undecided"
    assert proof(claiming(construction, codomain=Space(1))).verdict == "proved"
    assert proof(claiming(construction, domain=Bits(2))).verdict == "proved"
    assert proof(claiming(construction, error=dc.Bound(relative=1.0))).verdict == "undecided"
    assert proof(claiming(construction, domain=Points([[0.5, 1.0]]))).verdict == "proved"
    listed = claiming(dc.product_tree(2, activation="square", dtype="float32"), domain=Points([[0.1, 1.0]]))
    for other in (listed, claiming(construction, domain=Space(2)), dc.product_tree(2), dc.parity(3)):
        with pytest.raises(ValueError, match="certify"):
            proof(other)


def test_an_output_of_its_own_bound():
    both = dc.fan_out(dc.product_tree(2, activation="square"), dc.polynomial({(1, 0): 3.0, (0, 2): 0.1}))
    claimed = both.claim.error.absolute
    found = proof(both)
    assert found.verdict == "proved"
    assert len(found.found.absolute) == len(claimed) == 2
    smaller = dc.Bound((found.found.absolute[0] * 0.98, claimed[1]))
    assert proof(claiming(both, error=smaller)).verdict == "undecided"


def test_joined_networks_and_targets():
    pair = dc.product_tree(2, activation="square", bound=1.0)
    joined = dc.series(dc.parallel(pair, dc.product_tree(3, activation="square")), pair)
    assert proof(joined).verdict == "proved"
    assert proof(dc.series(dc.parallel(pair, pair), pair, merge=False)).verdict == "proved"
    five = target_polynomials(joined.claim.target, 5, Budget())
    assert five == [{tuple((i, 1) for i in range(5)): 1}]


def test_maps_inside_sums_are_run_factor_by_factor():
    a, b, c = (
        Dense(jnp.asarray(np.full(shape, value), "float32")) for shape, value in [((2, 1), 2), ((1, 2), 3), ((1, 1), 5)]
    )
    first, second = split(DirectSum((Composed(b, a), c)))
    assert (first.out_size, second.out_size) == (3, 2)
    assert isinstance(first, DirectSum)
    assert first.parts[1] is not c
    first, _ = split(DirectSum((Composed(b, a), c)), [False, True])
    assert isinstance(first, DirectSum)
    assert first.parts[1] is c
    first, second = split(Stack((Composed(b, a), c)))
    assert (first.in_size, first.out_size, second.out_size) == (1, 3, 2)
    assert split(a) == [a]


@pytest.mark.parametrize("seed", range(4))
def test_powers_of_sums_against_evaluation(seed):
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(9):
        # Few moduli, so that rows differ in signs alone.
        weights = rng.choice([-1.5, -1.0, 0.0, 1.0, 1.5], 3 + seed)
        bias, degree, value = rng.choice([0.0, 0.5, -0.5]), rng.integers(1, 6), rng.standard_normal()
        terms = tuple((j, Fraction(w)) for j, w in enumerate(weights) if w)
        rows.append((terms, Fraction(bias), int(degree), Fraction(value)))
    x = [Fraction(v) for v in rng.standard_normal(3 + seed)]
    wanted = sum(v * (b + sum((w * x[j] for j, w in terms), Fraction(0))) ** n for terms, b, n, v in rows)
    poly = powers_of_sums(rows, Budget())
    assert wanted == sum(c * math.prod((x[j] ** e for j, e in key), start=Fraction(1)) for key, c in poly.items())
    assert all(poly.values())


def test_sizes_and_changes_of_polynomials():
    poly = {((0, 2),): Fraction(-3), ((0, 1), (1, 1)): Fraction(2), (): Fraction(5)}
    bounds, off = [Fraction(2), Fraction(1)], [Fraction(1, 2), Fraction(0)]
    assert size(poly, bounds) == 12 + 4 + 5
    assert moved(poly, bounds, off) == 3 * (Fraction(25, 4) - 4) + 2 * Fraction(1, 2)


def test_rounding_against_the_worst_that_the_model_allows():
    """At a corner, with half an ulp of every operation and one of every square, nothing is above what is proved."""
    evidence = proof(dc.product_tree(2, activation="square", dtype="float32")).evidence
    (level,) = levels_of(dc.product_tree(2, activation="square", dtype="float32").network)
    (gate,) = level.gates()
    assert np.all(np.frexp(np.abs(gate.weights))[0] == 0.5)
    u = 2.0**-24
    sums = gate.weights @ np.ones(2)
    squares = sums**2
    # One addition before; one unit in the last place of a square; one addition of the two of them.
    worst = np.abs(gate.readout) @ (2 * np.abs(sums) * u * np.abs(sums) + 2 * u * squares) + u * abs(
        gate.readout @ squares
    )
    assert 0.99 * evidence.rounding < worst <= evidence.rounding


@pytest.mark.slow
def test_too_many_terms_are_left_open():
    rng = np.random.default_rng(0)
    hidden = Layer(Dense(jnp.asarray(rng.standard_normal((200, 9)), "float32")), None, Power(9))
    readout = Layer(Dense(jnp.asarray(rng.standard_normal((1, 200)), "float32")), None, Identity())
    claim = dc.Claim(Product(9), Box(9, -1, 1), Box(1, -1, 1), dc.Bound(1.0))
    found = proof(dc.claim(Network((hidden, readout)), claim))
    assert found.verdict == "undecided"
    assert "too many terms" in str(found)


def test_large_flat_products():
    built = dc.flat_product(8, activation="power", dtype="float32")
    assert proof(built).verdict == "proved"
    scales, weight = jnp.full(8, 0.125, "float32"), jnp.asarray(1.0, "float32")
    network = Network((Layer(SignPatterns(scales, fixed=True), None, Power(8)), Layer(SignProduct(weight, 7), None)))
    assert proof(dc.claim(network, built.claim)).verdict == "undecided"


def test_mixed_activations():
    hidden = Dense(jnp.asarray([[1.0, 1.0], [1.0, -1.0], [2.0, 0.0]], "float32"))
    readout, bias = Dense(jnp.asarray([[0.25, -0.25, 0.5]], "float32")), jnp.asarray([1.0], "float32")
    mixed = Concatenate((Square(), Identity()), (2, 1))
    network = Network((Layer(hidden, None, mixed), Layer(readout, bias, Identity())))
    target = Polynomial(2, ((((1, 1), 1.0), ((1, 0), 1.0), ((0, 0), 1.0)),))
    claim = dc.Claim(target, Box(2, -1, 1), Box(1, -3, 3), dc.Bound(1e-5))
    assert proof(dc.claim(network, claim)).verdict == "proved"
    wrong = Polynomial(2, ((((1, 1), 1.0), ((1, 0), 1.0), ((0, 0), 1.0001)),))
    assert proof(dc.claim(network, dataclasses.replace(claim, target=wrong))).verdict == "undecided"


# Classifiers ---------------------------------------------------------------------------------------


def logits(target, inputs) -> Any:
    return logits_of(target, inputs, Budget())


def test_logits_of_normal_classes():
    target = GaussianClassifier(MEANS, SPREADS, (0.3, 0.7))
    found, off = logits(target, 2)
    assert off < 1e-40
    for x in ([0.5, -1.25], [3.0, 0.0]):
        values = np.array([float(exact_value(poly, np.array(x))) for poly in found])
        odds = np.exp(values - values.max())
        assert np.abs(odds / odds.sum() - target.wide(np.array(x))).max() < 1e-15


def test_logits_of_hamiltonians_and_what_has_none():
    target = HamiltonianClassifier(Polynomial(1, ((((1,), 2.0),), ())), (0.25, 0.75))
    found, off = logits(target, 1)
    assert found[0][((0, 1),)] == -2
    assert abs(float(found[1][()]) - math.log(0.75)) < 1e-16
    assert off < 1e-45
    assert logits_of(Product(2), 2, Budget()) is None
    for spread in ([[1.0, 0.5], [0.25, 1.0]], [[1.0, 2.0], [2.0, 1.0]]):
        with pytest.raises(Unknown):
            logits_of(GaussianClassifier([[0.0, 0.0]], [spread], (1.0,)), 2, Budget())


def test_numbers_of_other_types_are_taken_as_they_are():
    for value in (np.float32(0.1), np.float64(0.1), 0.1, 3, Fraction(1, 3)):
        assert exact(value) == value
    assert abs(exact(np.longdouble(1) / 3) - Fraction(1, 3)) <= float(np.finfo(np.longdouble).eps)
    for value in (math.nan, -math.inf, np.float32(np.inf), "1"):
        with pytest.raises(Unknown, match="finite number"):
            exact(value)
    # A third in extended precision is another prior than one in double precision.
    target = HamiltonianClassifier(Polynomial(1, ((), ())), (np.longdouble(1) / 3, 2 / 3))  # pyright: ignore
    (first, _), _ = logits(target, 1)
    assert abs(first[()] - logarithm(exact(np.longdouble(1) / 3))[0]) < 1e-40


def test_inverses_and_logarithms():
    matrix = [[Fraction(2), Fraction(1)], [Fraction(1), Fraction(3)]]
    inverse, determinant = inverted(matrix)
    assert determinant == 5
    for i, j in itertools.product(range(2), range(2)):
        assert sum(matrix[i][k] * inverse[k][j] for k in range(2)) == (i == j)
    value, error = logarithm(Fraction(2))
    known = Fraction("0.69314718055994530941723212145817656807550013436025525412068")
    assert abs(value - known) <= error < Fraction(1, 10**48)


@pytest.mark.parametrize("name", ["spins", "normal"])
def test_a_wrong_prior_isnt_proved(name):
    construction = BUILT[name]("float64")
    target: Any = construction.claim.target
    prior = (target.prior[0] + 1e-9, target.prior[1])
    other = (
        HamiltonianClassifier(target.hamiltonians, prior)
        if name == "spins"
        else GaussianClassifier(target.means.array, target.covariances.array, prior)
    )
    assert proof(claiming(construction, target=other)).verdict == "undecided"


def test_several_softmaxes_are_not_one():
    construction = BUILT["spins"]("float32")
    *hidden, last = construction.network.layers
    assert isinstance(last, Layer)
    each = Concatenate((Softmax(), Softmax()), (1, 1))
    network = Network((*hidden, Layer(last.linear, last.bias, each)))
    with pytest.raises(ValueError, match="softmax at its end"):
        proof(with_network(construction, network))
    target: Any = construction.claim.target
    wanted = dataclasses.replace(construction.claim, target=target.hamiltonians)
    assert proof(dc.claim(network, wanted)).verdict == "undecided"


# Moved inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tree", "cubic", "normal"])
def test_moved_inputs_are_covered_only_where_they_are_proved(name):
    construction = BUILT[name]("float32")
    robustness = construction.claim.robustness
    less = dataclasses.replace(robustness, gain=0.1 * robustness.largest_gain)
    assert proof(claiming(construction, robustness=less)).covers == ("error",)
    endless = dataclasses.replace(robustness, radius=math.inf)
    assert proof(claiming(construction, robustness=endless)).covers == ("error",)
