"""The product of `n` numbers in one hidden layer."""

from collections.abc import Callable
from typing import Any

from ..._checks import check_dtype, check_scalar, check_size, digits
from ...activations import AbstractActivation, Power
from ...construction import Built, Construction, builder
from ...construction.entry import Entry, formula, sizes
from ...network import Network
from ..gates import Gate, Patterns, choose, floor, why_none
from ..gates.arguments import Way, check_tolerance, degree, resolve_smooth, ways_out
from ..gates.network import gate_layers, gate_plan, product_claim, product_size

_SOURCE = "Lin, Tegmark & Rolnick (2017), Eqs. 28 and 32"
_LARGEST, _LARGEST_SUBSETS = 30, 12


@builder
def flat_product(
    n: int,
    *,
    activation: str | AbstractActivation | Callable = "sigmoid",
    bound: float = 1.0,
    tolerance: float | None = None,
    output_bias: bool = False,
    symmetric: bool | None = None,
    bias: float | None = None,
    scale: float | None = None,
    dtype: Any = None,
) -> Construction:
    """The product of `n` numbers in one hidden layer of `2^n` units, one a pattern of signs.

    For an activation `f` with `f^(n)(c) != 0`, summed over all `s` in `{-1, +1}^n`,

        x_1 ... x_n ≈ sum_s (s_1 ... s_n) f(c + l s.x) / (2^n l^n f^(n)(c)).

    Bias `c` and scale `l` are those of the least error bound in the dtype. The patterns are run
    through by doubling: neither the `2^n x n` matrix nor, beyond 12 signs, all units are held.

    Args:
        n: how many numbers, 1 to 30 (1 to 12 with `output_bias`).
        activation: as for `multiplication_gate`, or `"power"`: `z^n`, exact over the reals.
        bound: inputs lie in `[-bound, bound]`.
        tolerance: the largest error that will do; refused if it can't be claimed.
        output_bias: sum over non-empty subsets instead, `2^n - 1` units and an output bias. Its
            truncation is of order `l`, or `l^2` at a zero of `f^(n+1)`.
        symmetric: only patterns with a plus in front, `2^(n-1)` units; needs a bias with
            `f^(n-1)(c) = 0`. Exact powers do so by default, since there it costs nothing;
            elsewhere the truncation is of order `l`, or `l^2` where `f(c + z)` is even or odd as
            `n` is.
        bias: a bias `c` instead of the best one.
        scale: a scale `l bound` instead of the best one.
        dtype: a real floating dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, 1)` on `[-bound, bound]^n`.

    Raises:
        ValueError: `n` out of range; a tolerance below the floor of activation and dtype; a variant
            that the activation doesn't allow; a bias or scale at which no bound holds.
        TypeError: `n` isn't an integer.

    *Exactness*: with `"power"` rounding only. Others lose digits fast, whatever the summation, since
    each unit's own rounding is divided by `l^n`: with sigmoids float32 is of use up to `n = 4`,
    float64 up to `n = 8`.

    *Cost*: depth 1; `2^n`, `2^n - 1` or `2^(n-1)` neurons; `(n + 1) 2^n` synapses (all patterns).

    *Source*: Lin, Tegmark & Rolnick (2017), Eqs. 28 and 32, appendix A. Departures: Eq. 28 omits
    `f^(n)(c)`; the bias is chosen by the error; the paper's lower bound of `2^n` units needs
    conditions that the two smaller variants break (`bounds.flat_product`).

    Example:
        >>> import deepconstruct as dc
        >>> gate = dc.flat_product(4, activation="power")
        >>> gate([1.0, 0.5, -0.5, 1.0]).tolist(), dc.cost(gate).neurons
        ([-0.25], 8)
    """
    owner = "flat_product"
    n = check_size(owner, "n", n)
    bound = check_scalar(owner, "bound", bound, strict=True)
    act = resolve_smooth(owner, activation, degree=n)
    resolved = check_dtype(owner, dtype)
    patterns = _patterns(n, act, output_bias, symmetric)
    bias = None if bias is None else check_scalar(owner, "bias", bias, minimum=-1e6)
    scale = None if scale is None else check_scalar(owner, "scale", scale, strict=True)
    if tolerance is not None:
        tolerance = check_scalar(owner, "tolerance", tolerance, strict=True)
    size = product_size(owner, bound, n, resolved)
    gate = _gate(act, patterns, resolved.name, bias, scale)
    if tolerance is not None and gate.error().total * size > tolerance:
        gate = _gate(act, patterns, resolved.name, bias, scale, share=1.0)
    network = Network(gate_layers(owner, gate, bound, resolved))
    claim = product_claim(gate.error, n, bound, resolved.name, _SOURCE, estimate=not gate.taylor.proved)
    if tolerance is not None:
        what = f"{act.name()} in {resolved.name} at n={n}"
        check_tolerance(owner, tolerance, claim.error.largest, what, _ways(act, patterns, size, resolved.name))
    return Construction(network, claim, Built(plan=gate_plan(gate, bound)))


