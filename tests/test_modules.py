"""Trees of gates, proved by what every kind of gate can hold; against runs in rationals and in the worst rounding."""

import dataclasses
import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.intervals import bias_array
from deepconstruct._certify.modules.floats import Floats
from deepconstruct._certify.modules.folds import AND, XOR, NoFold, forest
from deepconstruct._certify.modules.grouping import components
from deepconstruct._certify.modules.method import Modules, _errors, followed
from deepconstruct._certify.modules.ranges import joint_range, logistic
from deepconstruct._certify.modules.records import NotModular
from deepconstruct._certify.modules.rows import distinct_rows, ranks
from deepconstruct._certify.modules.stages import stages
from deepconstruct._certify.modules.sums import Sums, coarser, merged, near
from deepconstruct._certify.modules.wide import EPS, WIDE, plus_up, times_up
from deepconstruct._certify.modules.wiring import _Tracer, wiring
from deepconstruct.activations import Identity, Power, ReLU, Sigmoid, Square, Step, groups
from deepconstruct.domains import Bits, Box, Signs
from deepconstruct.linear import BlockDiagonal, Dense, DirectSum, as_matrix
from deepconstruct.network import Layer, Network, flat_layers
from deepconstruct.targets import (
    BitsToSigns,
    BooleanFunction,
    Composed,
    Iterated,
    Parallel,
    Parity,
    Product,
    SignsToBits,
)


def and_tree(dtype):
    """Parity of ANDs, the kinds of folds mixed."""
    ands = [dc.bit_product(k, activation="step", dtype=dtype) for k in (2, 3)]
    return dc.series(dc.parallel(*ands), dc.parity(2, dtype=dtype))


EXACT = {
    "one": lambda dtype: dc.parity(1, dtype=dtype),
    "relu": lambda dtype: dc.parity(10, dtype=dtype),
    "uneven": lambda dtype: dc.parity(7, dtype=dtype),
    "step": lambda dtype: dc.parity(9, activation="step", dtype=dtype),
    "signs": lambda dtype: dc.parity(8, encoding="signs", dtype=dtype),
    "ternary": lambda dtype: dc.parity(9, arity=3, dtype=dtype),
    "tied": lambda dtype: dc.parity(8, tied=True, dtype=dtype),
    "count": lambda dtype: dc.parity_shallow(9, dtype=dtype),
    "dnf": lambda dtype: dc.parity_shallow(6, kind="dnf", activation="step", dtype=dtype),
    "bounded": lambda dtype: dc.parity_bounded_depth(9, 3, dtype=dtype),
    "and": lambda dtype: dc.bit_product(9, activation="relu", dtype=dtype),
    "series": lambda dtype: dc.series(
        dc.parallel(dc.parity(4, dtype=dtype), dc.parity(5, dtype=dtype)), dc.parity(2, dtype=dtype)
    ),
    "parallel": lambda dtype: dc.parallel(dc.parity(2, dtype=dtype), dc.parity_shallow(7, dtype=dtype)),
    "encodings": lambda dtype: dc.series(
        dc.bits_to_signs(6, dtype=dtype), dc.parity(6, encoding="signs", dtype=dtype), dc.signs_to_bits(1, dtype=dtype)
    ),
    "both": lambda dtype: dc.parallel(dc.bits_to_signs(3, dtype=dtype), dc.parity(3, encoding="signs", dtype=dtype)),
    "mixed": and_tree,
    "repeat": lambda dtype: dc.repeat(dc.parallel(dc.parity(1, dtype=dtype), dc.parity(1, dtype=dtype)), 3),
}

SMOOTH = {
    "sigmoid": lambda dtype: dc.parity(8, activation="sigmoid", dtype=dtype),
    "uneven": lambda dtype: dc.parity(7, activation=Sigmoid(8.0), dtype=dtype),
    "signs": lambda dtype: dc.parity(5, activation="sigmoid", encoding="signs", dtype=dtype),
    "unfused": lambda dtype: dc.parity(4, activation="sigmoid", fused=False, readout="raw", dtype=dtype),
    "and": lambda dtype: dc.bit_product(4, tolerance=1e-3, dtype=dtype),
    "parallel": lambda dtype: dc.parallel(
        dc.parity(2, dtype=dtype), dc.parity(4, activation="sigmoid", dtype=dtype)
    ),
}  # fmt: skip


DOUBLE = ("relu", "signs", "count", "bounded", "mixed", "sigmoid", "and")


def cases(builders):
    """All in single precision, some in double."""
    return [
        (name, dtype) for dtype in ("float32", "float64") for name in builders if dtype == "float32" or name in DOUBLE
    ]


def certify(construction):
    return dc.certify(construction, method="modules")


def network_of(*layers, dtype="float32"):
    """A network of dense layers, given as (weights, bias, activation)."""
    found = []
    for weights, bias, activation in layers:
        bias = None if bias is None else jnp.asarray(np.array(bias), dtype)
        found.append(Layer(Dense(jnp.asarray(np.array(weights), dtype)), bias, activation))
    return Network(tuple(found))


def claimed(network, target, error=0.0, domain=None, codomain=None, **more):
    claim = dc.Claim(
        target, domain or Bits(network.in_size), codomain or Bits(network.out_size), dc.Bound(error),
        dtype=network.dtype.name, **more,
    )  # fmt: skip
    return dc.claim(network, claim)


# Runs by other means.


