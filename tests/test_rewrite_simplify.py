"""Rewrites that leave units out: the same function over the rationals, claims that certify, and normal forms."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# (wrong arguments are tried, and layers are made of NumPy's arrays)

import functools
from fractions import Fraction

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.trust import is_known
from deepconstruct.activations import Custom, Identity, Power, ReLU, Sigmoid, Square, Step, join
from deepconstruct.construction.encoding import digest
from deepconstruct.domains import Bits, Box, Space
from deepconstruct.linear import Composed, as_matrix
from deepconstruct.network import Label, Layer, Network
from deepconstruct.rewrite import merge_affine, merge_duplicates, prune_dead, simplify
from deepconstruct.rewrite._core import rows_of
from deepconstruct.rewrite._ranges import behind, real_sums
from rewritten import KINDS, Doubled, counts, drawn, inputs, network, one_hidden, same
from variants import claiming, corners_and_points

RATIONAL = (Identity, ReLU, Step, Square, Power)
RULES = (simplify, prune_dead, merge_duplicates, merge_affine)


@functools.cache
def built(*, large=False):
    """The entries of the catalog whose values are rational, at their least sizes, or at those that are shown."""
    found = []
    for name, entry in dc.catalog.ENTRIES.items():
        if "fft" not in name and name != "ifft_ortho":
            one = entry.build(entry.size if large else entry.sizes[0], dtype="float32")
            if is_known(one.network, RATIONAL):
                found.append(one)
    return found


@hypothesis.settings(max_examples=12)
@hypothesis.given(drawn(), st.sampled_from(RULES), st.sampled_from([None, (-1, 1), (0, 2)]))
def test_networks_stay_the_same_function_of_rationals(given, rule, shape):
    domain = Space(given.in_size) if shape is None else Box(given.in_size, *shape)
    needed = {"domain": domain} if rule in (prune_dead, simplify) else {}
    found = rule(given, **needed)
    x = inputs(given.in_size, None if shape is None else domain)
    assert same(given, found, x)
    assert counts(found)[0] <= counts(given)[0]
    assert rule is merge_affine or counts(found)[1] <= counts(given)[1]
    assert dc.equivalent(given, found, domain).verdict == "equal"


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("rule", RULES)
def test_catalog_keeps_its_function_and_its_claims(rule):
    for number, construction in enumerate(built()):
        found = rule(construction)
        x = corners_and_points(construction, 8)
        assert same(construction, found, x)
        assert found.claim.robustness.radius == construction.claim.robustness.radius
        assert found.claim.error == construction.claim.error or not construction.claim.error.is_exact
        assert counts(found)[0] <= counts(construction)[0]
        assert rule is merge_affine or counts(found)[1] <= counts(construction)[1]
        assert found.origin == dc.origins.Rewritten(rule.__name__, construction)
        assert digest(rule(found).network) == digest(found.network)
        if construction.claim.domain.cardinality and number % 3 == 0:  # each is compiled
            x = np.asarray(construction.claim.domain.enumerate(np.arange(construction.claim.domain.cardinality)))
            assert np.array_equal(found(x), construction(x)) or not construction.claim.error.is_exact


SOME = ("parity_step", "parity_tied", "multiplication_square", "boolean_function", "fractal_cantor")


@pytest.mark.parametrize("name", SOME)
def test_claims_certify_as_before(name):
    construction = dc.catalog.build(name, dc.catalog.get(name).sizes[1], dtype="float32")
    before = dc.certify(construction)
    for rule in RULES:
        after = dc.certify(rule(construction))
        assert (after.verdict, after.covers) == (before.verdict, before.covers), (name, rule)


@pytest.mark.slow
def test_claims_of_the_whole_catalog_certify_as_before():
    for construction in built(large=True):
        found = simplify(construction)
        assert dc.cost(found).neurons <= dc.cost(construction).neurons
        before, after = dc.certify(construction), dc.certify(found)
        assert (after.verdict, after.covers) == (before.verdict, before.covers), construction.name
        full = simplify(construction.network, domain=construction.claim.domain)
        assert dc.equivalent(construction, full, construction.claim.domain).verdict == "equal"


def test_fractals_shrink_and_their_claims_are_proved_anew():
    dust = dc.catalog.build("fractal_dust", 2, dtype="float32")
    small = simplify(dust.network, domain=dust.claim.domain)
    assert (dc.cost(dust).neurons, dc.cost(small).neurons) == (60, 30)
    assert dc.certify(small, dust.claim).verdict == "proved"
    kept = simplify(dust)
    assert kept.claim == dust.claim
    assert dc.cost(kept).neurons < dc.cost(dust).neurons


def test_origins_say_how_to_do_it_again():
    xor = dc.parity(4)
    for found in (
        simplify(xor),
        simplify(xor, affine=True),
        prune_dead(xor),
        merge_duplicates(xor),
        merge_duplicates(xor, rounded=True),
        merge_affine(xor),
        merge_affine(xor, linear=True),
    ):
        again = dc.catalog.rebuild(found.origin)
        assert digest(again.network) == digest(found.network)
        assert again.origin.rule == found.origin.rule


# Dead, and always active.


def test_units_are_dead_on_the_box_with_its_radius_only():
    beyond = one_hidden([[1.0], [1.0]], [-1.0, 0.0], [[1.0, 1.0]])  # relu(x - 1) lives beyond 1
    assert counts(prune_dead(beyond, domain=Box(1, 0, 1)))[0] == 1
    assert counts(prune_dead(beyond, domain=Box(1, 0, np.nextafter(1, 2))))[0] == 2
    target = dc.Target("x", lambda x: x)
    claim = dc.Claim(target, Box(1, 0, 1), Space(1), dc.Bound(1e-3), dc.Robustness(2.0**-20, 2.0, 0.0))
    moved = dc.claim(beyond, claim)
    assert counts(prune_dead(moved))[0] == counts(simplify(moved))[0] == 2
    assert counts(prune_dead(claiming(moved, robustness=dc.Robustness())))[0] == 1


def test_constants_go_into_the_biases():
    always = one_hidden([[1.0], [-1.0], [1.0]], [2.0, -2.0, 0.0], [[3.0, 5.0, 1.0]], "step")
    found = prune_dead(always, domain=Box(1, -1, 1))
    assert counts(found)[0] == 1
    assert np.asarray(found.layers[1].bias).tolist() == [3.0]
    edge = one_hidden([[1.0]], [0.0], [[3.0]], "step")
    assert counts(prune_dead(edge, domain=Box(1, 0, 1)))[1] == 2  # a step is off at 0
    empty = network(([[0.0], [0.0], [1.0]], [2.0, -2.0, 0.0], "relu"), ([[3.0, 5.0, 1.0]], [1.0], "identity"))
    found = prune_dead(empty, domain=Space(1))
    assert (counts(found)[0], np.asarray(found.layers[1].bias).tolist()) == (1, [7.0])
    squares = one_hidden([[0.0], [1.0]], [3.0, 0.0], [[2.0, 1.0]], "square")
    assert np.asarray(prune_dead(squares, domain=Space(1)).layers[1].bias).tolist() == [18.0]


def test_always_active_units_of_one_direction_become_one():
    active = one_hidden([[1.0, 2.0], [2.0, 4.0], [1.0, 2.0]], [0.0, 3.0, -1.0], [[1.0, 1.0, 1.0]])
    found = prune_dead(active, domain=Box(2, 0, 1))
    assert counts(found) == (2, 6)  # relu(x + 2 y - 1) has a kink
    assert same(active, found, inputs(2, Box(2, 0, 1)))
    assert counts(prune_dead(active, domain=Box(2, -1, 1)))[0] == 3
    opposite = one_hidden([[1.0], [-1.0]], [2.0, 2.0], [[1.0, 1.0]])
    assert counts(prune_dead(opposite, domain=Box(1, -1, 1)))[0] == 2


def test_what_only_rounding_keeps_alive_is_judged_by_the_running_network():
    sums = one_hidden([[1.0, 0.1, -0.1]], [-1.0], [[1e6]])
    claim = dc.Claim(dc.Target("0", lambda x: 0 * x[..., :1]), Box(3, 0, 1), Space(1), dc.Bound(1e6))
    found = prune_dead(dc.claim(sums, claim))
    assert same(sums, found, inputs(3, Box(3, 0, 1)))


def test_a_layer_keeps_a_unit():
    nothing = network(([[1.0], [2.0]], [-9.0, -9.0], "relu"), ([[1.0, 1.0]], [4.0], "identity"))
    for rule in (prune_dead, simplify):
        found = rule(nothing, domain=Box(1, 0, 1))
        assert counts(found) == (1, 0)
        assert same(nothing, found, inputs(1, Box(1, 0, 1)))
        assert digest(rule(found, domain=Box(1, 0, 1))) == digest(found)


def test_ranges_hold_what_units_can_be():
    generator = np.random.default_rng(0)
    for kind in KINDS.values():
        from_rows = rows_of(
            Layer(generator.normal(size=(4, 3)).astype("float32"), generator.normal(size=4).astype("float32"), kind)
        )
        low = generator.normal(size=3)
        ends = low, low + generator.uniform(0, 2, 3)
        sums = real_sums(from_rows, ends)
        held = behind(from_rows, sums)
        for share in generator.uniform(size=(20, 3)):
            x = [Fraction(a) + Fraction(s) * (Fraction(b) - Fraction(a)) for a, b, s in zip(*ends, share, strict=True)]
            for unit, row in enumerate(from_rows.matrix()):
                z = sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(from_rows.bias[unit]))
                assert Fraction(sums[0][unit]) <= z <= Fraction(sums[1][unit])
                value = {"relu": max(z, Fraction(0)), "step": Fraction(z > 0), "square": z**2, "identity": z}.get(
                    kind.name(), z**3
                )
                assert Fraction(held[0][unit]) <= value <= Fraction(held[1][unit])


# Duplicates.


def test_powers_of_two_are_merged_and_other_factors_on_request():
    twice = one_hidden([[1.0], [2.0], [3.0]], [1.0, 2.0, 3.0], [[1.0, 1.0, 1.0]])
    assert counts(merge_duplicates(twice))[0] == 2
    every = merge_duplicates(twice, rounded=True)
    assert counts(every)[0] == 1
    assert same(twice, every, inputs(1))
    steps = one_hidden([[1.0], [2.0], [-1.0]], [0.0, 0.0, 0.0], [[1.0, 1.0, 1.0]], "step")
    assert as_matrix(merge_duplicates(steps).layers[1].linear).tolist() in ([[2.0, 1.0]], [[1.0, 2.0]])
    signs = one_hidden([[1.0], [-2.0]], [0.0, 0.0], [[1.0, 1.0]], "square")
    assert as_matrix(merge_duplicates(signs).layers[1].linear).tolist() == [[1.25]]
    cubes = one_hidden([[1.0], [-2.0]], [0.0, 0.0], [[1.0, 1.0]], Power(3))
    assert same(cubes, merge_duplicates(cubes), inputs(1))
    assert counts(merge_duplicates(cubes))[0] == 1


def test_sums_that_round_stay_apart_unless_asked():
    apart = one_hidden([[1.0], [1.0]], [0.5, 0.5], [[1.0, 2.0**-30]])
    assert counts(merge_duplicates(apart))[0] == 2
    assert counts(merge_duplicates(apart, rounded=True))[0] == 1
    claim = dc.Claim(dc.Target("f", lambda x: jax.nn.relu(x + 0.5)), Box(1, 0, 1), Space(1), dc.Bound(1e-6))
    found = merge_duplicates(dc.claim(apart, claim), rounded=True)
    assert counts(found)[0] == 1
    assert found.claim.error.largest > claim.error.largest
    assert counts(merge_duplicates(dc.claim(apart, claim)))[0] == 2


def test_what_cancels_is_dropped():
    cancel = one_hidden([[1.0], [2.0], [1.0]], [0.0, 0.0, 1.0], [[2.0, -1.0, 1.0]])
    assert counts(merge_duplicates(cancel)) == (1, 2)


def test_other_activations_are_not_merged_and_not_scaled():
    for kind in (Sigmoid(2.0), "tanh", "gelu", "softplus", "silu", "sin", "exp"):
        given = one_hidden([[4.0], [4.0], [2.0]], [0.0, 0.0, 0.0], [[1.0, 1.0, 1.0]], kind)
        found = simplify(given)
        assert sorted(as_matrix(found.layers[0].linear).ravel().tolist()) == [2.0, 4.0]
        x = np.linspace(-1, 1, 9, dtype="float32")[:, None]
        np.testing.assert_allclose(found(x), given(x), rtol=1e-5)
    own = [Custom(lambda z, k=k: z * k, "own") for k in (1.0, 2.0)]
    two = one_hidden([[1.0], [1.0]], [0.0, 0.0], [[1.0, 1.0]], join([(kind, 1) for kind in own]))
    assert counts(simplify(two))[0] == 2  # one name, two functions
    mixed = one_hidden([[1.0], [1.0]], [0.0, 0.0], [[1.0, 1.0]], join([(ReLU(), 1), (Identity(), 1)]))
    assert counts(merge_duplicates(mixed))[0] == 2


class Shifted(dc.linear.Dense):
    """A map that isn't what its entries say."""

    def apply(self, x):
        return dc.linear.Dense(self.weight).apply(x) + 1


