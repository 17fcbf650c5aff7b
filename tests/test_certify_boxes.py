"""Proofs that networks recognize fractals: what is proved holds, what fails isn't proved."""

import dataclasses
import functools
import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import systems
from deepconstruct._certify.boxes import fractals as boxes
from deepconstruct._certify.boxes.cells import Cells
from deepconstruct._certify.boxes.forms import Runner, on_boxes
from deepconstruct._certify.boxes.slopes import derivatives
from deepconstruct._certify.boxes.stages import stages_of
from deepconstruct.activations import Identity, ReLU, Step
from deepconstruct.linear import Composed, Dense
from deepconstruct.network import Layer, Network
from fractal_points import MIXED, UNEQUAL, deepest, domain_of, leaving, on_the_fractal
from variants import claiming, with_entry

WHOLE = ("error", "robustness")
CHANGES = {
    "ulp up": lambda w: np.nextafter(w, np.inf, dtype=w.dtype),
    "ulp down": lambda w: np.nextafter(w, -np.inf, dtype=w.dtype),
    "sign": lambda w: -w,
    "twice": lambda w: 2 * w,
    "zero": lambda w: 0 * w,
    "percent": lambda w: w * w.dtype.type(1.01),
}


def certified(construction):
    return dc.certify(construction, method="boxes")


@functools.cache
def built(name, level, dtype="float32", **options):
    system = {"dust": systems.cantor_dust, "triangle": systems.sierpinski_triangle}.get(name) or getattr(systems, name)
    return dc.fractal(system(), level, dtype=dtype, **options)


def points(construction, count=400):
    """Points of the domain, many at its edges."""
    domain = domain_of(construction)
    parts = [leaving(domain, stop, count) for stop in range(1, domain.level + 1)]
    drawn = np.asarray(domain.probe(jax.random.key(0), (2 * count,), dtype=np.dtype("float64")))
    parts += [on_the_fractal(domain, 2 * count), drawn[np.asarray(domain.contains(drawn))]]
    return np.concatenate(parts)


def fails(construction, x, delta=0.0):
    """Whether the network is off the target at points, or beside them."""
    wanted = construction.claim.target.wide(x)
    moved = x + delta * np.random.default_rng(1).choice([-1.0, 1.0], x.shape)
    return bool(np.any(np.asarray(construction(jnp.asarray(moved, construction.claim.dtype))) != wanted))


def places(construction):
    leaves = jax.tree.leaves(construction.network)
    return [(at, place) for at, leaf in enumerate(leaves) for place in np.ndindex(leaf.shape)]


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name, level, dtype", [
    ("cantor", 1, "float32"), ("cantor", 2, "float64"), ("cantor", 5, "float32"), ("cantor", 27, "float64"),
    ("cantor_reversed", 3, "float32"), ("dust", 5, "float32"), ("triangle", 5, "float64"), ("vicsek", 3, "float32"),
    ("sierpinski_carpet", 5, "float32"), ("pentaflake", 2, "float32"), ("rotated_dust", 2, "float64"),
])  # fmt: skip
def test_catalogued_fractals_are_proved_with_their_radius(name, level, dtype):
    found = certified(built(name, level, dtype))
    assert (found.verdict, found.covers, found.found) == ("proved", WHOLE, dc.Bound())
    assert isinstance(found.evidence, boxes.Boxes)
    assert found.evidence.of == "levels"
    assert found.evidence.count < 30_000


@pytest.mark.slow
@pytest.mark.parametrize("system", [systems.rotated_dust(), systems.reflected_dust(3), MIXED, UNEQUAL])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_deepest_levels_are_proved_with_their_radius(system, dtype):
    found = certified(dc.fractal(system, deepest(system, dtype), dtype=dtype))
    assert (found.verdict, found.covers) == ("proved", WHOLE)


@pytest.mark.parametrize("name, level", [("cantor", 3), ("dust", 2), ("triangle", 2), ("sierpinski_carpet", 1)])
def test_whole_networks_and_single_levels_agree(name, level):
    construction = built(name, level)
    runner = Runner(stages_of(construction.network), construction.network.dtype)
    for prove in (boxes._by_levels, boxes._at_once):
        assert prove(domain_of(construction), runner, 0.0, 0.0)[0] == 0


def judged_mutants(name, level, count):
    """Verdicts beside whether mutants fail when they are run: on the domain, and within the radius of it."""
    construction, counts = built(name, level), {}
    x, generator = points(construction), np.random.default_rng(3)
    chosen = list(itertools.product(places(construction), CHANGES))
    for index in generator.permutation(len(chosen))[:count]:
        (at, place), change = chosen[index]
        mutant = with_entry(construction, at, place, CHANGES[change])
        found, broken = certified(mutant), fails(mutant, x)
        beside = broken or fails(mutant, x, mutant.claim.robustness.radius)
        assert not (found.verdict == "proved" and (beside if found.covers == WHOLE else broken)), chosen[index]
        assert found.verdict in ("proved", "undecided")
        counts[found.verdict, broken] = counts.get((found.verdict, broken), 0) + 1
    return counts


