"""Disguised networks compute the same, their keys are right, and answers are scored as they deserve."""

import functools
import itertools
from collections import Counter

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import linear
from deepconstruct.activations import groups
from deepconstruct.network import flat_layers

# Entries of one layer have no hidden units; those of complex numbers are refused.
FLAT = {"bit_product", "bits_to_signs", "signs_to_bits"}


@functools.cache
def built(name):
    entry = dc.catalog.get(name)
    return entry.build(entry.sizes[1])


def kinds(construction):
    layers = flat_layers(construction.network)
    return {kind.name() for layer in layers for kind, _ in groups(layer.activation, layer.out_size)}


@functools.cache
def entries(*allowed):
    """Entries with hidden layers whose activations are among these."""
    names = [name for name in dc.catalog.names() if name not in FLAT and not name.startswith(("fft", "ifft"))]
    return [name for name in names if kinds(built(name)) <= {*allowed, "identity"}]


@functools.cache
def hidden(name, strength="padded", seed=0):
    return dc.disguise(built(name), strength=strength, key=seed)


def points(construction, count=24):
    domain = construction.claim.domain
    x = domain.probe(jax.random.key(1), (count,), dtype=construction.claim.dtype)
    return np.asarray(x)[np.asarray(domain.contains(x))]


def run(network, x, zeroed=()):
    """The network with the outputs of some units made 0."""
    return np.asarray(dc.run_with(network, x, replace=dict.fromkeys(zeroed, 0.0)))


def close(a, b):
    return np.allclose(a, b, rtol=1e-5, atol=1e-5 * (1 + np.abs(b).max(initial=0)))


