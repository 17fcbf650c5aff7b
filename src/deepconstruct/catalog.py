"""The catalog: every construction of the library, with the sizes at which it is tested.

Whatever is listed here is run through every law of `deepconstruct.testing`, certified by the tour
and shown in the README's table.
"""

import dataclasses
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from . import systems
from .construction import Construction
from .constructions import (
    bit_product,
    boolean_classifier,
    boolean_function,
    fft,
    flat_product,
    fractal,
    gaussian_classifier,
    hamiltonian_classifier,
    multiplication_gate,
    parity,
    parity_bounded_depth,
    parity_shallow,
    polynomial,
    product_tree,
    quadratic_form,
)
from .rewrite import realify

__all__ = ["ENTRIES", "Entry", "build", "get", "names"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One named construction.

    Attributes:
        name: its key.
        summary: what it computes, in a line.
        build: `build(size, dtype=None)` gives the construction.
        size: the size that is shown.
        sizes: the sizes that are tested.
        formula: the theorem's synapse count, as text and as a function of the size (`None` where
            no closed form holds).
        kind: `"real"` or `"complex"` weights.
        source: paper and place.
    """

    name: str
    summary: str
    build: Callable[..., Construction]
    size: int
    sizes: tuple[int, ...]
    formula: tuple[str, Callable[[int], int]] | None
    kind: str
    source: str


def names() -> list[str]:
    """The names of all constructions.

    Example:
        >>> import deepconstruct as dc
        >>> "parity" in dc.catalog.names()
        True
    """
    return list(ENTRIES)


def get(name: str) -> Entry:
    """One entry.

    Raises:
        ValueError: an unknown name.
    """
    if name not in ENTRIES:
        raise ValueError(f"catalog: no construction {name!r}; known are {', '.join(ENTRIES)}")
    return ENTRIES[name]


def build(name: str, size: int | None = None, *, dtype: Any = None) -> Construction:
    """Build a construction by name, at its usual size if none is given.

    Args:
        name: one of `names()`.
        size: the size, as its builder takes it.
        dtype: a dtype of the entry's kind; JAX's default if `None`.

    Raises:
        ValueError: an unknown name, or a size that the builder refuses.

    Example:
        >>> import deepconstruct as dc
        >>> dc.catalog.build("fft", 8).name
        'dft(8)'
    """
    entry = get(name)
    return entry.build(entry.size if size is None else size, dtype=dtype)


def _log2(n: int) -> int:
    return n.bit_length() - 1


def _bounded_gates(n: int) -> int:
    """Wires at depth 3 for `n = m^2`: `2^m m` literals a block, then two levels of `2^(m-1)` gates."""
    m = round(n**0.5)
    return n * 2**m + 2 ** (m - 1) * m * 2 ** (m - 1) + 2 ** (m - 1)


def _real(name: str, summary: str, size: int, sizes: tuple, formula: Any, source: str, make: Any) -> Entry:
    """An entry with real weights."""
    return Entry(name, summary, make, size, sizes, formula, "real", source)


def _parity_entries() -> Iterator[Entry]:
    tree, tree_sizes = ("6 n - 6", lambda n: 6 * n - 6), (2, 3, 7, 8, 16)
    nye_saxe = "Nye & Saxe (2018), Fig. 1"

    yield _real(
        "parity", "parity of n bits, tree of ReLU gates", 16, (1, *tree_sizes, 37), tree, nye_saxe,
        lambda n, dtype=None: parity(n, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_step", "parity of n bits, tree of threshold gates", 16, tree_sizes, tree, nye_saxe,
        lambda n, dtype=None: parity(n, activation="step", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_sigmoid", "parity of n bits, calibrated sigmoids", 16, tree_sizes, tree, nye_saxe,
        lambda n, dtype=None: parity(n, activation="sigmoid", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_unfused", "parity of n bits, the three-neuron sigmoid XOR", 16, tree_sizes, tree, nye_saxe,
        lambda n, dtype=None: parity(n, activation="sigmoid", fused=False, readout="raw", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_signs", "product of n signs, tree of ReLU gates", 16, tree_sizes, tree, nye_saxe,
        lambda n, dtype=None: parity(n, encoding="signs", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_tied", "parity of n bits, one shared gate a level", 16, (2, 3, 6, 16), tree, nye_saxe,
        lambda n, dtype=None: parity(n, tied=True, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_ternary", "parity of n bits, three-input gates", 9, (3, 5, 9), None, nye_saxe,
        lambda n, dtype=None: parity(n, arity=3, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_count", "parity of n bits by counting, one hidden layer", 16, (1, 2, 3, 7, 16),
        ("n^2 + n", lambda n: n * n + n), "Nye & Saxe (2018), introduction",
        lambda n, dtype=None: parity_shallow(n, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_dnf", "parity of n bits as a disjunctive normal form", 8, (1, 2, 3, 7),
        ("(n + 1) 2^(n-1)", lambda n: (n + 1) * 2 ** (n - 1)), "Nye & Saxe (2018), introduction",
        lambda n, dtype=None: parity_shallow(n, kind="dnf", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "parity_bounded_depth", "parity of n bits, AND/OR gates in depth 3", 16, (4, 5, 9),
        ("n 2^m + m 4^(m-1) + 2^(m-1), m = sqrt n", _bounded_gates), "Ruderman's slides",
        lambda n, dtype=None: parity_bounded_depth(n, 3, dtype=dtype),
    )  # fmt: skip


def _fourier_entries() -> Iterator[Entry]:
    fft_source, fft_sizes = "Cooley & Tukey (1965); Nye & Saxe (2018), Fig. 2", (1, 2, 4, 16)
    butterflies = ("2 n log2 n", lambda n: 2 * n * _log2(n))
    yield Entry(
        "fft", "discrete Fourier transform", lambda n, dtype=None: fft(n, dtype=dtype),
        64, fft_sizes, butterflies, "complex", fft_source,
    )  # fmt: skip
    yield Entry(
        "ifft_ortho", "inverse transform, unitary stages",
        lambda n, dtype=None: fft(n, inverse=True, norm="ortho", dtype=dtype),
        64, fft_sizes, butterflies, "complex", fft_source,
    )  # fmt: skip
    yield _real(
        "fft_real", "discrete Fourier transform of (Re, Im)", 64, (2, 4, 16),
        ("6 n log2 n - 6 n + 8", lambda n: 6 * n * _log2(n) - 6 * n + 8), fft_source, _real_fft,
    )  # fmt: skip


def _product_entries() -> Iterator[Entry]:
    eq11, eq28 = "Lin, Tegmark & Rolnick (2017), Eq. 11", "Lin, Tegmark & Rolnick (2017), Eqs. 28 and 32"
    section = "Lin, Tegmark & Rolnick (2017), section III.H"
    halved = ("(n + 1) 2^(n-1)", lambda n: (n + 1) * 2 ** (n - 1))

    yield _real(
        "multiplication_gate", "product of two numbers up to n, four sigmoids", 1, (1, 3, 10),
        ("12", lambda n: 12), eq11, lambda n, dtype=None: multiplication_gate(bound=n, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "multiplication_square", "product of two numbers up to n, four squares", 1, (1, 2, 10),
        ("12", lambda n: 12), eq11,
        lambda n, dtype=None: multiplication_gate(bound=n, activation="square", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "multiplication_richardson", "product of two numbers up to n, eight softplus units", 1, (1, 2, 3),
        ("24", lambda n: 24), eq11,
        lambda n, dtype=None: multiplication_gate(bound=n, activation="softplus", richardson=True, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "flat_product", "product of n numbers, 2^n sigmoids", 3, (1, 2, 3, 5),
        ("(n + 1) 2^n", lambda n: (n + 1) * 2**n), eq28, lambda n, dtype=None: flat_product(n, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "flat_product_power", "product of n numbers, 2^(n-1) powers z^n", 8, (1, 2, 3, 8), halved, eq28,
        lambda n, dtype=None: flat_product(n, activation="power", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "flat_product_symmetric", "product of n numbers (odd n), 2^(n-1) tanh units", 3, (1, 3, 5), halved, eq28,
        lambda n, dtype=None: flat_product(n, activation="tanh", symmetric=True, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "flat_product_bias", "product of n numbers, 2^n - 1 units and an output bias", 2, (1, 2, 3),
        ("n 2^(n-1) + 2^n - 1", lambda n: n * 2 ** (n - 1) + 2**n - 1), eq28,
        lambda n, dtype=None: flat_product(n, output_bias=True, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "product_tree", "product of n numbers, tree of four-sigmoid gates", 8, (2, 3, 8),
        ("20 n - 28", lambda n: 20 * n - 28), section, lambda n, dtype=None: product_tree(n, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "product_tree_square", "product of n numbers, tree of two-square gates", 8, (1, 2, 5, 8),
        ("6 n - 6", lambda n: 6 * n - 6), section,
        lambda n, dtype=None: product_tree(n, activation="square", dtype=dtype),
    )  # fmt: skip


def _polynomial_entries() -> Iterator[Entry]:
    section = "Lin, Tegmark & Rolnick (2017), section II.C"
    posteriors = "Lin, Tegmark & Rolnick (2017), Eqs. 2 to 8"

    yield _real(
        "polynomial", "x^n - 2 x y^(n-1) + 1/2, exact squares", 7, (1, 2, 3, 7), None, section,
        lambda n, dtype=None: polynomial(_two_variables(n), dtype=dtype),
    )  # fmt: skip
    yield _real(
        "polynomial_smooth", "x^n - 2 x y^(n-1) + 1/2, softplus units", 7, (2, 3, 5), None, section,
        lambda n, dtype=None: polynomial(_two_variables(n), activation="softplus", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "quadratic_form", "sum of squared differences of n neighbors", 8, (1, 2, 5), None, section,
        lambda n, dtype=None: quadratic_form(2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1), dtype=dtype),
    )  # fmt: skip
    yield _real(
        "hamiltonian_classifier", "chain of n spins, coupled or opposed", 4, (2, 3, 5), None, posteriors, _spin_chain
    )
    yield _real(
        "gaussian_classifier", "three normal classes in n dimensions", 2, (1, 2, 4), None, posteriors, _three_normals
    )


def _two_variables(n: int) -> dict[tuple[int, int], float]:
    return {(0, 0): 0.5, (1, n - 1): -2.0} | {(n, 0): 1.0}


def _spin_chain(n: int, dtype: Any = None) -> Construction:
    pairs = [tuple(int(i in (j, j + 1)) for i in range(n)) for j in range(n - 1)]
    coupled, opposed = (dict.fromkeys(pairs, sign) for sign in (-0.5, 0.5))
    return hamiltonian_classifier([coupled, opposed], [0.75, 0.25], dtype=dtype)


def _three_normals(n: int, dtype: Any = None) -> Construction:
    means = np.stack([np.full(n, center) for center in (-1.0, 0.0, 1.0)])
    covariances = np.stack([scale * (np.eye(n) + 0.5) for scale in (0.5, 1.0, 0.5)])
    return gaussian_classifier(means, covariances, dtype=dtype)


def _boolean_entries() -> Iterator[Entry]:
    eq12 = "Lin, Tegmark & Rolnick (2017), Eq. 12"

    yield _real(
        "bit_product", "AND of n bits, one sigmoid", 8, (1, 2, 5), ("n", lambda n: n),
        "Lin, Tegmark & Rolnick (2017), Eq. 13", lambda n, dtype=None: bit_product(n, dtype=dtype),
    )  # fmt: skip
    yield _real(
        "boolean_function", "majority of n bits, ReLU ANDs", 5, (1, 3, 5), None, eq12,
        lambda n, dtype=None: boolean_function(_majority(n), dtype=dtype),
    )  # fmt: skip
    yield _real(
        "boolean_minterm", "majority of n bits, one ReLU unit an input", 5, (1, 3, 5), None, eq12,
        lambda n, dtype=None: boolean_function(_majority(n), basis="minterm", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "boolean_sigmoid", "majority of n bits, sigmoid ANDs", 5, (1, 3, 5), None, eq12,
        lambda n, dtype=None: boolean_function(_majority(n), activation="sigmoid", dtype=dtype),
    )  # fmt: skip
    yield _real(
        "boolean_classifier", "probabilities of two classes given n bits", 4, (1, 2, 4), None,
        "Lin, Tegmark & Rolnick (2017), Eqs. 8 and 12", _noisy_majority,
    )  # fmt: skip


def _fractal_entries() -> Iterator[Entry]:
    slides = "Malach & Shalev-Shwartz (2019), slides"

    def entry(
        name: str, summary: str, size: int, sizes: tuple, formula: Any, system: Callable[[], systems.IFS]
    ) -> Entry:
        return _real(
            name, summary, size, sizes, formula, slides, lambda n, dtype=None: fractal(system(), n, dtype=dtype)
        )

    yield entry(
        "fractal_cantor", "level n of the Cantor set", 5, (1, 2, 5), ("24 n - 18", lambda n: 24 * n - 18),
        systems.cantor,
    )  # fmt: skip
    yield entry(
        "fractal_dust", "level n of Cantor dust in the plane", 5, (1, 2, 3), ("176 n - 188", lambda n: 176 * n - 188),
        systems.cantor_dust,
    )  # fmt: skip
    yield entry(
        "fractal_rotated", "level n of dust, its cells turned by 45 degrees", 4, (1, 2, 3), None, systems.rotated_dust
    )
    yield entry(
        "fractal_reflected", "level n of dust in space, cells mirrored", 3, (1, 2, 3), None,
        lambda: systems.reflected_dust(3),
    )  # fmt: skip
    yield entry(
        "fractal_triangle", "level n of the Sierpinski triangle", 5, (1, 2, 3), None, systems.sierpinski_triangle
    )
    yield entry(
        "fractal_carpet", "level n of the Sierpinski carpet, folded", 5, (1, 2, 3),
        ("36 n + 1", lambda n: 36 * n + 1), systems.sierpinski_carpet,
    )  # fmt: skip


def _majority(n: int) -> np.ndarray:
    counts = np.bitwise_count(np.arange(2**n, dtype=np.uint64))
    return (2 * counts > n).astype(float)


def _noisy_majority(n: int, dtype: Any = None) -> Construction:
    share = 0.1 + 0.8 * _majority(n)
    return boolean_classifier(np.log(np.stack([1 - share, share], axis=1)), dtype=dtype)


def _real_fft(n: int, dtype: Any = None) -> Construction:
    wide = None if dtype is None else np.result_type(dtype, np.complex64)
    return realify(fft(n, dtype=wide))


_FAMILIES = (
    _parity_entries,
    _fourier_entries,
    _product_entries,
    _polynomial_entries,
    _boolean_entries,
    _fractal_entries,
)

ENTRIES = MappingProxyType({entry.name: entry for family in _FAMILIES for entry in family()})
