"""Network and target side by side on blocks of inputs: what enumeration and sampling share."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from .._arithmetic.trust import is_known
from ..activations.names import OWN
from ..construction import Bound, Claim, Construction, spread
from ..network import Network, block_layers
from .certificate import Certificate, Evidence, certificate, undecided

_BLOCK = 2**17
_CELLS = 2**23
# So many inputs that break a claim in a block are also run alone: other shapes may sum in another order.
_WITNESSES = 8
# More than the roundings of moduli, norms and their quotients, in double precision.
_SLACK = 2.0**-40
# Targets are evaluated with a few roundings, and may leave a box by them.
_ROOM = 2.0**-46


def block_size(network: Network) -> int:
    """How many inputs are run at once: fewer for wide networks, so that their units fit in memory."""
    width = max(network.in_size, *(layer.out_size for layer in block_layers(network.layers)))
    return min(_BLOCK, max(1, _CELLS // width))


def range_exponent(dtype: Any) -> int:
    """Inputs of unbounded domains are looked at up to norms of two to this power, and down to its inverse.

    Beyond, sums may overflow or lose by underflow what relative bounds don't allow for.
    """
    return int(math.log2(float(jnp.finfo(dtype).max))) // 2


def runner(network: Network) -> Callable[[np.ndarray], np.ndarray]:
    """The compiled network, from and to NumPy; where there are several devices, each runs a share of the inputs.

    What was compiled before is used again where it can't have changed: for networks of this library's
    classes. Functions of a user's own may depend on what isn't seen here.
    """
    run = _run if is_known(network, OWN) else jax.jit(lambda network, x: _forward(network, x))
    devices = jax.local_devices()
    if len(devices) == 1:
        return lambda x: np.asarray(run(network, x))
    mesh = Mesh(np.array(devices), ("inputs",))
    everywhere, spread = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("inputs"))
    network = jax.device_put(network, everywhere)
    return lambda x: np.asarray(run(network, x if len(x) % len(devices) else jax.device_put(x, spread)))


def _forward(network: Network, x: Array) -> Array:
    return network(x.T, axis=0).T


_run = jax.jit(_forward)


def range_text(dtype: Any) -> str:
    """Which inputs of unbounded domains a certificate is about."""
    exponent = range_exponent(dtype)
    return f"normal inputs, with norms from 2^-{exponent} to 2^{exponent}: others may be flushed or overflow"


class Comparison:
    """What came out so far: `found`, and which inputs break the claim.

    Where the difference to the claim is within the rounding of this comparison, nothing is decided.
    """

    def __init__(self, construction: Construction):
        self.construction, self.claim = construction, construction.claim
        self.holds = True
        self.broken: list[np.ndarray] = []
        self._run = runner(construction.network)
        self._absolute, self._relative = np.zeros(self.claim.codomain.size), 0.0

    def add(self, x: np.ndarray) -> None:
        """Run a block of inputs `(block, size)`, which must be floats of the network's dtype."""
        got, wanted = self._run(x), self.claim.target.wide(x)
        inside = self.claim.codomain.contains(wanted)
        if np.all(inside) and np.all(np.isfinite(wanted)) and np.array_equal(got, wanted):
            return  # nothing to measure
        broken, held, (absolute, relative) = self._judged(got, wanted)
        self.holds = self.holds and bool(held.all())
        self._absolute = np.maximum(self._absolute, _largest(absolute))
        self._relative = max(self._relative, float(_largest(relative)))
        if broken.any() and len(self.broken) < _WITNESSES:
            sizes = np.where(broken, np.where(np.isnan(relative), np.inf, relative) + absolute.max(axis=1), -1.0)
            worst = np.argsort(-np.where(np.isnan(sizes), np.inf, sizes), kind="stable")[:_WITNESSES]
            self.broken += [x[index] for index in worst if broken[index]]

    def _judged(self, got: np.ndarray, wanted: np.ndarray) -> tuple[Any, Any, tuple]:
        """Which inputs break the claim, which keep it, and parts of their errors as in `compared`."""
        with np.errstate(all="ignore"):
            broken, held, parts = compared(self.claim, *_distances(got, wanted), wanted)
        broken = broken | ~self.claim.codomain.contains(wanted, room=_ROOM)
        return broken, held & self.claim.codomain.contains(wanted), parts

    def counterexample(self) -> tuple[float | complex, ...] | None:
        """An input that breaks the claim: one that does so when it is run alone, too, if there is any such."""
        for x in self.broken:
            alone = np.asarray(self.construction(x))[None]
            if self._judged(alone, self.claim.target.wide(x[None]))[0].any():
                return tuple(x.tolist())
        return tuple(self.broken[0].tolist()) if self.broken else None

    @property
    def found(self) -> Bound | None:
        """The largest error so far, split as the claimed one; `None` if it isn't finite."""
        if not np.all(np.isfinite([*self._absolute, self._relative])):
            return None
        each = isinstance(self.claim.error.absolute, tuple)
        return Bound(self._absolute if each else float(self._absolute.max()), self._relative)


