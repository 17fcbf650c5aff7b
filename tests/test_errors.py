"""Every refusal of the library, by its message; and a check that none was forgotten."""

# Wrong arguments are the point here.
# pyright: reportArgumentType=false

import ast
import builtins
import dataclasses
import io
import math
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import deepconstruct as dc
from deepconstruct import _tour, domains, linear, losses, targets
from deepconstruct._arithmetic import directions, intervals, rounding, sums
from deepconstruct._certify.points import values
from deepconstruct._certify.series import balls as series_balls
from deepconstruct._flint import flint
from deepconstruct.activations import Concatenate, ReLU, Sigmoid, Step
from deepconstruct.linear import Dense

SOURCE, TESTS = Path(dc.__file__).parent, Path(__file__).parent
KEY = jax.random.key(0)
ONE = jnp.ones((1, 1), "float32")


def layer(shape=(1, 1), **options):
    return dc.Layer(Dense(jnp.ones(shape, "float32")), **options)


def network(*shapes):
    return dc.Network(tuple(layer(shape) for shape in shapes))


def claim_of(target="t", domain=None, codomain=None, **options):
    domain, codomain = domain or domains.Space(1), codomain or domains.Space(1)
    return dc.Claim(dc.Target(target, lambda x: x), domain, codomain, **{"dtype": "float32", **options})


def linear_on_bits(relative=0.1, codomain=None):
    return dc.claim(network((1, 1)), claim_of("f", domains.Bits(1), codomain, error=dc.Bound(relative=relative)))


def save_with(**changes):
    tree = dc.parity(2)
    dc.save(io.BytesIO(), tree, dataclasses.replace(dc.certify(tree), **changes))


def wide(size):
    """A diagonal matrix, said to be a transform."""
    ones, index, space = jnp.ones(size, "complex64"), np.arange(size), domains.Space(size, "complex")
    network = dc.Network((dc.Layer(linear.Sparse(index, index, ones, (size, size))),))
    return dc.claim(network, dc.Claim(targets.DFT(size), space, space, dtype="complex64"))


class Nothing(dc.activations.AbstractActivation):
    def __call__(self, z, *, axis=-1):
        return z

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 0

    def name(self):
        return "nothing"


def squashing(low):
    """A linear target that may shrink what it is given to `low` times its size."""

    class Squash(targets.AbstractTarget):
        @property
        def name(self):
            return "squash"

        @property
        def is_linear(self):
            return True

        def _evaluate(self, x):
            return x

        def stretch(self):
            return low, 1.0

    space = domains.Space(1)
    return dc.claim(
        network((1, 1)), dc.Claim(Squash(), space, space, dc.Bound(relative=1e-3), dc.Robustness(math.inf, 1.0))
    )


SIZES = [
    *((f"parity: n must be at least 1; got {n}", lambda n=n: dc.parity(n)) for n in (0, -3)),
    *((f"{name}: n must be at least 1; got 0", lambda f=f: f(0)) for name, f in (
        ("parity_shallow", dc.parity_shallow),
        ("parity_bounded_depth", lambda n: dc.parity_bounded_depth(n, 2)),
        ("fft", dc.fft),
        ("Bits", domains.Bits),
        ("Signs", domains.Signs),
        ("Space", domains.Space),
        ("Box", lambda n: domains.Box(n, 0, 1)),
        ("Parity", targets.Parity),
        ("DFT", targets.DFT),
    )),
    ("parity: arity must be at least 2; got 1", lambda: dc.parity(4, arity=1)),
    ("parity_bounded_depth: depth must be at least 2; got 1", lambda: dc.parity_bounded_depth(4, 1)),
    ("Repeat: times must be at least 1; got 0", lambda: dc.Repeat((layer(),), 0)),
    ("repeat: times must be at least 1; got 0", lambda: dc.repeat(dc.fft(2, norm="ortho"), 0)),
    ("fit: steps must be at least 1; got 0", lambda: dc.fit(None, None, None, steps=0, key=KEY)),
    ("sampled: batch_size must be at least 1; got 0", lambda: losses.sampled(dc.parity(2).claim, 0)),
    ("Identity: size must be at least 1; got 0", lambda: linear.Identity(0)),
    ("Kronecker: outer must be at least 1; got 0", lambda: linear.Kronecker(ONE, outer=0)),
    ("Concatenate: width must be at least 1; got 0", lambda: Concatenate((ReLU(),), (0,))),
]  # fmt: skip

