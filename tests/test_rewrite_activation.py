"""Gates of other activations: the same bits on every input, true claims, and refusals."""

# Wrong arguments are refused here, and every layer that is asked for is there.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import dataclasses
from functools import cache

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import deepconstruct as dc
import rationals
from deepconstruct.activations import Identity, ReLU, Sigmoid, Step, join
from deepconstruct.domains import Bits, Box, Points, Product, Signs, Space
from deepconstruct.network import flat_layers
from deepconstruct.rewrite import _core, change_activation
from deepconstruct.rewrite._core import rows_of
from deepconstruct.rewrite._gates import Count
from rewritten import network, one_hidden

STEPS = {
    "tree": lambda n, **o: dc.parity(n, activation="step", **o),
    "shallow": lambda n, **o: dc.parity_shallow(n, activation="step", **o),
    "signs": lambda n, **o: dc.parity(n, activation="step", encoding="signs", **o),
    "bounded": lambda n, **o: dc.parity_bounded_depth(n, 3, **o),
    "wide": lambda n, **o: dc.parity(n, activation="step", arity=3, **o),
}
RELUS = {
    "tree": dc.parity,
    "shallow": dc.parity_shallow,
    "signs": lambda n, **o: dc.parity(n, encoding="signs", **o),
    "function": lambda n, **o: dc.boolean_function(table(n), **o),
    "minterms": lambda n, **o: dc.boolean_function(table(n), basis="minterm", **o),
}


def table(n):
    return [(37 * k + 11).bit_count() % 2 for k in range(2**n)]


@cache
def points(domain):
    return np.asarray(domain.enumerate(np.arange(domain.cardinality)), np.float64)


def kinds(given):
    return {kind.name() for layer in flat_layers(given)[:-1] for kind in unit_kinds(layer)}


def unit_kinds(layer):
    return [layer.activation] if not hasattr(layer.activation, "activations") else layer.activation.activations


def run(given, x):
    """The network in NumPy: compiling takes longer."""
    h = x.astype(given.dtype)
    for layer in flat_layers(given):
        rows = rows_of(layer)
        sums = h @ rows.matrix().astype(given.dtype).T + rows.bias.astype(given.dtype)
        for unit, kind in enumerate(rows.activations):
            beta = getattr(kind, "inverse_temperature", 1)
            functions = {Step: lambda z: z > 0, ReLU: lambda z: np.maximum(z, 0), Identity: lambda z: z,
                         Sigmoid: lambda z, beta=beta: 1 / (1 + np.exp(np.minimum(-beta * z, 80)))}  # fmt: skip
            sums[:, unit] = functions[type(kind)](sums[:, unit])
        h = sums
    return h.astype(np.float64)


def is_same(given, found, domain):
    """Over the rationals, and in floats."""
    wanted = rationals.evaluate(given, points(domain))
    floats = np.array_equal(np.asarray(wanted, float), run(found, points(domain)))
    return floats and np.array_equal(wanted, rationals.evaluate(found, points(domain)))


def claiming(given, domain):
    """A construction that is said to compute what its network does."""
    return dc.claim(given, dc.Claim(dc.Target("itself", given), domain, Space(given.out_size), dtype=given.dtype.name))


CASES = [("relu", name, build) for name, build in STEPS.items()] + [("step", *item) for item in RELUS.items()]


@pytest.mark.default_cases(4)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "name", "build"), CASES)
def test_bits_stay(kind, name, build, dtype):
    for n in (1, 2, 3, 5, 6) if dtype == "float32" else (3,):
        if name == "bounded" and n < 3:
            continue
        given = build(n, dtype=dtype)
        found = change_activation(given, kind)
        rule = "change_activation(ReLU())" if kind == "relu" else "change_activation(Step())"
        assert found.origin == dc.origins.Rewritten(rule, given)
        assert kinds(found.network) <= {kind, "identity"}
        assert is_same(given.network, found.network, given.claim.domain), (name, n)
        if not kinds(given.network):  # one bit needs no gate
            assert found.claim == given.claim
            continue
        assert found.claim == dataclasses.replace(given.claim, robustness=dc.Robustness())
        assert found.network.dtype == dtype
        assert dc.cost(found).depth == dc.cost(given).depth
        if n == 3:  # compiled, too
            x = points(found.claim.domain)
            assert np.array_equal(found(x.astype(dtype)), run(given.network, x))


