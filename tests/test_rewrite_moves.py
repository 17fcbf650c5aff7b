"""Hidden units in another order and of another size: equal functions, true claims, labels, refusals."""

# Wrong arguments are refused here, and every layer that is asked for is there.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
# pyright: reportOperatorIssue=false, reportIndexIssue=false

from fractions import Fraction
from functools import cache

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

import deepconstruct as dc
from deepconstruct import rewrite
from deepconstruct.linear import Composed, Dense, DirectSum, Identity, Kronecker, Permutation, Sparse, Stack, as_matrix
from deepconstruct.network import Label, Layer, Network, Repeat, flat_layers
from deepconstruct.rewrite._maps import steps, unit_activations
from deepconstruct.rewrite._ranges import degree

KEY = jax.random.key(3)


@cache
def built(name, dtype=None):
    entry = dc.catalog.get(name)
    kind = entry.dtype() if dtype is None else dtype
    return dc.catalog.build(name, min(entry.sizes, key=str), dtype=kind)


def exact(network, x):
    """The output in rationals, of networks whose activations are piecewise polynomials."""
    h = [Fraction(float(value)) for value in x]
    functions = {"identity": lambda z: z, "relu": lambda z: max(z, Fraction(0)), "step": lambda z: Fraction(int(z > 0)),
                 "square": lambda z: z * z, "power(3)": lambda z: z**3}  # fmt: skip
    for layer in flat_layers(network):
        bias = np.zeros(layer.out_size) if layer.bias is None else np.asarray(layer.bias, float)
        rows = np.asarray(as_matrix(layer.linear), float)
        sums = [sum((Fraction(w) * v for w, v in zip(row, h, strict=True)), Fraction(b))
                for row, b in zip(rows.tolist(), bias.tolist(), strict=True)]  # fmt: skip
        h = [functions[kind.name()](z) for kind, z in zip(unit_activations(layer), sums, strict=True)]
    return h


def points(construction, count=32):
    words = np.random.default_rng(1).integers(0, 2**63, (count, construction.claim.domain.words), np.uint64)
    dtype = construction.claim.dtype
    kind = dtype if construction.claim.domain.is_complex else np.finfo(dtype).dtype
    return construction.claim.domain.from_words(words, dtype=np.dtype(kind))


def powers(network, seed=0):
    generator, layers = np.random.default_rng(seed), flat_layers(network)
    return [[2.0 ** generator.integers(-2, 3) if degree(kind) is not None else 1.0 for kind in unit_activations(layer)]
            for layer in layers[:-1]]  # fmt: skip


def within_claim(construction, x):
    wide = construction.claim.target.wide(x)
    size = np.linalg.norm(np.atleast_2d(wide).astype(complex), axis=-1, keepdims=True)
    allowed = np.asarray(construction.claim.error.absolute) + construction.claim.error.relative * size
    assert np.all(np.abs(np.asarray(construction(x)) - wide) <= allowed + 1e-30), construction.name


def check_entry(name, dtype=None):
    given = built(name, dtype)
    x, moved = points(given), rewrite.permute_units(given, key=KEY)
    within_claim(moved, x)
    assert moved.origin.rule == "permute_units"
    found = rewrite.rescale_units(given.network, powers(given.network))
    y, z = np.asarray(given(x)), np.asarray(found(x))
    # Linear networks of unbounded domains are met with numbers that overflow.
    finite = np.all(np.isfinite(y), axis=-1) & (np.abs(x).max(axis=-1) < 1e6)
    assert np.all(np.abs(z - y)[finite] <= 1e-5 * (1 + np.abs(y[finite]).max(initial=0.0) + np.abs(x[finite]).max())), (
        name
    )
    try:
        scaled = rewrite.rescale_units(given, powers(given.network))
    except ValueError as error:
        assert "can't be bounded" in str(error) or "only be bounded" in str(error)  # noqa: PT017
        return False
    within_claim(scaled, x)
    return True


