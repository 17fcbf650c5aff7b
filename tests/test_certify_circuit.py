"""Proofs of circuits of smooth gates: against 50 digits and sampled runs, with plans that lie and wrong weights."""

import dataclasses
import math
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._certify.circuit import method as circuit
from deepconstruct._certify.circuit.plans import along, meant, on_line, read
from deepconstruct._certify.polynomials.monomials import Budget, Unknown
from deepconstruct._certify.polynomials.wires import Gate, levels_of
from deepconstruct.activations import Sigmoid, Tanh
from deepconstruct.construction import Built
from deepconstruct.construction.plans import Circuit, Sum
from deepconstruct.domains import Box
from deepconstruct.targets import Product
from variants import claiming, corners_and_points

pytest.importorskip("flint")

FORM = [[2.0, -1.0, 0.25], [-1.0, 2.0, -1.0], [0.0, -1.0, 0.5]]
QUARTIC = {(3, 0): 1.0, (1, 3): -2.5, (0, 0): 0.3}
SPINS = [{(1, 1, 0): -0.5, (0, 1, 1): -0.5}, {(1, 1, 0): 0.5, (0, 2, 0): 0.1}]
MEANS, SPREADS = [[-1.0, 0.5], [0.25, 1.0]], [[[1.0, 0.5], [0.5, 2.0]], [[0.5, 0.0], [0.0, 0.7]]]
BUILT = {
    "pair": lambda dtype: dc.product_tree(2, activation="tanh", dtype=dtype),
    "tree": lambda dtype: dc.product_tree(7, bound=1.5, dtype=dtype),
    "quartic": lambda dtype: dc.polynomial(QUARTIC, activation="softplus", bound=(1.5, 0.75), dtype=dtype),
    "form": lambda dtype: dc.quadratic_form(FORM, activation="gelu", dtype=dtype),
    "spins": lambda dtype: dc.hamiltonian_classifier(SPINS, [0.9, 0.1], activation="silu", dtype=dtype),
    "normal": lambda dtype: dc.gaussian_classifier(MEANS, SPREADS, [0.3, 0.7], activation="exp", dtype=dtype),
}


def proof(construction) -> Any:
    return dc.certify(construction, method="circuit")


def planned(construction, plan):
    """The same network and claim with another plan."""
    return dataclasses.replace(construction, origin=dataclasses.replace(construction.origin, plan=plan))


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_is_proved_and_nothing_less_is(name, dtype):
    construction = BUILT[name](dtype)
    found = proof(construction)
    assert (found.verdict, found.covers, found.backend) == ("proved", ("error", "robustness"), None)
    claimed = construction.claim.error.largest
    assert 0.25 * claimed < found.found.largest <= claimed
    assert proof(claiming(construction, error=found.found)).verdict == "proved"
    assert proof(claiming(construction, error=0.98 * found.found.largest)).verdict == "undecided"


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", BUILT)
def test_running_stays_within_what_is_proved(name):
    construction = BUILT[name]("float32")
    x = corners_and_points(construction)
    errors = np.abs(np.asarray(construction(x), np.longdouble) - construction.claim.target.wide(x))
    assert 0 < errors.max() <= proof(construction).found.largest


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_a_gate_over_the_reals_against_50_digits(activation):
    """The largest real error of a gate is reached at a corner, or nearly so: the bound isn't far above."""
    construction = dc.product_tree(2, activation=activation, dtype="float64")
    real = proof(construction).evidence.real
    (level,) = levels_of(construction.network)
    (gate,) = level.gates()
    functions = {
        "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
        "tanh": mpmath.tanh,
        "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
    }
    rng, worst = np.random.default_rng(0), 0.0
    with mpmath.workdps(50):
        weights, biases, readout = (mpmath.matrix(part.tolist()) for part in (gate.weights, gate.biases, gate.readout))
        for x in [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), *rng.uniform(-1, 1, (200, 2)).tolist()]:
            units = (weights * mpmath.matrix(x) + biases).apply(functions[activation])
            value = (readout.T * units)[0]
            worst = max(worst, float(abs(value - mpmath.mpf(x[0]) * mpmath.mpf(x[1]))))
    assert 0.3 * real < worst <= real


