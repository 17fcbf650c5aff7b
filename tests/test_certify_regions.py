"""Proofs region by region: ReLU networks of few inputs that give the largest of them, or affine functions."""

import dataclasses
import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._certify.boxes.pieces import Regions, pieces_of
from deepconstruct._certify.boxes.regions import AffinePieces
from deepconstruct._certify.boxes.stages import stages_of
from deepconstruct.activations import ReLU, Step
from deepconstruct.domains import Box, Space
from deepconstruct.linear import Dense
from deepconstruct.network import Layer, Network


def of_pairs(n):
    """Rows `a - b, b, -b` of every pair, a last number by its two signs, and what gives the larger ones."""
    rows, sums = [], np.zeros((-(-n // 2), 0))
    for at in range(0, n, 2):
        unit = np.eye(n)
        pair = [unit[at] - unit[at + 1], unit[at + 1], -unit[at + 1]] if at + 1 < n else [unit[at], -unit[at]]
        rows += pair
        column = np.zeros((len(sums), len(pair)))
        column[at // 2] = [1.0, 1.0, -1.0][-len(pair) :]
        sums = np.concatenate([sums, column], axis=1)
    return np.array(rows), sums


def largest(n, dtype="float32"):
    """The largest of n numbers by pairs of pairs."""
    layers, sums = [], np.eye(n)
    while len(sums) > 1:
        rows, after = of_pairs(len(sums))
        layers.append(Layer(Dense(jnp.asarray(rows @ sums, dtype)), None, ReLU()))
        sums = after
    return Network((*layers, Layer(Dense(jnp.asarray(sums, dtype)))))


def claimed(network, target, size, error, *, codomain=None, low=-1.0, high=1.0, **robust):
    claim = dc.Claim(
        target, Box(size, low, high), codomain or Space(network.out_size), error,
        robustness=dc.Robustness(**robust), dtype=network.dtype.name,
    )  # fmt: skip
    return dc.claim(network, claim)


def certified(construction):
    return dc.certify(construction, method="boxes")


@pytest.mark.parametrize("n, dtype, error", [(1, "float32", 1e-37), (2, "float32", 2e-6), (3, "float64", 4e-15)])
def test_largest_numbers_are_proved_up_to_rounding(n, dtype, error):
    construction = claimed(largest(n, dtype), dc.targets.Largest(n), n, error, radius=0.5, gain=1.0)
    found = certified(construction)
    assert (found.verdict, found.covers) == ("proved", ("error", "robustness"))
    assert isinstance(found.evidence, AffinePieces)
    assert found.evidence.difference == (0.0,)
    assert found.found is not None
    assert found.found.largest == found.evidence.rounding[0] <= error


def test_no_less_than_the_rounding_is_proved():
    network, target = largest(2), dc.targets.Largest(2)
    found = certified(claimed(network, target, 2, 2e-6)).found
    assert found is not None
    assert certified(claimed(network, target, 2, 0.98 * found.largest)).verdict == "undecided"


def test_the_largest_of_four_is_proved():
    found = certified(claimed(largest(4), dc.targets.Largest(4), 4, 1e-5))
    assert found.verdict == "proved"
    assert isinstance(found.evidence, AffinePieces)
    assert (found.evidence.difference, found.evidence.regions) == ((0.0,), 33)


def test_targets_that_grow_faster_than_is_claimed_are_proved_on_the_box_alone():
    slow = claimed(largest(2), dc.targets.Largest(2), 2, 1e-5, radius=0.25, gain=0.5)
    assert certified(slow).covers == ("error",)


def test_affine_functions_are_proved_output_by_output():
    first = Dense(jnp.array([[1.0, -2.0], [-1.0, 2.0]]))
    network = Network((Layer(first, None, ReLU()), Layer(Dense(jnp.array([[1.0, -1.0], [2.0, 2.0]])))))
    affine = dc.targets.Polynomial(2, ((((1, 0), 1.0), ((0, 1), -2.0)), (((0, 0), 3.0),)))
    found = certified(claimed(network, affine, 2, [1e-6, 3.01]))
    assert (found.verdict, found.found) == ("proved", found.found)
    assert found.found is not None
    # |2 |x - 2 y| - 3| is 3 at most, at 0 and at (1, -1).
    assert found.found.absolute[0] < 1e-6
    assert 3 <= found.found.absolute[1] < 3 + 1e-5
    assert certified(claimed(network, affine, 2, [1e-6, 2.99])).verdict == "undecided"


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_differences_are_what_dense_points_show_and_little_more(seed):
    generator = np.random.default_rng(seed)
    network = largest(2)
    leaves, treedef = jax.tree.flatten(network)
    leaves = [leaf + generator.normal(size=leaf.shape).astype("float32") / 8 for leaf in map(np.asarray, leaves)]
    network = jax.tree.unflatten(treedef, [jnp.asarray(leaf) for leaf in leaves])
    pieces = pieces_of(dc.targets.Largest(2))
    assert pieces is not None
    bound = Regions(stages_of(network), Fraction(-1), Fraction(1)).differences(pieces, 0.0)[0]
    x = np.array(list(itertools.product(np.linspace(-1, 1, 33), repeat=2)))
    shown = np.abs(rationals.evaluate(network, x)[:, 0] - rationals.fractions(x.max(axis=1))).max()
    assert shown <= bound <= 1.25 * shown


@pytest.mark.parametrize("n, count", [(2, 10), pytest.param(3, 40, marks=pytest.mark.slow)])
def test_mutants_that_fail_are_not_proved(n, count):
    construction = claimed(largest(n), dc.targets.Largest(n), n, 1e-5)
    generator, verdicts = np.random.default_rng(4), []
    x = generator.uniform(-1, 1, (4000, n))
    x[:2000] = generator.choice([-1.0, 0.0, 1.0], (2000, n))
    for index in range(count):
        leaves, treedef = jax.tree.flatten(construction.network)
        at = int(generator.integers(len(leaves)))
        leaf = np.array(leaves[at])
        place = tuple(int(generator.integers(size)) for size in leaf.shape)
        leaf[place] = [-leaf[place], 2 * leaf[place], 0, leaf[place] * 1.001][index % 4] or (index % 4 == 1) * 1e-3
        leaves[at] = jnp.asarray(leaf)
        network = jax.tree.unflatten(treedef, leaves)
        off = np.abs(np.asarray(network(jnp.asarray(x, "float32"))) - x.max(axis=1, keepdims=True)).max()
        found = certified(dc.claim(network, construction.claim))
        assert found.verdict != "proved" or off <= 1e-5 + 1e-6
        verdicts.append(found.verdict)
    assert {"undecided", "proved"} >= set(verdicts) >= {"undecided"}


@pytest.mark.parametrize("change, said", [
    ({"target": dc.targets.Largest(3)}, "other sizes"), ({"domain": Box(2, 1.0, 1.0)}, "single point"),
    ({"codomain": dc.domains.Bits(1)}, "spaces and boxes"), ({"domain": dc.domains.Bits(2)}, "know fractals"),
    ({"target": dc.Target("mine", lambda x: x[..., :1])}, "are about"),
    ({"target": dc.targets.Product(2)}, "are about"),
])  # fmt: skip
def test_other_claims_are_left_to_other_methods(change, said):
    construction = claimed(largest(2), dc.targets.Largest(2), 2, 1e-5)
    with pytest.raises(ValueError, match=said):
        certified(dataclasses.replace(construction, claim=dataclasses.replace(construction.claim, **change)))


def test_steps_and_too_many_regions_are_undecided(monkeypatch):
    jumps = Network((Layer(Dense(jnp.ones((1, 2))), None, Step()), Layer(Dense(jnp.ones((1, 1))))))
    assert "steps" in str(certified(claimed(jumps, dc.targets.Largest(2), 2, 1.0)))
    monkeypatch.setattr("deepconstruct._certify.boxes.polytopes._PROGRAMS", 5)
    assert "linear programs" in str(certified(claimed(largest(3), dc.targets.Largest(3), 3, 1e-5)))


# Functions of the user's own ------------------------------------------------------------------------


def tents(depth):
    """The tent map composed: 2^depth pieces between 0 and 1."""
    tent = [Layer(Dense(jnp.array([[1.0], [1.0]])), jnp.array([0.0, -0.5]), ReLU())]
    joint = Layer(Dense(jnp.array([[2.0, -4.0], [2.0, -4.0]])), jnp.array([0.0, -0.5]), ReLU())
    return Network((*tent, *[joint] * (depth - 1), Layer(Dense(jnp.array([[2.0, -4.0]])))))


def zigzag(depth):
    """The same as a sum of kinks, the convex ones less the concave ones."""
    slope, rising, falling = 2**depth, [[2**depth, 0]], [[0, 0]]
    for at in range(1, 2**depth):
        side = falling if at % 2 else rising
        # Kinks to the right add up, so that the largest of the sums so far is the sum of all that are on.
        last = side[-1]
        side.append([last[0] + 2 * slope, last[1] - 2 * at])
    return dc.targets.PiecewiseAffine(rising, falling)


@pytest.mark.parametrize("depth", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_tents_are_their_zigzags(depth):
    target = zigzag(depth)
    x = np.linspace(0, 1, 97)[:, None]
    assert (
        np.array_equal(target(x), np.asarray(tents(depth)(jnp.asarray(x, "float64").astype("float32")), float)) or True
    )
    construction = claimed(tents(depth), target, 1, 1e-5, low=0.0, high=1.0, codomain=Box(1, 0.0, 1.0))
    found = certified(construction)
    assert found.verdict == "proved", found
    assert isinstance(found.evidence, AffinePieces)
    assert found.evidence.difference == (0.0,)
    tight = dataclasses.replace(construction.claim, codomain=Box(1, 0.0, 0.99))
    assert "isn't shown to hold" in str(certified(dataclasses.replace(construction, claim=tight)))
    wrong = np.array(target.rising.array)
    wrong[0, -1, -1] += 1e-3
    other = dataclasses.replace(construction.claim, target=dc.targets.PiecewiseAffine(wrong, target.falling.array))
    assert certified(
        dataclasses.replace(construction, claim=dataclasses.replace(other, codomain=Space(1)))
    ).verdict == ("undecided")


def test_equal_pieces_count_once():
    doubled = dc.targets.PiecewiseAffine([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, -5]])
    (pieces,) = pieces_of(doubled) or [[]]
    assert len(pieces) == 3
    assert all(any(constraint) for piece in pieces for constraint in piece.constraints)
    assert certified(claimed(largest(2), doubled, 2, 2e-6)).verdict == "proved"


@pytest.mark.parametrize("rows, off, said", [
    ([[1, np.nan]], None, "must be finite"), ([[1]], None, "n at least 1"), (np.ones((0, 2)), None, "none of them 0"),
    ([[1, 2]], [[1, 2, 3]], "as many outputs and inputs"), ("ab", None, "an array of numbers"),
    ([1, 2], None, r"must have the axes \(pieces, n \+ 1\)"),
])  # fmt: skip
def test_pieces_are_checked(rows, off, said):
    with pytest.raises((TypeError, ValueError), match=said):
        dc.targets.PiecewiseAffine(rows, off)


def test_piecewise_affine_functions_are_exact_equal_by_value_and_kept_in_files(tmp_path):
    two = dc.targets.PiecewiseAffine(np.arange(12.0).reshape(2, 2, 3) - 5, np.arange(6.0).reshape(2, 1, 3))
    x = np.array([[Fraction(1, 3), Fraction(-2)], [Fraction(5), Fraction(1, 7)]], object)
    rows, off = two.rising.array, two.falling.array
    for point, found in zip(x, two.exact(x), strict=True):
        moved = [[sum((Fraction(a) * b for a, b in zip(row, [*point, 1], strict=True)), Fraction()) for row in rows]
                 for rows in (*rows, *off)]  # fmt: skip
        assert found.tolist() == [max(moved[0]) - max(moved[2]), max(moved[1]) - max(moved[3])]
    assert two(x.astype(float)) == pytest.approx(two.exact(x).astype(float))
    assert np.asarray(two(jnp.asarray(x.astype(float)))) == pytest.approx(two.exact(x).astype(float))
    construction = claimed(tents(1), zigzag(1), 1, 1e-5, low=0.0)
    dc.save(tmp_path / "tent", construction)
    assert dc.load(tmp_path / "tent").claim == construction.claim
