"""Normal forms: what leaves them alone, and that they prove what is true only."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false, reportAttributeAccessIssue=false
# (wrong arguments are tried, and layers are made of NumPy's arrays)

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.construction.encoding import digest
from deepconstruct.domains import Box, Space
from deepconstruct.rewrite import simplify
from deepconstruct.rewrite._simplify import is_same_form, normal_form
from rewritten import Doubled, drawn, inputs, network, one_hidden, same, shuffled


@hypothesis.settings(max_examples=8)
@hypothesis.given(drawn(), st.integers(0, 99))
def test_order_and_powers_of_two_leave_the_normal_form(given, seed):
    other = shuffled(given, seed)
    assert same(given, other, inputs(given.in_size))
    first, second = simplify(given), simplify(other)
    assert digest(first) == digest(second)
    assert digest(simplify(first)) == digest(first)
    assert digest(simplify(first, affine=True)) == digest(simplify(simplify(first, affine=True), affine=True))


def test_numbers_that_scales_would_lose_are_no_proof():
    """In double precision quotients and squares of scales may be 0, and differ all the same."""
    wide, scaled = [2.0**1000, 2.0**-1000], [[2.0**1000, 2.0**-1001]]
    pairs = [
        (([wide], [0.0], [[1.0]]), (scaled, [0.0], [[1.0]])),
        (([[2.0**900]], [2.0**-900], [[1.0]]), ([[2.0**900]], [0.0], [[1.0]])),
        (([[2.0**-600]], [0.0], [[1.0]], "square"), ([[2.0**-600]], [0.0], [[2.0]], "square")),
        (([wide, scaled[0]], [0.0, 1.0], [[1.0, 1.0]]), ([wide], [0.0], [[2.0]])),
    ]
    for first, second in pairs:
        a, b = one_hidden(*first, dtype="float64"), one_hidden(*second, dtype="float64")
        for net in (a, b):
            assert same(net, simplify(net, domain=Box(net.in_size, 0, 1)), inputs(net.in_size, Box(net.in_size, 0, 1)))
            assert dc.equivalent(net, net, Box(net.in_size, 0, 1)).verdict == "equal"
        assert not is_same_form(*(normal_form(net, Box(net.in_size, 0, 1)) for net in (a, b)))


def test_large_networks_are_equal_by_their_normal_forms():
    tree = dc.parity(40)
    other = shuffled(tree.network, 3)
    found = dc.equivalent(tree, other, Space(40))
    assert (found.verdict, found.method) == ("equal", "normal forms")
    apart = dc.series(dc.parallel(dc.parity(20), dc.parity(20)), dc.parity(2), merge=False)
    assert dc.equivalent(apart, dc.series(*apart.origin.parts), Space(40)).method == "normal forms"


def planted(given, seed):
    """The network with one weight or bias changed a little."""
    leaves, tree = jax.tree.flatten(given)
    generator = np.random.default_rng(seed)
    at = int(generator.choice([i for i, leaf in enumerate(leaves) if np.any(np.asarray(leaf))]))
    leaf = np.array(leaves[at])
    place = tuple(generator.choice(np.argwhere(leaf)))
    leaf[place] = np.nextafter(leaf[place], np.float32(np.inf))
    leaves[at] = jax.numpy.asarray(leaf)
    return jax.tree.unflatten(tree, leaves)


def test_planted_faults_are_never_proved_equal():
    tree = dc.parity(9).network
    for seed in range(4):
        other = shuffled(planted(tree, seed), seed)
        assert dc.equivalent(tree, other, Box(9, 0, 1)).verdict != "equal"
        assert digest(simplify(tree)) != digest(simplify(other))


@pytest.mark.parametrize(
    ("first", "second", "domain", "proved"),
    [
        # Dead on the box, not beside it.
        (([[1.0], [1.0]], [0.0, -1.0], [[1.0, 1.0]], "relu"), ([[1.0]], [0.0], [[1.0]], "relu"), (0, 1), True),
        (([[1.0], [1.0]], [0.0, -1.0], [[1.0, 1.0]], "relu"), ([[1.0]], [0.0], [[1.0]], "relu"), (0, 1.001), False),
        # A factor of 3, exactly.
        (([[3.0]], [3.0], [[1.0]], "relu"), ([[1.0]], [1.0], [[3.0]], "relu"), None, False),
        # Negative factors go through squares, not through ReLUs and steps.
        (([[-2.0]], [1.0], [[1.0]], "square"), ([[2.0]], [-1.0], [[1.0]], "square"), None, True),
        (([[-2.0]], [1.0], [[1.0]], "relu"), ([[2.0]], [-1.0], [[1.0]], "relu"), None, False),
        (([[-2.0]], [1.0], [[1.0]], "step"), ([[2.0]], [-1.0], [[1.0]], "step"), None, False),
        # Scales go behind ReLUs once, behind squares twice, behind steps not at all.
        (([[2.0]], [1.0], [[1.0]], "step"), ([[1.0]], [0.5], [[1.0]], "step"), None, True),
        (([[2.0]], [1.0], [[1.0]], "step"), ([[1.0]], [0.5], [[2.0]], "step"), None, False),
        (([[2.0]], [1.0], [[1.0]], "square"), ([[1.0]], [0.5], [[4.0]], "square"), None, True),
        (([[2.0]], [1.0], [[1.0]], "square"), ([[1.0]], [0.5], [[2.0]], "square"), None, False),
        (([[2.0]], [1.0], [[1.0]], "sigmoid"), ([[1.0]], [0.5], [[2.0]], "sigmoid"), None, False),
        # A step is off at 0, and a weight below the normal numbers is one.
        (([[1.0], [0.0]], [0.0, 0.0], [[1.0, 1.0]], "step"), ([[1.0]], [0.0], [[1.0]], "step"), None, True),
        (([[1.0], [0.0]], [0.0, 1e-40], [[1.0, 1.0]], "step"), ([[1.0]], [0.0], [[1.0]], "step"), None, False),
        (([[1.0], [1.0]], [0.0, 1e-40], [[1.0, 1.0]], "relu"), ([[1.0]], [0.0], [[2.0]], "relu"), None, False),
    ],
)  # fmt: skip
def test_normal_forms_prove_what_is_true_only(first, second, domain, proved):
    a, b = one_hidden(*first), one_hidden(*second)
    where = Space(1) if domain is None else Box(1, *domain)
    assert is_same_form(normal_form(a, where), normal_form(b, where)) == proved
    found = dc.equivalent(a, b, where)
    assert (found.verdict == "equal") == proved or found.method == "identity"


def test_normal_forms_of_what_is_not_known_are_none():
    softmax = network(([[1.0], [2.0]], None, "softmax"))
    assert normal_form(softmax, Space(1)) is None
    strange = one_hidden([[1.0]], [0.0], [[1.0]], Doubled())
    assert normal_form(strange, Space(1)) is None
    other = one_hidden([[2.0]], [0.0], [[0.5]], Doubled())
    assert dc.equivalent(strange, other, Box(1, 0, 1)).verdict == "undecided"
    assert not is_same_form(normal_form(dc.parity(2).network, Space(2)), normal_form(dc.parity(3).network, Space(3)))


@hypothesis.settings(max_examples=15)
@hypothesis.given(drawn(), drawn())
def test_equal_forms_of_drawn_networks_are_equal_functions(a, b):
    if a.in_size != b.in_size:
        return
    first, second = normal_form(a, Box(a.in_size, 0, 1)), normal_form(b, Box(a.in_size, 0, 1))
    if is_same_form(first, second):
        assert same(a, b, inputs(a.in_size, Box(a.in_size, 0, 1)))
