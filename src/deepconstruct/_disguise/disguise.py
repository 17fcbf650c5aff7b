"""Disguises: networks of the same function whose structure is hidden, with a key that tells it."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._arithmetic.exactness import is_exact_on
from .._certify import certify
from .._checks import check_choice, check_flag, check_key
from ..construction import Claim, Construction, Stated
from ..network import own
from ..rewrite._claims import kept_claim
from .decoys import add_decoys
from .key import Answer, AnswerKey
from .retraining import retrained
from .units import mixed, permute, scale, split
from .work import Work, are_decoys_sure, begin, held_before

STRENGTHS = ("permuted", "scaled", "split", "padded", "mixed", "retrained")

# What units are made of, the most first: where that would cost the claim, less is done.
_WAYS = (
    ("split", "dead", "cancelling", "active"),
    ("split", "dead", "cancelling"),
    ("split", "dead"),
    ("dead",),
    (),
)
# The error of a claim may grow by this factor, and its radius and gain not at all.
_GROWTH = 16.0


def disguise(
    construction: Construction, *, strength: str | int = "padded", labels: bool = False, key: PRNGKeyArray | int
) -> tuple[Any, AnswerKey]:
    """Hide the structure of a network behind others that compute the same, and say what every unit is.

    Each strength does what those before it do, and more:

    0. `"permuted"`: the units of every hidden layer are put in another order.
    1. `"scaled"`: rows are multiplied by powers of two, which is undone behind them (units of ReLU, identity, step,
       square and powers).
    2. `"split"`: some units are made two, whose weights behind are parts that sum exactly.
    3. `"padded"`: units are added that give nothing: dead ones, ones that cancel each other, and ones that are
       always active and do.
    4. `"mixed"`: hidden layers of linear units are multiplied by an integer matrix, and those behind by its inverse:
       which of these units is which has no answer then.
    5. `"retrained"`: the matrices are made dense, and all weights are moved a little and trained.

    Maps become `Dense` or `Sparse`, and labels and the origin are left out. Where a claim can't be kept with all of
    that, less is done: no units that are always active, then none that cancel, then none that are split; and layers
    that sum in an order of their own may stay as they are. The key says what is there.

    Args:
        construction: real, with at least one hidden layer. Inputs and outputs stay as they are.
        strength: a name, or its number.
        labels: whether the layers of the disguised network are labeled with the gates of the original, -1 for decoys.
        key: a PRNG key, or the number of one.

    Returns:
        The disguised construction and its `AnswerKey`. Retrained, it is a `Network` without a claim, and the key
        still names the units.

    Raises:
        ValueError: no hidden layer whose units can be told apart, or an unknown strength.
        TypeError: no construction, complex weights, or a key of another kind.

    Exactness:
        The function over the real numbers stays, on the domain and within the radius of the claim. An exact claim
        stays exact. Elsewhere what other sums may round is added to the claim: as little as fifteen times its error
        if that can be, else what it is. Permuted and scaled networks of plain sums compute the same bits, if sums run
        in one order.

    Cost:
        Up to about twice the neurons, and eight units more in narrow layers.

    Example:
        >>> import deepconstruct as dc
        >>> hidden, answers = dc.disguise(dc.parity(8), key=0)
        >>> hidden([1, 0, 0, 0, 0, 0, 0, 0]).tolist(), len(answers) == dc.cost(hidden).neurons
        ([1.0], True)
    """
    if not isinstance(construction, Construction):
        raise TypeError(f"disguise: expected a Construction; got {type(construction).__name__}")
    if jnp.issubdtype(construction.network.dtype, jnp.complexfloating):
        raise TypeError("disguise: weights must be real; got complex ones. dc.realify makes them so")
    level = _level(strength)
    check_flag("disguise", "labels", labels)
    typed = _typed(key)
    work, hidden = _hidden(construction, typed, level, labels=labels)
    answers = AnswerKey(STRENGTHS[level], construction, _answers(work))
    if STRENGTHS[level] == "retrained":
        return retrained(hidden.network, construction.claim, typed), answers
    return hidden, answers


def _typed(key: Any) -> PRNGKeyArray:
    if type(key) is int:  # a bool is none
        return jax.random.key(key)
    check_key("disguise", key)
    return key


def _level(strength: Any) -> int:
    if isinstance(strength, int) and not isinstance(strength, bool) and 0 <= strength < len(STRENGTHS):
        return strength
    return STRENGTHS.index(check_choice("disguise", "strength", strength, STRENGTHS))


def _hidden(original: Construction, key: PRNGKeyArray, level: int, *, labels: bool) -> tuple[Work, Construction]:
    """The disguise with as much in it as keeps the claim."""
    allowed = {"split": level >= 2, "dead": level >= 3, "cancelling": level >= 3, "active": level >= 3}
    ways = dict.fromkeys(tuple(kind for kind in way if allowed[kind]) for way in _WAYS)
    held = held_before(original)
    # On a grid nothing rounds; beside it other sums may not change what steps give, but only a proof shows it.
    is_searched = original.claim.error.is_exact and is_exact_on(original.network, original.claim.domain)
    # At last, whatever plain sums round is added to the claim.
    for ordered, growth in ((True, _GROWTH), (False, _GROWTH), (True, math.inf)):
        for way in ways:
            work = begin(original, np.random.default_rng(_words(key)), ordered=ordered)
            if not any(work.pair(index) for index in range(len(work.tags))):
                break
            _hide(work, way, level, held)
            network = work.network(labels=labels)
            if not are_decoys_sure(work, network):
                continue
            claim = kept_claim(original, network, rounds=work.rounds)
            if claim is not None and _is_kept(original.claim, claim, growth):
                return work, Construction(own(network), claim, Stated())
            if is_searched and _is_proved(candidate := Construction(own(network), original.claim, Stated())):
                return work, candidate
    raise ValueError(f"disguise: {original.name} has no hidden layer of units that can be told apart and moved")


def _is_proved(hidden: Construction) -> bool:
    found = certify(hidden)
    return found.verdict == "proved" and {"error", "robustness"} <= set(found.covers)


def _words(key: PRNGKeyArray) -> np.ndarray:
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return np.asarray(data).ravel()


def _hide(work: Work, way: tuple[str, ...], level: int, held: list) -> None:
    """Change all hidden layers, from the last one on: rows are those of the original when decoys are made like them."""
    for index in reversed(range(len(work.tags))):
        pair = work.pair(index)
        if pair is None:
            continue
        if not (level >= STRENGTHS.index("mixed") and mixed(work, index)):
            _grow(work, index, way, held[index])
        if level >= STRENGTHS.index("scaled"):
            scale(work, index, _reach(work, index, held[index]))
        permute(work, index)


def _grow(work: Work, index: int, way: tuple[str, ...], held: tuple[np.ndarray, np.ndarray]) -> None:
    """Add decoys to a layer, and split some of its units."""
    count = len(work.tags[index])
    add_decoys(work, index, tuple(kind for kind in way if kind != "split"), held)
    if "split" in way:
        split(work, index, count)


def _reach(work: Work, index: int, held: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """How large the sums of units can be."""
    rows = work.rows[index]
    assert rows is not None
    reach = np.maximum(np.abs(held[0]), np.abs(held[1]))
    return np.bincount(rows.rows, np.abs(rows.values) * reach[rows.cols], rows.out_size) + np.abs(rows.bias)


def _is_kept(before: Claim, after: Claim, growth: float) -> bool:
    """Whether a claim says about as much as another one."""
    if after.robustness.radius != before.robustness.radius or after.robustness.gain != before.robustness.gain:
        return False
    return after.error == before.error or after.error.largest <= growth * before.error.largest


def _answers(work: Work) -> tuple[Answer, ...]:
    rows = []
    for index, (tags, layer) in enumerate(zip(work.tags, work.layers, strict=False)):
        label = layer.label
        gates = np.arange(layer.out_size) if label is None else label.gates(layer.out_size)
        for unit, tag in enumerate(tags):
            gate = None if tag.of is None else int(gates[tag.of])
            name = "" if label is None or tag.of is None else label.name
            rows.append(Answer(index, unit, tag.kind, tag.of, gate, name, tag.group))
    return tuple(rows)
