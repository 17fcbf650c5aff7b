"""Mutants of the whole catalog: none that fails when it is evaluated with fifty digits is proved.

`DEEPCONSTRUCT_MUTANTS=1000` sets how many the slow test makes.
"""

import itertools
import math
import os
from fractions import Fraction

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import activations
from deepconstruct._bias import bias_vector
from deepconstruct.activations import groups
from deepconstruct.linear import queries
from deepconstruct.network import flat_layers
from variants import random_place, with_entry

flint = pytest.importorskip("flint")

COUNT, FEW, POINTS, DIGITS = int(os.environ.get("DEEPCONSTRUCT_MUTANTS", "60")), 6, 24, 50
CHANGES = {
    "ulp up": lambda w: np.nextafter(w, np.inf, dtype=w.dtype),
    "ulp down": lambda w: np.nextafter(w, -np.inf, dtype=w.dtype),
    "a hundredth": lambda w: w * np.asarray(1.01, w.dtype),
    "sign": lambda w: -w,
    "twice": lambda w: 2 * w,
    "zero": lambda w: 0 * w,
}


def mutants(count, seed):
    """Catalog entries with one weight changed, with names that say which."""
    generator = np.random.default_rng(seed)
    entries = [entry for entry in dc.catalog.ENTRIES.values() if entry.kind == "real"]
    for index in range(count):
        entry = entries[(index + seed) % len(entries)]
        construction = entry.build(entry.sizes[-1 if index % 3 == 0 else 1], dtype=("float32", "float64")[index % 2])
        at, place = random_place(construction, generator)
        change = list(CHANGES)[int(generator.integers(len(CHANGES)))]
        yield f"{entry.name}, leaf {at}{place}, {change}", with_entry(construction, at, place, CHANGES[change])


def points(construction):
    """Floats of the domain: all of a small one."""
    domain, dtype = construction.claim.domain, construction.network.dtype
    if domain.cardinality is not None and domain.cardinality <= 64:
        return np.asarray(domain.enumerate(np.arange(domain.cardinality)), np.float64)
    draws = [draw(jax.random.key(3), (POINTS,), dtype=dtype) for draw in (domain.probe, domain.sample)]
    x = np.concatenate(draws)
    return x[domain.contains(x)].astype(np.float64)


def evaluated(network, point):
    """The network at one point with fifty digits, as balls."""
    values = [flint.arb(value) for value in point.tolist()]
    for layer in flat_layers(network):
        rows, cols, stored = queries.concrete_entries(layer.linear)
        sums = [flint.arb(0)] * layer.out_size
        for row, col, weight in zip(rows.tolist(), cols.tolist(), stored.astype(float).tolist(), strict=True):
            sums[row] = sums[row] + values[col] * weight
        bias = bias_vector(layer.bias)
        if bias is not None:
            sums = [total + one for total, one in zip(sums, np.asarray(bias, np.float64).tolist(), strict=True)]
        values = [value for part in parts(layer, sums) for value in part]
    return values


def parts(layer, sums):
    start = 0
    for activation, width in groups(layer.activation, layer.out_size):
        yield ACTIVE[type(activation)](activation, sums[start : start + width])
        start += width


def each(function):
    return lambda activation, z: [function(activation, value) for value in z]


def softmax(activation, z):
    odds = [value.exp() for value in z]
    return [value / sum(odds) for value in odds]


ACTIVE = {
    activations.Identity: each(lambda a, z: z),
    activations.ReLU: each(lambda a, z: flint.arb(0) if z <= 0 else z),
    activations.Step: each(lambda a, z: flint.arb(1 if z > 0 else 0)),
    activations.Square: each(lambda a, z: z * z),
    activations.Power: each(lambda a, z: z**a.n),
    activations.Sigmoid: each(lambda a, z: 1 / (1 + (-z * a.inverse_temperature).exp())),
    activations.Tanh: each(lambda a, z: z.tanh()),
    activations.Softplus: each(lambda a, z: (1 + z.exp()).log()),
    activations.Softmax: softmax,
}


def value(number):
    """A target's value as a ball."""
    if isinstance(number, Fraction):
        return flint.arb(flint.fmpq(number.numerator, number.denominator))
    return number if isinstance(number, flint.arb) else flint.arb(int(number))


def excess(construction):
    """By how much the network over the reals errs beyond its claim, at most, on the points."""
    claim, x = construction.claim, points(construction)
    wanted = claim.target.exact(x)
    worst = -math.inf
    for point, values in zip(x, wanted, strict=True):
        size = math.hypot(*(float(value(number)) for number in values))
        allowed = claim.error.largest + claim.error.relative * size
        for got, right in zip(evaluated(construction.network, point), values, strict=True):
            worst = max(worst, float(abs(got - value(right)).lower()) - allowed)
    return worst


def check(count, seed=0):
    """No mutant that is broken is proved; what is refuted fails when it runs."""
    found = {"broken": [], "kept": []}
    before = flint.ctx.dps
    for name, mutant in mutants(count, seed):
        certificate = dc.certify(mutant, samples=1000)
        flint.ctx.dps = DIGITS
        try:
            broken = excess(mutant) > 0
        finally:
            flint.ctx.dps = before
        assert not (broken and certificate.verdict == "proved"), name
        if certificate.verdict == "refuted":
            assert fails(mutant, certificate.counterexample), name
        found["broken" if broken else "kept"].append(certificate.verdict)
    return {kind: {v: verdicts.count(v) for v in dict.fromkeys(verdicts)} for kind, verdicts in found.items()}


run = jax.jit(lambda network, x: network(x))


def fails(construction, example):
    claim, x = construction.claim, np.array([example], construction.network.dtype)
    wanted = claim.target.wide(x)
    # Another layout may sum in another order.
    got = [np.asarray(run(construction.network, points))[:1] for points in (x, np.repeat(x, 4, axis=0))]
    error = max(np.abs(values.astype(np.longdouble) - wanted).max() for values in got)
    return not error <= claim.error.largest * (1 - 2**-20)


@pytest.mark.slow
def test_no_broken_mutant_of_the_catalog_is_proved():
    counts = check(COUNT)
    print(counts)
    assert counts["broken"].get("refuted", 0) > COUNT // 5
    assert counts["kept"].get("proved", 0) > 0


def test_no_broken_one_of_a_few_is_proved():
    counts = check(FEW, seed=7)
    assert sum(map(sum, (found.values() for found in counts.values()))) == FEW


def test_the_judge_agrees_with_the_networks():
    for name in itertools.islice(("parity_sigmoid", "multiplication_gate", "hamiltonian_classifier"), 3):
        construction = dc.catalog.build(name, dc.catalog.get(name).sizes[1], dtype="float64")
        x = points(construction)[:3]
        got = np.asarray(construction(x))
        assert np.allclose([[float(v) for v in evaluated(construction.network, point)] for point in x], got, atol=1e-9)
        assert excess(construction) <= 0
