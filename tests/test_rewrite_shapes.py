"""Networks of other shapes: wider, deeper, in another basis. Equal functions, true claims, labels, refusals."""

# Wrong arguments are refused here, and every layer that is asked for is there.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import functools
import itertools

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

import deepconstruct as dc
import rationals
import rewritten
from deepconstruct import rewrite
from deepconstruct.linear import Composed, Dense, Sparse, as_matrix
from deepconstruct.network import Label, Layer, Network, Repeat, flat_layers
from deepconstruct.rewrite._rotate import _difference
from deepconstruct.rewrite._widen import _shares

KEY = jax.random.key(5)
SIZES = (1, 2, 3, 5)
DTYPES = ("float32", "float64")


@functools.cache
def built(name):
    entry = dc.catalog.get(name)
    return dc.catalog.build(name, min(entry.sizes, key=str), dtype=entry.dtype())


def plain(width, dtype, kind="relu", seed=0):
    """Two hidden layers and a readout with integers for weights."""
    generator = np.random.default_rng(seed)
    pairs = itertools.pairwise((3, width, width + 1, 2))
    parts = [(generator.integers(-3, 4, (n, m)), generator.integers(-2, 3, n), kind) for m, n in pairs]
    return rewritten.network(*parts[:-1], (*parts[-1][:2], "identity"), dtype=dtype)


