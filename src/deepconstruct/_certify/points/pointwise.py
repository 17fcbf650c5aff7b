"""Proof at every point of a finite domain, without running the network: exact values and what is rounded.

At each point `x`, with the network `N` over the real numbers and `fl(N)` in floating point,

    |fl(N)(x) - target(x)| <= |N(x) - target(x)| + r(x) <= claim,

where `r(x) = 0` if no operation rounds on the way to it, else the running bound of all roundings in any order.
Networks whose numbers all are floats of their dtype are run in double precision, which is exact; others in
intervals that hold `N(x)`.
"""

import dataclasses
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.exactness import exact_digits
from ..._arithmetic.integers import on_grid, products
from ..._arithmetic.ranges import TRUSTED, rounded_up
from ..._arithmetic.running import Enclosure, enclose
from ..._arithmetic.trust import is_known
from ..._io.progress import progress_bar
from ...activations import GELU, Exp, Identity, Power, ReLU, Sigmoid, SiLU, Sin, Softmax, Softplus, Square, Step, Tanh
from ...construction import Bound, Claim, Construction
from ...domains import AbstractDomain, Bits, Box, Points, Product, Signs, Space
from ...network import Network, block_layers
from ..certificate import Certificate, Evidence, proved, undecided
from ..comparison import compared
from ..moved import can_be_moved, stands_moved
from .values import Values, gaps, summed_up, target_values, value_kind, value_trust

RATIONAL = (Identity, ReLU, Step, Square, Power)
SMOOTH = (GELU, Exp, Sigmoid, SiLU, Sin, Softmax, Softplus, Tanh)
# So many units are held at once.
_CELLS = 2**21
# Balls in floats of extended precision are no wider, relative to the largest of the values.
_BALLS = 2.0**-50
# So many products are made in all: about a minute or two, on a grid and in intervals.
_GRID_WORK, _WORK = 2**34, 2**28
# So many products are followed beside the points: a few seconds.
_MOVED_WORK = 2**21
# From this many blocks on, a bar shows how far the proof is.
_LONG = 20


@dataclasses.dataclass(frozen=True)
class Pointwise(Evidence):
    """Every input of the domain was looked at, in double precision or intervals.

    Attributes:
        digits: the most that a number on the way needs, if nothing rounds; else `None`.
        real: the largest difference of the network over the real numbers to the target, in an output.
        rounding: the largest bound of what is rounded, in an output.
    """

    digits: int | None
    real: float
    rounding: float


def pointwise_reason(construction: Construction) -> str | None:
    """Why there is no proof at every point, or `None` if it can be tried."""
    claim, network = construction.claim, construction.network
    if not _is_listed(claim.domain) or not claim.domain.fits(network.dtype):
        return f"{claim.domain} isn't a finite domain of this library whose vectors are floats of {network.dtype}"
    reason = why_not_real(network)
    if reason is not None:
        return reason
    if claim.domain.size != network.in_size or claim.codomain.size != network.out_size:
        return "the network has other sizes than its claim"
    return None


def why_not_real(network: Network) -> str | None:
    """Why the values of a network aren't those of real functions that are known here."""
    if not is_known(network, (*RATIONAL, *SMOOTH)):
        return "the network isn't of this library's own classes"
    if jnp.issubdtype(network.dtype, jnp.complexfloating):
        return "the network's weights are complex"
    return None


def _is_listed(domain: AbstractDomain) -> bool:
    if type(domain) is Product:
        return all(map(_is_listed, domain.domains))
    return type(domain) in (Bits, Signs, Points)


def prove(construction: Construction, method: str) -> Certificate:
    """The certificate of a proof at every point, or one that says why there is none."""
    reason = pointwise_reason(construction)
    if reason is not None:
        return undecided(construction, method, reason)
    found, shells = _Totals(construction.claim), _shells(construction)
    moved = shells >= 1
    digits = exact_digits(construction.network, construction.claim.domain)
    try:
        for x, units in _blocks(construction, digits):
            real = found.add(x, units)
            if not found.holds:
                return undecided(construction, method, "a bound at a point is above the claim, or not finite")
            moved = moved and stands_moved(construction, x, real, shells)
    except (TypeError, ValueError) as error:
        return undecided(construction, method, str(error))
    return _certificate(construction, method, found, digits, moved)


def _shells(construction: Construction) -> float:
    """How many shells around every point may be looked at: none where the claim has none, or that is too much work."""
    count, work = construction.claim.domain.cardinality, products(construction.network)
    assert count is not None
    return _MOVED_WORK / max(count * work * construction.network.out_size, 1) if can_be_moved(construction) else 0.0