@pytest.mark.default_cases(3)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("activation", ["sigmoid", Sigmoid(10.0), Sigmoid(1e-3)])
def test_sigmoids_are_bits_up_to_the_claimed_error(name, activation, dtype):
    for n in (3, 6):
        given = STEPS[name](n, dtype=dtype)
        found = change_activation(given, activation)
        x = points(given.claim.domain).astype(dtype)
        off = np.abs(np.asarray(found(x), np.float64) - np.asarray(given(x), np.float64)).max()
        assert off <= found.claim.error.largest <= 100 * n * float(np.finfo(dtype).eps)
        assert found.claim.robustness == dc.Robustness()
        assert dc.cost(found).neurons == dc.cost(given).neurons


def test_gates_share_units_as_they_should():
    # An XOR is two ReLUs or two steps, at any depth, there and back.
    steps, relus = dc.parity(64, activation="step"), dc.parity(64)
    for given, kind in ((steps, "relu"), (relus, "step")):
        found = change_activation(given, kind)
        assert dc.cost(found).neurons == dc.cost(given).neurons == 126
        assert dc.cost(found).synapses == dc.cost(given).synapses
    back = change_activation(change_activation(steps, "relu").network, "step", domain=Bits(64))
    for layer, old in zip(*(flat_layers(dc.rewrite.simplify(one)) for one in (back, steps.network)), strict=True):
        assert np.array_equal(dc.linear.as_matrix(layer.linear), dc.linear.as_matrix(old.linear))
        assert layer.bias is None or np.array_equal(layer.bias, old.bias)
    assert sorted(back.layers[1].label.gates(32)) == sorted(steps.network.layers[1].label.gates(32))


def test_claims_certify():
    for given, kind in ((dc.parity(4, activation="step"), "relu"), (dc.parity_shallow(3), "step")):
        assert dc.certify(change_activation(given, kind)).verdict == "proved"
    sigmoids = change_activation(dc.parity(4, activation="step"), "sigmoid")
    assert dc.certify(sigmoids).holds
    false = dataclasses.replace(sigmoids.claim, error=1e-16)
    assert dc.certify(sigmoids.network, false).verdict != "proved"


@pytest.mark.slow
def test_large_claims_certify():
    for given, kind in ((dc.parity(32, activation="step"), "relu"), (dc.parity(32), "step"),
                        (dc.parity(32, activation="step"), "sigmoid"), (STEPS["bounded"](12), "sigmoid"),
                        (dc.boolean_function(table(6)), "step")):  # fmt: skip
        assert dc.certify(change_activation(given, kind)).holds, (given.name, kind)


def test_one_gate_where_it_is_hard():
    # Sums of exactly 0, biases off the grid, weights that are multiples of 3, dead, constant and empty units.
    matrix = [[1, 1, 0], [1, 1, 0], [3, -3, 6], [1, 1, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0], [-2, -2, 0]]
    bias = [-1, -0.3125, 0, -3, 0.5, 0.5, 0, 2]
    outgoing = [[1, 2, 4, 8, 16, 32, 64, 128], [1, 0, -1, 0, 1, 0, 1, -0.5]]
    for domain in (Bits(3), Signs(3), Product((Bits(1), Signs(2)))):
        for old, new in (("step", "relu"), ("relu", "step")):
            given = one_hidden(matrix, bias, outgoing, old)
            assert is_same(given, change_activation(given, new, domain=domain), domain)