def _largest(values: np.ndarray) -> np.ndarray:
    """The maximum over the inputs, infinite where one is NaN."""
    return np.where(np.isnan(values), np.inf, values).max(axis=0)


def conclude(
    construction: Construction,
    method: str,
    verdict: str,
    comparison: Comparison,
    inputs: int,
    evidence: Evidence,
    *more: str,
) -> Certificate:
    """The certificate of what was run: `verdict` if all of it holds; `more` is what else it trusts."""
    if not comparison.broken and not (comparison.holds and inputs):
        near, none = "errors too near to the bound", f"{construction.claim.dtype} holds no input that was drawn"
        return undecided(construction, method, near if inputs else none, inputs=inputs)
    return certificate(
        construction,
        method,
        "refuted" if comparison.broken else verdict,
        ran=True,
        inputs=inputs,
        found=comparison.found,
        evidence=evidence,
        trusts=("the target's values in extended precision", "results of the backend that ran", *more),
        counterexample=comparison.counterexample(),
    )


def _distances(got: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the moduli of the differences, from below and from above; equal ones for real numbers.

    These are differences rounded away from zero: a float exceeds it just if it exceeds the difference.
    """
    if np.iscomplexobj(got) or np.iscomplexobj(wanted):
        size = np.abs(got.astype(np.clongdouble) - wanted.astype(np.clongdouble))
        return size * (1 - _SLACK), size * (1 + _SLACK)
    got, wanted = got.astype(np.longdouble), wanted.astype(np.longdouble)
    difference = got - wanted
    # What the subtraction rounded, after Knuth.
    other = difference - got
    rest = (got - (difference - other)) - (wanted + other)
    size = np.abs(difference)
    size = np.where(rest * np.sign(difference) > 0, np.nextafter(size, np.inf, dtype=np.longdouble), size)
    return size, size


def compared(claim: Claim, low: np.ndarray, high: np.ndarray, wanted: np.ndarray) -> tuple[Any, Any, tuple]:
    """Which inputs break the claim, which keep it, and absolute and relative part of their errors.

    Arguments are bounds of the moduli of the errors, from below and above.
    """
    allowed, relative = spread(claim.error.absolute, claim.codomain.size), claim.error.relative
    finite = np.all(np.isfinite(wanted), axis=1)
    if relative == 0:
        held = np.all(high <= allowed, axis=1)
        return ~np.all(low <= allowed, axis=1) | ~finite, held & finite, (_up(high), np.zeros(len(high)))
    size = _norms(np.abs(wanted))
    most, least = _norms(np.maximum(high - allowed, 0)), _norms(np.maximum(low - allowed, 0))
    share = np.where(most == 0, 0.0, most / size * (1 + _SLACK))
    held = share * (1 + _SLACK) <= relative
    broken = ~(least * (1 - _SLACK) <= relative * size * (1 + _SLACK))
    return broken | ~finite, held & finite, (_up(np.minimum(high, allowed)), _up(share))


def _norms(moduli: np.ndarray) -> np.ndarray:
    """2-norms of rows without squares of large or small numbers."""
    scale = moduli.max(axis=1, keepdims=True)
    scaled = np.where(scale > 0, moduli / np.where(scale > 0, scale, 1), moduli)
    return scale[:, 0] * np.sqrt((scaled**2).sum(axis=1))


def _up(values: np.ndarray) -> np.ndarray:
    """Double precision, rounded up."""
    narrow = values.astype(np.float64)
    return np.where(narrow < values, np.nextafter(narrow, np.inf), narrow)
