"""Proofs of compositions from those of their parts; and origins and claims that are forged."""

import dataclasses
import io
import types
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._arithmetic.products import multiplies_exactly
from deepconstruct._certify import METHODS, composition, joints
from deepconstruct._certify.certificate import certificate, undecided
from deepconstruct._certify.method import Method, Options
from deepconstruct.construction import origin as origins
from deepconstruct.domains import Bits, Box, Space
from deepconstruct.linear import BlockDiagonal, Composed, Dense, Sparse
from deepconstruct.network import Layer, Network

BOTH = ("error", "robustness")


def gate(**more):
    return dc.multiplication_gate(dtype="float64", **more)


def smooth(n):
    return dc.parity(n, activation="sigmoid", dtype="float32")


def proved(construction) -> Any:
    found = dc.certify(construction, method="composition")
    assert (found.verdict, found.method, found.inputs, found.backend) == ("proved", "composition", 0, None), found
    return found


def open_case(construction, message):
    found = dc.certify(construction, method="composition")
    assert found.verdict == "undecided", found
    assert message in str(found), found
    return found


def forged(construction, origin=None, network=None, **claim):
    changed = dataclasses.replace(construction.claim, **claim)
    return dc.construction.Construction(network or construction.network, changed, origin or construction.origin)


def parts_of(construction) -> Any:
    return construction.origin.parts


COMPOSITIONS = {
    "trees": lambda: dc.series(dc.parallel(smooth(8), smooth(8)), smooth(2)),
    "trees, joints kept": lambda: dc.series(dc.parallel(smooth(3), smooth(5)), smooth(2), merge=False),
    "bits into a gate": lambda: dc.series(dc.parallel(dc.parity(4), dc.parity(4)), dc.multiplication_gate()),
    "exact and not": lambda: dc.parallel(dc.parity(2), dc.multiplication_gate()),
    "gates": lambda: dc.series(dc.parallel(gate(), gate()), gate()),
    "nested": lambda: dc.series(dc.parallel(dc.series(dc.parallel(gate(), gate()), gate()), gate()), gate()),
    "one input": lambda: dc.fan_out(gate(), gate()),
    "repeated": lambda: dc.repeat(dc.fan_out(dc.parity(2), dc.parity(2)), 64),
    "repeated, smooth": lambda: dc.repeat(dc.fan_out(smooth(2), smooth(2)), 3),
    "transforms": lambda: dc.series(dc.fft(8, dtype="complex64"), dc.fft(8, inverse=True, dtype="complex64")),
    "transforms side by side": lambda: dc.parallel(dc.fft(4, dtype="complex64"), dc.fft(8, dtype="complex64")),
    "transforms, repeated": lambda: dc.repeat(dc.fft(4, norm="ortho", dtype="complex64"), 4),
}


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", COMPOSITIONS)
def test_compositions_of_proved_parts_are_proved(name):
    construction = COMPOSITIONS[name]()
    found = proved(construction)
    assert found.covers == BOTH
    assert found.found == construction.claim.error
    assert {part[1] for part in found.evidence.parts} == {"proved"}
    assert "the algebra of compositions" in found.trusts[-1]
    assert sum("algebra" in text for text in found.trusts) == 1


def test_claims_that_say_less_are_proved_and_others_are_not():
    good = dc.series(dc.parallel(gate(), gate()), gate())
    error, robust = good.claim.error.largest, good.claim.robustness
    for more in (1.0, 1.5):
        proved(forged(good, error=dc.Bound(error * more)))
    open_case(forged(good, error=dc.Bound(error * 0.98)), "above the claim")
    for changes in ({"radius": robust.radius * 1.02}, {"gain": robust.largest_gain * 0.98}, {"rounding": 0.0}):
        open_case(forged(good, robustness=dataclasses.replace(robust, **changes)), "the claim says more")
    assert proved(forged(good, robustness=dc.Robustness())).covers == BOTH
    less = dc.Robustness(robust.radius / 2, robust.largest_gain * 2, robust.rounding)
    assert proved(forged(good, robustness=less)).covers == BOTH


def test_claims_about_something_else_are_not_proved():
    good = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.parity(2))
    for changes in ({"target": dc.targets.Parity(4)}, {"codomain": Box(1, 0, 1)}, {"codomain": Space(1)}):
        open_case(forged(good, **changes), "another target, or on another domain")


@dataclasses.dataclass(frozen=True)
class Same(dc.targets.AbstractTarget):
    """Says that it equals whatever it is compared with."""

    @property
    def name(self):
        return "same"

    def _evaluate(self, x):
        return x[..., :1]

    def __eq__(self, other):
        return True

    __hash__ = None  # pyright: ignore