KINDS = [
    *((f"parity: n must be an integer; got {text}", lambda n=n: dc.parity(n)) for n, text in (
        (2.5, r"2\.5 \(float\)"), ("8", r"'8' \(str\)"), (None, r"None \(NoneType\)"), (True, "True"), (8.0, r"8\.0"),
    )),
    ("fft: n must be an integer; got True", lambda: dc.fft(True)),
    ("DFT: inverse must be True or False; got 1", lambda: targets.DFT(2, inverse=1)),
    ("Rewritten: rule must be a name; got 3", lambda: dc.origins.Rewritten(3, dc.parity(2))),
    ("perturb: scale must be a number; got 'x'", lambda: dc.perturb(dc.parity(2), "x", key=KEY)),
    (r"certify: expected a Construction; got Network. .*dc.certify\(network", lambda: dc.certify(dc.parity(2).network)),
    (
        "slopes are followed through weights of usual size only",
        lambda: directions.stages(dc.Network.from_matrices([[[1e-300]]], [None], ["relu"], dtype="float64")),
    ),
    (
        "running bounds don't know how butterflies are merged",
        lambda: sums.weights_of(linear.Butterfly(jnp.ones((1, 2, 2, 1), "float32"))),
    ),
    (
        "running bounds take patterns of up to 12 signs; got 13",
        lambda: sums.weights_of(linear.SignPatterns(jnp.ones(13, "float32"))),
    ),
    ("real weights are needed: these are complex", lambda: sums.entries_of(linear.Dense(ONE.astype("complex64")))),
    ("step has no series in balls", lambda: series_balls._of(Step(), None, None)),
    ("step has no discs", lambda: series_balls.discs(Step(), None, 1.0, None)),
    ("values are complex", lambda: values.target_values(targets.DFT(4), np.eye(4), "balls")),
    ("values are complex", lambda: values.target_values(targets.DFT(4), np.eye(4), None)),
    ("certify: expected a Construction, or a Network and a Claim; got int", lambda: dc.certify(3)),
    (
        "certify: a Construction has a claim of its own; give construction.network with another",
        lambda: dc.certify(dc.parity(2), dc.parity(2).claim),
    ),
    ("sampled: expected a Claim.*; got Construction", lambda: losses.sampled(dc.parity(2), 5)),
    (r"Layer: linear must be a map of dc.linear or a matrix of shape \(out, in\); got int", lambda: dc.Layer(3)),
    ("Network: layers must be Layer or Repeat; got Dense", lambda: dc.Network((Dense(ONE),))),
    ("Network: every weight must be a floating array; got",
     lambda: dc.Network((dc.Layer(Dense(jnp.eye(2, dtype=int))),))),
    ("Network: complex input to a network of float32 weights", lambda: network((1, 1))(1j * np.ones(1))),
    ("series: pass either networks or constructions, not a mix; got Construction, Network",
     lambda: dc.series(dc.parity(2), dc.parity(1).network)),
    ("parallel: pass either .*; got Construction, int", lambda: dc.parallel(dc.parity(2), 3)),
    (r"Space\(n=2, field='real'\) is not finite", lambda: domains.Space(2).enumerate(jnp.arange(2))),
    ("Space.* is not finite", lambda: domains.product([domains.Bits(1), domains.Space(1)]).enumerate(jnp.arange(2))),
    (r"parity\(3\) does not declare itself linear", lambda: targets.Parity(3).matrix()),
    ("Points: expected real numbers; got complex ones", lambda: domains.Points([[1j]])),
    ("Sparse: rows and cols must be integers; got", lambda: linear.Sparse([0.5], [0], jnp.ones(1), (2, 2))),
    ("perturb: key must be one PRNG key.*; got int", lambda: dc.perturb(dc.parity(2), 0.1, key=0)),
    (r"reinitialize: key must be one PRNG key.*; got an array of shape \(3,\)",
     lambda: dc.reinitialize(dc.parity(2), key=jax.random.split(KEY, 3))),
    ("fit: key must be one PRNG key.*; got NoneType",
     lambda: dc.fit(dc.parity(2), losses.l1(1.0), optax.sgd(1.0), steps=1, key=None)),
    ("Layer: activation must be one of dc.activations, .*; got 'rleu'. Did you mean 'relu'?",
     lambda: layer(activation="rleu")),
    (r"Layer: activation .* wrap the elementwise function celu as dc.activations.Custom\(celu, 'celu'\)",
     lambda: layer(activation=jax.nn.celu)),
    ("fit: optimizer must be an Optax one.*; got 'adam'",
     lambda: dc.fit(network((1, 1)), losses.l1(1.0), "adam", steps=1, key=KEY)),
    (r"fit: loss must be called as loss\(network, key\).*; got None",
     lambda: dc.fit(network((1, 1)), None, optax.sgd(1.0), steps=1, key=KEY)),
    ("claim: expected a Network and a Claim; got Construction and Claim",
     lambda: dc.claim(dc.parity(2), dc.parity(2).claim)),
    ("Claim: target must be one of dc.targets; got 'parity'",
     lambda: dc.Claim("parity", domains.Bits(1), domains.Bits(1))),
    ("Claim: codomain must be one of dc.domains; got 1", lambda: dc.Claim(targets.Parity(1), domains.Bits(1), 1)),
    ("claim: target 'numpy' must be written in JAX on the last axis; it raised",
     lambda: dc.claim(network((1, 1)), dataclasses.replace(claim_of(), target=dc.Target("numpy", np.asarray)))),
    *((f"{name}: expected a Network or Construction; got int", function) for name, function in (
        ("cost", lambda: dc.cost(3)),  # pyright: ignore[reportCallIssue]
        ("densify", lambda: dc.densify(3)),
        ("sparsity_pattern", lambda: dc.sparsity_pattern(3)),
        ("astype", lambda: dc.astype(3, "float32")),
        ("perturb", lambda: dc.perturb(3, 0.1, key=KEY)),
        ("reinitialize", lambda: dc.reinitialize(3, key=KEY)),
        ("fit", lambda: dc.fit(3, losses.l1(1.0), optax.sgd(1.0), steps=1, key=KEY)),
        ("layer_outputs", lambda: dc.layer_outputs(3, [1])),
        ("plot.network", lambda: dc.plot.network(3)),
    )),
    ("Target: expected a name and a function; got 3 and", lambda: dc.Target(3, abs)),
    ("can't write set as JSON", lambda: _tour._plain(set())),
    ("no interval rule for nothing", lambda: intervals.activation_range(Nothing(), np.zeros(1), np.ones(1))),
    ("the weights are being traced, so their zeros can't be counted", lambda: jax.jit(dc.cost)(dc.parity(2).network)),
]  # fmt: skip

