"""Instances for verifiers, and oracles for them that share no code with the checker."""

# Witnesses that are there, and wrong arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalIterable=false
# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false, reportOptionalOperand=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

import functools
import itertools
from fractions import Fraction

import jax
import numpy as np

import deepconstruct as dc

FAMILIES = tuple(dc.benchmarks.FAMILIES)
ANSWERS = ("holds", "fails")
KINDS = list(itertools.product(FAMILIES, ANSWERS, (False, True)))


@functools.cache
def made(family, answer, disguised=False, difficulty=1, seed=0):
    return dc.benchmarks.verification(
        family, difficulty=difficulty, answer=answer, disguised=disguised, key=jax.random.key(seed)
    )


def exact(instance, x):
    """The output over the reals by plain sums of fractions."""
    layers = instance.problem.layers
    for index, (weights, bias) in enumerate(layers):
        pairs = zip(weights.tolist(), bias.tolist(), strict=True)
        sums = [sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(b)) for row, b in pairs]
        x = sums if index == len(layers) - 1 else [max(z, Fraction(0)) for z in sums]
    return x[0]


def is_unsafe(instance, value, slack=Fraction(0)):
    """Whether an output is unsafe even if it is moved by the slack."""
    gaps = {">=": lambda end: value - end, "<=": lambda end: end - value}
    return any(gaps[sense](end) >= slack for sense, end in instance.problem.unsafe)


def points(instance, count, seed=1):
    """Floats of the box: some random, some of its corners."""
    low, high = instance.problem.box
    share = np.random.default_rng(seed).random((count, len(low)), np.float32)
    share[::3] = np.round(share[::3])
    return np.clip(low + (high - low) * share, low, high)


def fractions(x):
    return [Fraction(float(value)) for value in x]


def rational(layers):
    """As the checker takes them."""
    return [
        ([{col: Fraction(w) for col, w in enumerate(row) if w} for row in weights.tolist()], list(map(Fraction, bias)))
        for weights, bias in layers
    ]


def run(layers, x):
    for index, (weights, bias) in enumerate(layers):
        x = x @ weights.T + bias
        x = x if index == len(layers) - 1 else np.maximum(x, 0)
    return x


def saved(folder, instance, **options):
    instance.save(folder / "it", witness=folder / "secret" / "it", **options)
    return folder / "it"