def test_a_target_that_equals_everything_is_another_one():
    good = dc.parallel(dc.parity(2), dc.parity(3))
    target = dc.targets.Parallel((dc.targets.Parity(2), Same()), (2, 3))
    assert target == good.claim.target
    open_case(forged(good, target=target), "another target")


def leaf_changed(network, change, index=0):
    leaves, treedef = jax.tree.flatten(network)
    array = np.array(leaves[index])
    array.reshape(-1)[0] = change(array.reshape(-1)[0])
    leaves[index] = jnp.asarray(array)
    return jax.tree.unflatten(treedef, leaves)


def test_forged_origins_prove_nothing():
    gates, other = [gate(), gate()], gate(activation="tanh")
    good = dc.series(dc.parallel(*gates), gate())
    first, last = parts_of(good)
    for parts in ((first, other), (last, first), (first,), (first, last, last), (dc.parallel(gate(), other), last)):
        message = dc.certify(forged(good, origins.Series(parts, True)), method="composition")
        assert message.verdict == "undecided", parts
    open_case(forged(good, origins.Series((first, last), False)), "layers")
    open_case(forged(good, origins.Parallel((first, last))), "layers")
    open_case(forged(good, origins.Repeated(last, 10**12, True)), "number of layers")
    open_case(forged(good, origins.Series((last,) * 300, True)), "256 parts")
    with pytest.raises(ValueError, match="about compositions that this library made; the origin is stated"):
        dc.certify(forged(good, origins.Stated()), method="composition")


@pytest.mark.parametrize("change", [lambda w: np.nextafter(w, 9), lambda w: -w, lambda w: 0 * w, lambda w: 2 * w])
def test_a_weight_that_is_changed_shows(change):
    good = dc.series(dc.parallel(gate(), gate()), gate())
    for index in range(len(jax.tree.leaves(good.network))):
        open_case(forged(good, network=leaf_changed(good.network, change, index)), "other weights")


def test_a_part_that_is_wrong_itself_is_not_proved():
    swapped = dc.claim(leaf_changed(gate().network, lambda w: 1.5 * w), gate().claim)
    better = forged(gate(), error=dc.Bound(gate().claim.error.largest * 0.9))
    for part in (swapped, better):
        for made in (dc.parallel(part, gate()), dc.parallel(dc.parallel(gate(), part), gate())):
            assert "above the claim" in str(open_case(made, "product(2), a part, isn't proved"))


def test_parts_that_are_no_constructions_are_left_alone():
    class Other(dc.construction.Construction):
        pass

    made = dc.parallel(gate(), gate())
    for part in (types.SimpleNamespace(claim=made.claim, origin=made.origin), Other(gate().network, gate().claim)):
        wrong: Any = (gate(), part)
        open_case(forged(made, origins.Parallel(wrong)), "isn't made of this library's own")


def test_a_part_of_itself_is_not_proved():
    made = dc.parallel(gate())
    object.__setattr__(made, "origin", origins.Parallel((made,)))
    found = dc.certify(made, method="composition")
    assert found.verdict == "undecided"
    inner = dc.claim(dc.parallel(gate(), gate()).network, dc.parallel(gate(), gate()).claim)
    looped = forged(inner, origins.Parallel((gate(), gate())))
    object.__setattr__(looped.origin, "parts", (looped, looped))
    assert dc.certify(looped, method="composition").verdict == "undecided"


def test_parts_that_are_nested_too_deep_are_left_alone():
    # Each is a series of one part, named anew by its claim's source.
    made = dc.parallel(gate(), gate())
    for depth in range(20):
        made = forged(made, origins.Series((made,), True), source=f"level {depth}")
    answer = answering(lambda part: undecided(part, "never", "no"))
    found = composition.METHOD.run(made, Options(methods=(answer, composition.METHOD)))
    assert "nested more than 16 deep" in str(found)


def test_origins_of_files_serve_as_well():
    made, file = dc.series(dc.parallel(gate(), gate()), gate()), io.BytesIO()
    dc.save(file, made)
    file.seek(0)
    assert proved(dc.load(file)).covers == BOTH


def answering(answer, name="never") -> Method:
    """A method that says what a function of the construction says."""
    return Method(name, "", "", ("proved",), lambda construction: None, lambda part, options: answer(part))


def verdict(found, covers: Any = BOTH, name="never"):
    """What a method may say: a verdict."""

    def answer(part):
        fields: dict[str, Any] = {"found": part.claim.error, "inputs": 0, "trusts": ()}
        evidence = composition.Composed("", ())
        return certificate(part, name, found, ran=False, covers=covers, evidence=evidence, **fields)

    return answering(answer, name)


def run(construction, *methods):
    return composition.METHOD.run(construction, Options(methods=methods))