NAMES = [
    (r"parity: activation must be one of 'relu', 'step', 'sigmoid', or such an object; got 'tanh'",
     lambda: dc.parity(4, activation="tanh")),
    ("parity: activation must be .*; got Tanh", lambda: dc.parity(4, activation=dc.activations.Tanh())),
    ("parity: encoding must be one of 'bits', 'signs'; got 'trits'", lambda: dc.parity(4, encoding="trits")),
    ("parity: readout must be one of 'calibrated', 'raw'; got 'cooked'", lambda: dc.parity(4, readout="cooked")),
    ("parity_shallow: kind must be one of 'count', 'dnf'; got 'cnf'", lambda: dc.parity_shallow(4, kind="cnf")),
    ("fft: norm must be one of 'backward', 'ortho', 'forward'; got 'unit'", lambda: dc.fft(4, norm="unit")),
    ("perturb: scheme must be one of .*; got 'he'", lambda: dc.perturb(dc.parity(2), 1, scheme="he", key=KEY)),
    ("perturb: fans must be one of 'layer', 'pattern'", lambda: dc.perturb(dc.parity(2), 1, fans="all", key=KEY)),
    ("reinitialize: scheme must be one of 'glorot', 'he', 'lecun'",
     lambda: dc.reinitialize(dc.parity(2), scheme="normal", key=KEY)),
    ("certify: method must be one of 'auto', .*; got 'proof'", lambda: dc.certify(dc.parity(2), method="proof")),
    ("catalog: no construction 'ft'; known are parity", lambda: dc.catalog.get("ft")),
    ("parity: dtype must be a real floating type; got complex64", lambda: dc.parity(4, dtype="complex64")),
    ("parity: dtype must be a real floating type; got int32", lambda: dc.parity(4, dtype="int32")),
    ("fft: dtype must be a complex floating type; got float32", lambda: dc.fft(4, dtype="float32")),
    ("astype: dtype must be a complex floating type", lambda: dc.astype(dc.fft(2).network, "float32")),
]  # fmt: skip