def linear_claim(dtype, size=3, width=3, seed=0):
    """A linear network of two layers on a box, with its claim."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(size=(width, size)), generator.normal(size=(2, width))
    net = rewritten.network((first, generator.normal(size=width), "identity"), (second, [1, 0], "relu"), dtype=dtype)
    target = dc.Target("itself", lambda x: net(x))
    box, out = dc.domains.Box(size, -2, 2), dc.domains.Box(2, -100, 100)
    return dc.claim(net, dc.Claim(target, box, out, 1e-4 if dtype == "float32" else 1e-12, dtype=dtype))


def points(construction, count=32):
    words = np.random.default_rng(1).integers(0, 2**63, (count, construction.claim.domain.words), np.uint64)
    return construction.claim.domain.from_words(words, dtype=np.dtype(construction.claim.dtype))


def within_claim(construction, x):
    wide = construction.claim.target.wide(x)
    size = np.linalg.norm(np.atleast_2d(wide).astype(float), axis=-1, keepdims=True)
    allowed = np.asarray(construction.claim.error.absolute) + construction.claim.error.relative * size
    assert np.all(np.abs(np.asarray(construction(x)) - wide) <= allowed + 1e-30), construction.name


def widths(network, extra=1):
    return [layer.out_size + extra for layer in flat_layers(network)[:-1]]


# Wider.


def test_shares_are_powers_of_two_that_sum_up_to_one():
    assert _shares(np.array([1, 2, 3])).tolist() == [1, 0.5, 0.5, 0.5, 0.25, 0.25]
    for count in range(1, 40):
        shares = _shares(np.array([count]))
        assert len(shares) == count
        assert shares.sum() == 1
        assert np.all(np.frexp(shares)[0] == 0.5)
        assert shares[0] <= 2 * shares[-1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_wider_networks_are_the_same_rationals(dtype):
    x = rewritten.inputs(3, count=4)
    for width in SIZES:
        for kind in ("relu", "step", "square"):
            net = plain(width, dtype, kind)
            for given in ({"widths": [width + 1, 2 * width + 4]}, {"factor": 3}, {"widths": [7, None], "key": KEY}):
                found = rewrite.widen(net, **given)
                assert found.dtype == dtype
                assert rewritten.same(found, net, x)
                hidden = [layer.out_size for layer in flat_layers(found)[:-1]]
                assert hidden in ([width + 1, 2 * width + 4], [3 * width, 3 * width + 3], [7, width + 1])
            assert all(type(layer.linear) is Dense for layer in flat_layers(rewrite.widen(net, factor=2)))


@hypothesis.settings(max_examples=5)
@hypothesis.given(rewritten.drawn(), st.integers(0, 99))
def test_drawn_networks_stay_in_any_shape(net, seed):
    x = rewritten.inputs(net.in_size, count=3)
    generator = np.random.default_rng(seed)
    wanted = [size + int(generator.integers(0, 4)) for size in widths(net, 0)]
    assert rewritten.same(rewrite.widen(net, wanted, key=jax.random.key(seed)), net, x)
    for at in range(len(wanted)):
        for how in ("linear", "relu"):
            assert rewritten.same(rewrite.deepen(net, at, how=how), net, x)


def test_copies_keep_labels_and_weights():
    tree = dc.parity(4).network
    found = rewrite.widen(tree, [6, 2])
    label, gates = flat_layers(found)[0].label, flat_layers(tree)[0].label.gates(4).tolist()
    assert label.name == flat_layers(tree)[0].label.name
    assert list(label.listed) == [gates[0], gates[0], gates[1], gates[1], *gates[2:]]
    assert flat_layers(found)[1].label == flat_layers(tree)[1].label
    drawn = {tuple(flat_layers(rewrite.widen(tree, [6, 2], key=jax.random.key(k)))[0].label.listed) for k in range(8)}
    assert len(drawn) > 1
    same = rewrite.widen(tree, [None, None])
    assert jax.tree.structure(same) == jax.tree.structure(tree)
    bare = rewrite.simplify(rewrite.widen(tree, [7, 5]))
    assert rewritten.counts(bare) == rewritten.counts(rewrite.simplify(tree))


def test_wrong_shares_are_seen():
    net = plain(3, "float32")
    first, second, *rest = flat_layers(rewrite.widen(net, [4, None]))
    whole = np.array(second.linear.weight)
    whole[:, :2] *= 2  # both copies with all of the weight
    x = rewritten.inputs(3, count=4)
    assert not rewritten.same(Network((first, Layer(whole, second.bias, "relu"), *rest)), net, x)
    # A copy without its bias.
    bias = np.array(first.bias)
    bias[1] += 1
    assert not rewritten.same(Network((Layer(first.linear, bias, "relu"), second, *rest)), net, x)


# Deeper.


@pytest.mark.parametrize("dtype", DTYPES)
def test_deeper_networks_give_the_same_bits(dtype):
    x = np.random.default_rng(2).normal(size=(6, 3)).astype(dtype)
    x[0] = 0
    for width, kind, at in ((1, "tanh", 0), (3, "relu", 1), (2, "sigmoid", 0), (5, "tanh", 1)):
        net = plain(width, dtype, kind)
        wanted = np.asarray(net(x))
        for how in ("linear", "relu"):
            found = rewrite.deepen(net, at, how=how)
            assert len(flat_layers(found)) == 4
            assert np.array_equal(found(x), wanted)
            twice = how == "relu" and kind == "tanh"
            assert flat_layers(found)[at + 1].out_size == (1 + twice) * (width + at)
    nan = np.full((1, 3), np.nan, dtype)
    assert np.all(np.isnan(rewrite.deepen(plain(3, dtype, "tanh"), 0, how="relu")(nan)))


def test_new_layers_stand_where_they_are_asked_for():
    mixed = dc.activations.Concatenate((dc.activations.ReLU(), dc.activations.Identity()), (1, 2))
    parts = [([[1], [2], [-3]], None, mixed), ([[1, 1, 1]], None, "identity")]
    net = rewritten.network(*parts, labels=[Label("gate", group=3), None])
    found = flat_layers(rewrite.deepen(net, 0, how="relu"))
    assert as_matrix(found[1].linear).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]]
    assert found[1].label.listed == (0, 0, 0, 0, 0)
    assert as_matrix(found[2].linear).tolist() == [[1, 1, 1, -1, -1]]
    assert type(found[2].linear) is Composed
    assert type(found[2].linear.outer) is Dense
    for power, count in ((2, 3), (3, 6)):
        cubes = rewritten.network(([[1], [2], [-3]], None, dc.activations.Power(power)), parts[1])
        assert flat_layers(rewrite.deepen(cubes, 0, how="relu"))[1].out_size == count
    # A ReLU alone behind units that may be negative isn't the same.
    alone = Network((found[0], Layer(dc.linear.Identity(3), None, "relu"), net.layers[1]))
    assert not rewritten.same(alone, net, rewritten.inputs(1, count=4))


def test_blocks_stay_blocks_where_they_can():
    block = (
        Layer(np.float32([[2, 1], [0, 1]]), [1, 0], "relu"),
        Layer(np.float32([[1, -1], [1, 1]]), None, "identity"),
    )
    net = Network((Layer(np.eye(2, dtype="float32")), Repeat.copies(block, 2), Layer(np.ones((1, 2), "float32"))))
    x = rewritten.inputs(2, count=4)
    for at in range(5):
        for how in ("linear", "relu"):
            found = rewrite.deepen(net, at, how=how)
            assert len(flat_layers(found)) == 7
            assert rewritten.same(found, net, x)
            untouched = at in ((0, 4) if how == "linear" else (4,))
            assert any(isinstance(part, Repeat) for part in found.layers) == untouched
    assert rewritten.same(rewrite.widen(net, factor=2), net, x)
    turned = rewrite.rotate(net, 2, [[0, 1], [-1, 0]])
    assert rewritten.same(turned, net, x)


# In another basis.


@pytest.mark.parametrize("dtype", DTYPES)
def test_turned_networks_keep_their_bound(dtype):
    unit = float(np.finfo(dtype).eps)
    for width in (*SIZES, 17):
        given = linear_claim(dtype, width=width)
        x = points(given, count=16)
        for found in (rewrite.rotate(given, 0, key=KEY), rewrite.rotate(given, 0, np.eye(width)[::-1])):
            exact = rationals.evaluate(given, x)
            assert np.all(np.abs(np.asarray(found(x), float) - exact.astype(float)) <= found.claim.error.largest)
            off = np.abs(rationals.evaluate(found, x) - exact).max()
            added = found.claim.error.largest - given.claim.error.largest
            assert off <= added < 1e4 * unit
            assert found.origin.rule == "rotate"
            assert flat_layers(found.network)[0].label is None
    given = linear_claim(dtype)
    drawn = [rewrite.rotate(given, 0, key=jax.random.key(seed)).network.layers[0].linear.weight for seed in (0, 1)]
    assert not np.array_equal(*drawn)


def test_bounds_say_how_far_the_weights_are_off():
    given = linear_claim("float64").network
    old = flat_layers(given)
    with pytest.raises(ValueError, match=r"matrix must be orthogonal; Q\^T Q is off the identity by 2\.3"):
        rewrite.rotate(given, 0, np.full((3, 3), 1.0) - np.eye(3) * 1.0 / 3)
    # What passes for orthogonal is bounded as it is, and a product that is wrong is seen.
    for scale in (1 + 2.0**-50, 1.0):
        new = flat_layers(rewrite.rotate(given, 0, scale * np.eye(3)[[2, 0, 1]]))
        bound = _difference(old[:2], new[:2])
        products = [rationals.fractions(as_matrix(b.linear)) @ rationals.fractions(as_matrix(a.linear))
                    for a, b in (old, new)]  # fmt: skip
        off = np.abs(products[0] - products[1])
        assert np.all(off <= bound[:, :3])
        assert np.all(bound < 1e-14)
        assert (off.max() > 1e-16) == (scale != 1)
    wrong = Layer(Dense(old[1].linear.weight * 1.5), old[1].bias, "relu")
    assert _difference(old[:2], (old[0], wrong)).max() > 0.1


@pytest.mark.parametrize("dtype", DTYPES)
def test_claims_grow_by_what_a_matrix_is_off(dtype):
    given, turn = linear_claim(dtype, width=17), np.eye(17)[::-1]
    exact, off = (rewrite.rotate(given, 0, scale * turn) for scale in (1.0, 1 + 16 * float(np.finfo(dtype).eps)))
    x = points(given, count=16)
    moved = np.abs(rationals.evaluate(off, x) - rationals.evaluate(given, x)).max()
    assert off.claim.error.largest - exact.claim.error.largest > 0.9 * moved > 0
    assert rewritten.same(exact, given, x)


def test_sums_that_are_exact_but_wrong_are_no_exact_claim():
    net = rewritten.network(([[1], [0]], None, "identity"), ([[1, 1]], None, "identity"))
    given = dc.claim(net, dc.Claim(dc.Target("x", lambda x: x), dc.domains.Bits(1), dc.domains.Bits(1)))
    found = rewrite.rotate(given, 0, [[1, 2.0**-22], [0, 1]])  # orthogonal up to rounding
    off = float(found([1])[0]) - 1
    assert 0 < off <= found.claim.error.largest


def test_wrong_bases_are_seen():
    given = linear_claim("float64").network
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    first, second = flat_layers(rewrite.rotate(given, 0, turn))
    x = rewritten.inputs(3, count=4)
    assert rewritten.same(Network((first, second)), given, x)
    forward = np.asarray(flat_layers(given)[1].linear.weight) @ turn
    assert not rewritten.same(Network((first, Layer(forward, second.bias, "relu"))), given, x)
    assert not rewritten.same(Network((Layer(first.linear), second)), given, x)


# Claims.


def check_entry(name):
    """Whether a claim is kept when the network becomes wider; that of a deeper one always is."""
    given = built(name)
    x, depth = points(given), len(flat_layers(given.network)) - 1
    for at, how in ((0, "linear"), (depth - 1, "relu")) if depth else ():
        deep = rewrite.deepen(given, at, how=how)
        within_claim(deep, x)
        assert deep.claim == given.claim
    try:
        wide = rewrite.widen(given, widths(given.network), key=KEY)
    except ValueError as error:
        assert "can't be bounded" in str(error) or "only be bounded" in str(error)  # noqa: PT017
        return False
    within_claim(wide, x)
    assert wide.claim.error.largest >= given.claim.error.largest
    return True


def real_entries():
    return [name for name in dc.catalog.ENTRIES if not np.issubdtype(built(name).network.dtype, np.complexfloating)]


def test_outputs_keep_their_claims():
    assert [check_entry(name) for name in ("parity", "multiplication_gate", "parity_unfused")] == [True, True, False]


@pytest.mark.slow
def test_outputs_of_all_real_entries_keep_their_claims():
    kept = {name: check_entry(name) for name in real_entries()}
    assert sum(kept.values()) > len(kept) / 2, kept


def test_claims_say_what_is_left():
    tree, step = dc.parity(4), dc.parity(4, activation="step")
    assert rewrite.widen(tree, factor=2).claim.error.is_exact
    assert rewrite.widen(tree, factor=2).claim.robustness.rounding > 0
    # Copies of steps beside the domain may disagree.
    assert rewrite.widen(step, factor=2).claim.robustness.radius == 0 < step.claim.robustness.radius
    assert rewrite.widen(step, factor=2).claim.error.is_exact
    gate = dc.multiplication_gate(dtype="float32")
    wide = rewrite.widen(gate, factor=2)
    assert gate.claim.error.largest < wide.claim.error.largest
    for how in ("linear", "relu"):
        for given in (tree, step, gate):
            assert rewrite.deepen(given, 0, how=how).claim == given.claim
    apart = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.parity(2), merge=False)
    turned = rewrite.rotate(apart, 1, key=KEY)
    assert 0 < turned.claim.error.largest < 1e-12
    assert turned.claim.robustness.gain == apart.claim.robustness.gain
    within_claim(turned, apart.claim.domain.enumerate(np.arange(16)))


def test_claims_that_would_be_false_are_refused():
    steps = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.parity(2, activation="step"), merge=False)
    with pytest.raises(ValueError, match=r"rotate: what .* rounds then can't be bounded"):
        rewrite.rotate(steps, 1, key=KEY)


def certified(found):
    certificate = dc.certify(found)
    assert certificate.verdict == "proved", (found.origin.rule, certificate)


def test_claims_are_proved_as_before():
    tree = dc.parity(3)
    certified(rewrite.widen(tree, factor=2))
    certified(rewrite.deepen(tree, 0, how="relu"))


@pytest.mark.slow
def test_more_claims_are_proved_as_before():
    for given in (dc.parity(4), dc.parity(3, activation="step"), dc.parity_shallow(3)):
        certified(rewrite.widen(given, widths(given.network), key=KEY))
        for how in ("linear", "relu"):
            certified(rewrite.deepen(given, 0, how=how))
    apart = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.parity(2), merge=False)
    certified(rewrite.deepen(apart, 1, how="relu"))
    certified(rewrite.rotate(apart, 1, [[0, 1], [1, 0]]))


# Refusals.


class Own(dc.activations.ReLU):
    """A ReLU of somebody's own."""