def test_parts_that_are_only_enumerated_prove_nothing():
    made = dc.series(dc.parallel(gate(), gate()), gate())
    for known in ("enumerated", "tested"):
        found = run(made, verdict(known), composition.METHOD)
        assert found.verdict == "undecided"
        assert f"isn't proved: {known}" in str(found)
    assert run(made, verdict("proved")).verdict == "proved"
    assert "no method applies" in str(run(made))


def test_proofs_of_errors_alone_suffice_behind_exact_parts():
    alone = verdict("proved", ("error",))
    exact = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), gate32 := dc.multiplication_gate())
    assert run(exact, alone).verdict == "proved"
    assert run(exact, alone).covers == ("error",)
    inexact = dc.series(dc.parallel(gate32, gate32), gate32)
    assert "isn't proved for moved inputs" in str(run(inexact, alone))
    # Relative errors of vectors of a space are carried by linear maps.
    there = dc.fft(4, dtype="complex64"), dc.fft(4, inverse=True, dtype="complex64")
    assert run(dc.series(*there), verdict("proved", ("error",), "basis")).covers == ("error",)


def test_pairs_of_stages_are_run_as_in_the_parts():
    there = dc.fft(4, dtype="complex64"), dc.fft(4, inverse=True, dtype="complex64")
    other = verdict("proved", BOTH)
    assert joints.pairs(there[0].network) == {0}
    assert joints.pairs(dc.series(*there).network) == {0, 2}
    assert run(dc.series(*there), other).verdict == "proved"
    assert "in other pairs" in str(run(dc.parallel(*there), other))
    assert run(dc.parallel(*there), verdict("proved", BOTH, "basis")).verdict == "proved"


def test_values_that_leave_their_codomain_by_a_digit_do_not_enter():
    near = Box(1, -1 + 2.0**-50, 1)
    inner = dc.parallel(*[forged(gate(), codomain=near)] * 2)
    made = dc.series(inner, gate())
    open_case(made, "aren't shown to lie in")
    # A domain without faces takes them.
    assert joints.stays_inside(inner.claim, Space(2))
    assert joints.stays_inside(dc.parallel(gate(), gate()).claim, Box(2, -1, 1))
    assert joints.stays_inside(dc.parity(2).claim, Bits(1))
    assert not joints.stays_inside(forged(gate(), target=dc.Target("own", lambda x: x[..., :1])).claim, near)


def test_domains_of_ones_own_are_not_taken():
    class Fewer(Bits):
        pass

    made = dc.parallel(forged(dc.parity(2), domain=Fewer(2)), dc.parity(2))
    open_case(made, "isn't one of this library's own domains")


# Merged joints -------------------------------------------------------------------------------------


def layers_of(generator, kind, dtype):
    v, w = (generator.integers(-9, 10, (3, 3)) * kind for _ in range(2))
    b, c = (generator.integers(-9, 10, 3) * power for power in (kind**2, kind))
    first, second = (Layer(Dense(jnp.asarray(m, dtype)), jnp.asarray(x, dtype)) for m, x in ((v, c), (w, b)))
    return first, second


@pytest.mark.parametrize("kind,dtype", [(1.0, "float32"), (0.1, "float64"), (2.0**-60, "float32")])
def test_products_of_joints_are_compared_exactly(kind, dtype):
    first, second = layers_of(np.random.default_rng(1), kind, dtype)
    v, w = (np.asarray(layer.linear.weight, float) for layer in (first, second))  # pyright: ignore
    biases = [np.asarray(layer.bias, float) for layer in (first, second)]
    exact = np.vectorize(Fraction)(w) @ np.vectorize(Fraction)(v)
    shift = np.vectorize(Fraction)(w) @ np.vectorize(Fraction)(biases[0]) + np.vectorize(Fraction)(biases[1])
    near, moved = exact.astype(float).astype(dtype), shift.astype(float).astype(dtype)
    is_exact = np.all(np.vectorize(Fraction)(near.astype(float)) == exact)
    is_exact &= np.all(np.vectorize(Fraction)(moved.astype(float)) == shift)
    assert is_exact == (kind != 0.1)
    merged = Layer(Dense(jnp.asarray(near)), jnp.asarray(moved))
    assert multiplies_exactly(first, second, merged) == is_exact
    rows, cols = np.nonzero(near)
    sparse = Layer(Sparse(rows, cols, jnp.asarray(near[rows, cols]), (3, 3)), merged.bias)
    assert multiplies_exactly(first, second, sparse) == is_exact
    for changed in (near.copy(), near.copy()):
        changed[0, 1] = np.nextafter(changed[0, 1], np.array(9, dtype))
        assert not multiplies_exactly(first, second, Layer(Dense(jnp.asarray(changed)), merged.bias))
    moved = moved.copy()
    moved[2] += moved[2] + 1
    assert not multiplies_exactly(first, second, Layer(merged.linear, jnp.asarray(moved)))
    assert not multiplies_exactly(first, second, Layer(merged.linear))


