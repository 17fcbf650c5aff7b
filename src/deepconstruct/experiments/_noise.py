"""Noise scales, checked before they are traced."""

from collections.abc import Sequence

from .._checks import check_scalar


def checked_scales(owner: str, scales: Sequence[float]) -> tuple[float, ...]:
    """At least one finite scale, none of them negative."""
    if isinstance(scales, str) or not hasattr(scales, "__len__") or len(scales) == 0:
        raise ValueError(f"{owner}: scales must be a list of at least one noise scale; got {scales!r}")
    return tuple(check_scalar(owner, "scales", scale) for scale in scales)