def test_linear_units_of_odd_numbers():
    # Multiples of 3 are counted in threes only where the units that hold them are made anew.
    for domain in (Bits(2), Signs(2)):
        threes, gates = ([[3, 0], [0, 3]], [3, 0], "identity"), ([[1, 1], [1, -1]], [-3, 0], "step")
        given = network(threes, gates, ([[1, 2]], None, "identity"))
        assert is_same(given, change_activation(given, "relu", domain=domain), domain)
    bits = ([[0.3, 0], [0, 0.3]], None, "relu"), ([[1, 0], [0, 1]], None, "relu")
    given = network(*bits, ([[1, 2]], None, "identity"))
    found = change_activation(given, "step", domain=Bits(2))
    assert [layer.out_size for layer in flat_layers(found)] == [2, 2, 1]
    assert is_same(given, found, Bits(2))


def test_domains_on_a_finer_grid():
    domain = Points(np.array([[0.25, 3.0, 0.0], [0.5, -1.0, 0.0], [-0.75, 0.0, 0.0]]))
    given = one_hidden([[1, 1, 5], [2, -1, 1]], [-0.5, 0.25], [[1, -2]], "step")
    assert is_same(given, change_activation(given, "relu", domain=domain), domain)


def test_origins_build_it_anew():
    steps = dc.parity(3, activation="step")
    for given, kind in ((steps, "relu"), (steps, "sigmoid"), (dc.parity(3), "step")):
        found = change_activation(given, kind)
        again = dc.catalog.rebuild(found.origin)
        assert again.claim == found.claim
        assert kinds(again.network) == kinds(found.network)
    with pytest.raises(ValueError, match=r"nothing says how to build change_activation\(Sigmoid\(10.0\)\)"):
        dc.catalog.rebuild(change_activation(steps, Sigmoid(10)).origin)


def test_outputs_that_are_gates():
    for old, new in (("step", "relu"), ("relu", "step")):
        given = network(([[1, 1], [1, -1]], [-1, 0], old))
        found = change_activation(given, new, domain=Bits(2))
        assert len(found.layers) == 2
        assert is_same(given, found, Bits(2))
    bits = network(([[1, 1], [1, 1]], [-1, -1], "step"))
    found = change_activation(claiming(bits, Bits(2)), "sigmoid")
    assert found.network.out_size == 2
    assert np.abs(np.asarray(found(points(Bits(2)))) - points(Bits(2)).prod(axis=1, keepdims=True)).max() < 1e-6


def test_what_is_there_already_stays():
    given = dc.parity(5)
    found = change_activation(given, "relu")
    assert found.claim == given.claim
    assert found.network.layers == given.network.layers
    dead = one_hidden([[1, 1]], [-2], [[3]], "step")  # a layer keeps a unit
    assert is_same(dead, change_activation(dead, "relu", domain=Bits(2)), Bits(2))