def test_classes_of_somebodys_own_are_left_alone():
    strange = one_hidden([[2.0], [1.0], [1.0]], [0.0, 1.0, 1.0], [[1.0, 1.0, 1.0]], Doubled())
    for rule in RULES:
        found = rule(strange, **({"domain": Box(1, -9, -8)} if rule in (prune_dead, simplify) else {}))
        assert counts(found)[0] == 3
        assert np.array_equal(found([[0.5]]), strange([[0.5]]))
    layers = (Layer(Shifted(np.ones((2, 1), "float32"))), Layer(Shifted(np.ones((1, 2), "float32")), None, "relu"))
    assert len(merge_affine(Network(layers)).layers) == 2
    assert simplify(Network(layers)).layers[0].linear.out_size == 2


def test_subnormal_weights_and_zeros_with_a_sign_are_kept_apart():
    tiny = np.float32(2.0**-140)
    given = one_hidden([[1.0], [1.0], [2.0]], [0.0, 0.0, -0.0], [[tiny, 0.0, 1.0], [1.0, 1.0, 0.0]])
    found = simplify(given)
    assert same(given, found, inputs(1))
    negative = one_hidden([[1.0], [1.0]], [-0.0, 1.0], [[1.0, 1.0]])
    positive = one_hidden([[1.0], [1.0]], [0.0, 1.0], [[1.0, 1.0]])
    assert digest(simplify(negative)) == digest(simplify(positive))