def _patterns(n: int, act: AbstractActivation, output_bias: bool, symmetric: bool | None) -> Patterns:
    if output_bias and symmetric:
        raise ValueError("flat_product: output_bias and symmetric are two different variants; choose one")
    if symmetric is None:
        symmetric = not output_bias and degree(act) == n
    kind = "subsets" if output_bias else "fixed" if symmetric else "signs"
    largest = _LARGEST_SUBSETS if output_bias else _LARGEST
    if n > largest:
        units = f"{Patterns(n, kind).units:.3g}" if n < 1000 else "2^n"
        raise ValueError(
            f"flat_product: n must be at most {largest}{' with output_bias' if output_bias else ''}, as it has "
            f"{units} units; got {digits(n)}. dc.product_tree needs only 4 (n - 1)"
        )
    return Patterns(n, kind)


def _gate(act: AbstractActivation, patterns: Patterns, dtype: str, bias: Any, scale: Any, **options: Any) -> Gate:
    ordered = patterns.kind != "subsets"
    gate = choose(act, patterns, dtype, ordered=ordered, center=bias, scale=scale, **options)
    if gate is not None:
        return gate
    advice = ways_out(_ways(act, patterns, 1.0, dtype))
    if (bias is not None or scale is not None) and choose(act, patterns, dtype, ordered=ordered) is not None:
        reason, advice = "at that bias and scale", "leave the choice to the gate"
    elif patterns.kind == "fixed":
        reason = f"with symmetric=True: {why_none(act, patterns, dtype)}"
    else:
        reason = f"in {dtype}: {why_none(act, patterns, dtype)}"
    raise ValueError(f"flat_product: no error bound holds for {act.name()} and n={patterns.n} {reason}; {advice}")


def _ways(act: AbstractActivation, patterns: Patterns, size: float, dtype: str) -> list[Way]:
    n, ordered = patterns.n, patterns.kind != "subsets"
    power = Patterns(n, "fixed")
    ways: list[Way] = []
    if dtype != "float64":
        ways.append(("dtype='float64'", lambda: floor(act, patterns, "float64", ordered=ordered) * size))
    if degree(act) != n:
        ways.append(("activation='power'", lambda: floor(Power(n), power, dtype) * size))
    if dtype != "float64":
        both = "activation='power' and dtype='float64'"
        ways.append((both, lambda: floor(Power(n), power, "float64") * size))
    return ways


_ALL = formula("(n + 1) 2^n", lambda n: (n + 1) * 2**n)
_HALF = formula("(n + 1) 2^(n-1)", lambda n: (n + 1) * 2 ** (n - 1))
_ODD = formula("(n + 1) 2^(n-1)", lambda n: (n + 1) * 2 ** (n - 1), where="odd n", holds=lambda n: n % 2 == 1)
_SUBSETS = formula("n 2^(n-1) + 2^n - 1", lambda n: n * 2 ** (n - 1) + 2**n - 1)

ENTRIES = (
    Entry("flat_product", "product of n numbers, 2^n sigmoids", flat_product, {"n": 3}, sizes("n", 1, 2, 3, 5), _ALL),
    Entry(
        "flat_product_power", "product of n numbers, 2^(n-1) powers z^n", flat_product,
        {"n": 8}, sizes("n", 1, 2, 3, 8), _HALF, fixed={"activation": "power"},
    ),
    Entry(
        "flat_product_symmetric", "product of n numbers (odd n), 2^(n-1) tanh units", flat_product,
        {"n": 3}, sizes("n", 1, 3, 5), _ODD, fixed={"activation": "tanh", "symmetric": True},
    ),
    Entry(
        "flat_product_bias", "product of n numbers, 2^n - 1 units and an output bias", flat_product,
        {"n": 2}, sizes("n", 1, 2, 3), _SUBSETS, fixed={"output_bias": True},
    ),
)  # fmt: skip