QUICK = ("parity_count", "fft", "multiplication_square")


def test_outputs_keep_their_claims():
    assert [name for name in QUICK if not check_entry(name)] == ["fft"]


@pytest.mark.slow
def test_outputs_of_the_whole_catalog_keep_their_claims():
    kept = [check_entry(name) for name in dc.catalog.ENTRIES]
    assert sum(kept) > len(kept) / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_are_the_same_rationals(dtype):
    generator = np.random.default_rng(0)
    weights = [generator.integers(-3, 4, shape) for shape in ((5, 3), (4, 5), (2, 4))]
    biases = [generator.integers(-2, 3, size) for size in (5, 4, 2)]
    for kind in ("relu", "identity", "step", "square", dc.activations.Power(3)):
        net = Network.from_matrices(weights, biases, kind, dtype=dtype)
        factors = [[0.5, 4, 1, 2, 8], [2, 0.25, 16, 1]]
        moved = rewrite.permute_units(net, [[4, 2, 0, 1, 3], None])
        for found in (moved, rewrite.permute_units(net, key=KEY), rewrite.rescale_units(net, factors)):
            assert found.dtype == dtype
            assert all(exact(found, x) == exact(net, x) for x in ([0, 0, 0], [1, -2, 3], [-1, 0.5, 2]))
        # `found` is rescaled: bit for bit, also where sums are rounded.
        x = np.random.default_rng(2).normal(size=(6, 3)).astype(dtype)
        assert np.array_equal(found(x), net(x))


@hypothesis.settings(max_examples=3)
@hypothesis.given(dc.testing.networks(), st.integers(0, 99))
def test_drawn_networks_stay(network, seed):
    x = np.random.default_rng(seed).integers(-3, 4, (5, network.in_size)).astype("float32")
    wanted = np.asarray(network(x))
    moved = rewrite.permute_units(network, key=jax.random.key(seed))
    found = rewrite.rescale_units(network, powers(network, seed))
    np.testing.assert_allclose(moved(x), wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found(x), wanted, rtol=1e-4, atol=1e-4)


def test_wrong_rescalings_are_seen():
    net = dc.densify(dc.parity(4).network)
    first, second, third = flat_layers(rewrite.rescale_layers(net, [8, 1, 0.125]))
    x = [1, 1, 1, 0]
    assert exact(Network((first, second, third)), x) == exact(net, x)
    # Dinh's factors with the bias between them as it was.
    forgotten = Layer(second.linear, flat_layers(net)[1].bias, second.activation)
    assert exact(Network((first, forgotten, third)), x) != exact(net, x)
    assert np.array_equal(second.bias, 8 * flat_layers(net)[1].bias)
    assert np.array_equal(third.linear.weight, flat_layers(net)[2].linear.weight / 8)


def test_layers_are_scaled_by_degree():
    net = Network.from_matrices([[[1], [2]], [[1, 1]], [[3]]], [[1, 0], [1], [1]], ["square", "relu", "identity"],
                                dtype="float64")  # fmt: skip
    found = rewrite.rescale_layers(net, [4, 0.5, 0.125])  # 4^2 / 2 / 8 = 1
    assert exact(found, [3]) == exact(net, [3])
    assert [np.asarray(layer.bias).tolist() for layer in flat_layers(found)] == [[4, 0], [8], [1]]
    steps_only = Network.from_matrices([[[1]], [[3]]], [[-1], [1]], "step")
    assert exact(rewrite.rescale_layers(steps_only, [3, 1]), [2]) == [4]
    with pytest.raises(ValueError, match="rescale_layers: the product of the factors must be 1; they multiply outputs"):
        rewrite.rescale_layers(net, [4, 0.25, 1])
    mixed = dc.activations.Concatenate((dc.activations.ReLU(), dc.activations.Step()), (1, 1))
    both = Network.from_matrices([[[1], [2]], [[1, 1]]], None, [mixed, "identity"])
    with pytest.raises(ValueError, match="rescale_layers: all units of a scaled layer must have one degree"):
        rewrite.rescale_layers(both, [2, 0.5])
    with pytest.raises(ValueError, match="factors multiply units by more than "):
        rewrite.rescale_layers(dc.parity(4).network, [2.0**900, 2.0**900, 1])
    with pytest.raises(ValueError, match="rescale_layers: expected 3 factors, one a layer; got 1"):
        rewrite.rescale_layers(dc.parity(4).network, [1])