def test_scales_beyond_the_dtype_are_left():
    least = float(np.finfo("float32").tiny)
    given = one_hidden([[2.0**-100]], [0.0], [[2.0**-40]])
    found = simplify(given)
    assert as_matrix(found.layers[0].linear).tolist() == [[2.0**-100]]
    assert same(given, found, inputs(1))
    assert as_matrix(simplify(one_hidden([[2.0]], [0.0], [[least]])).layers[1].linear).tolist() == [[2 * least]]


def test_layers_without_units_are_left():
    none = np.zeros(0, int)
    to_none = dc.linear.Sparse(none, none, np.zeros(0, "float32"), (0, 2))
    from_none = dc.linear.Sparse(none, none, np.zeros(0, "float32"), (1, 0))
    given = Network((Layer(to_none, None, "relu"), Layer(from_none, np.ones(1, "float32"))))
    for rule in RULES:
        found = rule(given, **({"domain": Space(2)} if rule in (prune_dead, simplify) else {}))
        assert counts(found) == (0, 0)


def test_a_claim_is_not_kept_where_scaled_sums_might_overflow():
    """Scaled, the sum of both inputs would be beyond the range of single precision."""
    given = one_hidden(np.full((3, 2), 2.0**-100), np.zeros(3), np.full((1, 3), 2.0**90))
    target = dc.Target("f", lambda x: 3 * 2.0**-10 * x.sum(axis=-1, keepdims=True))
    claim = dc.Claim(target, Box(2, 0, 2.0**127), Space(1), dc.Bound(2.0**105))
    x = np.full((1, 2), 2.0**127, "float32")
    assert not np.isfinite(simplify(given)(x)).any()
    found = simplify(dc.claim(given, claim))
    assert np.array_equal(found(x), given(x))
    low = claiming(dc.claim(given, claim), domain=Box(2, 0, 2.0**120))
    assert counts(simplify(low))[0] == 1
    assert simplify(low).claim.error.largest > claim.error.largest


