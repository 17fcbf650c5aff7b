"""Proof for trees of gates, whatever their size, against parities and products of bits.

The network is cut into gates that read disjoint parts of it (`wiring`), along a target that is a fold (`folds`). By
induction from the inputs, every gate holds one of a few states: boxes of what its sums can be as floats, with a label,
the fold of the bits below. Children of a gate depend on disjoint inputs, so that all combinations of their states are
all that can occur, and the label of a combination is the fold of theirs; gates alike are looked at once. At the end

    |fl(network(x)) - target(x)| <= max over states of |box - target's value for the label|.

It trusts that extended precision of NumPy adds and multiplies as IEEE 754 says; for sigmoids also that its `exp` is
right to one unit in the last place, and that activations keep their `ulps()`. See `units` for what rounds.
"""

import dataclasses
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from ..._arithmetic.trust import is_known
from ..._checks import is_concrete
from ...activations import Identity, Power, ReLU, Sigmoid, Square, Step, groups
from ...construction import Bound, Claim, Construction, spread
from ...linear import AbstractLinear, Butterfly, Composed, DirectSum, SignPatterns, SignProduct, Stack
from ...network import Network, block_layers, stack_size
from ..certificate import Certificate, Evidence, proved, undecided
from ..method import Method, Options
from .floats import Floats
from .folds import Forest, NoFold, forest, image
from .records import Gate, Input, NotModular, Wiring
from .robustness import holds_beside
from .states import gate_states, input_states, output_errors
from .units import States
from .wide import up
from .wiring import wiring

_ACTIVATIONS = (Identity, ReLU, Step, Square, Power, Sigmoid)
_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class GateRecord(Evidence):
    """One kind of gates: how many there are, inputs and units of one, in how many states its sums can be."""

    count: int
    inputs: int
    units: int
    states: int


@dataclasses.dataclass(frozen=True)
class Modules(Evidence):
    """A tree of gates: the kinds on every level, at most 8 of them, and how many kinds there are in all.

    `grid` says that no operation rounds.
    """

    levels: tuple[tuple[GateRecord, ...], ...]
    kinds: int
    grid: bool


def _applies(construction: Construction) -> str | None:
    claim, network = construction.claim, construction.network
    if not is_known(network, _ACTIVATIONS) or any(_is_merged(layer.linear) for layer in block_layers(network.layers)):
        return "modules need real weights, this library's maps (no butterflies or sign patterns) and plain activations"
    if jnp.issubdtype(network.dtype, jnp.complexfloating) or not all(map(is_concrete, jax.tree.leaves(network))):
        return "modules need real weights that are known"
    if stack_size(network) is not None:
        return "modules are about one network; this is a stack of some"
    try:
        _forest(claim)
    except NoFold as reason:
        return str(reason)
    return None


def _forest(claim: Claim) -> Forest:
    found = forest(claim.target, claim.domain)
    if len(found.outputs.node) != claim.codomain.size or not image(found).issubset(claim.codomain):
        raise NoFold(f"{claim.codomain} doesn't hold the values of {claim.target.name}")
    return found


def _is_merged(linear: AbstractLinear) -> bool:
    """Whether some maps are run otherwise than entry by entry."""
    if isinstance(linear, Composed):
        return _is_merged(linear.outer) or _is_merged(linear.inner)
    if isinstance(linear, DirectSum | Stack):
        return any(map(_is_merged, linear.parts))
    return isinstance(linear, Butterfly | SignPatterns | SignProduct)


def _run(construction: Construction, options: Options) -> Certificate:
    claim, network = construction.claim, construction.network
    floats = Floats(network.dtype)
    try:
        tree = wiring(network, _forest(claim))
        states = followed(tree, floats)
    except NotModular as reason:
        return undecided(construction, METHOD.name, str(reason))
    errors = _errors(tree, states, floats)[0]
    if not np.all(errors <= spread(claim.error.absolute, claim.codomain.size)):
        return undecided(construction, METHOD.name, f"the bound is {errors.max():.3g}, above the claim")

    def moved(part: Wiring, **how: float) -> tuple[np.ndarray, np.ndarray]:
        inside = dataclasses.replace(floats, **how)
        return _errors(part, followed(part, inside), inside)

    return proved(
        construction,
        METHOD.name,
        moved=holds_beside(tree, claim, moved),
        found=Bound(errors if isinstance(claim.error.absolute, tuple) else float(errors.max())),
        evidence=_evidence(tree, states),
        trusts=_trusts(network),
    )


def _trusts(network: Network) -> Iterator[str]:
    plain = [part for layer in block_layers(network.layers) for part, _ in groups(layer.activation, layer.out_size)]
    if any(isinstance(part, Sigmoid) for part in plain):
        yield "activations within their units in the last place"
        yield "extended precision of NumPy, its exp to one unit in the last place"
    else:
        yield "extended precision of NumPy"


def followed(tree: Wiring, floats: Floats) -> list[States]:
    """The states of all kinds of gates.

    Raises:
        NotModular: there are too many, or no bound.
    """
    found: list[States] = []
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for kind in tree.kinds:
            if isinstance(kind, Input):
                found.append(input_states(kind, floats))
            else:
                found.append(gate_states(kind, found, floats))
    return found


def _errors(tree: Wiring, states: list[States], floats: Floats) -> tuple[np.ndarray, np.ndarray]:
    """The error of every output, and by how much it grows with what inputs are off."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        pairs = [(up(error), up(slope)) for error, slope in output_errors(tree, states, floats)]
    errors, slopes = np.array(pairs).T
    return errors[tree.index], slopes[tree.index]


def _evidence(tree: Wiring, states: list[States]) -> Modules:
    levels = []
    for level in tree.levels:
        records = []
        for kind, count in level[:_SHOWN]:
            gate = tree.kinds[kind]
            inputs = len(gate.children) if isinstance(gate, Gate) else 1
            records.append(GateRecord(count, inputs, gate.units, states[kind].sums.count))
        levels.append(tuple(records))
    return Modules(tuple(levels), len(tree.kinds), all(bool(np.all(part.step > 0)) for part in states))


METHOD = Method(
    name="modules",
    where="trees of gates, of any size, against parities and products of bits or signs, and those of such",
    does="what every kind of gate can hold is followed from the inputs up, with what the target has then",
    verdicts=("proved",),
    applies=_applies,
    run=_run,
)