def rational(network, x):
    """The output in rationals, of networks whose activations are polynomials by pieces."""
    h = [Fraction(float(value)) for value in x]
    for layer in flat_layers(network):
        weights, bias = np.asarray(as_matrix(layer.linear), float), bias_array(layer)
        z = [
            sum((Fraction(w) * v for w, v in zip(row.tolist(), h, strict=True) if w), Fraction(b))
            for row, b in zip(weights, bias.tolist(), strict=True)
        ]
        activations = [part for part, width in groups(layer.activation, layer.out_size) for _ in range(width)]
        h = [_rational_activation(part, value) for part, value in zip(activations, z, strict=True)]
    return h


def _rational_activation(activation, z):
    if isinstance(activation, ReLU):
        return max(z, Fraction(0))
    if isinstance(activation, Step):
        return Fraction(int(z > 0))
    if isinstance(activation, Square):
        return z * z
    assert isinstance(activation, Identity)
    return z


def worst_runs(network, x, seed, scale):
    """Runs of a float32 network in double precision, every rounding replaced by one of up to `scale` units."""
    generator, u = np.random.default_rng(seed), 2.0**-24

    def moved(values, size):
        return values + scale * generator.choice([-1.0, 1.0], np.shape(values)) * size

    def rounded(values):
        # What is a float isn't rounded.
        return np.where(values.astype("float32") == values, values, moved(values, u * np.abs(values)))

    h = x
    for layer in flat_layers(network):
        weights = np.asarray(as_matrix(layer.linear), float)
        terms = rounded(h[:, None, :] * weights)
        terms = np.concatenate([terms, np.broadcast_to(bias_array(layer)[:, None], (*terms.shape[:2], 1))], axis=2)
        order = generator.permutation(terms.shape[2])
        z = terms[..., order[0]]
        for index in order[1:]:
            z = np.where(terms[..., index] == 0, z, rounded(z + terms[..., index]))
        start = 0
        for activation, width in groups(layer.activation, layer.out_size):
            part = slice(start, start + width)
            start += width
            assert isinstance(activation, Sigmoid | Identity)
            if isinstance(activation, Sigmoid):
                y = 1 / (1 + np.exp(-rounded(np.float64(np.float32(activation.inverse_temperature)) * z[:, part])))
                z[:, part] = moved(y, 3 * np.ldexp(2 * u, np.frexp(y)[1] - 1))
        h = z
    return h


def in_orders(network, x):
    """Outputs as floats of the network's own dtype, sums taken in several orders."""
    found = []
    for order in ("forward", "backward", "rising", "falling"):
        h = np.asarray(x).astype(network.dtype)
        for layer in flat_layers(network):
            weights, bias = np.asarray(as_matrix(layer.linear)), bias_array(layer).astype(network.dtype)
            terms = np.concatenate([h[:, None, :] * weights, np.broadcast_to(bias[:, None], (len(h), len(bias), 1))], 2)
            if order in ("rising", "falling"):
                terms = np.sort(terms, axis=2)
            if order in ("backward", "falling"):
                terms = terms[..., ::-1]
            z = terms[..., 0]
            for index in range(1, terms.shape[2]):
                z = z + terms[..., index]
            parts, start = [], 0
            for activation, width in groups(layer.activation, layer.out_size):
                parts.append(np.asarray(activation(jnp.asarray(z[:, start : start + width]))))
                start += width
            h = np.concatenate(parts, axis=1)
        found.append(h.astype(float))
    return found


def in_double(network, x):
    """Outputs in double precision."""
    h = x
    for layer in flat_layers(network):
        z, start = h @ np.asarray(as_matrix(layer.linear), float).T + bias_array(layer), 0
        for activation, width in groups(layer.activation, layer.out_size):
            z[:, start : start + width] = _plainly(activation, z[:, start : start + width])
            start += width
        h = z
    return h


def inputs_of(domain):
    return np.asarray(domain.enumerate(np.arange(domain.cardinality)))


# What is proved.


