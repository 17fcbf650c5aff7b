"""The discrete Fourier transform."""

import dataclasses
import math
from typing import Any

import numpy as np

from .._checks import check_choice, check_flag, check_size
from .._flint import flint
from .._roots import roots_of_unity
from .._static import namespace
from .base import Formula, own
from .exact import balls, digits, objects


@dataclasses.dataclass(frozen=True)
class DFT(Formula):
    """The discrete Fourier transform `y_k = sum_j x_j exp(-2 pi i j k / n)`, or its inverse.

    `norm` is that of `numpy.fft`: `"backward"` divides the inverse by n, `"ortho"` both by the
    square root of n, `"forward"` the forward transform by n.
    """

    n: int
    norm: str = "backward"
    inverse: bool = False

    def __post_init__(self):
        check_size("DFT", "n", self.n)
        check_flag("DFT", "inverse", self.inverse)
        check_choice("DFT", "norm", self.norm, ("backward", "ortho", "forward"))

    @property
    def name(self):
        norm = "" if self.norm == "backward" else f", {self.norm}"
        return f"{'idft' if self.inverse else 'dft'}({self.n}{norm})"

    def _evaluate(self, x):
        fft = namespace(x).fft
        return (fft.ifft if self.inverse else fft.fft)(x, axis=-1, norm=self.norm)

    def _exactness(self, given):
        return own(self, "balls")

    def _exact(self, x):
        with digits():
            rows = [self._transformed(row) for row in balls(x.reshape(-1, x.shape[-1])).tolist()]
        return objects([value for row in rows for value in row], x.shape)

    def _transformed(self, row: list[Any]) -> list[Any]:
        # Arb's inverse divides by n.
        times = {"backward": 1, "ortho": flint().arb(self.n).sqrt(), "forward": self.n}[self.norm]
        found = flint().acb.dft(row, inverse=self.inverse)
        return [value * times if self.inverse else value / times for value in found]

    @property
    def is_linear(self):
        return True

    @property
    def scale(self) -> np.longdouble:
        """The factor of the plain sum of exponentials, in extended precision."""
        n = np.longdouble(self.n)
        if self.norm == "ortho":
            return 1 / np.sqrt(n)
        divided = (self.norm == "backward") == self.inverse
        return 1 / n if divided else np.longdouble(1)

    def matrix(self):
        high, low = roots_of_unity(self.n)
        roots = high.astype(np.clongdouble) + low
        if not self.inverse:
            roots = roots.conj()
        index = np.arange(self.n)
        return roots[np.outer(index, index) % self.n] * self.scale

    def stretch(self):
        # A multiple of a unitary matrix: all its singular values are the same.
        value = math.sqrt(self.n) * float(self.scale)
        return value * (1 - 2**-50), value * (1 + 2**-50)
