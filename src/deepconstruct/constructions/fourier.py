"""The fast Fourier transform as a deep linear network.

For `n = 2^L` the matrix factors as `F = B_L ... B_1 P` with the bit reversal `P` and

    B_s = I_{n / 2^s} (x) [[I, D], [I, -D]],   D = diag(w^0, ..., w^(2^(s-1) - 1)),  w = exp(-2 pi i / 2^s).

Every row of every stage has two entries; `P` moves the columns of `B_1` and costs nothing. For
n = 2 that is `[[1, 1], [1, -1]]`; for n = 4, `D` in `B_2` is `diag(1, -i)`.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._arithmetic.rounding import unit_roundoff
from .._checks import check_allocation, check_choice, check_dtype, check_size, digits
from .._compose import realify
from .._roots import roots_of_unity
from .._static import to_jax
from ..construction import Bound, Claim, Construction, Robustness, builder
from ..construction.entry import Entry, formula, sizes
from ..domains import Space
from ..linear import Butterfly, Dense
from ..linear.butterfly import bit_reversal
from ..network import Label, Layer, Network
from ..targets import DFT

__all__ = ["fft"]


@builder
def fft(n: int, *, inverse: bool = False, norm: str = "backward", dtype: Any = None) -> Construction:
    """The discrete Fourier transform of size `n = 2^L` as `L` butterfly layers.

    Args:
        n: the size, a power of two (1 included).
        inverse: whether to compute the inverse transform.
        norm: as in `numpy.fft`: `"backward"` (the inverse is divided by `n`), `"ortho"` (both by
            the square root of `n`, spread so that every stage is unitary), `"forward"`.
        dtype: a complex dtype; JAX's default if `None`.

    Returns:
        A construction `(*batch, n) -> (*batch, n)` on all of `C^n`; real input is cast.

    Raises:
        ValueError: `n` isn't a power of two, an unknown norm, a real dtype, or a 64-bit dtype
            without x64.
        TypeError: `n` isn't an integer.

    *Exactness*: relative to the norm of the result, with `u` the unit roundoff, the error is at
    most `(8 L - 6) u`, or `9 L u` for `"ortho"`, whose scaling rounds; typically it is below `u L`.
    For n = 1 it is 0. Twiddles are rounded once from 100 digits' worth of bits, so 0, ±1 and ±i are exact.

    *Cost*: `L` layers, depth `L - 1`, `n (L - 1)` linear neurons, `2 n L` complex synapses; flat,
    the transform has `n^2` and no hidden neuron. `dc.realify` gives `6 n L - 6 n + 8` real ones.

    *Source*: Cooley & Tukey (1965); Nye & Saxe (2018), Fig. 2 left. Departure: bit reversal is
    absorbed into the first layer.

    Example:
        >>> import deepconstruct as dc, numpy as np
        >>> x = [1.0, 2.0, 3.0, 4.0]
        >>> bool(np.allclose(dc.fft(4)(x), np.fft.fft(x), atol=1e-6))
        True
    """
    n = check_size("fft", "n", n)
    check_choice("fft", "norm", norm, ("backward", "ortho", "forward"))
    if n & (n - 1):
        raise ValueError(f"fft: n must be a power of two for now; got n={digits(n)}. The nearest are {_neighbours(n)}")
    resolved = check_dtype("fft", dtype, kind="complex")
    check_allocation("fft", f"the weights of n={digits(n)}", 2 * n * (n.bit_length() - 1), resolved)
    stages = n.bit_length() - 1
    target = DFT(n, norm, inverse)
    if stages == 0:
        layers: tuple[Layer, ...] = (Layer(Dense(jnp.ones((1, 1), resolved))),)
    else:
        factor = 1 / math.sqrt(2) if norm == "ortho" else (1.0 if target.scale == 1 else 0.5)
        layers = tuple(_stage(s, n, factor, inverse, resolved) for s in range(1, stages + 1))
    return Construction(Network(layers), _claim(target, stages, resolved))


def _neighbours(n: int) -> str:
    power = 1 << (n.bit_length() - 1)
    return f"{digits(power)} and {digits(2 * power)}"


def _stage(s: int, n: int, factor: float, inverse: bool, dtype: np.dtype) -> Layer:
    """`factor * B_s`, untied: each of the `n / 2^s` copies has weights of its own."""
    half, copies = 2 ** (s - 1), n // 2**s
    twiddles = _scaled_roots(2 * half, factor)[:half]
    if not inverse:
        twiddles = twiddles.conj()
    ones = np.full(half, factor)
    block = np.array([[ones, twiddles], [ones, -twiddles]]).astype(dtype)
    blocks = np.broadcast_to(block, (copies, 2, 2, half))
    order = bit_reversal(n) if s == 1 else None
    return Layer(Butterfly(to_jax(blocks), order), label=Label("butterfly", group=2))


def _scaled_roots(n: int, factor: float) -> np.ndarray:
    """`factor * exp(2 pi i k / n)`, rounded once where the factor is `1 / sqrt(2)`."""
    if factor in (1.0, 0.5):
        return roots_of_unity(n)[0] * factor
    # exp(i t) / sqrt(2) = (exp(i (t + pi/4)) + exp(i (t - pi/4))) / 2, a sum of tabulated roots.
    finer_high, finer_low = roots_of_unity(8 * n)
    index = 8 * np.arange(n)
    later, earlier = (index + n) % (8 * n), (index - n) % (8 * n)
    total = finer_high[later] + finer_high[earlier]
    return (total + (finer_low[later] + finer_low[earlier])) / 2


def _claim(target: DFT, stages: int, dtype: np.dtype) -> Claim:
    u = unit_roundoff(dtype)
    # Two stages run as one of radix 4, whose products and sums round by less than 14 u, or 15 u
    # where 1 / sqrt(2) makes no product exact; storing the twiddles adds 0.71 u or 1.42 u a stage.
    relative = (9 * stages if target.norm == "ortho" else max(8 * stages - 6, 0)) * u
    space = Space(target.n, "complex")
    return Claim(
        target=target,
        domain=space,
        codomain=space,
        error=Bound(relative=relative),
        robustness=Robustness(math.inf, gain=target.n * float(target.scale) * (1 + 2 * relative)),
        dtype=dtype.name,
        source="Cooley & Tukey (1965); Nye & Saxe (2018), Fig. 2",
    )


def _real_fft(n: int, *, dtype: Any = None) -> Construction:
    wide = None if dtype is None else np.result_type(dtype, np.complex64)
    return realify(fft(n, dtype=wide))


def _is_power(n: int) -> bool:
    return n & (n - 1) == 0


_POWER = "n a power of two"
# The transform of one number is a single weight.
_COMPLEX = formula(
    "2 n log2 n for n = 2^k > 1", lambda n: max(2 * n * (n.bit_length() - 1), 1), where=_POWER, holds=_is_power
)
_REAL = formula(
    "6 n log2 n - 6 n + 8 for n = 2^k", lambda n: 6 * n * (n.bit_length() - 1) - 6 * n + 8,
    where=_POWER, holds=_is_power,
)  # fmt: skip

ENTRIES = (
    Entry("fft", "discrete Fourier transform", fft, {"n": 64}, sizes("n", 1, 2, 4, 16), _COMPLEX),
    Entry(
        "ifft_ortho", "inverse transform, unitary stages", fft, {"n": 64}, sizes("n", 1, 2, 4, 16), _COMPLEX,
        fixed={"inverse": True, "norm": "ortho"},
    ),
    Entry("fft_real", "discrete Fourier transform of (Re, Im)", _real_fft, {"n": 64}, sizes("n", 2, 4, 16), _REAL),
)  # fmt: skip