def test_labels_follow_their_units():
    labels = [Label("gate", listed=(5, 2, -1, 7)), None]
    given = one_hidden([[1.0], [2.0], [-1.0], [4.0]], [0.0, 0.0, 1.0, 4.0], [[1.0, 1.0, 1.0, 1.0]], labels=labels)
    (first, _) = simplify(given).layers
    gates = dict(zip(as_matrix(first.linear).ravel().tolist(), first.label.listed, strict=True))
    assert set(first.label.listed) == {2, -1, 7}
    assert gates[-1.0] == -1


def test_repeated_blocks_are_unrolled():
    layer = Layer(np.ones((2, 2), "float32"), None, "relu")
    block = dc.Repeat(jax.tree.map(lambda leaf: jax.numpy.stack([leaf] * 3), (layer,)), 3)
    given = Network((block, Layer(np.ones((1, 2), "float32"))))
    found = simplify(given, domain=Box(2, 0, 1))
    assert counts(found)[0] == 3
    assert same(given, found, inputs(2, Box(2, 0, 1)))


def test_both_dtypes_keep_their_numbers():
    for dtype in ("float32", "float64"):
        given = one_hidden([[0.1], [0.2]], [0.1, 0.2], [[1.0, 3.0]], dtype=dtype)
        found = simplify(given)
        assert found.dtype == dtype
        assert counts(found)[0] == 1
        assert same(given, found, inputs(1))


