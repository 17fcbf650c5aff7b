"""Every law refuses a construction that breaks it, and the strategies draw what they say."""

import dataclasses
import itertools
import math

import equinox as eqx
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import Tracer

import deepconstruct as dc
from deepconstruct import testing
from deepconstruct.activations import AbstractActivation
from deepconstruct.domains import Bits, Box, Points, Product, Signs, Space
from deepconstruct.linear import AbstractLinear, Dense
from deepconstruct.network import flat_layers
from deepconstruct.testing import LAWS


def claiming(construction, **changes):
    """The same network with another claim."""
    return dc.claim(construction.network, dataclasses.replace(construction.claim, **changes))


def with_weights(construction, change):
    """The same claim about other weights."""
    return dc.claim(jax.tree.map(change, construction.network), construction.claim)


class Odd(AbstractActivation):
    """A stand-in for an activation that breaks a law."""

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 0

    def name(self):
        return "odd"


class OtherWhenTraced(Odd):
    """Not the same in a compiled program as outside."""

    def __call__(self, z, *, axis=-1):
        return z + 1 if isinstance(z, Tracer) else z


class Root(Odd):
    """Its slope at 0 is infinite."""

    def __call__(self, z, *, axis=-1):
        return jnp.sqrt(jnp.abs(z))


class NotANumber(Odd):
    """Loses what it is given."""

    def __call__(self, z, *, axis=-1):
        return z * jnp.nan


class Only(Odd):
    """1 where a sum is a certain number, 0 elsewhere: wrong at so little that uniform inputs miss it."""

    where: float = eqx.field(static=True)

    def __call__(self, z, *, axis=-1):
        return (z == self.where).astype(z.dtype)


class Beyond(Odd):
    """1 where a sum is far out, 0 elsewhere."""

    def __call__(self, z, *, axis=-1):
        return (z > 1e6).astype(z.dtype)


class CountedTwice(AbstractLinear):
    """One number that its entries list twice."""

    weight: jax.Array

    @property
    def in_size(self):
        return 1

    @property
    def out_size(self):
        return 1

    @property
    def leaf_shapes(self):
        return ((),)

    def apply(self, x):
        return x * self.weight

    def entries(self):
        return np.zeros(2, int), np.zeros(2, int), jnp.stack([self.weight, self.weight])


class Cited(str):
    """A text that equals its own kind only."""

    def __eq__(self, other):
        return isinstance(other, Cited) and str(self) == str(other)

    __hash__ = str.__hash__


def one_layer(dtype, linear=None, activation=None, label=None, bias=None):
    """A layer on one bit, claimed to be the identity."""
    layer = dc.Layer(
        Dense(jnp.ones((1, 1), dtype)) if linear is None else linear,
        bias,
        activation or dc.activations.Identity(),
        label,
    )
    claim = dc.Claim(dc.targets.Parity(1), Bits(1), Bits(1), dtype=dtype)
    return dc.claim(dc.Network((layer,)), claim)


def sigmoid(dtype):
    return dc.parity(3, activation="sigmoid", readout="raw", dtype=dtype)


def zero(domain, weights, activation, **fields):
    """One unit that is claimed to be 0 on a domain."""

    def build(dtype):
        layer = dc.Layer(Dense(jnp.asarray([weights], dtype)), None, activation)
        nothing = dc.targets.Polynomial(domain.size, ((),))
        return dc.claim(dc.Network((layer,)), dc.Claim(nothing, domain, Box(1, 0, 0), dtype=dtype, **fields))

    return build


UNIT = Box(3, -1.0, 1.0)
QUARTER = dc.Robustness(0.25)

labels = itertools.count()