NUMBERS = [
    ("inverse_temperature must be finite and above 0; got 0", lambda: Sigmoid(0.0)),
    ("perturb: scale must be finite and at least 0; got -1", lambda: dc.perturb(dc.parity(2), -1, key=KEY)),
    ("l1: beta must be finite and at least 0; got inf", lambda: losses.l1(math.inf)),
    ("Bound: absolute must be finite and at least 0, one number or one an output; got -1", lambda: dc.Bound(-1.0)),
    ("Bound: relative must be finite and at least 0; got nan", lambda: dc.Bound(0.0, math.nan)),
    ("Robustness: radius must be at least 0; got -1", lambda: dc.Robustness(radius=-1)),
    ("Robustness: gain must be at least 0, one number or one an output; got nan", lambda: dc.Robustness(gain=math.nan)),
    ("Claim: weights must be of a floating dtype; got dtype object", lambda: claim_of(dtype="object")),
    (r"Claim: inputs may be off by at most 0\.5; got 0\.6",
     lambda: claim_of(robustness=dc.Robustness(0.5)).allowance(0.6)),
    ("Box: expected finite low <= high; got low=1, high=0", lambda: domains.Box(1, 1, 0)),
    ("sums of 1e.09 terms have no useful bound", lambda: rounding.gamma(1e9, 2.0**-24)),
    ("parity: a sigmoid of inverse temperature 3 with the raw readout loses the parity",
     lambda: dc.parity(64, activation=Sigmoid(3.0), readout="raw")),
    ("parity: no sigmoid works for n=4096 in bfloat16; use relu or step",
     lambda: dc.parity(4096, arity=4, activation=Sigmoid(1.0), readout="raw", dtype="bfloat16")),
]  # fmt: skip