# Affine layers.


def test_linear_layers_are_folded_into_others_but_not_into_linear_ones():
    given = network(
        ([[1.0, 2.0]], [1.0], "identity"), ([[2.0], [3.0]], [0.0, 1.0], "relu"), (np.ones((1, 2)), None, "identity"),
        (np.ones((2, 1)), [1.0, 2.0], "identity"),
    )  # fmt: skip
    found = merge_affine(given)
    assert len(found.layers) == 3
    assert same(given, found, inputs(2))
    every = merge_affine(given, linear=True)
    assert len(every.layers) == 2
    assert same(given, every, inputs(2))
    assert type(found.layers[0].linear) is dc.linear.Dense


def test_products_that_round_are_kept_as_factors():
    given = network(
        ([[0.1, 0.3]], None, "identity"), ([[0.1], [0.7]], [0.0, 1.0], "relu"), ([[1.0, 1.0]], None, "identity")
    )
    found = merge_affine(given)
    assert type(found.layers[0].linear) is Composed
    assert same(given, found, inputs(2))
    biased = network(
        ([[0.1, 0.3]], [0.1], "identity"), ([[0.1], [0.7]], [0.0, 1.0], "relu"), ([[1.0, 1.0]], None, "identity")
    )
    assert len(merge_affine(biased).layers) == 3  # 0.1 * 0.1 + 0 isn't a float
    exact = network(
        ([[0.1, 0.3]], [1.0], "identity"), ([[0.1], [0.7]], [0.0, 0.0], "relu"), ([[1.0, 1.0]], None, "identity")
    )
    folded = merge_affine(exact)
    assert len(folded.layers) == 2
    assert same(exact, folded, inputs(2))