@pytest.mark.default_cases(7)
@pytest.mark.parametrize("name,dtype", cases(EXACT))
def test_exact_trees_are_proved(name, dtype):
    construction = EXACT[name](dtype)
    found = certify(construction)
    assert (found.verdict, found.method, found.found) == ("proved", "modules", dc.Bound())
    assert found.backend is None
    x = inputs_of(construction.claim.domain)
    wanted = construction.claim.target.wide(x).astype(float)
    for row in range(0, len(x), max(len(x) // 8, 1)):
        assert rational(construction.network, x[row]) == wanted[row].tolist()


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name,dtype", cases(SMOOTH))
def test_smooth_trees_are_proved_and_not_more(name, dtype):
    construction = SMOOTH[name](dtype)
    found = certify(construction)
    assert found.verdict == "proved"
    assert found.found is not None
    assert 0 < found.found.largest <= construction.claim.error.largest
    # What is below the bound isn't proved.
    for share, verdict in ((1.0, "proved"), (0.98, "undecided")):
        claim = dataclasses.replace(
            construction.claim, error=dc.Bound(np.multiply(share, found.found.absolute).tolist())
        )
        assert certify(dc.claim(construction.network, claim)).verdict == verdict


@pytest.mark.parametrize("name", ["sigmoid", "unfused", "and"])
def test_the_bound_holds_in_the_worst_rounding(name):
    construction = SMOOTH[name]("float32")
    found = certify(construction).found
    assert found is not None
    x = inputs_of(construction.claim.domain)
    wanted = construction.claim.target.wide(x).astype(float)
    worst = max(float(np.abs(worst_runs(construction.network, x, seed, 1.0) - wanted).max()) for seed in range(20))
    assert 0.2 * found.largest < worst <= found.largest


@pytest.mark.parametrize(
    "name", ["relu", "step", "signs", "ternary", "count", "bounded", "series", "mixed", "encodings"]
)
def test_robustness_of_exact_trees_is_proved(name):
    construction = EXACT[name]("float32")
    assert certify(construction).covers == ("error", "robustness")
    robust = construction.claim.robustness
    grown = dataclasses.replace(robust, radius=robust.radius * 1.25)
    smaller = dataclasses.replace(robust, gain=robust.largest_gain * 0.98)
    if robust.largest_gain == 0:
        _check_covers_less(construction, grown)
    elif name not in ("series", "mixed"):
        _check_covers_less(construction, smaller)


def _check_covers_less(construction, robustness):
    claim = dataclasses.replace(construction.claim, robustness=robustness)
    found = certify(dc.claim(construction.network, claim))
    assert (found.verdict, found.covers) == ("proved", ("error",))


@pytest.mark.parametrize("name", ["sigmoid", "uneven", "signs", "unfused", "parallel"])
def test_robustness_of_smooth_trees_is_proved(name):
    construction = SMOOTH[name]("float32")
    assert certify(construction).covers == ("error", "robustness")
    _check_covers_less(construction, dataclasses.replace(construction.claim.robustness, radius=0.3))


def test_no_rounding_is_allowed_for_where_it_is_needed():
    construction = dc.parity(8, dtype="float32")
    _check_covers_less(construction, dataclasses.replace(construction.claim.robustness, rounding=1e-9))


def test_an_infinite_gain_is_no_bound_and_holds_where_numbers_do():
    construction = SMOOTH["and"]("float32")
    for radius, covers in ((0.1, ("error", "robustness")), (1e38, ("error",)), (np.inf, ("error",))):
        claim = dataclasses.replace(construction.claim, robustness=dc.Robustness(radius, np.inf))
        assert certify(dc.claim(construction.network, claim)).covers == covers


def test_every_output_has_its_own_bound():
    construction = dc.parallel(dc.parity(3, dtype="float32"), dc.parity(8, activation="sigmoid", dtype="float32"))
    found = certify(construction).found
    assert found is not None
    assert found.absolute[0] == 0 < found.absolute[1] <= construction.claim.error.absolute[1]
    swapped = dataclasses.replace(construction.claim, error=dc.Bound(construction.claim.error.absolute[::-1]))
    assert certify(dc.claim(construction.network, swapped)).verdict == "undecided"


def test_large_trees_take_a_kind_of_gate_a_level():
    construction = dc.parity(2**14, dtype="float32")
    found = certify(construction)
    assert found.verdict == "proved"
    assert isinstance(found.evidence, Modules)
    assert [level[0].count for level in found.evidence.levels] == [2**k for k in range(13, -1, -1)] + [1]
    uneven = certify(dc.parity(5001, dtype="float32"))
    assert uneven.verdict == "proved"
    assert isinstance(uneven.evidence, Modules)
    assert uneven.evidence.kinds < 60


def test_equal_blocks_are_cut_as_any_map_is():
    network = dc.parity(24, encoding="signs", dtype="float32").network
    tree = forest(Parity(24, "signs"), Signs(24))
    quick = wiring(network, tree)
    dense = wiring(dc.densify(network), tree)
    assert [level[0][1] for level in quick.levels] == [level[0][1] for level in dense.levels]
    cut = _Tracer(tree)
    for layer in flat_layers(network)[:1]:
        (stage,) = stages(layer)
        below = cut._inputs()
        regular, general = cut._regular(stage, below), cut._general(stage, below)
        assert regular is not None
        for name in ("node", "covered"):
            assert np.array_equal(getattr(regular, name)[regular.gate], getattr(general, name)[general.gate])
        # The same units stand together.
        assert len(set(zip(regular.gate.tolist(), general.gate.tolist(), strict=True))) == len(general.kind)


def test_gates_of_a_network_of_ones_own():
    # (x - y)^2 is the XOR of two bits; units in disorder, scaled by powers of two.
    square = network_of(([[1, -1, 0, 0], [0, 0, 1, -1]], None, Square()), ([[1, -1]], None, Square()))
    assert certify(claimed(square, Parity(4))).verdict == "proved"
    network = dc.densify(dc.parity(16, dtype="float32").network)
    generator, layers, before, scale = np.random.default_rng(1), [], np.arange(16), np.ones(16)
    for index, layer in enumerate(network.layers):
        weights, bias = np.asarray(layer.linear.weight, float)[:, before] / scale, bias_array(layer)
        last = index == len(network.layers) - 1
        after = np.arange(len(bias)) if last else generator.permutation(len(bias))
        grown = np.ones(len(bias)) if last else 2.0 ** generator.integers(-30, 30, len(bias))
        layers.append((weights[after] * grown[:, None], bias[after] * grown, layer.activation))
        before, scale = after, grown
    assert certify(claimed(network_of(*layers), Parity(16))).verdict == "proved"


def test_gates_of_many_units_that_one_unit_reads():
    assert certify(dc.parity_shallow(300, activation="step", dtype="float32")).verdict == "proved"


def test_wires_that_gates_share_are_looked_at_together():
    dnf = dc.parity_shallow(6, kind="dnf", dtype="float32")
    tree = wiring(dnf.network, forest(Parity(6), Bits(6)))
    assert tree.levels[0] == ((2, 1),)
    assert len(tree.kinds[2].children) == 6  # pyright: ignore[reportAttributeAccessIssue]
    assert "too many states" in str(certify(dc.parity_shallow(11, kind="dnf", dtype="float32")))


def test_an_input_that_counts_twice_is_no_parity():
    # XOR(XOR(a, b), XOR(b, c)) is XOR(a, c), while the folds of both gates would give its own fold.
    gate = [[1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 1]]
    wires = [[1, -2, 1, -2]] * 2
    network = network_of((gate, [0, -1, 0, -1], ReLU()), (wires, [0, -1], ReLU()), ([[1, -2]], None, Identity()))
    assert certify(claimed(network, Parity(3))).verdict == "undecided"
    # The same beyond the first layer: a wire of a gate that two others read.
    apart = network_of(
        ([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [0, -1, 0, 0], ReLU()),
        ([[1, -2, 1, 0], [1, -2, 1, 0], [1, -2, 0, 1], [1, -2, 0, 1]], [0, -1, 0, -1], ReLU()),
        (wires, [0, -1], ReLU()),
        ([[1, -2]], None, Identity()),
    )
    assert rational(apart, [1, 0, 0, 0]) == [0]
    assert certify(claimed(apart, Parity(4))).verdict == "undecided"


def test_inputs_that_nobody_reads_are_no_parity():
    network = network_of(([[1, 1, 0], [1, 1, 0]], [0, -1], ReLU()), ([[1, -2]], None, Identity()))
    assert "doesn't read the inputs" in str(certify(claimed(network, Parity(3))))
    two = network_of(([[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 1, 0, 1]], [0, -1, 0, -1], ReLU()),
                     ([[1, -2, 0, 0], [0, 0, 1, -2]], None, Identity()))  # fmt: skip
    right = Parallel((Parity(2), Parity(2)), (2, 2))
    assert "combines elsewhere" in str(certify(claimed(two, right)))


def test_constants_may_stand_beside_gates():
    network = network_of(
        ([[1, 1], [1, 1], [0, 0]], [0, -1, 3], ReLU()), ([[1, -2, 1]], [-3], Identity()), ([[1]], None, Identity())
    )
    assert certify(claimed(network, Parity(2))).verdict == "proved"
    shifted = network_of(([[1, 1], [1, 1], [0, 0]], [0, -1, 3], ReLU()), ([[1, -2, 1]], [-2], Identity()))
    assert certify(claimed(shifted, Parity(2))).verdict == "undecided"
    constant = network_of(([[0, 0]], [1], ReLU()))
    assert certify(claimed(constant, Parity(2))).verdict == "undecided"


def test_ands_of_many_bits_are_proved_by_runs_of_states():
    for construction in (dc.bit_product(6_000, dtype="float32"), dc.bit_product(6_000, activation="step")):
        assert certify(construction).verdict == "proved"
    broken = network_of((np.ones((1, 6000)), [-5999], ReLU()))
    assert certify(claimed(broken, Product(6000))).verdict == "proved"
    broken = network_of((np.ones((1, 6000)), [-5998], ReLU()))
    assert certify(claimed(broken, Product(6000))).verdict == "undecided"


# What isn't proved.


def mutants(network, count, seed):
    """Networks with one weight or bias changed: by an ulp, in sign, doubled, or zeroed."""
    generator = np.random.default_rng(seed)
    leaves, structure = jax.tree.flatten(network)
    for _ in range(count):
        which = int(generator.integers(len(leaves)))
        values = np.array(leaves[which])
        at = tuple(int(generator.integers(size)) for size in values.shape)
        kind = int(generator.integers(5))
        old = values[at]
        up = np.nextafter(old, np.array(np.inf, old.dtype))
        values[at] = [up, np.nextafter(old, np.array(-np.inf, old.dtype)), -old, 2 * old, 0 * old][kind]
        yield jax.tree.unflatten(structure, [*leaves[:which], jnp.asarray(values), *leaves[which + 1 :]])


@pytest.mark.parametrize("name", ["uneven", "step", "signs", "count", "bounded", "mixed", "dnf"])
def test_no_broken_mutant_of_an_exact_tree_is_proved(name):
    construction = EXACT[name]("float32")
    x = inputs_of(construction.claim.domain)[:: 2 if name in ("step", "count", "bounded") else 1]
    wanted = construction.claim.target.wide(x).astype(float)
    proved = 0
    for network in mutants(construction.network, 12, seed=3):
        found = certify(dc.claim(network, construction.claim))
        if found.verdict == "proved":
            proved += 1
            assert all(np.array_equal(y, wanted) for y in in_orders(network, x))
            rows = range(0, len(x), max(len(x) // 16, 1))
            assert all(rational(network, x[row]) == wanted[row].tolist() for row in rows)
    assert proved < 12


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXACT if name not in ("one", "repeat")])
def test_no_broken_mutant_of_any_tree_is_proved(name):
    construction = EXACT[name]("float32")
    x = inputs_of(construction.claim.domain)
    wanted = construction.claim.target.wide(x).astype(float)
    for network in mutants(construction.network, 60, seed=11):
        if certify(dc.claim(network, construction.claim)).verdict == "proved":
            assert all(np.array_equal(y, wanted) for y in in_orders(network, x))
            rows = np.random.default_rng(0).integers(len(x), size=40)
            assert all(rational(network, x[row]) == wanted[row].tolist() for row in rows)


@pytest.mark.parametrize("name", ["sigmoid", "unfused"])
def test_mutants_of_smooth_trees_are_proved_within_their_bound(name):
    construction = SMOOTH[name]("float32")
    x = inputs_of(construction.claim.domain)
    wanted = construction.claim.target.wide(x).astype(float)
    verdicts = set()
    for seed, network in enumerate(mutants(construction.network, 12, seed=5)):
        found = certify(dc.claim(network, construction.claim))
        verdicts.add(found.verdict)
        if found.verdict == "proved":
            assert found.found is not None
            assert np.abs(worst_runs(network, x, seed, 1.0) - wanted).max() <= found.found.largest
    assert verdicts == {"proved", "undecided"}


def drawn_network(generator, sizes, draw, activations, dtype="float32"):
    """Layers that read some of the units below, the last one linear."""
    layers = []
    for index, (size_in, size_out) in enumerate(itertools.pairwise(sizes)):
        kept = generator.random((size_out, size_in)) < 0.8
        active = [activations[int(generator.integers(len(activations)))] for _ in range(size_out)]
        if index == len(sizes) - 2:
            active = [Identity()] * size_out
        mixed = dc.activations.Concatenate(tuple(active), (1,) * size_out)
        weights = np.where(kept, draw((size_out, size_in)), 0.0)
        layers.append((weights, draw(size_out), mixed))
    return network_of(*layers, dtype=dtype)


@pytest.mark.slow
def test_the_bound_of_any_network_of_integers_is_its_largest_error():
    generator, proved = np.random.default_rng(7), 0
    for index in range(30):
        n = int(generator.integers(1, 5))
        sizes = (n, *generator.integers(1, 5, int(generator.integers(1, 4))).tolist(), 1)
        active = (ReLU(), Step(), Identity(), Square())
        network = drawn_network(generator, sizes, lambda shape: generator.integers(-3, 4, shape) / 2, active, "float64")
        target, domain = [(Parity(n), Bits(n)), (Parity(n, "signs"), Signs(n)), (Product(n), Bits(n))][index % 3]
        x = inputs_of(domain)
        wanted = target.wide(x).astype(float)
        largest = max(
            abs(rational(network, row)[0] - Fraction(float(y))) for row, y in zip(x, wanted[:, 0], strict=True)
        )
        codomain = Signs(1) if index % 3 == 1 else Bits(1)
        found = certify(claimed(network, target, float(largest), domain, codomain))
        if found.verdict == "proved":
            proved += 1
            assert found.found == dc.Bound(float(largest))
            assert all(np.abs(y - wanted).max() == largest for y in in_orders(network, x))
        else:
            assert "doesn't read the inputs" in str(found), found
        if largest:
            less = claimed(network, target, float(largest) * (1 - 2**-40), domain, codomain)
            assert certify(less).verdict == "undecided"
    assert proved > 12


def test_the_bound_of_any_network_holds_in_the_worst_rounding():
    generator, proved = np.random.default_rng(8), 0
    for index in range(25):
        n = int(generator.integers(1, 5))
        sizes = (n, *generator.integers(1, 5, int(generator.integers(1, 4))).tolist(), 1)
        active = (Identity(),) if index % 2 else (Sigmoid(float(generator.uniform(0.5, 8))), Identity())
        network = drawn_network(generator, sizes, generator.standard_normal, active)
        found = certify(claimed(network, Parity(n), 1e6))
        if found.verdict != "proved":
            assert "doesn't read the inputs" in str(found), found
            continue
        proved += 1
        assert found.found is not None
        x = inputs_of(Bits(n))
        wanted = Parity(n).wide(x).astype(float)
        errors = [float(np.abs(worst_runs(network, x, seed, 1.0) - wanted).max()) for seed in range(4)]
        assert max(errors) <= found.found.largest
        assert found.found.largest <= max(errors) + 1e-4
    assert proved > 10


def test_bounds_beside_the_domain_hold_for_any_network():
    generator, looked = np.random.default_rng(9), 0
    for index in range(24):
        n = int(generator.integers(1, 5))
        sizes = (n, *generator.integers(1, 5, int(generator.integers(1, 4))).tolist(), 1)
        smooth = index % 2 == 1
        active = (Sigmoid(float(generator.uniform(0.5, 8))), Identity()) if smooth else (ReLU(), Step(), Square())
        draw = generator.standard_normal if index % 4 < 2 else lambda shape: generator.integers(-3, 4, shape) / 2
        network = drawn_network(generator, sizes, draw, active)
        try:
            tree = wiring(network, forest(Parity(n), Bits(n)))
        except NotModular:
            continue
        looked += 1
        x = np.repeat(inputs_of(Bits(n)), 60, axis=0)
        off = np.concatenate(
            [generator.choice([-1.0, 1.0], (len(x) // 2, n)), generator.uniform(-1, 1, (len(x) // 2, n))]
        )
        for reach in (1e-3, 0.1, 0.7):
            floats = [Floats("float32", offset=reach)] + [Floats("float32", slope=1.0, reach=reach)] * (not smooth)
            bounds = [_errors(tree, followed(tree, each), each) for each in floats]
            for delta in (reach, 0.3 * reach):
                y = in_double(network, x + delta * off)
                error = np.abs(y - Parity(n).wide(x)).max()
                assert all(error <= found[0] + slope[0] * delta for found, slope in bounds)
    assert looked > 12


def test_an_order_in_which_it_rounds_is_no_proof():
    # 1 - 1 + 0.99999994 rounds to 1 in one order alone.
    below = float(np.nextafter(np.float32(1), np.float32(0)))
    network = network_of(([[1, 1, 0], [1, 1, 0], [0, 0, below]], [0, -1, 0], ReLU()), ([[1, -2, 1]], None, Identity()))
    product = network_of(([[1.0, below]], [-1.0], ReLU()))
    assert certify(claimed(product, Product(2))).verdict == "undecided"
    assert certify(claimed(network, Parity(3))).verdict == "undecided"
    assert certify(claimed(product, Product(2), error=2.0**-20)).verdict == "proved"


@pytest.mark.parametrize(
    "weight,reason",
    [(1e-40, "subnormal"), (3e38, "overflow|above"), (2.0**-140, "subnormal")],
)
def test_numbers_at_the_ends_of_the_dtype(weight, reason):
    network = network_of(([[weight, weight], [weight, weight]], [0, -weight], ReLU()),
                         ([[1 / weight if weight > 1e-38 else 1, -2]], None, Identity()))  # fmt: skip
    found = certify(claimed(network, Parity(2)))
    assert found.verdict == "undecided"
    assert any(word in str(found) for word in reason.split("|"))


def test_scaled_trees_are_proved_as_far_as_the_dtype_goes():
    for exponent, verdict in ((100, "proved"), (-100, "proved"), (-126, "proved"), (-127, "undecided")):
        w = 2.0**exponent
        network = network_of(([[w, w], [w, w]], [0, -w], ReLU()), ([[1, -2]], None, ReLU()), ([[1]], None, Identity()))
        layers = (*network.layers[:2], Layer(Dense(jnp.asarray([[2.0**-exponent]], "float32"))))
        if exponent >= -126:
            assert certify(claimed(Network(layers), Parity(2))).verdict == verdict
        else:
            assert certify(claimed(network, Parity(2))).verdict == verdict


def test_nan_and_infinity_are_no_weights():
    construction = dc.parity(4, dtype="float32")
    for value in (np.nan, np.inf):
        leaves, structure = jax.tree.flatten(construction.network)
        object.__setattr__(construction.network, "layers", jax.tree.unflatten(structure, leaves).layers)
        blocks = np.array(leaves[0])
        blocks.flat[3] = value
        layer = flat_layers(construction.network)[0]
        object.__setattr__(layer.linear, "blocks", jnp.asarray(blocks))
        assert "finite" in str(certify(construction))


def test_other_activations_dtypes_and_maps_are_refused():
    tanh = network_of(([[1.0, 1.0]], None, dc.activations.Tanh()))
    with pytest.raises(ValueError, match="plain activations"):
        certify(claimed(tanh, Parity(2)))
    complex_net = Network((Layer(Dense(jnp.ones((1, 2), "complex64"))),))
    with pytest.raises(ValueError, match="real weights"):
        certify(dc.claim(complex_net, dc.Claim(Product(2), Bits(2), Bits(1), dtype="complex64")))
    patterns = Network((Layer(flat_layers(dc.flat_product(2, dtype="float32").network)[0].linear),))
    assert isinstance(flat_layers(patterns)[0].linear, dc.linear.SignPatterns)
    twice = dc.Target("twice", lambda x: jnp.concatenate([x] * (patterns.out_size // 2), axis=-1))
    with pytest.raises(ValueError, match="sign patterns"):
        certify(claimed(patterns, twice))


@dataclasses.dataclass(frozen=True)
class Otherwise(Parity):
    """A parity of a user's own, which is none."""

    def _evaluate(self, x):
        return 1 - x.sum(axis=-1, keepdims=True) % 2


class OtherBits(Bits):
    """Bits of a user's own, which are none."""


@pytest.mark.parametrize(
    "target,domain,codomain,reason",
    [
        (Otherwise(2), Bits(2), Bits(1), "is neither"),
        (dc.Target("mine", lambda x: x.sum(-1, keepdims=True) % 2), Bits(2), Bits(1), "mine is neither"),
        (BooleanFunction([0, 1, 1, 0]), Bits(2), Bits(1), "is neither"),
        (Parity(2), Signs(2), Bits(1), "another encoding"),
        (Parity(2), Box(2, 0, 1), Bits(1), "modules are about bits and signs"),
        (Parity(2), OtherBits(2), Bits(1), "modules are about bits and signs"),
        (Parity(2), Bits(2), Signs(1), "doesn't hold the values"),
        (Parity(3), Bits(2), Bits(1), "is applied to 2 numbers"),
        (Composed(Parity(1), Parallel((Parity(2),), (3,))), Bits(2), Bits(1), "is applied to 2 numbers"),
        (dc.targets.FanOut((Parity(2),)), Bits(2), Bits(1), "is neither"),
    ],
)
def test_other_claims_are_refused(target, domain, codomain, reason):
    network = dc.parity(2, dtype="float32").network
    with pytest.raises(ValueError, match=reason):
        certify(claimed(network, target, domain=domain, codomain=codomain))


def test_claims_of_another_target_are_not_proved():
    network = dc.parity(4, dtype="float32").network
    assert certify(claimed(network, Product(4))).verdict == "undecided"
    assert certify(claimed(network, Parity(4, "signs"))).verdict == "undecided"  # the product of bits
    assert certify(claimed(network, Parity(4), error=0.5)).verdict == "proved"
    relative = dataclasses.replace(claimed(network, Parity(4)).claim, error=dc.Bound(relative=0.5))
    assert certify(dc.claim(network, relative)).verdict == "proved"


# The parts.


def evaluated(tree, x):
    """A forest on inputs, node by node."""
    values = {index: int(value == tree.inputs.one[index]) for index, value in enumerate(x)}
    for node in range(len(x), len(tree.parent)):
        children = [values[child] for child in np.flatnonzero(tree.parent == node).tolist()]
        if children:
            assert len(children) == 1 or tree.kind[node] in (XOR, AND)
            values[node] = sum(children) % 2 if tree.kind[node] == XOR else min(children)
    out = tree.outputs
    return [float(one if values[node] else zero) for node, zero, one in zip(out.node, out.zero, out.one, strict=True)]


@pytest.mark.parametrize(
    "target,domain,folds",
    [
        (Composed(Parity(2), Parallel((Parity(2), Parity(3)), (2, 3))), Bits(5), 1),
        (Composed(Product(2), Parallel((Parity(2), Product(3)), (2, 3))), Bits(5), 2),
        (Composed(Parity(3, "signs"), Composed(BitsToSigns(3), SignsToBits(3))), Signs(3), 1),
        (Composed(Parity(2), SignsToBits(2)), Signs(2), 1),
        (Product(3), Signs(3), 1),
        (Parity(3, "signs"), Bits(3), 1),
        (Composed(BitsToSigns(2), Parallel((Product(2), Parity(1)), (2, 1))), Bits(3), 2),
        (Iterated(Parallel((Parity(1), Product(1)), (1, 1)), 3), Bits(2), 2),
        (Parallel((Parity(2, "signs"), Parity(2)), (2, 2)), dc.domains.product([Signs(2), Bits(2)]), 2),
        (Composed(Parity(3), Composed(SignsToBits(3), Composed(BitsToSigns(3), BitsToSigns(3)))), Bits(3), None),
    ],
)
def test_targets_as_folds(target, domain, folds):
    if folds is None:
        with pytest.raises(NoFold):
            forest(target, domain)
        return
    tree = forest(target, domain)
    for x in inputs_of(domain):
        assert evaluated(tree, x) == target.wide(x[None])[0].tolist()
    used = [node for node in range(domain.size, len(tree.parent)) if np.any(tree.parent == node)]
    assert len(used) == folds
    assert all(tree.leaves[node] == _below(tree, node) for node in used)


def _below(tree, node):
    children = np.flatnonzero(tree.parent == node).tolist()
    return sum(_below(tree, child) if child >= len(tree.inputs.node) else 1 for child in children)


@pytest.mark.parametrize("activation", [Identity(), ReLU(), Square(), Power(3), Sigmoid(10.0), Sigmoid(3.0)])
def test_ranges_hold_what_is_read(activation):
    generator = np.random.default_rng(4)
    for units, radius in itertools.product((1, 3), (0.0, 1e-3, 0.3, 3.0)):
        r, b = generator.normal(size=(2, units)).astype(WIDE), generator.normal(size=units).astype(WIDE)
        center = generator.normal(size=5).astype(WIDE)
        box = center - radius, center + radius
        low, high, _ = joint_range(activation, r, b, *box, np.zeros(5, WIDE), 0.0)
        at = center[:, None] + radius * np.linspace(-1, 1, 401).astype(WIDE)
        values = _plainly(activation, at[..., None] + b) @ r.T
        assert np.all(low[:, None] <= values + 1e-16)
        assert np.all(values - 1e-16 <= high[:, None])
        if isinstance(activation, Sigmoid | ReLU | Identity):
            assert np.all(high - low <= (values.max(axis=1) - values.min(axis=1)) * 1.3 + 0.02 * radius + 1e-16)


def _plainly(activation, z):
    if isinstance(activation, Sigmoid):
        return 1 / (1 + np.exp(-activation.inverse_temperature * z))
    functions = {Identity: lambda: z, ReLU: lambda: z * (z > 0), Step: lambda: 1.0 * (z > 0), Square: lambda: z * z}
    return functions[type(activation)]() if type(activation) in functions else z**3


def test_slopes_bound_what_moves():
    gate, bias = np.array([[1.0, -2.0]], WIDE), np.array([0.0, -1.0], WIDE)
    point = np.array([0.0, 1.0, 2.0], WIDE)
    _, _, slope = joint_range(ReLU(), gate, bias, point, point, np.full(3, 2.0, WIDE), 0.25)
    assert slope[:, 0].tolist() == [2.0, 2.0, 2.0]
    _, _, slope = joint_range(ReLU(), gate, bias, point - 1, point - 1, np.full(3, 2.0, WIDE), 0.25)
    assert slope[:, 0].tolist() == [0.0, 2.0, 2.0]
    _, _, slope = joint_range(Power(3), np.array([[2.0]], WIDE), np.zeros(1, WIDE), point, point, np.ones(3, WIDE), 0.5)
    assert np.all(slope[:, 0] >= 6 * (point + 0.5) ** 2)


def test_the_logistic_function_in_extended_precision():
    mpmath = pytest.importorskip("mpmath")
    x = np.concatenate([np.linspace(-60, 60, 101), [0.0, 1e-9, -1e-9, 700.0, -700.0]]).astype(WIDE)
    with mpmath.workdps(50):
        for value, found in zip(x, logistic(x), strict=True):
            exact = 1 / (1 + mpmath.exp(-mpmath.mpf(float(value))))
            head = float(found)
            rest = mpmath.mpf(head) + mpmath.mpf(float(found - WIDE.type(head))) - exact
            assert abs(rest) <= 16 * float(EPS)


def sums(label, low, high):
    low, high = np.array(low, WIDE)[:, None], np.array(high, WIDE)[:, None]
    return Sums(np.array(label), low, high, 0 * low, abs(high), 0 * low, 0 * low)


def test_states_are_merged_within_labels_alone():
    found = merged(sums([0, 1, 0, 0], [0.0, 0.5, 0.5, 3.0], [1.0, 0.75, 2.0, 3.0]))
    boxes = zip(found.label.tolist(), found.low[:, 0].tolist(), found.high[:, 0].tolist(), strict=True)
    assert sorted(boxes) == [(0, 0.0, 2.0), (0, 3.0, 3.0), (1, 0.5, 0.75)]
    runs = coarser(sums([0, 0, 1, 0], [0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]))
    assert runs.low[:, 0].tolist() == [0.0, 2.0, 3.0]
    assert runs.high[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert near(sums([0, 0, 1], [0.0, 1e-3, 1.0], [1e-3, 2e-3, 1.0])).count == 2
    assert near(sums([0, 0, 1], [0.0, 2.0, 1.0], [0.0, 2.0, 1.0])).count == 3


def test_bounds_are_rounded_up_where_they_round():
    third = np.array([1 / 3], WIDE)
    assert times_up(np.array([3.0], WIDE), np.array([4.0], WIDE))[0] == 12
    assert times_up(third, third)[0] > third[0] * third[0]
    assert plus_up(np.array([0.5], WIDE), np.array([2.0**20], WIDE))[0] == 2.0**20 + 0.5
    assert plus_up(third, np.array([1e9], WIDE))[0] > third[0] + WIDE.type(1e9)


def test_equal_rows_are_found_whatever_their_numbers(monkeypatch):
    rows = np.random.default_rng(2).integers(-1, 2, (40, 3))
    for prime in (None, 0):  # with 0 all rows have one number
        if prime is not None:
            monkeypatch.setattr("deepconstruct._certify.modules.rows._PRIME", np.uint64(prime))
        first, kind = distinct_rows(rows)
        assert np.array_equal(rows[first][kind], rows)
        assert len(first) == len(np.unique(rows, axis=0))
    assert ranks(np.array([4, 4, 4, 7, 9, 9])).tolist() == [0, 1, 2, 0, 0, 1]


def test_components_link_all_that_is_read_together():
    generator = np.random.default_rng(3)
    for _ in range(20):
        units, count = generator.integers(1, 12, 2).tolist()
        rows, children = generator.integers(units, size=8), generator.integers(count, size=8)
        gates, of_unit, of_child = components(rows, children, units, count)
        # By hand: the least unit that can be reached.
        least = np.arange(units)
        for _ in range(units):
            of = np.full(count, units)
            np.minimum.at(of, children, least[rows])
            np.minimum.at(least, rows, of[children])
        assert gates == len(set(least.tolist()))
        assert len(set(zip(of_unit.tolist(), least.tolist(), strict=True))) == gates
        assert np.array_equal(np.flatnonzero(of_child < 0), np.setdiff1d(np.arange(count), children))
    # So many entries between two that an 8-bit count of them is zero.
    assert components(np.zeros(256, int), np.zeros(256, int), 1, 1)[2].tolist() == [0]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats(dtype):
    assert certify(dc.parity(16, dtype=dtype)).covers == ("error", "robustness")
    grouped = dc.parity_shallow(150, dtype=dtype)
    assert certify(grouped).found == dc.Bound()
    smooth = dc.parity(8, activation=Sigmoid(16.0), dtype=dtype)
    found = certify(smooth)
    assert found.verdict == "proved"
    x = inputs_of(Bits(8))
    worst = max(float(np.abs(y - Parity(8).wide(x)).max()) for y in in_orders(smooth.network, x))
    assert found.found is not None
    assert worst <= found.found.largest


def test_blocks_that_only_look_alike_in_the_first_one():
    blocks = np.ones((1, 2, 2, 4))
    changed = blocks.copy()
    changed[0, 1, 0, 3] = 2.0
    first = [Layer(BlockDiagonal(jnp.asarray(b, "float32")), jnp.asarray([0.0] * 4 + [-1.0] * 4, "float32"), ReLU())
             for b in (blocks, changed)]  # fmt: skip
    rest = dc.parity(8, dtype="float32").network.layers[1:]
    assert certify(claimed(Network((first[0], *rest)), Parity(8))).verdict == "proved"
    assert certify(claimed(Network((first[1], *rest)), Parity(8))).verdict == "undecided"
    tilted = Layer(first[0].linear, jnp.asarray([0.0] * 4 + [-1.0] * 3 + [-2.0], "float32"), ReLU())
    assert certify(claimed(Network((tilted, *rest)), Parity(8))).verdict == "undecided"


def test_maps_of_several_factors_are_run_one_after_another():
    composed = dc.linear.Composed(Dense(jnp.ones((2, 2), "float32")), Dense(jnp.eye(2, dtype="float32")))
    alone = Layer(composed, jnp.asarray([0.0, -1.0], "float32"), ReLU())
    network = Network((alone, Layer(Dense(jnp.asarray([[1.0, -2.0]], "float32")))))
    assert certify(claimed(network, Parity(2))).verdict == "proved"
    both = DirectSum((composed, Dense(jnp.ones((2, 2), "float32"))))
    bias = jnp.asarray([0.0, -1.0] * 2, "float32")
    readout = DirectSum((Dense(jnp.asarray([[1.0, -2.0]], "float32")),) * 2)
    network = Network((Layer(both, bias, ReLU()), Layer(readout)))
    target = Parallel((Parity(2), Parity(2)), (2, 2))
    assert certify(claimed(network, target)).verdict == "proved"


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "step", "sigmoid"])
def test_a_million_bits(activation):
    construction = dc.parity(2**20, activation=activation, dtype="float32")
    found = certify(construction)
    assert found.verdict == "proved"
    assert found.seconds < 6
    uneven = certify(dc.parity(2**20 - 1, activation=activation, dtype="float32"))
    assert uneven.verdict == "proved"