SHAPES = [
    ("parity: tied=True needs levels of equal gates; n=5 with arity=2", lambda: dc.parity(5, tied=True)),
    ("fft: n must be a power of two for now; got n=12", lambda: dc.fft(12)),
    (r"Network: expected 4 features on axis -1; got an array of shape \(2, 3\)", lambda: dc.parity(4)(np.ones((2, 3)))),
    (r"Network: expected 4 features on axis 2; got an array of shape \(4,\)", lambda: dc.parity(4)(np.ones(4), axis=2)),
    (r"Dense: expected 1 features; got shape \(2,\)", lambda: Dense(ONE)(np.ones(2))),
    (r"Dense: weight must have shape \(out, in\); got \(3,\)", lambda: Dense(jnp.ones(3))),
    ("BlockDiagonal: blocks must have a non-empty shape", lambda: linear.BlockDiagonal(jnp.ones((1, 2, 2)))),
    ("Kronecker: matrix must have a non-empty shape", lambda: linear.Kronecker(jnp.ones((0, 2)))),
    ("Butterfly: twiddles must have a shape", lambda: linear.Butterfly(jnp.ones((1, 2, 3, 1)))),
    (r"Permutation: expected a permutation of 0\.\.2; got \[0 1 3\]", lambda: linear.Permutation([0, 1, 3])),
    ("Sparse: rows, cols and values must have one shape", lambda: linear.Sparse([0], [0, 1], jnp.ones(1), (2, 2))),
    ("Sparse: positions must lie within shape", lambda: linear.Sparse([2], [0], jnp.ones(1), (2, 2))),
    ("Sparse: a position was given twice", lambda: linear.Sparse([0, 0], [1, 1], jnp.ones(2), (2, 2))),
    ("DirectSum: parts must be a non-empty tuple of linear maps", lambda: linear.DirectSum(())),
    ("Stack: parts must be a non-empty tuple of linear maps", lambda: linear.Stack((3,))),
    (r"Stack: all parts must have the same in_size; got \[1, 2\]",
     lambda: linear.Stack((linear.Identity(1), linear.Identity(2)))),
    ("product: outer takes 2 features but inner gives 1", lambda: linear.product(linear.Identity(2), Dense(ONE))),
    ("Concatenate: activations and widths must be non-empty and equally many; got 1 and 2",
     lambda: Concatenate((ReLU(),), (1, 2))),
    ("Concatenate: expected 2 units; got 3", lambda: Concatenate((ReLU(),), (2,))(jnp.ones(3))),
    (r"Label: a part of uneven must be 2 sizes; got \(1,\)", lambda: dc.Label("gate", uneven=((1,),))),
    (r"Layer: bias must have shape \(1,\); got \(2,\)", lambda: layer(bias=jnp.ones(2))),
    ("Repeat: the block must keep its size; got 2 to 1", lambda: dc.Repeat((layer((1, 2)),), 2)),
    ("Network: layers must be a non-empty tuple; got", lambda: dc.Network(())),
    ("Network: layer 0 gives 2 features but layer 1 takes 3", lambda: network((2, 1), (1, 3))),
    (r"claim: t takes Bits\(n=2\) of 2, but the network takes 1",
     lambda: dc.claim(network((1, 1)), claim_of(domain=domains.Bits(2)))),
    (r"claim: t gives Bits\(n=2\) of 2, but the network gives 1",
     lambda: dc.claim(network((1, 1)), claim_of(codomain=domains.Bits(2)))),
    ("claim: t is about float16, but the weights are float32",
     lambda: dc.claim(network((1, 1)), claim_of(dtype="float16"))),
    (r"Points: expected a finite array of shape \(count, n\); got \(2,\)", lambda: domains.Points([1, 2])),
    (r"Bits\(n=2\): expected vectors of 2 numbers; got shape \(3,\)", lambda: domains.Bits(2).contains(np.ones(3))),
    (r"Product: domains must be a non-empty tuple of AbstractDomain; got \(\)", lambda: domains.Product(())),
    (r"Bits\(33\) is too large to enumerate", lambda: domains.Bits(33).enumerate(jnp.arange(2))),
    ("population: matrix must be an array; got nested lists of unequal", lambda: losses.population([[1.0], [1, 2]])),
    ("population: matrix must be finite of shape", lambda: losses.population(np.ones(3))),
    (r"population: covariance must have shape \(2, 2\)", lambda: losses.population(np.eye(2), covariance=np.eye(3))),
    ("positive definite; got one that isn't Hermitian",
     lambda: losses.population(np.eye(2), covariance=np.array([[2, 1], [0, 2]]))),
    ("population: covariance must be Hermitian and positive definite",
     lambda: losses.population(np.eye(2), covariance=-np.eye(2))),
]  # fmt: skip