def test_products_of_joints_without_weights_or_with_far_ones():
    none = Layer(BlockDiagonal(jnp.zeros((1, 2, 2, 1))))
    assert multiplies_exactly(none, none, none)
    assert not multiplies_exactly(none, none, Layer(Dense(jnp.eye(2))))
    far = Layer(Dense(jnp.asarray([[1e300, 0.0], [0.0, 1e-300]], "float64")))
    one = Layer(Dense(jnp.asarray([[1.0, 0.0], [0.0, 1.0]], "float64")))
    assert not multiplies_exactly(far, far, one)


def test_a_merged_joint_that_was_rounded_is_not_proved(monkeypatch):
    made = dc.series(dc.parallel(dc.parity(2), dc.parity(2)), dc.parity(2))
    proved(made)
    again = dc.repeat(dc.fan_out(dc.parity(2), dc.parity(2)), 3)
    proved(again)
    monkeypatch.setattr(composition, "multiplies_exactly", lambda *layers: False)
    for construction in (made, again):
        open_case(construction, "weights of a merged joint were rounded")
    proved(dc.series(*parts_of(made), merge=False))


def chain(*weights):
    """Linear layers with units of ReLU between them, of one output each."""
    layers = []
    for first, second in weights:
        layers.append(Layer(Dense(jnp.asarray(first, "float32")), None, dc.activations.ReLU()))
        layers.append(Layer(Dense(jnp.asarray(second, "float32"))))
    return Network(tuple(layers))


@pytest.mark.promotes
def test_a_series_whose_weights_would_round_keeps_two_factors():
    # 33 times these are odd and above 2^24: rounded to multiples of 4, they don't add up to 33 times the sum.
    readout = [[533821.0, 533823.0, -915121.0]]
    total = float(np.sum(readout))
    ones, points = [[1.0, 1.0, 1.0]], [[total]]
    sums = dc.Target("sum", lambda x: x @ jnp.asarray(readout).T)
    inner = dc.Claim(sums, dc.domains.Points(ones), dc.domains.Points(points))
    outer = dc.Claim(dc.Target("33", lambda x: 33 * x), dc.domains.Points(points), Space(1))
    first, second = chain((np.eye(3), readout)), chain(([[33.0]], [[1.0]]))
    made = dc.series(dc.claim(first, inner), dc.claim(second, outer))
    assert made.claim.error.is_exact
    assert float(made(ones)[0, 0]) == 33 * total
    assert dc.certify(made).verdict == "proved"


@pytest.mark.parametrize("cancels", [True, False])
def test_densify_adds_what_factors_cancel_in_their_product(cancels):
    generator = np.random.default_rng(3)
    outer, inner = (generator.uniform(0.5, 1, shape).astype("float32") for shape in ((1, 64), (64, 1)))
    if cancels:
        outer[:, 32:] = -outer[:, :32]
        inner[32:] = inner[:32] * np.float32(1 + 2**-20)
    linear = Composed(Dense(jnp.asarray(outer)), Dense(jnp.asarray(inner)))
    target = dc.Target("any", lambda x: x)
    claim = dc.Claim(target, Box(1, -1, 1), Space(1), dc.Bound(1e-9))
    dense: Any = dc.densify(dc.claim(Network((Layer(linear),)), claim))
    exact = float(sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(outer[0], inner[:, 0], strict=True)))
    off = abs(exact - float(np.asarray(dense.network.layers[0].linear.weight)[0, 0]))
    assert off > 0
    assert dense.claim.error.largest >= 1e-9 + off


def test_the_whole_is_within_its_claim_when_run():
    # What is proved must hold for samples, moved ones too.
    generator = np.random.default_rng(0)
    for name in ("gates", "exact and not"):
        made = COMPOSITIONS[name]()
        claim, x = made.claim, np.asarray(made.claim.domain.probe(jax.random.key(1), (200,)), made.claim.dtype)
        for delta in (0.0, claim.robustness.radius):
            moved = (x + delta * generator.uniform(-1, 1, x.shape)).astype(claim.dtype)
            far = np.abs(moved.astype(float) - x).max()
            if far > claim.robustness.radius:
                continue
            off = np.abs(np.asarray(made(moved), float) - claim.target.wide(x).astype(float))
            allowed = np.asarray(claim.error.absolute) + claim.allowance(far)
            assert np.all(off <= allowed * (1 + 1e-12))


def test_it_stands_before_sampling_in_the_list():
    names = [method.name for method in METHODS]
    assert names.index("composition") == names.index("sampling") - 1