def test_products_that_overflow_are_not_made():
    given = network(
        ([[2.0**700]], [2.0**700], "identity"),
        ([[2.0**700]], [0.0], "relu"),
        ([[1.0]], None, "identity"),
        dtype="float64",
    )
    assert len(merge_affine(given).layers) == 3
    unbiased = network(
        ([[2.0**700]], None, "identity"), ([[2.0**700]], None, "relu"), ([[1.0]], None, "identity"), dtype="float64"
    )
    assert type(merge_affine(unbiased).layers[0].linear) is Composed


def test_a_product_that_would_ruin_a_claim_is_kept_as_factors():
    given = network(
        ([[1.0], [-1.0]], None, "identity"), ([[2.0**20 + 1, 2.0**20]], [0.0], "relu"), ([[1.0]], None, "identity")
    )
    claim = dc.Claim(dc.Target("f", jax.nn.relu), Box(1, 0, 1), Space(1), dc.Bound(1e-12))
    assert as_matrix(merge_affine(given).layers[0].linear).tolist() == [[1.0]]
    found = merge_affine(dc.claim(given, claim))
    assert (type(found.network.layers[0].linear), found.claim) == (Composed, claim)


def test_folded_claims_certify():
    pair = dc.parallel(dc.parity(2), dc.parity(2))
    for parts in ((pair, dc.parity(2)), (pair, dc.parity(2, activation="step"))):
        apart = dc.series(*parts, merge=False)
        found = merge_affine(apart)
        assert dc.cost(found).neurons < dc.cost(apart).neurons
        assert dc.certify(found).verdict == "proved"
        assert found.claim.error == apart.claim.error
        assert counts(simplify(apart, affine=True)) == counts(simplify(dc.series(*parts)))


# Refusals.


@pytest.mark.parametrize("rule", RULES)
def test_what_cannot_be_rewritten_is_refused(rule):
    name, options = rule.__name__, {"domain": Space(2)} if rule in (prune_dead, simplify) else {}
    with pytest.raises(TypeError, match=f"{name}: expected a Network or Construction; got int"):
        rule(3)
    with pytest.raises(TypeError, match=f"{name}: weights must be real; got complex.*dc.realify makes them so"):
        rule(dc.fft(2).network)
    with pytest.raises(TypeError, match=f"{name}: expected one network; got a stack of them. Rewrite those of dc.unst"):
        rule(dc.stack([dc.parity(2), dc.parity(2)]), **options)
    broken = jax.tree.map(lambda leaf: leaf * np.nan, dc.parity(2).network)
    with pytest.raises(ValueError, match=f"{name}: weights must be finite"):
        rule(broken, **options)


def test_flags_and_domains_are_checked():
    net = dc.parity(2).network
    with pytest.raises(TypeError, match="simplify: affine must be True or False; got 1"):
        simplify(net, affine=1)
    with pytest.raises(TypeError, match="merge_affine: linear must be True or False; got None"):
        merge_affine(net, linear=None)
    with pytest.raises(TypeError, match="merge_duplicates: rounded must be True or False"):
        merge_duplicates(net, rounded="no")
    with pytest.raises(ValueError, match="prune_dead: a Network needs domain=, where its function is to be kept; got"):
        prune_dead(net)
    for rule in (prune_dead, simplify):
        name = rule.__name__
        with pytest.raises(ValueError, match=f"{name}: a construction has the domain of its claim; give its .network"):
            rule(dc.parity(2), domain=Bits(2))
        with pytest.raises(ValueError, match=f"{name}: the network takes 2 numbers; got a domain of 3"):
            rule(net, domain=Bits(3))
        with pytest.raises(TypeError, match=f"{name}: domain must be one of dc.domains; got 'bits'"):
            rule(net, domain="bits")
        with pytest.raises(TypeError, match=f"{name}: the domain must be real; got Space"):
            rule(net, domain=Space(2, "complex"))