BROKEN = {
    "within_claim": {
        "weights off": lambda dtype: with_weights(dc.parity(3, dtype=dtype), lambda w: w * 1.1),
        "claim too tight": lambda dtype: claiming(sigmoid(dtype), error=dc.Bound(0.005)),
        "output is NaN": lambda dtype: one_layer(dtype, activation=NotANumber()),
        "wrong target": lambda dtype: claiming(
            dc.parity(3, dtype=dtype), target=dc.Target("and", lambda x: x.min(axis=-1, keepdims=True))
        ),
        "wrong norm": lambda dtype: claiming(
            dc.realify(dc.fft(4)), target=dc.targets.Realified(dc.targets.DFT(4, "ortho"))
        ),
    },
    # At so few inputs that uniform ones don't meet them.
    "within_claim, rarely": {
        "on a face": zero(UNIT, [0, 1, 0], Only(1.0)),
        "on the other face": zero(UNIT, [0, 0, 1], Only(-1.0)),
        "on a face that is no float": zero(Box(2, -0.5, 0.1), [1, 0], Only(0.09999999403953552)),
        "beside a face": zero(UNIT, [1, 0, 0], Only(1 - 2.0**-24)),
        "at a corner": zero(UNIT, [1, 1, -1], Only(3.0)),
        "at zero": zero(Box(2, -1.0, 1.0), [1, 0], Only(0.0)),
        "at the small end of a large box": zero(Box(2, 1.0, 2.0**40), [1, 1], Only(2.0)),
        "far out": zero(Space(2), [1, 0], Beyond()),
        "at the origin": zero(Space(2), [1, 1], Only(0.0)),
        "on a part of a product": zero(Product((Bits(2), Box(2, 0.25, 0.75))), [0, 0, 0, 1], Only(0.75)),
        "far out on a part": zero(Product((Bits(2), Space(1))), [0, 0, 1], Beyond()),
        "at one point": zero(Points(np.arange(40.0)[:, None]), [1], Only(39.0)),
        "at the corner of a fractal": zero(dc.domains.Fractal(dc.systems.vicsek(2), 2, 0.0, 1 / 16), [1, 1], Only(2.0)),
    },
    "target_in_codomain, rarely": {
        "at a corner": lambda dtype: claiming(
            zero(UNIT, [0, 0, 0], Only(9.0))(dtype),
            target=dc.Target("two", lambda x: 2.0 * (x == 1).all(axis=-1, keepdims=True).astype(float)),
        ),
    },
    "within_claim_when_moved, rarely": {
        "by the whole radius": zero(Bits(2), [1, 0], Only(1.25), robustness=QUARTER),
        "back by the whole radius": zero(Bits(2), [0, 1], Only(-0.25), robustness=QUARTER),
        "at all of them": zero(Bits(2), [1, 1], Only(2.5), robustness=QUARTER),
        "off a face": zero(UNIT, [0, 1, 0], Only(-1.25), robustness=QUARTER),
        "a part of a product": zero(Product((Bits(1), Box(1, -0.5, 0.5))), [0, 1], Only(0.75), robustness=QUARTER),
    },
    "target_in_codomain": {
        "sum is no bit": lambda dtype: dc.claim(
            dc.Network((dc.Layer(dc.linear.Dense(jnp.ones((1, 2), dtype))),)),
            dc.Claim(dc.Target("sum", lambda x: x.sum(axis=-1, keepdims=True)), Bits(2), Bits(1), dtype=dtype),
        ),
    },
    "within_claim_when_moved": {
        "gain too small": lambda dtype: claiming(dc.parity(4, dtype=dtype), robustness=dc.Robustness(1.0, gain=1.0)),
        "no gain": lambda dtype: claiming(
            dc.realify(dc.fft(4, dtype="complex64")), robustness=dc.Robustness(math.inf), dtype="float32"
        ),
        "radius too large": lambda dtype: claiming(
            dc.parity(4, activation="step", dtype=dtype), robustness=dc.Robustness(0.5)
        ),
        "radius beyond the basin": lambda dtype: claiming(
            sigmoid(dtype), robustness=dc.Robustness(0.24, sigmoid(dtype).claim.robustness.gain)
        ),
    },
    "jit_equals_eager": {
        "other when traced": lambda dtype: one_layer(dtype, activation=OtherWhenTraced()),
    },
    "one_trace": {
        "label of every build": lambda dtype: one_layer(dtype, label=dc.Label(f"gate {next(labels)}")),
        "sizes differ": lambda dtype: dc.parity(2, activation=dc.activations.Sigmoid(10 + next(labels)), dtype=dtype),
    },
    "leaves_are_inexact": {
        "narrow bias": lambda dtype: one_layer(dtype, bias=jnp.zeros(1, "float16")),
        "numpy array": lambda dtype: dc.claim(
            jax.tree.map(np.asarray, dc.parity(3, dtype=dtype).network), dc.parity(3, dtype=dtype).claim
        ),
    },
    "cost_counts_nonzeros": {
        "an entry twice": lambda dtype: one_layer(dtype, linear=CountedTwice(jnp.ones((), dtype))),
    },
    "file_keeps_everything": {
        # JSON has no texts of other classes.
        "source of its own class": lambda dtype: claiming(dc.parity(3, dtype=dtype), source=Cited("a paper")),
    },
    "gradients_are_finite": {
        "root of a bit": lambda dtype: one_layer(dtype, activation=Root()),
    },
}
MUTANTS = [(law, fault) for law, faults in BROKEN.items() for fault in faults]


