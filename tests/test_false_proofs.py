"""Claims that are wrong, each in a way that a proof might overlook; and what must be said of them."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.activations import Custom, Identity, ReLU
from deepconstruct.domains import Bits, Box, Points, Space
from deepconstruct.linear import Butterfly, Composed, Dense
from deepconstruct.network import Layer, Network


def dense(*weights, activation=None, dtype="float32"):
    """A network of dense layers, the activation behind all but the last."""
    layers = [Dense(jnp.asarray(np.atleast_2d(w), dtype)) for w in weights]
    between = activation or Identity()
    return Network((*(Layer(w, None, between) for w in layers[:-1]), Layer(layers[-1])))


def claimed(network, function, domain, codomain=None, error: Any = 0.0, **more):
    """A claim about a network, with a target of choice."""
    target = function if isinstance(function, dc.targets.AbstractTarget) else dc.Target("given", function)
    codomain = codomain or Space(network.out_size)
    return dc.claim(network, dc.Claim(target, domain, codomain, error, dtype=network.dtype.name, **more))


def bound(certificate):
    """The error found, which is finite."""
    assert certificate.found is not None
    return certificate.found


@pytest.mark.parametrize("block", [0, 1, 2, 3])
def test_nan_in_any_block_is_remembered(block, monkeypatch):
    # inf - inf where the two highest bits number the block.
    monkeypatch.setattr("deepconstruct._certify.comparison._BLOCK", 4)
    bits = [1 if block >> k & 1 else -1 for k in range(2)]
    first = np.array([[0, 0, *bits]] * 2)
    bias = jnp.full(2, 1 - float(sum(b for b in bits if b > 0)), "float32")
    network = Network(
        (
            Layer(Dense(jnp.asarray(first, "float32")), bias, ReLU()),
            Layer(Dense(jnp.full((2, 2), 3e38, "float32")), None, ReLU()),
            Layer(Dense(jnp.array([[1.0, -1.0]], "float32"))),
        )
    )
    found = dc.certify(claimed(network, lambda x: 0 * x[..., :1], Bits(4)))
    assert (found.verdict, found.found, found.holds) == ("refuted", None, False)
    assert found.counterexample is not None
    assert found.counterexample[2:] == tuple((block >> k) & 1 for k in range(2))
    assert "not finite" in str(found)


@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1.0, 1e25, 1e30])
@pytest.mark.parametrize("off,holds", [(1e-3, True), (1e-2, False)])
def test_relative_claims_at_all_scales(scale, off, holds):
    network = dense(np.full((2, 1), np.float32(scale * (1 + off))))
    error = dc.Bound(relative=2e-3)
    made = claimed(network, lambda x: jnp.concatenate([x, x], axis=-1) * scale, Bits(1), error=error)
    found = dc.certify(made)
    assert found.holds is holds
    assert bound(found).relative == pytest.approx(off, rel=1e-3)


def test_both_parts_of_a_bound_are_reported_and_count():
    network = dense([[1.0, 0.0], [0.0, 1.5]])
    error = dc.Bound(absolute=0.25, relative=0.3)
    found = dc.certify(claimed(network, lambda x: x, Bits(2), error=error))
    assert (found.verdict, found.found) == ("proved", dc.Bound(0.25, bound(found).relative))
    assert bound(found).relative == pytest.approx(0.25)
    for tight in (dc.Bound(0.25, 0.2), dc.Bound(0.1, 0.3)):
        assert dc.certify(claimed(network, lambda x: x, Bits(2), error=tight)).verdict == "refuted"


def test_every_output_has_its_own_bound():
    network = dense([[1.0, 0.0], [0.0, 1.5]])
    good = dc.certify(claimed(network, lambda x: x, Bits(2), error=dc.Bound((0.0, 0.5))))
    assert (good.verdict, good.found) == ("proved", dc.Bound((0.0, 0.5)))
    assert dc.certify(claimed(network, lambda x: x, Bits(2), error=dc.Bound((0.5, 0.0)))).verdict == "refuted"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("error", [0.0, 1e30, dc.Bound(relative=0.5)])
def test_targets_that_are_not_finite_are_refuted(value, error):
    made = claimed(dense([[1.0]]), lambda x: jnp.where(x == 1, value, x), Bits(1), error=error)
    assert dc.certify(made).counterexample == (1,)


def test_a_target_that_leaves_its_codomain_by_a_little_is_not_proved():
    inside, above = (dense([[w]], dtype="float64") for w in (1.0, 1 + 2.0**-30))
    assert dc.certify(claimed(inside, lambda x: x, Bits(1), Box(1, 0, 1))).verdict == "proved"
    assert dc.certify(claimed(above, lambda x: x * (1 + 2.0**-30), Bits(1), Box(1, 0, 1))).verdict == "refuted"
    within_rounding = dc.certify(
        claimed(dense([[1 + 2.0**-52]], dtype="float64"), lambda x: x * (1 + 2.0**-52), Bits(1), Box(1, 0, 1))
    )
    assert within_rounding.verdict == "undecided"
    assert "too near to the bound" in str(within_rounding)


def test_one_ulp_counts_whatever_the_order_of_this_backend():
    exact, off = (dense([[1.0, -1.0, w]]) for w in (1.0, 1 - 2.0**-24))
    assert dc.certify(claimed(exact, lambda x: x[..., :1] - x[..., 1:2] + x[..., 2:], Bits(3))).verdict == "proved"
    assert dc.certify(claimed(off, lambda x: x[..., :1] - x[..., 1:2] + x[..., 2:], Bits(3))).verdict != "proved"


def test_targets_are_not_rounded_to_the_dtype_of_the_network():
    tenth, third = float(np.float32(0.1)), 1 / 3
    made = claimed(dense([[0.1]]), dc.targets.BooleanFunction([0, 0.1]), Bits(1))
    assert bound(dc.certify(made)).absolute == pytest.approx(tenth - 0.1)
    assert dc.certify(claimed(dense([[0.1]]), lambda x: tenth * x, Bits(1))).verdict == "proved"
    assert dc.certify(claimed(dense([[third]]), lambda x: x / 3, Bits(1))).verdict == "refuted"


@pytest.mark.parametrize("point", [16777217.0, 0.1, 1e300, 1e-300])
def test_points_that_the_dtype_does_not_hold_decide_nothing(point):
    made = claimed(dense([[1.0]]), lambda x: x, Points([[point]]))
    found = dc.certify(made)
    assert (found.verdict, found.holds, found.found, found.inputs, found.backend) == ("undecided", False, None, 0, None)
    assert "float32 doesn't hold all of Points(1 x 1)" in str(found)
    with pytest.raises(ValueError, match="certify: float32 doesn't hold all of Points"):
        dc.certify(made, method="exhaustive")


def test_a_target_that_changes_is_evaluated_anew():
    state = {"value": 0.0}
    made = claimed(dense([[0.0]]), lambda x: 0 * x + state["value"], Bits(1))
    assert dc.certify(made).verdict == "proved"
    state["value"] = 1.0
    assert dc.certify(made).verdict == "refuted"


def test_an_activation_that_changes_is_run_anew():
    state = {"value": 1.0}
    bent = dense([[1.0]], [[1.0]], activation=Custom(lambda z: z * state["value"]))
    made = claimed(bent, lambda x: x, Bits(1))
    assert dc.certify(made).verdict == "enumerated"
    state["value"] = 2.0
    assert dc.certify(made).verdict == "refuted"


def test_weights_that_change_are_run_anew():
    weights = np.ones((1, 1), np.float32)
    linear = Dense(jnp.asarray(weights))
    network = Network((Layer(linear),))
    first = dc.certify(claimed(network, lambda x: x, Bits(1)))
    weights[:] = 2
    object.__setattr__(linear, "weight", jnp.asarray(weights))
    second = dc.certify(claimed(network, lambda x: x, Bits(1)))
    assert (first.verdict, second.verdict) == ("proved", "refuted")
    assert first.digest != second.digest


class Leaky(Identity):
    def __call__(self, z, *, axis=-1):
        return jnp.where(z > 0, z, 0.1 * z)


class Doubled(Dense):
    def __init__(self, weight):
        super().__init__(weight)

    def apply(self, x):
        return 2 * super().apply(x)


FFT = dc.fft(2, dtype="complex64")
NOT_BY_BASIS = {
    "codomain": (FFT.network, {"codomain": Bits(2)}, "doesn't hold them"),
    "real codomain": (FFT.network, {"codomain": Space(2)}, "doesn't hold them"),
    "domain": (FFT.network, {"domain": Bits(2)}, "is about all of R\\^n or C\\^n"),
    "target": (FFT.network, {"target": dc.Target("same", lambda x: x)}, "declares itself linear"),
    "activation": (
        Network((*FFT.network.layers, Layer(dc.linear.Identity(2), None, Leaky()))), {}, "needs a linear network",
    ),
    "map": (Network((Layer(Doubled(jnp.array([[1, 1], [1, -1]], "complex64"))),)), {}, "needs a linear network"),
    "bias": (
        Network((Layer(Dense(jnp.array([[1, 1], [1, -1]], "complex64")), jnp.ones(2, "complex64")),)),
        {}, "needs a linear network",
    ),
    "factors": (
        Network((Layer(Composed(Dense(jnp.eye(2, dtype="complex64")), Dense(jnp.ones((2, 2), "complex64")))),)),
        {}, "maps of two factors",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_BY_BASIS)
def test_the_basis_proof_looks_at_what_it_rests_on(name):
    network, changes, message = NOT_BY_BASIS[name]
    made = dc.claim(network, dataclasses.replace(FFT.claim, **changes))
    with pytest.raises(ValueError, match=f"certify: .*{message}"):
        dc.certify(made, method="basis")
    assert dc.certify(made, samples=200).verdict not in ("proved", "tested") or name == "domain"


def test_complex_vectors_need_a_complex_network():
    made = claimed(dense(np.eye(2)), lambda x: x, Space(2, "complex"), Space(2, "complex"))
    with pytest.raises(ValueError, match=r"certify: .* holds complex vectors"):
        dc.certify(made, method="sampling")
    assert dc.certify(made).verdict == "undecided"


@dataclasses.dataclass(frozen=True)
class Twisted(dc.targets.AbstractTarget):
    """Computes something else than the matrix that it declares, or stretches less than it says."""

    called: float
    declared: float

    @property
    def name(self):
        return "twisted"

    def _evaluate(self, x):
        return self.called * x

    @property
    def is_linear(self):
        return True

    def matrix(self):
        return self.declared * np.eye(2, dtype=np.longdouble)

    def stretch(self):
        return 1e6, 1e6


@pytest.mark.parametrize("called,verdict", [(1.0, "proved"), (1.5, "refuted")])
def test_what_a_target_of_ones_own_declares_is_checked(called, verdict):
    made = claimed(dense(np.eye(2)), Twisted(called, 1.0), Space(2), error=dc.Bound(relative=1e-6))
    assert dc.certify(made, samples=50).verdict == verdict
    off = claimed(dense(1.001 * np.eye(2)), Twisted(1.0, 1.0), Space(2), error=dc.Bound(relative=1e-6))
    assert dc.certify(off, samples=50).verdict == "refuted"


@pytest.mark.parametrize(
    "called,declared,message", [(1.5, 1.0, "computes something else"), (0.0, 0.0, "to zero; twisted")]
)
def test_a_target_of_ones_own_that_allows_no_basis_proof(called, declared, message):
    made = claimed(dense(np.eye(2)), Twisted(called, declared), Space(2), error=dc.Bound(relative=1e-6))
    with pytest.raises(ValueError, match=f"certify: .*{message}"):
        dc.certify(made, method="basis")


def test_a_basis_proof_that_does_not_close_is_undecided_or_tested():
    # The claim is what was found on samples: less than the bound, more than any error that shows.
    good = dc.fft(8, dtype="complex64")
    error = dc.Bound(relative=1.2 * bound(dc.certify(good, method="sampling", samples=500)).relative)
    tight = dc.claim(good.network, dataclasses.replace(good.claim, error=error))
    alone = dc.certify(tight, method="basis")
    assert (alone.verdict, alone.method, alone.holds) == ("undecided", "basis", False)
    assert "above the claim" in str(alone)
    found = dc.certify(tight, samples=500)
    assert (found.verdict, found.method) == ("tested", "sampling")
    assert found.inputs > 0


def test_weights_whose_products_overflow_are_not_proved():
    stages = [Butterfly(jnp.full((1, 1, 1, 1), w, "complex64")) for w in (1e30, 1e-30)]
    network = Network(tuple(Layer(stage) for stage in stages))
    made = claimed(network, dc.targets.DFT(1), Space(1, "complex"), Space(1, "complex"), error=dc.Bound(relative=1e-3))
    assert dc.certify(made, method="basis").verdict == "undecided"


def test_a_domain_of_ones_own_is_enumerated_at_most():
    class Few(Bits):
        def enumerate(self, indices):
            return 0 * super().enumerate(indices)

    wrong = claimed(dense([[2.0]]), lambda x: x, Few(1))
    assert dc.certify(wrong).verdict != "proved"


def test_robustness_is_covered_by_proofs_alone():
    made = dc.parity(3)
    assert dc.certify(made, method="exhaustive").covers == ("error", "robustness")
    assert dc.certify(made, method="sampling").covers == ("error",)


def test_certificates_name_what_they_rest_on():
    proof = dc.certify(dc.fft(4, dtype="complex64"))
    run = dc.certify(claimed(dense([[1j]], dtype="complex64"), lambda x: 1j * x, Bits(1), Space(1, "complex")))
    assert dataclasses.asdict(run.evidence)["digits"] == 1
    assert any("extended precision" in text for text in run.trusts)
    assert any("2^-63 to 2^63" in text for text in proof.trusts)
    assert run.backend == jax.default_backend()
    assert proof.backend is None
    assert run.seconds > 0
    assert len({run.digest, run.claim_digest, proof.digest, proof.claim_digest}) == 4