def half_ulp(value):
    """Half the distance of floats of single precision at a number."""
    return 2.0**-24 * 2.0 ** math.floor(math.log2(abs(value))) if value else 0.0


def total_of(terms):
    """Half ulps of all partial sums but the first, the terms of each sign together."""
    partial = np.cumsum(sorted(terms, key=lambda term: (term < 0, -abs(term))))
    return sum(map(half_ulp, partial[1:]))


@pytest.mark.parametrize(("activation", "ulps"), [("sigmoid", 3), ("exp", 2)])
def test_rounding_against_the_worst_that_the_model_allows(activation, ulps):
    """To first order: every operation errs by half an ulp, activations by `ulps` ones, all to the worse side."""
    construction = dc.product_tree(2, activation=activation, dtype="float32")
    rounding = proof(construction).evidence.rounding
    (level,) = levels_of(construction.network)
    (gate,) = level.gates()
    function = {"sigmoid": lambda z: 1 / (1 + math.exp(-z)), "exp": math.exp}[activation]
    worst = 0.0
    for x in [(1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (0.7, 0.9)]:
        read, off = [], 0.0
        for row, bias, v in zip(gate.weights.tolist(), gate.biases.tolist(), gate.readout.tolist(), strict=True):
            terms = [w * y for w, y in zip(row, x, strict=True)]
            value = function(sum(terms) + bias)
            slope = value * (1 - value) if activation == "sigmoid" else value
            moved = total_of([*terms, bias]) + sum(map(half_ulp, terms)) * (math.frexp(abs(row[0]))[0] != 0.5)
            off += abs(v) * (slope * moved + 2 * ulps * half_ulp(value)) + half_ulp(v * value)
            read.append(v * value)
        worst = max(worst, off + total_of(read))
    assert 0.5 * rounding < worst <= rounding


def test_half_precision_runs_within_what_is_proved():
    """Exponentials are of use in half precision; orders of summation are drawn."""
    construction = dc.product_tree(2, activation="exp", dtype="float16")
    found = proof(construction)
    assert found.verdict == "proved"
    x = corners_and_points(construction, 200)
    errors = np.abs(np.asarray(construction(x), float)[:, 0] - x.astype(float).prod(axis=1))
    assert found.found.largest / 32 < errors.max() <= found.found.largest


# Wrong weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tree", "quartic", "normal"])
@pytest.mark.parametrize("change", ["sign", "double", "zero"])
def test_wrong_weights_are_never_proved(name, change):
    construction = BUILT[name]("float64")
    parts, structure = jax.tree.flatten(construction.network)
    rng = np.random.default_rng(4)
    for index in rng.permutation(len(parts))[:3]:
        weights = np.array(parts[index])
        place = rng.integers(weights.size)
        weights.flat[place] = {"sign": -1, "double": 2, "zero": 0}[change] * weights.flat[place]
        network = jax.tree.unflatten(structure, [*parts[:index], jnp.asarray(weights), *parts[index + 1 :]])
        x = corners_and_points(construction)
        off = np.abs(np.asarray(network(x)) - construction.claim.target.wide(x)).max()
        assert off > construction.claim.error.largest
        assert proof(dataclasses.replace(construction, network=network)).verdict == "undecided"


def test_weights_off_by_an_ulp_give_another_bound():
    construction = claiming(dc.product_tree(4, dtype="float64"), robustness=dc.Robustness())
    exact = proof(construction)
    parts, structure = jax.tree.flatten(construction.network)
    seen = set()
    for index, part in enumerate(parts):
        weights = np.array(part)
        weights.flat[0] = np.nextafter(weights.flat[0], np.inf)
        network = jax.tree.unflatten(structure, [*parts[:index], jnp.asarray(weights), *parts[index + 1 :]])
        found = proof(dataclasses.replace(construction, network=network))
        x = corners_and_points(construction)
        off = np.abs(np.asarray(network(x)) - construction.claim.target.wide(x)).max()
        if found.verdict == "proved":
            assert off <= found.found.largest <= construction.claim.error.largest
            seen.add(found.found.largest)
    assert len(seen | {exact.found.largest}) > 2


def test_weights_that_overflow_are_left_open():
    construction = dc.product_tree(2, activation="exp", dtype="float32")
    parts, structure = jax.tree.flatten(construction.network)
    huge = jax.tree.unflatten(structure, [jnp.full_like(part, 1e30) for part in parts])
    assert proof(dataclasses.replace(construction, network=huge)).verdict == "undecided"


# Other claims --------------------------------------------------------------------------------------


def test_other_claims_about_the_same_network():
    construction = dc.product_tree(3, dtype="float32")
    target = dc.targets.Polynomial(3, ((((1, 1, 1), 1.0), ((1, 0, 0), 1e-3)),))
    assert proof(claiming(construction, target=target)).verdict == "undecided"
    wider = proof(claiming(construction, domain=Box(3, -2, 2), codomain=Box(1, -8, 8)))
    assert wider.verdict == "undecided"
    assert proof(claiming(construction, domain=Box(3, -0.5, 0.25))).found.largest < proof(construction).found.largest
    with pytest.raises(ValueError, match="smooth activations"):
        proof(dc.parity(3))
    larger = claiming(construction, error=dc.Bound(relative=1.0))
    assert proof(larger).verdict == "undecided"


def test_it_says_that_it_needs_flint(monkeypatch):
    monkeypatch.setattr(circuit, "has_flint", lambda: False)
    with pytest.raises(ValueError, match="pip install"):
        proof(dc.product_tree(2))


# Without a plan ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tree", "form", "normal"])
def test_without_a_plan_meanings_are_guessed(name):
    construction = BUILT[name]("float32")
    known, found = proof(construction), proof(dc.claim(construction.network, construction.claim))
    assert (found.verdict, found.covers) == ("proved", known.covers)
    assert abs(found.found.largest / known.found.largest - 1) < 1e-3
    less = dataclasses.replace(construction.claim, error=dc.Bound(0.98 * found.found.largest))
    assert proof(dc.claim(construction.network, less)).verdict == "undecided"


def test_a_network_that_computes_nearly_a_product():
    """Its gate isn't a product: what it is instead is guessed from its weights."""
    construction = dc.product_tree(2, activation="tanh", dtype="float64")
    hidden, readout = construction.network.layers
    parts, structure = jax.tree.flatten(readout)
    network = dc.Network((hidden, jax.tree.unflatten(structure, [1.25 * part for part in parts])))  # pyright: ignore
    target = dc.targets.Polynomial(2, ((((1, 1), 1.25),),))
    claim = dataclasses.replace(construction.claim, target=target, codomain=Box(1, -2, 2), error=dc.Bound(1e-8))
    found = proof(dc.claim(network, claim))
    assert found.verdict == "proved"
    assert found.found.largest < 1e-9
    near = dc.targets.Polynomial(2, ((((1, 1), 1.25 + 1e-8),),))
    assert proof(dc.claim(network, dataclasses.replace(claim, target=near))).verdict == "undecided"


def test_circuits_side_by_side_and_one_after_another():
    parts = dc.parallel(dc.product_tree(3), dc.product_tree(2, activation="tanh"))
    joined = dc.series(parts, dc.product_tree(2, activation="silu", bound=1.1))
    for construction in (parts, joined):
        found = proof(construction)
        assert found.verdict == "proved"
        assert found.found.largest <= construction.claim.error.largest


# Plans that lie ------------------------------------------------------------------------------------


def one(wire, coefficient=1.0, constant=0.0):
    return Sum(((wire, coefficient),), constant)


def tree_plan(first, second, *, bounds=(1.0,) * 4, outputs=(one(0),)):  # noqa: B008
    """A tree of four inputs that multiplies these pairs first."""
    level = tuple((one(a), one(b)) for a, b in (first, second))
    return Circuit(bounds, (level, ((one(0), one(1)),)), outputs)


TREE = tree_plan((0, 1), (2, 3))
LIES = {
    "permuted inputs": tree_plan((0, 2), (1, 3)),
    "permuted wires": tree_plan((2, 3), (0, 1)),
    "a copy": Circuit(TREE.inputs, (TREE.levels[0], ((one(0),),)), TREE.outputs),
    "a square": Circuit(TREE.inputs, (TREE.levels[0], ((one(0), one(0)),)), TREE.outputs),
    "a factor": Circuit(TREE.inputs, (TREE.levels[0], ((one(0, 1.001), one(1)),)), TREE.outputs),
    "factors that cancel": Circuit(
        TREE.inputs, (((one(0, 2.0), one(1)), TREE.levels[0][1]), ((one(0, 0.5), one(1)),)), TREE.outputs
    ),
    "a constant": Circuit(TREE.inputs, (TREE.levels[0], ((one(0, 1.0, 0.01), one(1)),)), TREE.outputs),
    "three factors": Circuit(TREE.inputs, (TREE.levels[0], ((one(0), one(1), one(1)),)), TREE.outputs),
    "no level": Circuit(TREE.inputs, (), TREE.outputs),
    "a level too few": Circuit(TREE.inputs, TREE.levels[:1], TREE.outputs),
    "a wire too few": Circuit(TREE.inputs, (TREE.levels[0][:1], TREE.levels[1]), TREE.outputs),
    "a wire that isn't there": Circuit(TREE.inputs, (TREE.levels[0], ((one(0), one(7)),)), TREE.outputs),
    "NaN": Circuit(TREE.inputs, (TREE.levels[0], ((one(0, math.nan), one(1)),)), TREE.outputs),
    "infinity": Circuit(TREE.inputs, (TREE.levels[0], ((one(0, math.inf), one(1)),)), TREE.outputs),
    "texts": Circuit(TREE.inputs, ("ab", "c"), TREE.outputs),  # pyright: ignore[reportArgumentType]
    "nothing": Circuit((), None, ()),  # pyright: ignore[reportArgumentType]
}


@pytest.fixture(scope="module")
def four():
    return dc.product_tree(4, dtype="float32")


@pytest.mark.parametrize("lie", LIES)
def test_a_plan_that_lies_proves_nothing(lie, four):
    assert proof(planned(four, LIES[lie])).verdict == "undecided"


def test_what_a_plan_says_of_bounds_and_outputs_isnt_read(four):
    assert proof(planned(four, TREE)).found == proof(four).found
    for bounds in ((), (1e-3,) * 4, (math.nan,)):
        assert proof(planned(four, tree_plan((0, 1), (2, 3), bounds=bounds, outputs=()))).found == proof(four).found
    assert proof(planned(four, tree_plan((1, 0), (3, 2)))).verdict == "proved"  # products commute
    further = Circuit(TREE.inputs, (*TREE.levels, ((one(0),),)), TREE.outputs)
    assert proof(planned(four, further)).verdict == "proved"  # which is beyond the network


def test_the_plan_of_another_claim_proves_neither():
    """The plan agrees with the claim, but not with the weights."""
    network = dc.polynomial({(2,): 1.0}, activation="tanh", dtype="float32")
    other = dc.polynomial({(2,): 1.001}, activation="tanh", dtype="float32")
    assert proof(dataclasses.replace(other, network=network.network)).verdict == "undecided"
    assert proof(dataclasses.replace(network, claim=other.claim)).verdict == "undecided"
    assert proof(dataclasses.replace(network, origin=other.origin)).verdict == "proved"  # outputs are read from weights


@pytest.mark.parametrize("name", ["tree", "form", "normal"])
def test_moved_inputs_are_covered_only_where_they_are_proved(name):
    construction = BUILT[name]("float32")
    robustness = construction.claim.robustness
    less = dataclasses.replace(robustness, gain=0.5 * robustness.largest_gain)
    assert proof(claiming(construction, robustness=less)).covers == ("error",)
    endless = dataclasses.replace(robustness, radius=math.inf)
    assert proof(claiming(construction, robustness=endless)).covers == ("error",)


# Parts ---------------------------------------------------------------------------------------------


def gate_of(weights, wires=None):
    weights = np.array(weights, float)
    units = len(weights)
    wires = tuple(range(weights.shape[1])) if wires is None else wires
    return Gate(wires, weights, np.zeros(units), (Sigmoid(),) * units, np.ones(units), 0.0, -1)


def test_units_along_one_sum():
    row = np.array([0.3, -0.7, 0.0])
    found = along(gate_of([0 * row, row, -row, 2 * row]))
    assert found is not None
    assert found[0].tolist() == row.tolist()
    assert found[1].tolist() == [0, 1, -1, 2]
    nearly = np.nextafter(row, 1)
    for others in ([row, nearly], [row, 3 * row], [row, -row + [0, 0, 1e-300]], [row, [0.3, 0.7, 0.0]]):
        assert along(gate_of(others)) is None
    # Where products underflow, equality in double precision says nothing.
    assert along(gate_of([[1.0, 5e-324], [0.5, 0.0]])) is None
    assert along(gate_of([0 * row])) is None


def test_polynomials_along_a_sum():
    row = np.array([0.5, -1.5])
    terms = ({0: Fraction(1), 1: Fraction(-3)}, Fraction(1, 4))
    poly = meant(gate_of([row, -row]), (terms, terms), Budget())
    assert on_line(poly, row, Budget()) == {(0,): Fraction(1, 16), (1,): 1, (2,): 4}
    assert on_line({((0, 1), (1, 1)): Fraction(1)}, row, Budget()) is None
    assert on_line({((0, 1),): Fraction(1)}, row, Budget()) is None
    assert on_line({((0, 3),): Fraction(1)}, row, Budget()) is None


def test_what_is_read_of_a_plan():
    (level,) = read(Circuit((1.0,), (((Sum(((0, 0.5), (0, 0.25)), 1.0),),),), ()))
    assert level == [(({0: Fraction(3, 4)}, Fraction(1)),)]
    huge = ({0: Fraction(10) ** 300, 1: Fraction(1)}, Fraction(0))
    with pytest.raises(Unknown, match="double precision"):
        meant(gate_of([[1e-300, 0.0]]), (huge, huge), Budget())
    with pytest.raises(Unknown, match="other wires"):
        meant(gate_of([[1.0]], (3,)), level[0], Budget())


def test_gates_that_are_alike_are_proved_once():
    found = proof(dc.product_tree(32, activation="tanh", dtype="float64"))
    assert isinstance(found.evidence, circuit.Gates)
    assert found.evidence.wires == 31
    assert found.evidence.gates <= 5


def test_a_subclass_isnt_known():
    class Own(Tanh):
        pass

    construction = dc.product_tree(2, activation="tanh", dtype="float32")
    *_, last = construction.network.layers
    hidden = dataclasses.replace(construction.network.layers[0], activation=Own())
    network = dc.Network((hidden, last))
    with pytest.raises(ValueError, match="smooth activations"):
        proof(dataclasses.replace(construction, network=network))

    class OwnTarget(Product):
        pass

    assert proof(claiming(construction, target=OwnTarget(2))).verdict == "undecided"
    assert type(construction.origin) is Built