def check_key(construction, network, key, count=3):
    """Decoys change nothing, and what stands for a unit does what that one does; some units matter."""
    x = points(construction)
    expected = run(construction, x)
    assert close(run(network, x), expected)
    assert close(run(network, x, [place for group in key.decoys for place in group]), expected)
    for group in key.decoys[:count]:
        assert close(run(network, x, group), expected)
    layers = flat_layers(construction.network)[:-1]
    units = [(index, unit) for index, layer in enumerate(layers) for unit in range(layer.out_size)]
    breaks = 0
    for place in units[:: max(1, len(units) // count)]:
        without = run(construction, x, [place])
        breaks += not close(without, expected)
        assert close(run(network, x, key.places(*place)), without), place
    assert breaks


def test_the_key_is_right():
    for name in ("parity", "parity_step"):
        check_key(built(name), *hidden(name))


@pytest.mark.slow
def test_the_keys_of_all_relu_and_step_entries_are_right():
    for name in entries("relu", "step"):
        check_key(built(name), *hidden(name))


def test_a_wrong_key_is_seen():
    construction, (network, key) = built("parity"), hidden("parity")
    answers = list(key)
    decoy, unit = (next(i for i, row in enumerate(answers) if row.kind == kind) for kind in ("dead", "unit"))
    swapped = {decoy: "unit", unit: "dead"}
    wrong = [
        dc.Answer(row.layer, row.unit, swapped[i], answers[unit].of if i == decoy else None, group=0)
        if i in swapped
        else row
        for i, row in enumerate(answers)
    ]
    with pytest.raises(AssertionError):
        check_key(construction, network, dc.AnswerKey(key.strength, construction, tuple(wrong)), count=9)


def test_claims_hold_as_before():
    for name in ("parity", "parity_step", "parity_dnf", "boolean_function", "flat_product_bias"):
        claim, old = hidden(name)[0].claim, built(name).claim
        assert (claim.domain, claim.target) == (old.domain, old.target)
        assert claim.robustness.radius == old.robustness.radius
        assert claim.error.is_exact == old.error.is_exact
        assert dc.certify(hidden(name)[0]).holds, name
    assert dc.certify(hidden("parity_step")[0]).verdict == dc.certify(built("parity_step")).verdict == "proved"


@pytest.mark.slow
def test_claims_of_all_entries_hold_as_before():
    for name in entries("relu", "step", "square"):
        assert dc.certify(hidden(name)[0]).holds, name


def test_what_is_exact_stays_exact_bit_for_bit():
    bits = np.asarray(dc.domains.Bits(8).enumerate(np.arange(256)))
    for strength in range(5):
        network, _ = dc.disguise(dc.parity(8), strength=strength, key=strength)
        assert np.array_equal(network(bits), bits.sum(1, keepdims=True) % 2)


def test_all_kinds_of_changes_are_there_and_nothing_tells_them():
    network, key = dc.disguise(dc.parity(8), key=0)
    assert set(Counter(row.kind for row in key)) == {"unit", "part", "dead", "cancelling", "active"}
    assert isinstance(network.origin, dc.origins.Stated)
    assert all(layer.label is None for layer in flat_layers(network.network))
    assert all(type(layer.linear) in {linear.Sparse, linear.Dense} for layer in flat_layers(network.network))
    assert len(key) == dc.cost(network).neurons
    mine = [row.is_decoy for row in key if row.layer == 0]
    assert mine != sorted(mine)  # decoys aren't behind the units that are there


def test_labels_are_there_on_request():
    network, key = dc.disguise(dc.parity(8), labels=True, key=0)
    for index, layer in enumerate(network.network.layers[:-1]):
        rows = [row for row in key if row.layer == index]
        assert list(layer.label.gates(layer.out_size)) == [-1 if row.gate is None else row.gate for row in rows]
        assert layer.label.name == next(row.label for row in rows if row.label)


def test_equal_keys_give_equal_disguises():
    (one, first), (two, second) = (dc.disguise(dc.parity(8), strength=3, key=k) for k in (7, jax.random.key(7)))
    assert first.answers == second.answers
    for a, b in zip(jax.tree.leaves(one.network), jax.tree.leaves(two.network), strict=True):
        assert np.array_equal(a, b)
    assert dc.disguise(dc.parity(8), key=8)[1].answers != first.answers


def test_the_weaker_strengths_do_less():
    found = [{row.kind for row in dc.disguise(dc.parity(8), strength=s, key=0)[1]} for s in range(3)]
    assert found == [{"unit"}, {"unit"}, {"unit", "part"}]
    permuted = dc.disguise(dc.parity(8), strength="permuted", key=0)[0]
    assert dc.cost(permuted) == dc.cost(dc.parity(8))
    old, new = (np.sort(np.asarray(flat_layers(c.network)[0].linear.entries()[2])) for c in (dc.parity(8), permuted))
    assert np.array_equal(old[old != 0], new[new != 0])


def test_dead_units_are_dead_within_the_radius():
    for name in ("parity", "parity_step", "fractal_cantor"):
        network, key = hidden(name)
        claim, rng = built(name).claim, np.random.default_rng(0)
        low, high = claim.domain.box()
        radius = claim.robustness.radius
        corners = np.where(rng.integers(0, 2, (200, len(low))), high + radius, low - radius).astype(claim.dtype)
        dead = [(row.layer, row.unit) for row in key if row.kind == "dead"]
        assert dead, name
        _, read = dc.run_with(network, corners, read=[*dead])
        assert not any(np.any(values) for values in read), name


def test_linear_layers_are_mixed():
    both = dc.parallel(dc.parity(8), dc.parity(2))  # the shallower one is padded with linear layers
    chain = dc.series(both, dc.parity(2), merge=False)
    network, key = dc.disguise(chain, strength="mixed", key=0)
    mixed = {row.layer for row in key if row.kind == "mixed"}
    assert mixed
    assert not key.is_reversible
    assert not any(place[0] in mixed for place in key.truth)
    x = np.asarray(dc.domains.Bits(10).enumerate(np.arange(0, 1024, 7)))
    assert np.array_equal(network(x), chain(x))


def test_linear_layers_whose_weights_would_round_are_not_mixed():
    first = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    network = dc.Network.from_matrices([first, np.ones((1, 4), "float32")], [None, None], ["identity", "identity"])
    boxes = dc.domains.Box(2, -1, 1), dc.domains.Box(1, -99, 99)
    construction = dc.claim(
        network, dc.Claim(dc.Target("f", lambda x: x[..., :1]), *boxes, dc.Bound(99.0), dtype="float32")
    )
    assert not any(row.kind == "mixed" for row in dc.disguise(construction, strength="mixed", key=0)[1])


@pytest.mark.slow
def test_simplifying_undoes_reversible_disguises():
    for name in entries("relu", "step"):
        construction = built(name)
        domain, seeds = construction.claim.domain, 6 if dc.cost(construction).neurons < 20 else 1
        bare = dc.cost(dc.rewrite.simplify(construction.network, domain=domain))
        for seed in range(seeds):
            network, key = hidden(name, seed=seed)
            assert key.is_reversible
            found = dc.cost(dc.rewrite.simplify(network.network, domain=domain))
            assert (found.neurons, found.synapses) == (bare.neurons, bare.synapses), (name, seed)


@pytest.mark.slow
def test_disguises_are_proved_equal():
    for name in entries("relu", "step", "square"):
        assert dc.equivalent(built(name), hidden(name)[0]).verdict == "equal", name


@pytest.mark.slow
def test_retrained_networks_have_no_claim_and_keep_their_key():
    network, key = dc.disguise(dc.parity(4), strength="retrained", key=0)
    assert isinstance(network, dc.Network)
    assert not key.is_reversible
    assert len(key) == dc.cost(network).neurons
    x = np.asarray(dc.domains.Bits(4).enumerate(np.arange(16)))
    assert np.abs(run(network, x) - x.sum(1, keepdims=True) % 2).max() < 0.5


def test_the_right_answer_scores_one_and_a_blind_one_what_chance_gives():
    key = hidden("boolean_function")[1]
    right = dc.score(key, key.truth)
    assert right.share == right.adjusted == 1
    assert right.exact_gates == right.gates
    assert right.found_decoys == right.decoys == right.named_decoys == sum(row.is_decoy for row in key)
    renamed = {place: None if gate is None else f"group {gate}" for place, gate in key.truth.items()}
    assert dc.score(key, renamed).matched == right.matched
    nothing = dc.score(key, dict.fromkeys(key.truth))
    assert nothing.matched == right.decoys
    assert nothing.share == nothing.chance
    assert nothing.better == 1
    assert dc.score(key, {}).matched == 0
    assert "units (100%" in str(right)


def test_random_answers_score_about_what_chance_does():
    key = dc.disguise(dc.parity(8), key=0)[1]
    rng, names = np.random.default_rng(0), [*range(4), None]
    found = [dc.score(key, {place: names[rng.integers(5)] for place in key.truth}, shuffles=20) for _ in range(20)]
    assert abs(np.mean([score.adjusted for score in found])) < 0.03


def test_decoys_that_are_named_as_gates_cost():
    key = dc.disguise(dc.parity(8), key=0)[1]
    place, group = next((place, key.truth[place]) for place in key.truth if key.truth[place] is not None)
    decoy = next(place for place, gate in key.truth.items() if gate is None)
    worse = dc.score(key, {**key.truth, decoy: group})
    assert worse.matched == len(key.truth) - 1
    assert worse.exact_gates == worse.gates - 1
    assert worse.found_decoys == worse.decoys - 1
    assert dc.score(key, {**key.truth, place: None}).matched == len(key.truth) - 1


def brute_force(truth, answer):
    """The most units that a one-to-one matching of names to gates matches."""
    names = list({name for name in answer.values() if name is not None})
    gates = list({gate for gate in truth.values() if gate is not None})
    gates += [object() for _ in names]
    decoys = sum(gate is None and answer.get(place, 0) is None for place, gate in truth.items())
    best = 0
    for chosen in itertools.permutations(gates, len(names)):
        of = dict(zip(names, chosen, strict=True))
        best = max(best, sum(answer.get(p) is not None and of[answer[p]] == gate for p, gate in truth.items() if gate))
    return best + decoys


def test_matching_agrees_with_brute_force():
    key = dc.disguise(dc.parity(4), strength="split", key=0)[1]
    decoyed = dc.disguise(dc.parity(2), key=0)[1]
    rng = np.random.default_rng(0)
    for k in (key, decoyed):
        for _ in range(10):
            answer = {place: [None, "a", "b", "c"][rng.integers(4)] for place in k.truth if rng.integers(5)}
            assert dc.score(k, answer, shuffles=1).matched == brute_force(k.truth, answer)


def test_chance_agrees_with_counting():
    _, key = dc.disguise(dc.parity(4), strength="permuted", key=0)  # two gates of two units, and one
    score = dc.score(key, key.truth, shuffles=3000)
    # Of the three ways to pair four units, one is right and gives 4 of 4, the others 2; the gate on top is one layer.
    assert abs(score.chance - (2 + 4 / 3 + 2 * 2 / 3) / 6) < 0.02
    assert abs(score.better - 1 / 3) < 0.04


def test_keys_are_tables():
    pytest.importorskip("pandas")
    _, key = dc.disguise(dc.parity(4), key=0)
    frame = key.to_dataframe()
    assert list(frame.columns) == ["layer", "unit", "kind", "of", "gate", "label", "group"]
    assert len(frame) == len(key)
    assert "AnswerKey of parity(4), padded" in repr(key)
    assert key._repr_html_().startswith("<table>")
    assert "more" in repr(dc.disguise(dc.parity(8), key=0)[1])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: dc.disguise(dc.parity(4).network, key=0), TypeError, "disguise: expected a Construction; got Netw"),  # pyright: ignore
        (lambda: dc.disguise(dc.parity(4), strength="strong", key=0), ValueError, "disguise: strength must be one"),
        (lambda: dc.disguise(dc.parity(4), strength=6, key=0), ValueError, "disguise: strength must be one of"),
        (lambda: dc.disguise(dc.parity(4), key=0.5), TypeError, "disguise: key must be one PRNG key"),  # pyright: ignore
        (lambda: dc.disguise(dc.parity(4), key=True), TypeError, "disguise: key must be one PRNG key"),
        (lambda: dc.disguise(built("bits_to_signs"), key=0), ValueError, "has no hidden layer of units that can be"),
        (lambda: dc.disguise(dc.fft(8), key=0), TypeError, "disguise: weights must be real; got complex ones"),
        (lambda: dc.score(3, {}), TypeError, "score: key must be an AnswerKey of dc.disguise; got int"),  # pyright: ignore
        (lambda: dc.score(hidden("parity")[1], []), TypeError, "score: answer must be a dict from places"),  # pyright: ignore
        (lambda: dc.score(hidden("parity")[1], {(9, 0): 1}), ValueError, "score: answer must name hidden units"),
        (lambda: hidden("parity")[1].places(0, 99), ValueError, "AnswerKey: no unit stands for unit 99 of layer 0"),
        (
            lambda: dc.score(dc.AnswerKey("mixed", dc.parity(2), (dc.Answer(0, 0, "mixed"),)), {}),
            ValueError,
            "score: the units of all layers were mixed",
        ),
    ],
)
def test_what_cannot_be_disguised_or_scored_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