def test_meaningless_arguments_are_refused():
    tree, linear = dc.parity(4).network, linear_claim("float32").network
    soft = Network((Layer(np.ones((2, 1)), None, "softmax"), Layer(np.ones((1, 2)))))
    own = Network((Layer(np.ones((2, 1)), None, Own()), Layer(np.ones((1, 2)))))
    none = [Sparse([], [], np.zeros(0, "float32"), shape) for shape in ((0, 1), (1, 0))]
    empty = Network((Layer(none[0], None, "relu"), Layer(none[1])))
    small = rewritten.one_hidden([[1]], [0], [[2.0**-125]])
    large = rewritten.network(([[1], [1]], None, "identity"), ([[3e38, 3e38]], None, "identity"))
    factors = rewrite.deepen(linear, 0, how="relu")
    vast = Network((Layer(dc.linear.SignPatterns(np.ones(23, "float32")), None, "identity"),
                    Layer(dc.linear.SignProduct(np.float32(1), 23))))  # fmt: skip
    for message, call in (
        ("widen: give either widths or factor=", lambda: rewrite.widen(tree)),
        ("widen: give either widths or factor=", lambda: rewrite.widen(tree, [4, 2], factor=1)),
        ("widen: expected 2 widths, one a layer but for the last; got 1", lambda: rewrite.widen(tree, [4])),
        ("width 0 must be .*at least 4", lambda: rewrite.widen(tree, [3, None])),
        ("factor must be .*at least 1", lambda: rewrite.widen(tree, factor=0)),
        ("widen: layer 0 has no units that could be split", lambda: rewrite.widen(empty, [2])),
        ("units of softmax.* in layer 0 may depend on each other, so", lambda: rewrite.widen(soft, factor=2)),
        ("in layer 0 may depend on each other, so they can't be split", lambda: rewrite.widen(own, factor=2)),
        ("shares of the weights of layer 1 leave the normal numbers of float32", lambda: rewrite.widen(small, [4])),
        ("this machine", lambda: rewrite.widen(tree, [10**14, None])),
        ("deepen: at must be a hidden layer, of which there are 2, from 0 on; got 2", lambda: rewrite.deepen(tree, 2)),
        ("deepen: layer 0 has no units to be handed on", lambda: rewrite.deepen(empty, 0)),
        ("deepen: at must be .*at least 0", lambda: rewrite.deepen(tree, -1)),
        ("deepen: how must be", lambda: rewrite.deepen(tree, 0, how="pair")),
        ("rotate: at must be a hidden layer, of which there are 1", lambda: rewrite.rotate(linear, 1, key=KEY)),
        ("rotate: layer 0 must be linear; it has units of relu", lambda: rewrite.rotate(tree, 0, key=KEY)),
        ("rotate: give either matrix or key=", lambda: rewrite.rotate(linear, 0)),
        ("rotate: give either matrix or key=", lambda: rewrite.rotate(linear, 0, np.eye(3), key=KEY)),
        (r"matrix must be real numbers of shape \(3, 3\); got float64 of shape \(2, 2\)",
         lambda: rewrite.rotate(linear, 0, np.eye(2))),
        ("matrix must be real numbers of shape", lambda: rewrite.rotate(linear, 0, np.eye(3) * 1j)),
        ("matrix must be orthogonal; .* off the identity by 3", lambda: rewrite.rotate(linear, 0, 2 * np.eye(3))),
        ("must be orthogonal; .* off the identity by nan", lambda: rewrite.rotate(linear, 0, np.nan * np.eye(3))),
        ("rotate: layer 3 has several factors; dc.densify makes them one",
         lambda: rewrite.rotate(rewrite.deepen(factors, 1), 2, key=KEY)),
        ("map of layer 0 has too many entries to be written out as a matrix", lambda: rewrite.rotate(vast, 0, key=KEY)),
        ("rotate: the new weights leave the range of float32",
         lambda: rewrite.rotate(large, 0, np.array([[1, 1], [-1, 1]]) / np.sqrt(2))),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            call()
    fft = dc.fft(4)
    for message, call in (
        ("widen: weights must be real; got complex", lambda: rewrite.widen(fft, factor=2)),
        ("rotate: weights must be real; got complex", lambda: rewrite.rotate(fft, 0, key=KEY)),
        ("deepen: ReLUs need real weights; got complex ones", lambda: rewrite.deepen(fft, 0, how="relu")),
        ("widen: widths must be a list of integers, one a hidden layer; got 5", lambda: rewrite.widen(tree, 5)),
        ("rotate: matrix must be", lambda: rewrite.rotate(linear, 0, "turn")),
        ("expected one network; got a stack of them", lambda: rewrite.deepen(dc.stack([tree, tree]), 0)),
        ("expected one network; got a stack of them", lambda: rewrite.widen(dc.stack([tree, tree]), factor=1)),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    assert rewrite.deepen(fft, 0).claim == fft.claim
