"""How constructions came about, and what composing them keeps of their claims."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc

XOR = dc.parity(2, dtype="float32")
AND = dc.bit_product(2, activation="relu", dtype="float32")


@pytest.mark.parametrize(
    ("built", "origin", "shown"),
    [
        (
            dc.series(dc.parallel(XOR, XOR), XOR, merge=False),
            dc.origins.Series,
            "series(parity(2) | parity(2), parity(2), merge=False)",
        ),
        (dc.parallel(XOR, AND), dc.origins.Parallel, "parallel(parity(2), product(2))"),
        (dc.fan_out(XOR, AND, XOR), dc.origins.FanOut, "fan_out(parity(2), product(2), parity(2))"),
        (dc.repeat(dc.fan_out(XOR, AND), 3), dc.origins.Repeated, "repeat(parity(2) & product(2), 3)"),
        (dc.densify(XOR), dc.origins.Rewritten, "densify(parity(2))"),
        (dc.astype(XOR, "float64"), dc.origins.Rewritten, "astype(parity(2))"),
        (dc.realify(dc.fft(2)), dc.origins.Rewritten, "realify(dft(2))"),
        (dc.claim(XOR.network, XOR.claim), dc.origins.Stated, "stated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_constructions_know_where_they_came_from(built, origin, shown):
    assert type(built.origin) is origin
    assert f"origin: {shown}" in repr(built)
    hash(built.origin)  # frozen, so that nothing changes it behind a certificate's back
    with pytest.raises(dataclasses.FrozenInstanceError):
        built.origin.parts = ()


def test_origins_hold_their_parts_in_order():
    origin = dc.series(XOR, dc.parity(1, dtype="float32")).origin
    assert isinstance(origin, dc.origins.Series)
    assert origin.parts[0] is XOR
    assert origin.merge
    alone = dc.series(XOR)
    assert alone.claim == XOR.claim
    assert alone.origin == XOR.origin


def test_joined_parts_do_not_spoil_each_others_errors_and_gains():
    both = dc.parallel(XOR, dc.multiplication_gate(dtype="float32"))
    exact, off = both.claim.error.absolute
    assert exact == 0 < off
    assert both.claim.robustness.gain[0] == XOR.claim.robustness.gain
    behind = dc.series(dc.parallel(XOR, XOR), dc.fan_out(XOR, XOR))
    assert behind.claim.error.is_exact
    assert dc.certify(both).holds


def test_series_carry_errors_output_by_output():
    box = dc.domains.Box(2, -4, 4)
    identity = dc.Network((dc.Layer(dc.linear.Identity(2)), dc.Layer(dc.linear.Dense(jnp.eye(2, dtype="float32")))))
    same = dc.Target("same", lambda x: x)

    def stated(error, gain):
        return dc.claim(identity, dc.Claim(same, box, box, dc.Bound(error), dc.Robustness(1.0, gain)))

    joined = dc.series(stated([0.0, 0.5], 1.0), stated([0.125, 0.0], [0.0, 2.0]))
    np.testing.assert_allclose(joined.claim.error.absolute, [0.125, 1.0], rtol=1e-12)
    np.testing.assert_allclose(joined.claim.robustness.gain, [0.0, 2.0], rtol=1e-12)
    assert joined.claim.robustness.radius == pytest.approx(0.5)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    "part",
    [dc.fan_out(XOR, AND), dc.boolean_function([[0, 1], [1, 1], [1, 0], [0, 0]], dtype="float32")],
    ids=["gates", "table"],
)
def test_exact_parts_stay_exact_however_often_they_are_repeated(part):
    many = dc.repeat(part, 64)
    assert many.claim.error.is_exact
    bits = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    wanted = bits
    for _ in range(64):
        wanted = np.asarray(part.claim.target(wanted))
    assert np.array_equal(many(bits), wanted)
    orders = dc.series(*[part] * 9)
    assert orders.claim.error.is_exact


def test_a_claim_is_kept_in_a_wider_dtype_and_where_nothing_rounds():
    narrow, wide = dc.astype(XOR, "float16"), dc.astype(dc.multiplication_gate(dtype="float32"), "float64")
    assert narrow.claim.error.is_exact
    assert narrow.claim.robustness == dc.Robustness()
    assert wide.claim.dtype == wide.network.dtype.name == "float64"
    x = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    assert np.abs(np.asarray(wide(x))[:, 0] - x.prod(axis=1)).max() <= wide.claim.error.absolute


@pytest.mark.parametrize("numbers", [[], [[0.0]], [-1.0, 0.0], [np.inf], np.nan])
def test_bounds_refuse_what_is_no_bound(numbers):
    with pytest.raises(ValueError, match="Bound: absolute must be finite and at least 0, one number or one an output"):
        dc.Bound(numbers)


def test_bounds_are_one_number_an_output():
    assert dc.Bound([0.5, 0.5]) == dc.Bound(0.5)
    assert str(dc.Bound([0.0, 0.5])) == "0 to 0.5"
    assert not dc.Bound([0.0, 0.5]).is_exact
    assert dc.Robustness(1.0, [1.0, 2.0]).largest_gain == 2.0
    with pytest.raises(ValueError, match=r"Claim: error\.absolute has 2 numbers for 1 outputs"):
        dataclasses.replace(XOR.claim, error=dc.Bound([0.0, 0.5]))
    with pytest.raises(TypeError, match=r"Claim: robustness must be a dc\.Robustness"):
        dataclasses.replace(XOR.claim, robustness=1.0)
    moved = dataclasses.replace(dc.parallel(XOR, AND).claim, robustness=dc.Robustness(1.0, [1.0, 2.0], 0.5))
    assert moved.allowance(0.25).tolist() == [0.75, 1.0]
    assert moved.allowance(0.0) == 0


def test_parts_are_no_leaves():
    # Arrays of the parts must not be traced or trained with the network.
    network = dc.parallel(XOR, AND).network
    assert sum(leaf.size for leaf in jax.tree.leaves(network)) == dc.cost(network).parameters
