"""Roots of unity: exact where they can be, else good to far more digits than a double."""

from decimal import Decimal, getcontext

import numpy as np
import pytest

from deepconstruct._roots import roots_of_unity

getcontext().prec = 60
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")

SIZES = [1, 2, 3, 4, 5, 7, 8, 12, 24, 97, 1024]


def decimal_root(k: int, n: int) -> tuple[Decimal, Decimal]:
    """Cosine and sine of 2 pi k / n by their Taylor series, in 60 digits."""
    angle = 2 * PI * k / n
    sums, term, order = [Decimal(0), Decimal(0)], Decimal(1), 0
    while abs(term) > Decimal("1e-58"):
        sums[order % 2] += term if order % 4 < 2 else -term
        order += 1
        term = term * angle / order
    return sums[0], sums[1]


def some_indices(n: int) -> list[int]:
    return sorted({*range(min(n, 13)), n // 8, n // 4, n // 3, n // 2, (5 * n) // 7, n - 1})


def exact(value: float) -> Decimal:
    return Decimal(float(value))


@pytest.mark.parametrize("n", SIZES)
def test_high_plus_low_is_good_to_a_hundred_bits(n):
    high, low = roots_of_unity(n)
    for k in some_indices(n):
        cosine, sine = decimal_root(k, n)
        assert abs(exact(high[k].real) + exact(low[k].real) - cosine) < Decimal(2) ** -100
        assert abs(exact(high[k].imag) + exact(low[k].imag) - sine) < Decimal(2) ** -100


@pytest.mark.parametrize("n", SIZES)
def test_high_is_the_nearest_double(n):
    high, _ = roots_of_unity(n)
    for k in some_indices(n):
        for found, wanted in zip((high[k].real, high[k].imag), decimal_root(k, n), strict=True):
            error = abs(exact(found) - wanted)
            if error > Decimal("1e-50"):  # else the value itself is a double, such as 1/2
                assert error <= abs(exact(np.nextafter(found, 2)) - wanted)
                assert error <= abs(exact(np.nextafter(found, -2)) - wanted)


@pytest.mark.parametrize("n", [4, 8, 12, 1024])
def test_quarter_turns_are_exact(n):
    high, low = roots_of_unity(n)
    quarters = [0, n // 4, n // 2, 3 * n // 4]
    assert high[quarters].tolist() == [1, 1j, -1, -1j]
    assert np.all(low[quarters] == 0)


@pytest.mark.parametrize("n,k", [(1, 0), (2, 0), (3, 0), (7, 0)])
def test_first_root_is_exactly_one(n, k):
    high, low = roots_of_unity(n)
    assert high[k] == 1
    assert low[k] == 0


def test_half_turn_is_exact_where_quarters_do_not_exist():
    high, low = roots_of_unity(6)
    assert high[3] == -1
    assert low[3] == 0


def test_only_quarter_turns_have_zero_parts():
    # Any other zero, or a 6e-17 in place of one, would change a count of synapses.
    high, _ = roots_of_unity(1024)
    assert np.flatnonzero(np.real(high) == 0).tolist() == [256, 768]
    assert np.flatnonzero(np.imag(high) == 0).tolist() == [0, 512]


@pytest.mark.parametrize("n", SIZES)
def test_conjugates_mirror_exactly(n):
    high, low = roots_of_unity(n)
    mirrored = -np.arange(n) % n
    assert np.array_equal(high[mirrored], high.conj())
    assert np.array_equal(low[mirrored], low.conj())


def test_diagonal_roots_have_equal_parts():
    high, _ = roots_of_unity(8)
    assert high[1].real == high[1].imag == -high[3].real == np.sqrt(0.5)


@pytest.mark.parametrize("n", SIZES)
def test_shapes_and_dtypes(n):
    for part in roots_of_unity(n):
        assert part.shape == (n,)
        assert part.dtype == np.complex128


def test_cached_arrays_cannot_be_changed():
    high, _ = roots_of_unity(5)
    with pytest.raises(ValueError, match="read-only"):
        high[0] = 0


def test_larger_sizes_contain_the_smaller():
    fine, coarse = roots_of_unity(24), roots_of_unity(12)
    assert np.array_equal(fine[0][::2], coarse[0])
    assert np.allclose(fine[1][::2], coarse[1], rtol=0, atol=2.0**-100)