FITS = [
    ("series: expected at least one network or construction; got none", lambda: dc.series()),
    ("series: the first network gives 1 numbers but the second takes 2",
     lambda: dc.series(network((1, 1)), network((1, 2)))),
    (r"series: parity\(8\) gives Bits\(n=1\) \(size 1\) but dft\(4\) takes Space\(n=4, field='complex'\) \(size 4\)",
     lambda: dc.series(dc.parity(8, dtype="float32"), dc.fft(4, dtype="complex64"))),
    (r"series: parity\(2\) is float32 but parity\(1\) is float16",
     lambda: dc.series(dc.parity(2, dtype="float32"), dc.parity(1, dtype="float16"))),
    ("series: f has a relative error on an unbounded range, which t can't take",
     lambda: dc.series(linear_on_bits(), dc.claim(network((1, 1)), claim_of(robustness=dc.Robustness(1.0))))),
    ("series: f errs by up to .* but .* takes only exact inputs",
     lambda: dc.series(linear_on_bits(codomain=domains.Bits(1)), dc.claim(network((1, 1)), claim_of()))),
    (r"astype: the claim of parity\(4\) is about float32 and can't be kept in float16",
     lambda: dc.astype(dc.parity(4, activation="sigmoid", dtype="float32"), "float16")),
    ("series: squash may shrink the output of f more than its relative error",
     lambda: dc.series(linear_on_bits(), squashing(0.0))),
    (r"fan_out: parity\(2\) takes Bits\(n=2\) but parity\(3\) takes Bits\(n=3\)",
     lambda: dc.fan_out(dc.parity(2), dc.parity(3))),
    (r"fan_out: all networks must take one size; got \[1, 2\]", lambda: dc.fan_out(network((1, 1)), network((1, 2)))),
    ("parallel: all parts must have one dtype; got float16, float32",
     lambda: dc.parallel(dc.parity(2, dtype="float16"), dc.parity(2, dtype="float32"))),
    ("repeat: the network takes 2 numbers but gives 1", lambda: dc.repeat(dc.parity(2), 2)),
    ("realify: every layer must be linear", lambda: dc.realify(dc.parity(2))),
    ("realify: t must be an injective linear target on C.n",
     lambda: dc.realify(dc.claim(network((1, 1)), claim_of()))),
    (r"realify: expected a construction on C\^n; got Space\(n=1, field='real'\)", lambda: dc.realify(squashing(1.0))),
    (r"certify: exhaustive enumeration needs a finite domain of at most 2\^26 inputs; .* has infinitely many inputs",
     lambda: dc.certify(dc.fft(4), method="exhaustive")),
    (r"certify: exhaustive enumeration needs a finite domain .*; Bits\(n=27\) has 1\.34e\+08 inputs",
     lambda: dc.certify(dc.parity(27), method="exhaustive")),
    (r"certify: the basis proof is about all of R\^n or C\^n; parity\(2\) is on Bits\(n=2\)",
     lambda: dc.certify(dc.parity(2), method="basis")),
    ("the basis proof takes sizes up to 4096, but", lambda: dc.certify(wide(8192), method="basis")),
]  # fmt: skip

VALUES = [
    ("a certificate holds no arrays", lambda: save_with(trusts=(np.ones(2),))),
    ("the certificate has name='x', not 'parity", lambda: save_with(name="x")),
    ("a certificate can't have seconds=-1.0", lambda: save_with(seconds=-1.0)),
    (
        "equivalent: expected a domain, as the claims give 2; got None",
        lambda: dc.equivalent(dc.parity(2), dc.multiplication_gate()),
    ),
    (
        "equivalent: expected two networks from 3 to 1 numbers; got one from 2 to 1",
        lambda: dc.equivalent(network((1, 2)), network((1, 2)), domains.Bits(3)),
    ),
    (
        "values are too large or too small for fractions",
        lambda: values._dyadic(pytest.importorskip("flint").arb(2) ** 70_000),
    ),
    (
        r"boolean function\(2\): expected 2 bits; got 3",
        lambda: targets.BooleanFunction([0, 1, 1, 0]).exact([[0, 1, 1]]),
    ),
    ("Network: weights must be finite; got nan", lambda: dc.Network((dc.Layer(Dense(ONE * jnp.nan)),))),
    ("Network: weights must be finite; got -inf", lambda: dc.Network((layer(bias=-jnp.inf * jnp.ones(1)),))),
    (r"parity\(2\): inputs must be finite; got NaN or infinity", lambda: dc.parity(2)([0.0, math.nan])),
    (r"parity\(2\): inputs must be finite", lambda: dc.parity(2)([0.0, math.inf])),
]