def _certificate(
    construction: Construction, method: str, found: "_Totals", digits: int | None, moved: bool
) -> Certificate:
    smooth, count = not is_known(construction.network, RATIONAL), construction.claim.domain.cardinality
    assert count is not None
    return proved(
        construction,
        method,
        moved=moved,
        found=found.bound(),
        inputs=count,
        evidence=Pointwise(digits, found.real, found.rounding),
        trusts=(
            "NumPy's sums and products",
            *value_trust(found.kind),
            *((TRUSTED, "activations to within their ulps()") if smooth else ()),
        ),
    )


def _blocks(construction: Construction, digits: int | None) -> Iterator[tuple[np.ndarray, Enclosure]]:
    """All inputs in blocks, with what the network gives there.

    Raises:
        ValueError: too much work.
        TypeError: a map without a rule.
    """
    network, domain = construction.network, construction.claim.domain
    count, work = domain.cardinality, products(network)
    assert count is not None
    if count * work > (_WORK if digits is None else _GRID_WORK):
        raise ValueError(f"{count:,} inputs of {work:,} products each are too many to prove one by one")
    run = runner(network, domain, digits)
    for x in points_of(domain, network):
        yield x, run(x)


def points_of(domain: AbstractDomain, *networks: Network) -> Iterator[np.ndarray]:
    """The points of a finite domain in blocks, so large that the units of networks fit in memory; with a bar."""
    count = domain.cardinality
    assert count is not None
    widest = max(domain.size, *(layer.out_size for network in networks for layer in block_layers(network.layers)))
    block = max(1, _CELLS // widest)
    with progress_bar(total=count, unit="input", shown=count >= _LONG * block) as bar:
        for start in range(0, count, block):
            numbers = np.arange(start, min(start + block, count), dtype=np.int64)
            x = np.asarray(domain.enumerate(numbers), np.float64)
            yield x
            bar.update(len(x))


def runner(network: Network, domain: AbstractDomain, digits: int | None) -> Callable[[np.ndarray], Enclosure]:
    """A real network on points of a domain, over the reals: exactly where `exact_digits` are known, else enclosed."""
    if digits is None:
        return lambda x: enclose(network, x, x, domain.steps())
    run = on_grid(network)

    def exact(x: np.ndarray) -> Enclosure:
        values = run(x)
        return Enclosure(values, values, np.zeros(values.shape))

    return exact


class _Totals:
    """The largest errors so far."""

    def __init__(self, claim: Claim):
        self.claim, self.kind, self.holds = claim, value_kind(claim.target), True
        self.real = self.rounding = self._relative = 0.0
        self._absolute = np.zeros(claim.codomain.size)

    def add(self, x: np.ndarray, units: Enclosure) -> np.ndarray:
        """Take in what the network gives at inputs: by how much it is off there over the reals, rounded up."""
        values = self._values(x)
        with np.errstate(all="ignore"):
            real = gaps(units, values)
            total = summed_up(real, units.error.astype(np.longdouble))
            least = np.maximum(np.maximum(values.low, -values.high), 0)
            _, held, (absolute, relative) = compared(self.claim, total, total, least)
        self.holds = bool(np.all(held)) and bool(np.all(np.isfinite(total))) and self._inside(values)
        self._absolute = np.maximum(self._absolute, absolute.max(axis=0))
        self._relative = max(self._relative, float(relative.max()))
        self.real = max(self.real, float(real.max()))
        self.rounding = max(self.rounding, float(units.error.max()))
        return rounded_up(real)

    def _values(self, x: np.ndarray) -> Values:
        try:
            return target_values(self.claim.target, x, self.kind)
        except ValueError:
            if self.kind is None:
                raise
            self.kind = None  # inputs that exact values aren't about
            return target_values(self.claim.target, x, None)

    def _inside(self, values: Values) -> bool:
        """Whether the values lie in the codomain: of intervals both ends must, but for the width of balls."""
        codomain = self.claim.codomain
        if np.array_equal(values.low, values.high):
            return bool(np.all(codomain.contains(values.low)))
        room = _BALLS if self.kind == "balls" else 0.0
        ends = (values.low, values.high)
        return _is_convex(codomain) and all(bool(np.all(codomain.contains(end, room=room))) for end in ends)

    def bound(self) -> Bound:
        """The proved bound, split as the claimed one."""
        each = isinstance(self.claim.error.absolute, tuple)
        return Bound(self._absolute if each else float(self._absolute.max()), self._relative)


def _is_convex(domain: AbstractDomain) -> bool:
    if type(domain) is Product:
        return all(map(_is_convex, domain.domains))
    return type(domain) in (Box, Space)