@pytest.fixture
def first_failure():
    """Hypothesis takes the first input that fails: simpler ones would take most of these tests' time."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    usual = hypothesis.settings.get_profile("deepconstruct")
    hypothesis.settings.register_profile("first failure", usual, phases=phases)
    hypothesis.settings.load_profile("first failure")
    yield
    hypothesis.settings.load_profile("deepconstruct")


@pytest.mark.usefixtures("first_failure")
@pytest.mark.parametrize("law,fault", MUTANTS)
def test_a_law_catches_what_breaks_it(law, fault):
    with pytest.raises(AssertionError):
        LAWS[law.removesuffix(", rarely")](BROKEN[law][fault], "float32")


def test_every_law_has_a_build_that_breaks_it():
    assert {law.removesuffix(", rarely") for law in BROKEN} == set(LAWS)


@pytest.mark.parametrize("fault", BROKEN["within_claim, rarely"])
def test_uniform_inputs_miss_what_is_rarely_wrong(fault):
    # Else the mutants would show nothing about the faces, corners and magnitudes that laws draw.
    construction = BROKEN["within_claim, rarely"][fault]("float32")
    if fault not in ("at one point", "at the corner of a fractal"):
        x = construction.claim.domain.sample(jax.random.key(0), (400,), dtype="float32")
        assert not np.any(construction(x))


@pytest.mark.parametrize("law", LAWS)
def test_the_sound_stand_in_keeps_every_law(law):
    # So that it is the fault, and not the stand-in, that the law catches.
    LAWS[law](lambda dtype: one_layer(dtype), "float32")


@pytest.mark.slow
def test_the_message_names_construction_and_input():
    build = BROKEN["within_claim"]["weights off"]
    with pytest.raises(AssertionError, match=r"parity\(3\): exceeds its claim by [\d.]+ at "):
        LAWS["within_claim"](build, "float32")


# Strategies ----------------------------------------------------------------------------------------

DOMAINS = [
    Bits(3),
    Signs(2),
    Box(2, -1.0, 0.5),
    Space(2),
    Space(2, "complex"),
    Points([[1.0, 2.0], [0.25, -3.0]]),
    dc.domains.product([Bits(2), Signs(1), Box(1, 0.0, 1.0)]),
]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_inputs_lie_in_the_domain(domain):
    kind = "complex64" if domain == Space(2, "complex") else "float32"
    network = dc.Network((dc.Layer(Dense(jnp.eye(domain.size, dtype=kind))),))
    construction = dc.claim(network, dc.Claim(dc.Target("same", lambda x: x), domain, domain, dtype=kind))

    @hypothesis.given(testing.inputs(construction, batch=3))
    @hypothesis.settings(max_examples=20)
    def check(x):
        assert x.shape == (3, domain.size)
        assert bool(jnp.all(domain.contains(jnp.asarray(x))))

    check()


class Halves(dc.domains.AbstractDomain):
    """A domain of the user's own: multiples of 1/2."""

    @property
    def size(self):
        return 1

    def _contains(self, x, room):
        return (2 * x == jnp.round(2 * x)).all(axis=-1)

    def _sample(self, key, shape, dtype):
        return (jax.random.randint(key, (*shape, 1), -9, 10) / 2).astype(dtype)

    @property
    def words(self):
        return 1

    def _from_words(self, words, dtype):
        return ((words % np.uint64(19)).astype(dtype) - 9) / 2

    def slice(self, start, stop):
        return self

    def box(self):
        return np.array([-4.5]), np.array([4.5])

    def __eq__(self, other):
        return type(other) is Halves

    def __hash__(self):
        return 0


@pytest.mark.slow
def test_laws_draw_from_domains_of_the_user():
    LAWS["within_claim"](zero(Halves(), [1.0], Only(0.25)), "float32")
    with pytest.raises(AssertionError, match="exceeds its claim by 1 at"):
        LAWS["within_claim"](zero(Halves(), [1.0], Only(-4.5)), "float32")


@pytest.mark.slow
@hypothesis.given(testing.networks(dtype="float32"))
@hypothesis.settings(max_examples=8)
def test_drawn_networks_are_valid(network):
    assert network.dtype in (np.float32, np.float64)  # without weights, the default
    assert all(leaf.dtype == "float32" for leaf in jax.tree.leaves(network))
    outputs = dc.layer_outputs(network, np.ones((2, network.in_size)))
    assert [y.shape for y in outputs] == [(2, layer.out_size) for layer in flat_layers(network)]
    assert all(bool(jnp.all(jnp.isfinite(y))) for y in outputs)


@hypothesis.given(testing.constructions(dtype="float32", depth=2))
@hypothesis.settings(max_examples=6)
def test_drawn_constructions_keep_their_claims(construction):
    assert construction.claim.dtype == "float32"
    n = construction.in_size
    x = (np.arange(min(2**n, 64))[:, None] >> np.arange(n)) & 1
    assert testing.excess(construction, x.astype(np.float64)) <= 0


def test_drawn_structures_vary():
    kinds = set()

    @hypothesis.given(testing.networks())
    @hypothesis.settings(max_examples=60, database=None)
    def collect(network):
        kinds.update(type(layer.linear).__name__ for layer in network.layers)

    collect()
    assert len(kinds & set(dc.linear.__all__)) >= 6