def test_labels_go_with_their_units():
    tree = dc.parity(4)
    order = np.array([2, 0, 3, 1])
    moved = rewrite.permute_units(tree, [order, None])
    old, new = flat_layers(tree.network)[0], flat_layers(moved.network)[0]
    assert new.label == Label(old.label.name, listed=tuple(old.label.gates(4)[order].tolist()))
    assert np.array_equal(as_matrix(new.linear), as_matrix(old.linear)[order])
    assert np.array_equal(new.bias, np.asarray(old.bias)[order])
    assert flat_layers(rewrite.rescale_units(tree.network, [2, None]))[0].label == old.label


def test_maps_keep_their_class_and_blocks_their_scan():
    block = Repeat.copies((Layer(np.eye(2, dtype="float32"), None, "relu"),), 3)
    ones = Layer(Kronecker(np.ones((1, 1), "float32"), outer=2), None, "relu")
    last = Layer(Permutation([1, 0]), None, "relu")
    net = Network((block, ones, last, Layer(np.ones((1, 2), "float32"))))
    found = rewrite.rescale_units(net, [None, None, None, 4, 1])
    assert isinstance(found.layers[0], Repeat)
    assert type(found.layers[1].linear) is Kronecker
    assert np.array_equal(found([3, 4]), net([3, 4]))
    assert len(rewrite.rescale_units(net, [2, 2, 2, 2, 2]).layers) == 6
    moved = rewrite.permute_units(net, [None, None, None, None, [1, 0]])
    assert type(moved.layers[2].linear) is Permutation
    assert isinstance(rewrite.permute_units(net, [None, [0, 1], None, None, None]).layers[0], Repeat)


def test_factors_run_one_after_another_as_before():
    tall, flat = Dense(np.float32([[0.1], [0.3]])), Dense(np.float32([[0.7, 0.9]]))
    pair = Composed(tall, flat)
    both = DirectSum((pair, Identity(1)))
    stacked = Stack((both, Composed(Dense(np.float32([[3]])), Dense(np.float32([[1, 2, 3]])))))
    for linear in (pair, both, stacked):
        maps = steps(linear)
        assert len(maps) == 2
        assert not any(isinstance(part, Composed) for part in maps)
        net = Network((Layer(linear, None, "relu"), Layer(np.ones((1, linear.out_size), "float32"))))
        x = np.float32([[0.3, -0.2, 0.5]])[:, : linear.in_size]
        order = np.arange(linear.out_size)[::-1]
        hidden = dc.layer_outputs(rewrite.permute_units(net, [order]), x)[0]
        assert np.array_equal(hidden, dc.layer_outputs(net, x)[0][:, order])
        scaled = rewrite.rescale_units(net, [4])
        assert np.array_equal(dc.layer_outputs(scaled, x)[0], 4 * dc.layer_outputs(net, x)[0])