# What no memory holds is refused before it is made, and at sizes that no float holds.
HUGE = [
    (r"parity: the weights of n=1099511627776 would take .* TiB, but this machine has .* of memory",
     lambda: dc.parity(2**40)),
    ("parity: the weights of n=about 2.1328 would take more than 2.13.. bytes", lambda: dc.parity(10**400)),
    ("parity: the weights of n=1099511627776 would take", lambda: dc.parity(2**40, tied=True)),
    ("parity: the weights of n=16777216 would take 1 PiB", lambda: dc.parity(2**24, arity=2**24, dtype="float32")),
    ("parity_shallow: the weights of n=16777216 would take 1 PiB",
     lambda: dc.parity_shallow(2**24, activation="step", dtype="float32")),
    ("parity_shallow: kind='dnf' has .*; got 1099511627776", lambda: dc.parity_shallow(2**40, kind="dnf")),
    (r"parity_bounded_depth: n=1099511627776 in depth 2 needs more than 34359738368 \* 2\^32 gates",
     lambda: dc.parity_bounded_depth(2**40, 2)),
    ("parity_bounded_depth: n=about 2.1328 in depth 3 needs more than", lambda: dc.parity_bounded_depth(10**400, 3)),
    ("fft: the weights of n=1099511627776 would take 640 TiB", lambda: dc.fft(2**40, dtype="complex64")),
    ("fft: n must be a power of two for now; got n=about 2.1328", lambda: dc.fft(10**400)),
    ("product_tree: the gates of n=1099511627776 would take .* TiB", lambda: dc.product_tree(2**40)),
    (r"flat_product: n must be at most 30, as it has 2\^n units; got 1099511627776", lambda: dc.flat_product(2**40)),
    ("bit_product: the weights of k=1099511627776 would take .* TiB", lambda: dc.bit_product(2**40)),
    ("bits_to_signs: the weights of n=1099511627776 would take .* TiB", lambda: dc.bits_to_signs(2**40)),
    ("polynomial: the products of a term of degree 1099511627776 would take",
     lambda: dc.polynomial({(2**40,): 1.0})),
    ("fractal: the weights of level 1099511627776 would take", lambda: dc.fractal(dc.systems.cantor(), 2**40)),
    ("as_matrix: a dense 16777216 x 16777216 matrix would take 1 PiB",
     lambda: linear.as_matrix(linear.Identity(2**24))),
]  # fmt: skip

NEAREST = [
    ("fft: norm must be one of .*; got 'orto'. Did you mean 'ortho'", lambda: dc.fft(4, norm="orto")),
    ("parity: activation must be one of .*; got 'ReLU'. Did you mean 'relu'", lambda: dc.parity(4, activation="ReLU")),
    ("catalog: no construction 'paritystep'; known are .*. Did you mean 'parity_step'",
     lambda: dc.catalog.get("paritystep")),
]  # fmt: skip

REFUSALS = [
    *((ValueError, *case) for case in (*SIZES, *HUGE, *NEAREST, *NAMES, *NUMBERS, *SHAPES, *FITS, *VALUES)),
    *((TypeError, *case) for case in KINDS),
]


@pytest.mark.parametrize("error,message,ask", REFUSALS, ids=[message for _, message, _ in REFUSALS])
def test_bad_input_is_refused_by_name(error, message, ask):
    with pytest.raises(error, match=message):
        ask()


