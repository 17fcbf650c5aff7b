"""Certificates against mutants: networks with one weight changed a little, judged by two other evaluations."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct._arithmetic.exactness import is_exact_on
from deepconstruct._certify.comparison import runner
from deepconstruct.activations import Identity, ReLU, Sigmoid, Softmax, Step, groups
from deepconstruct.linear.composed import factors
from deepconstruct.network import flat_layers
from variants import random_place, with_entry

COUNT, SHARE = 300, 40
FEW = ("parity_step(3)", "parity_count(3)", "parity_dnf(3)", "boolean_minterm(3)")  # few shapes to compile
CHANGES = {
    "ulp up": lambda w: np.nextafter(w, np.inf, dtype=w.dtype),
    "ulp down": lambda w: np.nextafter(w, -np.inf, dtype=w.dtype),
    "sign": lambda w: -w,
    "twice": lambda w: 2 * w,
    "zero": lambda w: 0 * w,
}


@functools.cache
def originals():
    """All catalog entries on finite domains, at their small sizes, in single precision."""
    found = []
    for name, entry in dc.catalog.ENTRIES.items():
        for size in entry.sizes:
            if entry.kind == "real" and next(iter(size.values())) <= 9:
                construction = entry.build(size, dtype="float32")
                count = construction.claim.domain.cardinality
                if count is not None and count <= 512:
                    found.append((f"{name}({', '.join(map(str, size.values()))})", construction))
    return found


def mutants(count, chosen=None):
    """Constructions with one weight changed, with names that say which; of the chosen entries, or of all."""
    generator = np.random.default_rng(11)
    entries = [pair for pair in originals() if chosen is None or pair[0] in chosen]
    for index in range(count):
        name, construction = entries[index % len(entries)]
        at, place = random_place(construction, generator)
        change = list(CHANGES)[int(generator.integers(len(CHANGES)))]
        yield f"{name}, leaf {at}{place}, {change}", with_entry(construction, at, place, CHANGES[change])


def inputs(construction):
    domain = construction.claim.domain
    assert isinstance(domain, dc.domains.Bits | dc.domains.Signs)
    bits = (np.arange(2**domain.n)[:, None] >> np.arange(domain.n)) & 1
    return (bits if isinstance(domain, dc.domains.Bits) else 1 - 2 * bits).astype(np.float64)


def wanted(construction, x):
    return construction.claim.target.wide(x).astype(np.float64)


def is_rational(network):
    return all(type(a) in (Identity, ReLU, Step) for layer in network.layers for a, _ in groups(layer.activation, 1))


def breaks_in_rationals(construction):
    """Whether the claim fails over the reals, with the stored weights."""
    x = inputs(construction)
    errors = np.abs(rationals.evaluate(construction, x) - rationals.fractions(wanted(construction, x)))
    return bool((errors > rationals.Fraction(construction.claim.error.absolute)).any())


def breaks_in_some_order(construction, orders=6):
    """Whether the claim fails where sums are taken in one of several orders, or pairwise, each result rounded."""
    generator, x = np.random.default_rng(5), inputs(construction)
    worst = 0.0
    for number in range(orders):
        got = summed(construction.network, x, generator, backwards=number == 1, given=number == 0)
        error = np.abs(got.astype(np.float64) - wanted(construction, x)).max()
        worst = max(worst, float(np.where(np.isnan(error), np.inf, error)))
    return worst > construction.claim.error.absolute


def summed(network, x, generator, *, backwards, given):
    values = x.astype(np.float32)
    for layer in flat_layers(network):
        for linear in factors(layer.linear):
            matrix, terms = np.asarray(dc.linear.as_matrix(linear), np.float32), []
            terms = [values[:, col, None] * matrix[:, col] for col in range(linear.in_size)]
            if linear is factors(layer.linear)[-1] and layer.bias is not None:
                bias = layer.bias if isinstance(layer.bias, jax.Array) else layer.bias.vector()
                terms.append(np.broadcast_to(np.asarray(bias), terms[0].shape))
            order = np.arange(len(terms)) if given else generator.permutation(len(terms))
            total = np.zeros_like(terms[0])
            for index in order[::-1] if backwards else order:
                total = total + terms[index]
            values = total
        values = active(layer, values)
    return values


def active(layer, z):
    """The activations of a layer, from their formulas."""
    known = {
        Identity: lambda a, z: z,
        ReLU: lambda a, z: np.maximum(z, 0),
        Step: lambda a, z: (z > 0).astype(np.float32),
        Sigmoid: lambda a, z: (1 / (1 + np.exp(-np.float64(a.inverse_temperature) * z))).astype(np.float32),
        Softmax: lambda a, z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    }
    parts, start = [], 0
    for activation, width in groups(layer.activation, layer.out_size):
        with np.errstate(over="ignore"):
            parts.append(known[type(activation)](activation, z[:, start : start + width]).astype(np.float32))
        start += width
    return np.concatenate(parts, axis=1)


def fails_as_run(construction, example):
    """Whether the claim fails at an input where all inputs run as a block, as they did."""
    x = inputs(construction)
    row = int(np.flatnonzero((x == example).all(axis=1))[0])
    error = np.abs(runner(construction.network)(x) - wanted(construction, x))[row].max()
    return not error <= construction.claim.error.absolute


def check(count, chosen=None):
    """No broken mutant is proved, whichever way it breaks; those that keep their claim may be."""
    verdicts = {"broken": [], "kept": []}
    for name, mutant in mutants(count, chosen):
        certificate = dc.certify(mutant)
        broken = breaks_in_some_order(mutant) or (is_rational(mutant.network) and breaks_in_rationals(mutant))
        assert certificate.verdict in ("proved", "enumerated", "refuted"), name
        assert not (broken and certificate.verdict == "proved"), name
        if certificate.verdict == "refuted":
            assert fails_as_run(mutant, certificate.counterexample), name
        verdicts["broken" if broken else "kept"].append(certificate.verdict)
    return {kind: {v: found.count(v) for v in dict.fromkeys(found)} for kind, found in verdicts.items()}


def test_no_broken_mutant_is_proved():
    counts = check(SHARE, FEW)
    assert counts["broken"].get("refuted", 0) > SHARE // 4
    assert counts["kept"].get("proved", 0) > 0


@pytest.mark.slow
def test_no_broken_one_of_300_mutants_is_proved():
    counts = check(COUNT)
    assert counts["broken"].get("refuted", 0) > COUNT // 3
    assert counts["broken"].get("enumerated", 0) > 0  # off by less than this order of sums shows
    assert counts["kept"].get("proved", 0) >= 10


def test_the_judges_see_what_this_order_hides():
    # (1 - 1) + (1 - 2^-24) isn't 1 - (1 - (1 - 2^-24)) where each result is rounded.
    off = 1 - 2.0**-24
    network = dc.Network((dc.Layer(dc.linear.Dense(jnp.array([[1.0, -1.0, off]], "float32"))),))
    target = dc.Target("third", lambda x: x[..., 2:])
    mutant = dc.claim(network, dc.Claim(target, dc.domains.Bits(3), dc.domains.Bits(1)))
    assert breaks_in_rationals(mutant)
    assert dc.certify(mutant).verdict != "proved"


@pytest.mark.slow
def test_claims_of_the_catalog_are_proved_on_finite_domains():
    for name, construction in originals():
        assert dc.certify(construction).verdict == "proved", name


def test_exact_claims_of_the_catalog_close_on_finite_domains():
    for name, construction in originals():
        closes = is_exact_on(construction.network, construction.claim.domain)
        assert closes == construction.claim.error.is_exact, name


def test_a_mutant_changes_its_digest_alone():
    name, mutant = next(mutants(1))
    original = dict(originals())[name.split(",")[0]]
    first, second = dc.certify(original), dc.certify(mutant)
    assert first.digest != second.digest
    assert first.claim_digest == second.claim_digest
    assert dataclasses.replace(first, seconds=0.0) == dataclasses.replace(dc.certify(original), seconds=0.0)
