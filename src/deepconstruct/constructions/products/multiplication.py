"""The product of two numbers in four units."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..._checks import check_dtype, check_scalar
from ..._static import to_jax
from ...activations import AbstractActivation, Identity, Square
from ...construction import Built, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...linear import Composed, Dense, DirectSum, Stack
from ...network import Label, Layer, Network
from ..gates import Gate, Patterns, Richardson, choose, choose_richardson, floor, why_none
from ..gates.arguments import Way, activation_ways, check_tolerance, resolve_smooth, ways_out
from ..gates.network import gate_layers, gate_plan, product_claim, product_size, shared_bias

_PAIR = Patterns(2)
_SOURCE = "Lin, Tegmark & Rolnick (2017), Eq. 11"


@builder
def multiplication_gate(
    *,
    activation: str | AbstractActivation | Callable = "sigmoid",
    bound: float = 1.0,
    tolerance: float | None = None,
    richardson: bool = False,
    bias: float | None = None,
    scale: float | None = None,
    dtype: Any = None,
) -> Construction:
    """The product of two numbers, by four units.

    For an activation `f` with `f''(c) != 0`,

        u v ≈ [f(c + l(u+v)) + f(c - l(u+v)) - f(c + l(u-v)) - f(c - l(u-v))] / (4 l^2 f''(c)).

    A larger scale `l` has more truncation, a smaller one more rounding. The gate takes the bias
    and scale with the least sum of both in its dtype: the bias usually is just beside a zero of the
    fourth derivative, where truncation is of order `l^4` and its two leading orders oppose each
    other.

    Args:
        activation: `"sigmoid"`, `"tanh"`, `"softplus"`, `"gelu"` (by the error function),
            `"gelu_tanh"` (JAX's default form), `"silu"`, `"exp"`, `"sin"`, `"square"` (exact over
            the reals), such an object, or any elementwise JAX function with derivatives. The error
            for a function of your own is an estimate, unless it comes as an
            `activations.Custom` with bounds of its derivatives. It is compared with its Taylor
            series first, and refused where the two differ (at a kink, say).
        bound: inputs lie in `[-bound, bound]`.
        tolerance: the largest error that will do; refused if it can't be claimed.
        richardson: use eight units, two gates of scales `l` and `2 l` whose truncations cancel.
        bias: a bias `c` instead of the best one.
        scale: a scale `l bound` instead of the best one.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, 2) -> (*batch, 1)` on `[-bound, bound]^2`.

    Raises:
        ValueError: a tolerance below the floor of activation and dtype (the message gives the floor
            and what would reach it), an activation without curvature, or a bias or scale at which
            no bound holds.
        TypeError: `bound`, `tolerance`, `bias` or `scale` isn't a number.

    *Exactness*: the claimed error is `bound^2` times a number that depends on activation and dtype
    only, such as 5e-5 in float32 and 7e-11 in float64 for sigmoids; with `"square"` it is rounding
    alone. Where an input is 0, so is the product up to rounding.

    *Cost*: depth 1, 4 neurons (8 with `richardson`), 12 (24) synapses.

    *Source*: Lin, Tegmark & Rolnick (2017), Eq. 11 and Fig. 2. Departures: `f''(c)` is the second
    derivative, as Eq. 11 has it, not the Taylor coefficient; scales go to 0, not to infinity as the
    text says; the bias is chosen by the error, not where `|f''|` is largest; the error bound and
    Richardson's variant are ours. Nor are four units the least: see `flat_product`.

    Example:
        >>> import deepconstruct as dc
        >>> gate = dc.multiplication_gate(activation="square")
        >>> gate([0.5, -0.75]).tolist(), dc.cost(gate).neurons
        ([-0.375], 4)
    """
    owner = "multiplication_gate"
    bound = check_scalar(owner, "bound", bound, strict=True)
    act = resolve_smooth(owner, activation)
    resolved = check_dtype(owner, dtype)
    if tolerance is not None:
        tolerance = check_scalar(owner, "tolerance", tolerance, strict=True)
    size, mix = product_size(owner, bound, 2, resolved), 0.0
    if richardson:
        mixed = _richardson_gate(act, resolved.name, bias, scale, tolerance, size)
        network, gate, error, mix = _mixed_network(mixed, bound, resolved), mixed.gate, mixed.error, mixed.mix
    else:
        gate = _plain_gate(act, resolved.name, bias, scale, tolerance, size)
        network, error = Network(gate_layers(owner, gate, bound, resolved)), gate.error
    claim = product_claim(error, 2, bound, resolved.name, _SOURCE, estimate=not gate.taylor.proved)
    if tolerance is not None:
        what = f"{act.name()} in {resolved.name}" + (" with eight neurons" if richardson else "")
        check_tolerance(owner, tolerance, claim.error.largest, what, _ways(act, size, resolved, richardson))
    return Construction(network, claim, Built(plan=gate_plan(gate, bound, mix)))


def _plain_gate(act: AbstractActivation, dtype: str, bias: Any, scale: Any, tolerance: Any, size: float) -> Gate:
    bias = None if bias is None else check_scalar("multiplication_gate", "bias", bias, minimum=-1e6)
    scale = None if scale is None else check_scalar("multiplication_gate", "scale", scale, strict=True)
    gate = choose(act, _PAIR, dtype, center=bias, scale=scale)
    if gate is not None and tolerance is not None and gate.error().total * size > tolerance:
        gate = choose(act, _PAIR, dtype, center=bias, scale=scale, share=1.0)
    if gate is None:
        raise _no_gate(act, dtype, bias, scale)
    return gate


def _richardson_gate(
    act: AbstractActivation, dtype: str, bias: Any, scale: Any, tolerance: float | None, size: float
) -> Richardson:
    if isinstance(act, Square):
        raise ValueError("multiplication_gate: square has no truncation for richardson=True to cancel; leave it out")
    if bias is not None or scale is not None:
        raise ValueError("multiplication_gate: richardson=True chooses bias and scale itself; leave them out")
    mixed = choose_richardson(act, dtype)
    if mixed is not None and tolerance is not None and mixed.error().total * size > tolerance:
        mixed = choose_richardson(act, dtype, least=True)
    if mixed is None:
        raise _no_gate(act, dtype, bias, scale)
    return mixed


def _no_gate(act: AbstractActivation, dtype: str, bias: Any, scale: Any) -> ValueError:
    asked = ", ".join(f"{name}={value:g}" for name, value in (("bias", bias), ("scale", scale)) if value is not None)
    what = f"multiplication_gate: no error bound holds for {act.name()} in {dtype}"
    if asked and choose(act, _PAIR, dtype) is not None:
        return ValueError(f"{what} with {asked}; leave the choice to the gate")
    advice = ways_out(_ways(act, 1.0, np.dtype(dtype), True))
    return ValueError(f"{what}: {why_none(act, _PAIR, dtype)}; {advice}")


def _mixed_network(mixed: Richardson, bound: float, dtype: Any) -> Network:
    """Two gates on the same input; their readouts are summed behind, so that each cancels in itself."""
    pairs = [gate_layers("multiplication_gate", gate, bound, dtype) for gate in (mixed.gate, mixed.wide)]
    hidden = Stack(tuple(layer.linear for layer, _ in pairs))
    bias = shared_bias(mixed.gate.center, hidden.out_size, dtype)
    readouts = DirectSum(tuple(layer.linear for _, layer in pairs))
    readout = Composed(Dense(to_jax(np.array([mixed.shares]), dtype)), readouts)
    label = Label("product", group=hidden.out_size)
    return Network(
        (Layer(hidden, bias, mixed.gate.activation, label), Layer(readout, None, Identity(), Label("readout")))
    )


def _ways(act: AbstractActivation, size: float, dtype: np.dtype, richardson: bool) -> list[Way]:
    """Other arguments, and the error bounds they reach."""

    def eight(dtype: str) -> float:
        mixed = choose_richardson(act, dtype, least=True)
        return float("inf") if mixed is None else mixed.error().total * size

    def least(act: AbstractActivation, dtype: np.dtype) -> float:
        if richardson and not isinstance(act, Square):
            return eight(dtype.name)
        return floor(act, _PAIR, dtype.name) * size

    ways = activation_ways(act, dtype, least)
    if not richardson:
        ways.insert(0, ("richardson=True with its eight neurons", lambda: eight(dtype.name)))
    return ways


ENTRIES = (
    Entry(
        "multiplication_gate", "product of two numbers up to a bound, four sigmoids", multiplication_gate,
        {"bound": 1}, sizes("bound", 1, 3, 10), formula("12", 12),
    ),
    Entry(
        "multiplication_square", "product of two numbers up to a bound, four squares", multiplication_gate,
        {"bound": 1}, sizes("bound", 1, 2, 10), formula("12", 12), fixed={"activation": "square"},
    ),
    Entry(
        "multiplication_richardson", "product of two numbers up to a bound, eight softplus units", multiplication_gate,
        {"bound": 1}, sizes("bound", 1, 2, 3), formula("24", 24),
        fixed={"activation": "softplus", "richardson": True},
    ),
)  # fmt: skip