def test_a_network_may_be_built_inside_jit():
    # Traced weights can't be looked at, but that is no reason to refuse them.
    run = jax.jit(lambda weight: dc.Network((dc.Layer(Dense(weight)),))(jnp.ones(1)))
    assert run(ONE).tolist() == [1.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_inputs_that_are_not_finite_are_refused_inside_jit(value):
    xor = dc.parity(2)
    run = jax.jit(lambda x: xor(x))
    assert run(jnp.ones(2)).tolist() == [0.0]
    # Which of the two depends on how the result is waited for.
    with pytest.raises((RuntimeError, ValueError), match=r"parity\(2\): inputs must be finite"):
        jax.block_until_ready(run(jnp.array([0.0, value])))


def test_a_bare_network_lets_nan_through():
    # A diverged run must not abort a sweep.
    assert math.isnan(dc.parity(2).network(jnp.array([0.0, math.nan]))[0])


def test_an_unknown_name_of_the_package_is_refused():
    with pytest.raises(
        AttributeError, match=r"module 'deepconstruct' has no attribute 'partiy'\. Did you mean 'parity'"
    ):
        dc.partiy  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "name,extra,use", [("testing", "hypothesis", "testing"), ("plot", "matplotlib", "plot.network(dc.parity(2))")]
)
def test_a_missing_extra_is_named(name, extra, use):
    expected = f"deepconstruct.{name} needs {extra}: pip install 'deepconstruct["
    code = f"import sys; sys.modules[{extra!r}] = None\nimport deepconstruct as dc\ndc.{use}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert f"ImportError: {expected}" in result.stderr


def test_balls_without_their_library_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(ImportError, match="balls need python-flint: pip install 'deepconstruct"):
        flint()


def test_exact_values_are_not_those_of_a_derived_system():
    class Other(dc.IFS):
        pass

    cantor = dc.systems.cantor()
    other = Other(cantor.linear.array, cantor.offsets.array)
    with pytest.raises(TypeError, match=r"exact values are those of a dc\.IFS, not of what derives from it"):
        targets.Fractal(other, 1)._exact(np.array([[0]], object))


# None forgotten -----------------------------------------------------------------------------------


def constant_parts(node):
    """The fixed pieces of a message, in order."""
    if isinstance(node, ast.JoinedStr):
        return [part.value for part in node.values if isinstance(part, ast.Constant)]
    return [node.value] if isinstance(node, ast.Constant) else []


def raises():
    """What users may see; exceptions of the library's own say to a proof why it doesn't close."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                if not hasattr(builtins, getattr(node.exc.func, "id", "")):
                    continue
                where = f"{file.relative_to(SOURCE)}:{node.lineno}"
                yield pytest.param(constant_parts(node.exc.args[0]), id=where)


def message_of(ask):
    try:
        ask()
    except (ValueError, TypeError) as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def messages():
    """What the refusals above say."""
    return [message_of(ask) for _, _, ask in REFUSALS]


@pytest.fixture(scope="module")
def expectations():
    """Pieces of the strings of all tests, as patterns without their escapes."""
    nodes = [node for file in TESTS.glob("test_*.py") for node in ast.walk(ast.parse(file.read_text()))]
    strings = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    pieces = {piece.replace("\\", "").strip(" :;()") for text in strings for piece in re.split(r"\.\*|\n", text)}
    return {piece for piece in pieces if len(piece) >= 12}


@pytest.mark.parametrize("pieces", list(raises()))
def test_every_raise_is_tested(pieces, messages, expectations):
    pattern = ".*".join(re.escape(piece) for piece in pieces)
    shown = any(re.search(pattern, message, re.DOTALL) for message in messages)
    template = " ... ".join(pieces)
    parts = [piece.strip(" :;()") for piece in pieces if len(piece) >= 12]
    assert shown or any(text in template or any(part in text for part in parts) for text in expectations), template
