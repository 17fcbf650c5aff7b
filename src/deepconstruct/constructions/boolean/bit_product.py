"""The product of bits, their AND, in one unit."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..._arithmetic.rounding import unit_roundoff
from ..._checks import check_allocation, check_dtype, check_scalar, check_size, digits
from ..._static import to_jax
from ...activations import AbstractActivation, ReLU, Sigmoid, Step
from ...construction import Bound, Claim, Construction, Robustness, builder
from ...construction.entry import Entry, formula, sizes
from ...domains import Bits
from ...linear import Dense
from ...network import Label, Layer, Network
from ...targets import Product
from ..gates.arguments import check_tolerance
from ..grouping import in_groups
from .conjunction import Conjunction, resolve_conjunction, temperature


@builder
def bit_product(
    k: int,
    *,
    activation: str | AbstractActivation = "sigmoid",
    tolerance: float | None = None,
    dtype: Any = None,
) -> Construction:
    """The product of `k` bits, that is their AND, in one unit `S(beta (x_1 + ... + x_k - k + 1/2))`.

    Args:
        k: the number of bits, at least 1.
        activation: `"sigmoid"`, `"relu"` or `"step"`, or such an object. By name, a sigmoid gets
            the least whole inverse temperature `beta` that keeps the tolerance.
        tolerance: the largest error that will do, below 1/2; 1e-6 for `"sigmoid"` if `None`.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, k) -> (*batch, 1)`.

    Raises:
        ValueError: `k` below 1, unknown names, a tolerance that isn't below 1/2 or that the
            inverse temperature or the dtype doesn't keep, or more bits than the dtype counts for one
            sigmoid.
        TypeError: `k` isn't an integer.

    *Exactness*: ReLU (`relu(x_1 + ... + x_k - k + 1)`) and step units are exact. A sigmoid errs by
    `S(-beta / 2)`, whatever `k`: for an error of `10^-D` it needs `beta > 2 D ln 10`.

    *Cost*: depth 1, 1 neuron, `k` synapses. Of more bits than the dtype counts (2048 in float16, 256 in
    bfloat16; half as many for step units), ReLU and step units take groups, and the groups' ANDs in turn.

    *Source*: Lin, Tegmark & Rolnick (2017), Eq. 13. Departure: the paper's `beta > D ln 10` gives
    only half of the `D` digits.

    Example:
        >>> import deepconstruct as dc
        >>> dc.bit_product(3, activation="relu")([[1, 1, 1], [1, 0, 1]]).tolist()
        [[1.0], [0.0]]
    """
    owner = "bit_product"
    k = check_size(owner, "k", k)
    if tolerance is not None:
        tolerance = check_scalar(owner, "tolerance", tolerance, strict=True)
        if tolerance >= 0.5:
            raise ValueError(f"{owner}: tolerance must be below 1/2; got {tolerance:g}")
    unit = resolve_conjunction(owner, activation, tolerance, 1.0)
    resolved = check_dtype(owner, dtype)
    check_allocation(owner, f"the weights of k={digits(k)}", k, resolved)
    most = _most_counted(unit, resolved)
    if k > most and not isinstance(unit.activation, Sigmoid):
        return in_groups(lambda m: bit_product(m, activation=unit.activation, dtype=resolved), k, most, Product(k))
    _check_count(owner, k, unit, resolved)
    u = unit_roundoff(resolved)
    error = unit.error() + unit.rounding(u)
    if tolerance is not None and error > tolerance:
        unit, error = _steeper(owner, unit, activation, tolerance, u, resolved.name)
    bias = to_jax(np.array([unit.slack - k]), resolved)
    layer = Layer(Dense(jnp.ones((1, k), resolved)), bias, unit.activation, Label("and"))
    return Construction(Network((layer,)), _claim(k, unit, error, resolved, u))


def _most_counted(unit: Conjunction, dtype: Any) -> int:
    """How many bits the dtype counts: sums and bias are multiples of 1 for a ReLU, else of 1/2."""
    info = jnp.finfo(dtype)
    return min(int(unit.slack * 2.0 ** (info.nmant + 1)), int(float(info.max)))


def _check_count(owner: str, k: int, unit: Conjunction, dtype: np.dtype) -> None:
    """Refuse more bits than the dtype counts."""
    most = _most_counted(unit, dtype)
    if k <= most:
        return
    ways = [f"use dtype='{name}'" for name in ("float32", "float64") if k <= _most_counted(unit, name)][:1]
    ways += ["use activation='relu', which makes groups of them", f"use at most {most} bits"]
    raise ValueError(f"{owner}: {unit.activation.name()} in {dtype.name} can't count {k} bits; {', or '.join(ways)}")


def _steeper(
    owner: str, unit: Conjunction, activation: Any, tolerance: float, u: float, dtype: str
) -> tuple[Conjunction, float]:
    """A steeper sigmoid that leaves room for rounding; refused where that isn't possible."""
    room = tolerance - unit.rounding(u)
    steeper = Conjunction(Sigmoid(float(math.ceil(temperature(1.0, room))))) if room > 0 else unit
    error = steeper.error() + steeper.rounding(u)
    if activation == "sigmoid" and error <= tolerance:
        return steeper, error
    floor = unit.error() + unit.rounding(u)
    ways = [("activation='relu'", lambda: 0.0)]
    if dtype != "float64":
        double = 2.0**-53
        best = temperature(1.0, max(tolerance - unit.rounding(double), double))
        name = f"Sigmoid({math.ceil(best)}) in float64"
        ways.insert(0, (name, lambda: float(Conjunction(Sigmoid(math.ceil(best))).error()) + unit.rounding(double)))
    if room > 0 and activation != "sigmoid":
        ways.insert(0, (f"{steeper.activation.name()}", lambda: error))
    check_tolerance(owner, tolerance, floor, f"{unit.activation.name()} in {dtype}", ways)
    return unit, floor


def _claim(k: int, unit: Conjunction, error: float, dtype: np.dtype, u: float) -> Claim:
    if (k + 4) * u >= 0.125:
        robustness = Robustness()  # sums off the whole numbers are too long to be bounded
    elif isinstance(unit.activation, ReLU):
        # Beyond its bits a ReLU still is Lipschitz; it rounds there.
        robustness = Robustness(1.0, float(k), 2 * (k + 4) * (k + 2) * u * 4)
    elif isinstance(unit.activation, Step):
        robustness = Robustness(max(1 / (2 * k) - 4 * (k + 1) * u, 0.0))
    else:
        assert isinstance(unit.activation, Sigmoid)
        # The error grows convexly up to the middle of the slope, so the chord bounds it: with some room, in which
        # certificates bound it on intervals.
        radius = 1 / (4 * k)
        gain = (unit.error(k * radius) - unit.error()) / radius * (1 + 2.0**-5)
        robustness = Robustness(
            radius, gain, unit.activation.inverse_temperature / 4 * (k + 2) * (2 * k + 2) * u * (1 + 2 * (k + 4) * u)
        )
    source = "Lin, Tegmark & Rolnick (2017), Eq. 13"
    return Claim(Product(k), Bits(k), Bits(1), Bound(absolute=error), robustness, dtype=dtype.name, source=source)


ENTRIES = (
    Entry(
        "bit_product", "AND of k bits, one sigmoid", bit_product,
        {"k": 8}, sizes("k", 1, 2, 5), formula("k", lambda k: k),
    ),
)  # fmt: skip
