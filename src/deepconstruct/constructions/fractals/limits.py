"""Between the points that stay and those that leave: thresholds.

Excess is measured in cell coordinates, `max |u| - 1`. Points that stay have at most `inside`, points
that leave at least `inside + margin`. The network's threshold lies at 3/8 of the margin, and rounding
may move every excess by 3/8 of it; what is left, 1/4, must outweigh what a branch sends on.
"""

import dataclasses
import math

# A branch sends on `clip(u) + 2`, at most 3; the rest is for rounding.
_OUTWEIGHED = 3.25


@dataclasses.dataclass(frozen=True)
class Limits:
    """The thresholds of one network.

    Attributes:
        margin: from the excess of points that stay to that of points that leave.
        inside: the excess of points that stay: 0, or minus the margin.
    """

    margin: float
    inside: float

    @property
    def threshold(self) -> float:
        """Up to this excess a branch is active."""
        return self.inside + 0.375 * self.margin

    @property
    def tolerated(self) -> float:
        """How far rounding may move an excess."""
        return 0.375 * self.margin

    @property
    def slope(self) -> float:
        """The weight of the excess over the threshold, a power of two that silences a branch."""
        return 2.0 ** math.ceil(math.log2(_OUTWEIGHED / (0.25 * self.margin)))