def test_mutants_that_fail_are_not_proved():
    counts = judged_mutants("cantor", 3, 6)
    assert counts["proved", False] >= 2
    assert counts["undecided", True] >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name, level, count", [("cantor", 3, 80), ("dust", 2, 40), ("triangle", 2, 40)])
def test_many_mutants_that_fail_are_not_proved(name, level, count):
    counts = judged_mutants(name, level, count)
    # The harmless ones are proved, or nearly all.
    assert counts["proved", False] >= 0.9 * (count - counts["undecided", True])


def test_claims_that_say_too_much_are_not_proved():
    construction = built("cantor", 2)
    domain, tolerant = domain_of(construction), dc.targets.Fractal(systems.cantor(), 2, tolerance=1 / 128)
    wider = dc.Robustness(1.125 * construction.claim.robustness.radius)
    found = certified(claiming(construction, robustness=wider))
    assert (found.verdict, found.covers) == ("proved", ("error",))
    # Points that leave by 1/64 are taken for points of the fractal.
    nearer = dataclasses.replace(domain, outer=1 / 64)
    found = certified(claiming(construction, domain=nearer, target=tolerant))
    assert (found.verdict, found.found) == ("undecided", None)
    assert "near" in str(found)


@pytest.mark.parametrize("change", [
    {"domain": dc.domains.Box(1, -1.0, 1.0)}, {"target": dc.targets.Fractal(systems.cantor(), 2)},
    {"target": dc.targets.Fractal(systems.cantor_reversed(), 3)}, {"codomain": dc.domains.Signs(1)},
    {"target": dc.targets.Fractal(systems.cantor(), 3, tolerance=0.5)}, {"target": dc.Target("mine", lambda x: 0 * x)},
])  # fmt: skip
def test_other_claims_are_left_to_other_methods(change):
    with pytest.raises(ValueError, match="certify: "):
        certified(claiming(built("cantor", 3), **change))


@pytest.mark.parametrize("value, at", [(3e38, 0), (3e38, 2), (3e38, -1), (1e-45, 1), (1e-45, -2)])
def test_weights_out_of_range_are_not_proved_to_be_right(value, at):
    construction = built("cantor", 2)
    leaves, treedef = jax.tree.flatten(construction.network)
    leaves[at] = jnp.full_like(leaves[at], value)
    assert certified(dc.claim(jax.tree.unflatten(treedef, leaves), construction.claim)).verdict == "undecided"


def test_networks_of_ones_own_are_proved_as_a_whole():
    construction = built("cantor", 1)
    matrix = jnp.array([[-1.0], [1.0]], "float32")
    ends = jnp.array([-0.32, -0.32], "float32")
    last = Layer(Dense(jnp.ones((1, 2), "float32")))
    steps = Network((Layer(Dense(matrix), ends, Step()), last))
    assert certified(dc.claim(steps, construction.claim)).verdict == "proved"
    dense = dc.densify(built("cantor", 3))
    found = certified(dc.claim(dense.network, built("cantor", 3).claim))
    assert found.verdict == "proved"
    # A step at a place that belongs to the fractal.
    wrong = Network((Layer(Dense(matrix), jnp.array([-0.32, -0.34], "float32"), Step()), last))
    assert certified(dc.claim(wrong, construction.claim)).verdict == "undecided"


def drawn_network(generator, sizes, dtype, activation):
    layers = []
    for wide, high in itertools.pairwise(sizes):
        matrix = np.round(generator.normal(size=(high, wide)), 2) * (generator.random((high, wide)) < 0.8)
        layers.append(
            Layer(Dense(jnp.asarray(matrix, dtype)), jnp.asarray(generator.normal(size=high), dtype), activation)
        )
    *body, last = layers
    inner = Layer(Composed(last.linear, Dense(jnp.asarray(np.eye(sizes[-2]) * 1.5, dtype))), last.bias, Identity())
    return Network((*body, inner))