def test_claims_say_what_is_left():
    tree = dc.parity(4)
    assert rewrite.permute_units(tree, key=KEY).claim == tree.claim
    assert rewrite.rescale_units(tree, [4, 0.5]).claim.error.is_exact
    rounded = rewrite.rescale_units(tree, [0.3, 0.7])
    x = tree.claim.domain.enumerate(np.arange(16))
    off = float(np.abs(rounded(x) - tree(x)).max())
    assert 0 < off <= rounded.claim.error.largest < 1e-2
    step = dc.parity(4, activation="step")
    # Larger steps never lose their signs; smaller ones may, beside the domain.
    assert rewrite.rescale_units(step, [4, 4]).claim == step.claim
    assert rewrite.rescale_units(step, [0.25, None]).claim.robustness.radius == 0
    signs = dc.bits_to_signs(2)
    assert rewrite.rescale_units(signs, []).claim == signs.claim
    for rule, factors in ((rewrite.rescale_units, [3, 1]), (rewrite.rescale_layers, [3, 1, 1])):
        assert rule(step, factors).claim.error.is_exact  # multiples of a half, times 3


def test_claims_that_would_be_false_are_refused():
    tree = dc.parity(4, dtype="float32")
    vast = rewrite.rescale_units(tree.network, [2.0**120, 1])
    assert exact(vast, [1, 1, 0, 1]) == [1]
    # Inputs beside the domain would overflow, and powers do.
    shrunk = rewrite.rescale_units(tree, [2.0**120, 1]).claim.robustness
    assert shrunk.radius <= 1
    power = dc.Network.from_matrices([[[1]], [[1]]], None, [dc.activations.Power(3), "identity"], dtype="float32")
    claim = dc.Claim(dc.Target("cube", lambda x: x**3), dc.domains.Box(1, -4, 4), dc.domains.Box(1, -64, 64), 1e-4)
    cube = dc.claim(power, claim)
    with pytest.raises(ValueError, match="rescale_units: what cube rounds then can't be bounded"):
        rewrite.rescale_units(cube, [2.0**42])  # 2^126 4^3
    # Cubes of what is small are flushed: the bound says by how much.
    small = rewrite.rescale_units(cube, [2.0**-36])
    x = np.float32([[2.0**-7]])
    assert abs(float(small(x)[0, 0]) - 2.0**-21) <= small.claim.error.largest
    assert float(small(x)[0, 0]) == 0
    with pytest.raises(ValueError, match="which says nothing of outputs up to 1"):
        rewrite.rescale_units(dc.catalog.build("fractal_cantor", 8, dtype="float32"), [0.3] * 16)
    with pytest.raises(ValueError, match="can't be bounded"):
        rewrite.rescale_units(dc.parity(4, activation="step"), [0.3, 1])
    with pytest.raises(ValueError, match="can't be bounded"):
        rewrite.rescale_units(dc.fft(4), [2])


def test_claims_are_proved_as_before():
    for given in (dc.parity(4), dc.parity(3, activation="step"), dc.parity_shallow(3)):
        for found in (rewrite.permute_units(given, key=KEY), rewrite.rescale_units(given, powers(given.network))):
            assert dc.certify(found).verdict == "proved"