@st.composite
def gates(draw, kind):
    """Layers of gates of one kind and some linear units, with small weights."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    layers, width = [], 3
    for size in generator.integers(1, 4, generator.integers(1, 4)):
        matrix = generator.integers(-2, 3, (size, width)) * generator.choice([0.5, 1, 3], (size, 1))
        chosen = [kind if generator.integers(0, 4) else Identity() for _ in range(size)]
        layers.append((matrix, generator.integers(-5, 6, size) / 4, join([(one, 1) for one in chosen])))
        width = size
    return network(*layers, (generator.integers(-2, 3, (2, width)), generator.integers(-1, 2, 2), Identity()))


@hypothesis.settings(max_examples=8)
@hypothesis.given(gates(Step()), gates(ReLU()))
def test_drawn_networks(steps, relus):
    assert is_same(steps, change_activation(steps, "relu", domain=Bits(3)), Bits(3))
    assert is_same(relus, change_activation(relus, "step", domain=Signs(3)), Signs(3))
    if all(np.any(np.asarray(dc.linear.as_matrix(layer.linear))) for layer in flat_layers(steps)):
        found = change_activation(claiming(steps, Bits(3)), "sigmoid")
        off = np.abs(run(found.network, points(Bits(3))) - run(steps, points(Bits(3))))
        assert off.max() <= found.claim.error.largest < 1e-4


def test_a_wrong_threshold_is_seen(monkeypatch):
    given = dc.parity(3, activation="step").network
    right = Count.as_relus
    monkeypatch.setattr(Count, "as_relus", lambda count: right(count._replace(threshold=count.threshold + 1)))
    assert not is_same(given, change_activation(given, "relu", domain=Bits(3)), Bits(3))


def test_claims_of_more_than_bits_are_refused():
    steps = one_hidden([[1, 1]], [-1], [[1]], "step")
    for domain in (Box(2, 0, 1), Space(2), Points(np.array([[0.1, 1.0]])), Product((Bits(1), Box(1, 0, 1)))):
        with pytest.raises(
            ValueError, match=r"gates are known on finite domains whose points are.*float32 numbers, such as Bits"
        ):
            change_activation(steps, "relu", domain=domain)


@pytest.mark.parametrize(
    ("given", "activation", "message"),
    [
        (
            lambda: dc.parity(2, activation="sigmoid"),
            "step",
            r"unit 0 of layer 0 is sigmoid\(10\), .* step; only steps",
        ),
        (
            lambda: dc.parity(2),
            "sigmoid",
            r"unit 0 of layer 0 is relu, .*which doesn't become.* sigmoid\(1\); make it steps first, by change_",
        ),
        (lambda: dc.parity(2), "tanh", "activation must be 'relu', 'step' or 'sigmoid'"),
        (lambda: one_hidden([[0.1, 0.7]], [-0.75], [[1]], "step"), "relu", "something may round in the given network"),
        (lambda: one_hidden([[1e-45, 0]], [0], [[1]], "step"), "relu", "something may round in the given network"),
        (lambda: one_hidden([[1, 2**-12]], [0], [[1]]), "step", "unit 0 of layer 0 may have 4097 positive values"),
        (lambda: one_hidden([[2.0**11, 3]], [-(2.0**-12)], [[2.0**23 + 1]], "step"), "relu", "of more digits than fl"),
        (lambda: one_hidden([[1, 1]], [-1], [[1]], "step"), Sigmoid(1e-45), "inverse temperature must be a normal num"),
        (
            lambda: one_hidden([[1, 1]], [-1], [[1]], "step"),
            Sigmoid(2e-38),
            "layer 0 would need weights that aren't normal",
        ),
        (lambda: one_hidden([[1, 1]], [-1], [[1e7]], "step"), "sigmoid", "no error below 1/2 can be proved"),
    ],
)
def test_refusals(given, activation, message):
    one = given()
    options = {} if isinstance(one, dc.Construction) else {"domain": Bits(2)}
    with pytest.raises(ValueError, match=message):
        change_activation(one, activation, **options)


def test_wrong_arguments():
    steps = dc.parity(2, activation="step")
    with pytest.raises(ValueError, match="a network needs domain=, such as"):
        change_activation(steps.network, "relu")
    with pytest.raises(ValueError, match="a construction has the domain of its claim; give"):
        change_activation(steps, "relu", domain=Bits(2))
    with pytest.raises(TypeError, match=r"domain must be one of dc\.domains; got"):
        change_activation(steps.network, "relu", domain=2)
    with pytest.raises(ValueError, match=r"the network takes.*2 numbers; got the domain Bits"):
        change_activation(steps.network, "relu", domain=Bits(3))
    with pytest.raises(TypeError, match="expected one network; got a stack of them"):
        change_activation(dc.stack([steps.network] * 2), "relu", domain=Bits(2))
    with pytest.raises(TypeError, match="activation must be one of"):
        change_activation(steps, "rely")


def test_layers_that_arent_written_out(monkeypatch):
    monkeypatch.setattr(_core, "_MOST_ENTRIES", 3)
    with pytest.raises(ValueError, match="the weights of layer 0 are too many, or aren't known exactly"):
        change_activation(dc.parity_shallow(2, activation="step"), "relu")


def test_numbers_of_another_size_are_refused():
    # The sums are floats, but not what counts them in integers.
    given = one_hidden([[2.0**14, 2.0**-126]], [0], [[1]], "step")
    with pytest.raises(ValueError, match="layer 0 would need weights that aren't normal numbers of float32"):
        change_activation(given, "relu", domain=Points(np.array([[2.0**-120, 1], [0, 0]])))