@pytest.mark.parametrize("dtype, seed", [("float32", 0), ("float32", 1), ("float16", 2), ("float64", 3)])
def test_forms_hold_what_runs_in_any_order_and_what_is_exact(dtype, seed):
    generator = np.random.default_rng(seed)
    network = drawn_network(generator, (2, 5, 4, 1), dtype, ReLU())
    stages = stages_of(network)
    runner = Runner(stages, network.dtype)
    low = generator.uniform(-1, 1, (6, 2))
    high = low + 10.0 ** generator.uniform(-3, 0, (6, 1)) * np.array([1.0, 0.0])
    forms, _ = runner.run(on_boxes(low, high), 0, len(stages))
    for box in range(6):
        for _ in range(4):
            x = (low[box] + (high - low)[box] * generator.random(2)).astype(dtype)
            if not np.all((x >= low[box]) & (x <= high[box])):
                x = low[box] = high[box] = x.astype(float)
                forms, _ = runner.run(on_boxes(low, high), 0, len(stages))
            exact, run = [Fraction(float(value)) for value in x], x
            for stage in stages:
                exact = exact_stage(stage, exact)
                run = shuffled_stage(stage, run, generator)
            assert forms.low[box, 0] <= exact[0] <= forms.high[box, 0]
            assert abs(Fraction(float(run[0])) - exact[0]) <= Fraction(float(forms.error[box, 0]))


def test_a_weight_of_zero_does_not_hide_what_overflows():
    matrices = [[1.0], [0.0]], [[6e4, 0.0], [0.0, 0.0]], [[2.0, 0.0], [0.0, 0.0]]
    layers = [Layer(Dense(jnp.asarray(matrix, "float16"))) for matrix in matrices]
    last = Layer(Dense(jnp.array([[0.0, 1.0]], "float16")), jnp.array([1.0], "float16"))
    network = Network((*layers, last))
    runner = Runner(stages_of(network), network.dtype)
    forms, _ = runner.run(on_boxes(np.array([[0.9]]), np.array([[1.0]])), 0, 4)
    assert np.isnan(np.asarray(network(jnp.ones((1, 1), "float16")))).all()
    assert not np.isfinite(forms.error).any()


def exact_stage(stage, x):
    sums = [
        sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(b))
        for row, b in zip(stage.weights.tolist(), stage.bias.tolist(), strict=True)
    ]
    return [max(value, Fraction(0)) for value in sums] if stage.kinds[0][0] is ReLU else sums


def shuffled_stage(stage, x, generator):
    """In the arithmetic of the network, terms and bias in any order."""
    found = []
    for row, bias in zip(stage.weights.astype(x.dtype), stage.bias.astype(x.dtype), strict=True):
        terms = generator.permutation(np.append(row * x, bias))
        found.append(np.add.accumulate(terms)[-1])
    found = np.array(found, x.dtype)
    return np.maximum(found, 0) if stage.kinds[0][0] is ReLU else found


@pytest.mark.parametrize("name, level", [("cantor", 3), ("dust", 2), ("triangle", 2), ("rotated_dust", 1)])
def test_what_is_possible_on_boxes_holds_what_points_of_the_domain_are(name, level):
    construction, generator = built(name, level), np.random.default_rng(5)
    domain = domain_of(construction)
    x = points(construction, 60)
    # Others lie off their cells by what was rounded.
    x = x[(construction.claim.target.wide(x)[:, 0] == 0) | (domain.system.exact_depth(x, level) == level)]
    low = x - 10.0 ** generator.uniform(-6, -1, x.shape)
    high = x + 10.0 ** generator.uniform(-6, -1, x.shape)
    found = Cells(domain, level).possible(low, high)
    depth = domain.system.exact_depth(x, level)
    assert np.all(np.where(depth == level, found.one, found.zero))
    # Small boxes decide: away from faces only one is possible.
    small = Cells(domain, level).possible(x - 1e-9, x + 1e-9)
    assert np.mean(small.one != small.zero) > 0.95


def test_derivatives_bound_what_changes_make_of_a_network():
    generator = np.random.default_rng(8)
    network = drawn_network(generator, (2, 4, 4, 2), "float64", ReLU())
    stages = stages_of(network)
    _, ways = Runner(stages, network.dtype).run(
        on_boxes(np.array([[-0.3, 0.2]]), np.array([[0.1, 0.4]])), 0, len(stages)
    )
    found = derivatives(stages, tuple(state[0] for state in ways.states))
    assert found is not None
    x, y = (np.array([-0.3, 0.2]) + np.array([0.4, 0.2]) * generator.random((500, 2)) for _ in range(2))
    change = np.asarray(network(jnp.asarray(x))) - np.asarray(network(jnp.asarray(y)))
    assert np.all(np.abs(change) <= np.abs(x - y) @ found.stretch.max(axis=0).T * (1 + 1e-9) + 1e-12)
    norms = [np.linalg.norm(part, axis=1) for part in (change, x - y)]
    assert np.all(norms[0] <= found.norm.max() * norms[1] * (1 + 1e-9) + 1e-12)
