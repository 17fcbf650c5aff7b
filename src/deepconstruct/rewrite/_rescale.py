"""Hidden units multiplied by positive factors, which is undone behind them."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._arithmetic.intervals import layer_range
from .._arithmetic.rounding import are_powers_of_two
from .._arithmetic.sensitivity import moduli_through
from .._bias import AbstractBias
from .._checks import check_scalar
from .._compose.rounding import margin_of, moved_box
from .._static import to_jax
from ..activations import Step
from ..construction import Claim, Construction
from ..domains.floats import quanta
from ..linear import AbstractLinear
from ..network import Layer, flat_layers
from ._claims import rewritten
from ._core import fits
from ._maps import (
    bias_values,
    check_entries,
    check_worth,
    composed,
    one_network,
    steps,
    sums_anew,
    unit_activations,
    with_layers,
    with_numbers,
)
from ._ranges import degree

# How far the product of all factors of layers may be from 1.
_CLOSE = 1e-9
_DOUBLE = 2.0**53


def rescale_units(network: Any, factors: Sequence[Any]) -> Any:
    """The same function with hidden units multiplied by positive factors, and what reads them divided.

    For `c > 0` and a positively homogeneous activation, `f(c z) = c^d f(z)`: identities and ReLUs have the degree
    `d = 1`, squares 2, `Power(n)` has `n`, and steps 0, so that what reads them stays.

    Args:
        network: a `Network` or a `Construction`.
        factors: one item a layer, repeated blocks unrolled, but for the last layer, whose units are the outputs:
            a positive number, or one a unit, shape `(width,)`; or `None` for a layer that stays as it is.

    Returns:
        The same kind. Blocks of which a layer changes are unrolled; maps with free entries keep their class, and
        tied ones where all copies are multiplied alike; others become `Sparse`.

    Raises:
        ValueError: another number of factors, one that isn't finite and above 0, one other than 1 for a unit whose
            activation isn't homogeneous (sigmoid, tanh, softmax, ...), a weight that leaves the normal numbers of
            the dtype, a map too large to be written out, or a claim that can't be kept: the new rounding can't be
            bounded, or only by more than the outputs themselves, sums may overflow, or the domain is unbounded.
        TypeError: neither a network nor a construction, or a stack of networks.

    Exactness: powers of two round nothing: where maps keep their class outputs stay bit for bit, unless numbers
        overflow or fall below the normal ones, which is added to a claim where units became smaller or larger.
        Other factors round each weight once, and the claim has what that and the new sums may add. Step units in
        front of which weights are rounded are refused with a claim.

    Example:
        >>> import deepconstruct as dc
        >>> scaled = dc.rewrite.rescale_units(dc.parity(2), [[4, 0.5]])
        >>> [layer.tolist() for layer in dc.layer_outputs(scaled.network, [1, 1])]
        [[8.0, 0.5], [0.0]]
    """
    layers = flat_layers(one_network("rescale_units", network))
    if len(factors) != len(layers) - 1:
        raise ValueError(
            f"rescale_units: expected {len(layers) - 1} factors, one a layer but for the last; got {len(factors)}"
        )
    pairs = enumerate(zip(layers, factors, strict=False))
    return _rescaled("rescale_units", network, [_checked(index, *pair) for index, pair in pairs])


def rescale_layers(network: Any, factors: Sequence[float]) -> Any:
    """The same function with the weights of whole layers multiplied by factors whose product is 1.

    The bias of a layer is multiplied by the product of the factors up to it, since its units have become larger by
    that; without this the function changes as soon as a layer with a bias stands between two that are scaled.
    Behind units of degree `d` (as in `rescale_units`) the product so far counts to the power of `d`.

    Args:
        network: a `Network` or a `Construction`.
        factors: one positive number a layer, repeated blocks unrolled. What they make of the output must be 1; where
            it is so up to rounding, the last layer is divided by what the others have made of its inputs.

    Returns:
        The same kind; as `rescale_units`.

    Raises:
        ValueError: another number of factors, one that isn't finite and above 0, a product that isn't 1, or what
            `rescale_units` refuses.
        TypeError: neither a network nor a construction, or a stack of networks.

    Exactness: as `rescale_units`.

    Source: Dinh et al., "Sharp minima can generalize for deep nets" (2017), section 4. Departures: biases are scaled,
        and any layers may be.

    Example:
        >>> import deepconstruct as dc
        >>> sharp = dc.rewrite.rescale_layers(dc.parity(4), [8, 1, 0.125])
        >>> sharp([1, 1, 1, 0]).tolist(), sharp.claim.error.is_exact
        ([1.0], True)
    """
    layers = flat_layers(one_network("rescale_layers", network))
    if len(factors) != len(layers):
        raise ValueError(f"rescale_layers: expected {len(layers)} factors, one a layer; got {len(factors)}")
    checked = [check_scalar("rescale_layers", "factors", factor, strict=True) for factor in factors]
    sizes, total = [], Fraction(1)
    for layer, factor in zip(layers, checked, strict=True):
        total *= Fraction(factor)
        sizes.append(np.full(layer.out_size, _float("rescale_layers", total)))
        if layer is not layers[-1] and total != 1:
            total **= _common_degree(layer)
    if abs(total - 1) > _CLOSE:
        raise ValueError(
            f"rescale_layers: the product of the factors must be 1; they multiply outputs by {float(total):g}"
        )
    return _rescaled("rescale_layers", network, sizes[:-1])


def _common_degree(layer: Layer) -> int:
    """The degree of all units of a layer."""
    degrees = {degree(kind) for kind in unit_activations(layer)}
    if len(degrees) > 1 or None in degrees:
        raise ValueError(
            "rescale_layers: all units of a scaled layer must have one degree; "
            f"got the activation {layer.activation.name()}"
        )
    return degrees.pop() or 0


def _float(rule: str, value: Fraction) -> float:
    """The nearest float, which must be a normal one."""
    if not 2.0**-1000 < value < 2.0**1000:
        raise ValueError(f"{rule}: factors multiply units by more than 2^1000, or by less than 2^-1000")
    return float(value)


def _checked(index: int, layer: Layer, given: Any) -> np.ndarray:
    """The factor of every unit."""
    numbers = np.asarray(1.0 if given is None else given)
    if numbers.dtype.kind not in "biuf" or numbers.shape not in ((), (layer.out_size,)):
        raise ValueError(f"rescale_units: layer {index} needs one factor, or {layer.out_size} of them; got {given!r}")
    if not np.all(np.isfinite(numbers) & (numbers > 0)):
        raise ValueError(f"rescale_units: factors must be finite and above 0; got {given!r} for layer {index}")
    return np.broadcast_to(numbers.astype(float), (layer.out_size,))


def _rescaled(rule: str, given: Any, hidden: list[np.ndarray]) -> Any:
    """The network with the pre-activations of hidden layers multiplied by these, and its claim if there is one."""
    network = one_network(rule, given)
    old = flat_layers(network)
    behind, exact = [np.ones(network.in_size)], True
    for index, (layer, factors) in enumerate(zip(old, hidden, strict=False)):
        powers, are_exact = _behind(rule, index, layer, factors)
        behind.append(powers)
        exact = exact and are_exact
    sizes, new = list(zip([*hidden, np.ones(network.out_size)], behind, strict=True)), []
    for index, (layer, (rows, cols)) in enumerate(zip(old, sizes, strict=True)):
        scaled, is_exact = _scaled_layer(rule, index, layer, rows, cols, network.dtype)
        new.append(scaled)
        exact = exact and is_exact
    rounds = [sums_anew(*pair) or not all(np.all(are_powers_of_two(numbers)) for numbers in factors)
              for *pair, factors in zip(old, new, sizes, strict=True)]  # fmt: skip
    flushed = [bool(np.any(rows != 1)) for rows, _ in sizes]
    if isinstance(given, Construction):
        flushed = _flushed(given.claim, new, [rows for rows, _ in sizes])
    found = rewritten(rule, given, with_layers(network, old, new), rounds=rounds, flushed=flushed, exact=exact)
    check_worth(rule, given, found)
    return found


def _behind(rule: str, index: int, layer: Layer, factors: np.ndarray) -> tuple[np.ndarray, bool]:
    """What outputs are multiplied by where pre-activations are, and whether that is exact."""
    found, is_exact, kinds = np.ones(layer.out_size), True, unit_activations(layer)
    done: dict[tuple[float, int], float] = {}
    for unit in np.flatnonzero(factors != 1).tolist():
        power, factor = degree(kinds[unit]), float(factors[unit])
        if power is None:
            raise ValueError(
                f"{rule}: units of {kinds[unit].name()} can't be scaled, since no f(c z) = c^d f(z) holds; "
                f"got a factor of {factor:g} in layer {index}"
            )
        if (factor, power) not in done:
            wanted = Fraction(factor) ** power
            done[factor, power] = _float(rule, wanted)
            is_exact = is_exact and Fraction(done[factor, power]) == wanted
        found[unit] = done[factor, power]
    return found, is_exact


def _scaled_layer(
    rule: str, index: int, layer: Layer, rows: np.ndarray, cols: np.ndarray, dtype: np.dtype
) -> tuple[Layer, bool]:
    """A layer with its rows and biases multiplied and its columns divided, and whether that is exact."""
    if np.all(rows == 1) and np.all(cols == 1):
        return layer, True
    check_entries(rule, index, layer)
    maps = steps(layer.linear)
    if len(maps) == 1:
        maps[0], is_exact = _scaled_map(rule, maps[0], rows, cols, dtype)
    else:
        maps[0], first = _scaled_map(rule, maps[0], np.ones(maps[0].out_size), cols, dtype)
        maps[-1], last = _scaled_map(rule, maps[-1], rows, np.ones(maps[-1].in_size), dtype)
        is_exact = first and last
    bias = bias_values(layer)
    if bias is None or np.all(rows == 1):
        return Layer(composed(maps), layer.bias, layer.activation, layer.label), is_exact
    values, biases_are_exact = _products(rule, bias, rows, np.ones(len(rows)))
    tied = isinstance(layer.bias, AbstractBias) and np.all(rows == rows[0])
    new = jax.tree.map(lambda leaf: _rounded(leaf, rows[0]), layer.bias) if tied else to_jax(values)
    return Layer(composed(maps), new, layer.activation, layer.label), is_exact and biases_are_exact


def _scaled_map(
    rule: str, linear: AbstractLinear, rows: np.ndarray, cols: np.ndarray, dtype: np.dtype
) -> tuple[AbstractLinear, bool]:
    """A map with rows multiplied and columns divided, and whether that is exact."""
    at_rows, at_cols, values = linear.entries()
    times, over = rows[at_rows], cols[at_cols]
    if np.array_equal(times, over):
        return linear, True
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        values = values.astype(dtype)  # the ones of maps without weights take on that of the network
    products, is_exact = _products(rule, values, times, over)
    return with_numbers(linear, products), is_exact


def _products(rule: str, values: Any, times: np.ndarray, over: np.ndarray) -> tuple[np.ndarray, bool]:
    """`values * times / over` in the dtype of the values, and whether none was rounded."""
    values = np.asarray(values)
    wide = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
    with np.errstate(all="ignore"):
        found = (wide * (times / over)).astype(values.dtype)
    is_exact = True
    for part in (np.real, np.imag) if np.iscomplexobj(values) else (np.asarray,):
        old, new = part(wide), part(found).astype(np.float64)
        moved = (times != over) & (old != 0)
        if not np.all(fits(new[moved], part(found).dtype) & (new[moved] != 0)):
            raise ValueError(f"{rule}: the factors take weights out of the normal numbers of {values.dtype.name}")
        is_exact = is_exact and _equal_products(new[moved], over[moved], old[moved], times[moved])
    return found, is_exact


def _equal_products(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> bool:
    """Whether `a b = c d`, where that is certain in double precision."""
    with np.errstate(all="ignore"):
        digits = [np.abs(x) / quanta(x) * (np.abs(y) / quanta(y)) for x, y in ((a, b), (c, d))]
        normal = np.abs(a * b)
        held = np.all((normal > 2.0**-1000) & (normal < 2.0**1000))
        return bool(held and all(np.all(bits < _DOUBLE) for bits in digits) and np.all(a * b == c * d))


def _rounded(leaf: Any, factor: float) -> Any:
    values = np.asarray(leaf)
    wide = values.astype(np.complex128 if np.iscomplexobj(values) else np.float64)
    return to_jax((wide * factor).astype(values.dtype))


def _flushed(claim: Claim, layers: Sequence[Layer], factors: Sequence[np.ndarray]) -> list[bool]:
    """Which layers may be flushed, or overflow, where they weren't: scaled ones.

    Not those in which only steps became larger: their signs stay, as long as nothing overflows.
    """
    found = [bool(np.any(rows != 1)) for rows in factors]
    margin, most = margin_of(claim), float(jnp.finfo(claim.dtype).max)
    if not any(found) or claim.domain.is_complex or claim.robustness.radius > margin:
        return found
    low, high = moved_box(claim.domain, margin)
    with np.errstate(all="ignore"):
        for index, (layer, rows) in enumerate(zip(layers, factors, strict=True)):
            kinds = unit_activations(layer)
            larger = all(type(kinds[unit]) is Step and rows[unit] > 1 for unit in np.flatnonzero(rows != 1))
            sums = moduli_through(layer, np.maximum(np.abs(low), np.abs(high)))
            found[index] = found[index] and not (larger and np.all(sums < most / 2))
            low, high = layer_range(layer, low, high)
    return found