def test_meaningless_arguments_are_refused():
    tree, soft = dc.parity(4).network, dc.parity(4, activation="sigmoid").network
    for message, call in (
        ("permute_units: give either permutations or key=", lambda: rewrite.permute_units(tree)),
        ("give either permutations or key=", lambda: rewrite.permute_units(tree, [None, None], key=KEY)),
        ("permute_units: expected 2 permutations, one a layer", lambda: rewrite.permute_units(tree, [[0]])),
        (r"layer 0 needs a permutation of 0..3; got \[0, 1, 2\]",
         lambda: rewrite.permute_units(tree, [[0, 1, 2], None])),
        (r"needs a permutation of 0..3; got \[0, 0, 1, 2\]", lambda: rewrite.permute_units(tree, [[0, 0, 1, 2], None])),
        ("needs a permutation of",
         lambda: rewrite.permute_units(tree, [[0.0, 1.0, 2.0, 3.0], None])),
        ("rescale_units: expected 2 factors, one a layer", lambda: rewrite.rescale_units(tree, [2])),
        ("rescale_units: layer 0 needs one factor, or 4 of them", lambda: rewrite.rescale_units(tree, [[1, 2], 1])),
        ("rescale_units: layer 0 needs one factor", lambda: rewrite.rescale_units(tree, ["a", 1])),
        ("rescale_units: factors must be finite and above 0; got 0", lambda: rewrite.rescale_units(tree, [0, 1])),
        ("factors must be finite and above 0; got -2", lambda: rewrite.rescale_units(tree, [-2, 1])),
        ("factors must be finite and above 0; got nan", lambda: rewrite.rescale_units(tree, [np.nan, 1])),
        ("factors must be finite and above 0; got inf", lambda: rewrite.rescale_units(tree, [np.inf, 1])),
        (" can't be scaled, since no f", lambda: rewrite.rescale_units(soft, [2, 1])),
        ("the factors take weights out of the normal numbers of float", lambda: rewrite.rescale_units(
            dc.parity(4, dtype="float32").network, [1e-60, 1])),
        ("take weights out of the normal numbers", lambda: rewrite.rescale_units(
            dc.parity(4, dtype="float32").network, [2.0**127, 1])),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    for call in (lambda net: rewrite.permute_units(net, key=KEY), lambda net: rewrite.rescale_units(net, [1, 1])):
        with pytest.raises(TypeError, match="expected one network; got a stack of them"):
            call(dc.stack([tree, tree]))
    mixed = dc.activations.Concatenate((dc.activations.ReLU(), dc.activations.Softmax()), (1, 2))
    net = Network.from_matrices([np.ones((3, 1)), np.ones((1, 3))], None, [mixed, "identity"])
    with pytest.raises(ValueError, match="layer 0 has a softmax beside other units, which must stay"):
        rewrite.permute_units(net, [[1, 0, 2]])
    assert flat_layers(rewrite.permute_units(net, key=KEY))[0].activation == mixed
    wide = Layer(dc.linear.SignPatterns(np.ones(18, "float32")), None, "relu")
    vast = Network((wide, Layer(dc.linear.SignProduct(np.float32(1), 18))))
    for call in (lambda: rewrite.permute_units(vast, key=KEY), lambda: rewrite.rescale_units(vast, [2])):
        with pytest.raises(ValueError, match="the map of layer 0 has too many entries to be written out"):
            call()


def test_sparse_maps_hold_what_is_not_zero():
    for name in ("parity", "parity_tied", "fft", "multiplication_square", "bits_to_signs"):
        given = built(name)
        found = rewrite.to_sparse(given)
        for old, new in zip(flat_layers(given.network), flat_layers(found.network), strict=True):
            maps = steps(new.linear)
            assert all(type(part) is Sparse and np.all(np.asarray(part.values) != 0) for part in maps)
            assert np.array_equal(as_matrix(new.linear), np.asarray(as_matrix(old.linear)))
            assert (old.label, old.activation) == (new.label, new.activation)
        within_claim(found, points(given))
        assert found.network.dtype == given.network.dtype
        assert (found.claim == given.claim) == (name != "multiplication_square")
    empty = Network((Layer(np.zeros((2, 3), "float32"), [1, 2]),))
    assert dc.cost(rewrite.to_sparse(empty)).synapses == 0
    assert rewrite.to_sparse(empty)([1, 2, 3]).tolist() == [1, 2]
    again = rewrite.to_sparse(dc.densify(dc.parity(4)))
    assert dc.catalog.rebuild(again.origin).claim == again.claim
    pair = Network((Layer(Composed(Dense(np.float32([[0.1], [0.3]])), Dense(np.float32([[0.7, 0.9]])))),))
    assert np.array_equal(rewrite.to_sparse(pair)([0.3, 0.2]), pair([0.3, 0.2]))
    vast = Network((Layer(dc.linear.SignPatterns(np.ones(18, "float32"))),))
    with pytest.raises(ValueError, match="to_sparse: the map of layer 0 has too many entries"):
        rewrite.to_sparse(vast)
