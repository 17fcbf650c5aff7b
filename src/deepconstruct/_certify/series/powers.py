"""The rounding of a hidden layer of powers, which is largest at a corner of the box.

What every unit adds is bounded by convex functions of the input, so that the corners count, where few units are
near the largest: with `a = |z| + dz` the power of a pre-activation errs by `power a^(power - 1) dz`, and

    power a^(power - 1) |s| <= (power - 1) a^power + |s|^power

for a partial sum `s` on the way to `z`.
"""

import math

import numpy as np

from ..._arithmetic.rounding import are_powers_of_two
from .rounding import UP, Cell, Format, pre_activations, products


def powers_read(
    power: int,
    weights: np.ndarray,
    biases: np.ndarray,
    readout: np.ndarray,
    constant: float,
    cell: Cell,
    form: Format,
    *,
    ordered: bool,
) -> float:
    """The rounding of `constant + sum_k readout_k (b_k + w_k x)^power`: infinite where there are too many corners.

    If `ordered`, inputs are added one after another, the bias last, and units in pairs, before their one weight.
    """
    n, units = weights.shape[1], len(weights)
    off = pre_activations(weights, biases, cell, form, ordered).error.max()
    if n > 16 or 2**n * units * n > 2**22 or not np.isfinite(off):
        return math.inf
    signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    corners = cell.center + signs * cell.half
    partial = np.cumsum(weights[None] * corners[:, None, :], axis=2)  # (corners, units, inputs)
    reach = np.abs(weights) @ cell.moduli
    # What was rounded in the running network so far, and in these sums themselves.
    off = off + ((np.abs(biases) + reach) * (n + 3) * 2.0**-52 + 2.0**-1050)
    sums = partial[:, :, -1] + biases
    z = np.abs(sums) + off
    terms = (weights != 0).sum(axis=1) + (biases != 0)
    grown = 1 + 2 * (terms + power + 2) * form.u
    # The last addition gives z.
    errors = form.u * power * z**power * (terms > 1) + power * z ** (power - 1) * products(weights, cell, form)
    if ordered:
        found = np.abs(partial) + off[:, None]
        steps = (power - 1) * z[:, :, None] ** power + found**power
        errors += form.u * np.where(_inner(weights, biases)[None], steps, 0.0).sum(axis=2)
    else:
        errors += form.u * power * z ** (power - 1) * np.maximum(terms - 2, 0) * (np.abs(biases) + reach)
    errors = errors * grown + math.expm1((power - 1) * math.log1p(form.u)) * UP * z**power
    errors += 2 * power * form.tiny * np.maximum(z, 1.0) ** power
    return _read(power, sums, z, off, errors, readout, constant, form, in_pairs=ordered)


def _inner(weights: np.ndarray, biases: np.ndarray) -> np.ndarray:
    """At which inputs an addition takes place that isn't the last one."""
    used = weights != 0
    adds = used & (np.cumsum(used, axis=1) > 1)
    is_last = np.cumsum(used[:, ::-1], axis=1)[:, ::-1] == 1
    return adds & ~(is_last & (biases == 0)[:, None])


def _read(
    power: int,
    sums: np.ndarray,
    z: np.ndarray,
    off: np.ndarray,
    errors: np.ndarray,
    readout: np.ndarray,
    constant: float,
    form: Format,
    *,
    in_pairs: bool,
) -> float:
    """The readout of powers, at the corner where it rounds most."""
    sizes = np.abs(readout)
    mass, passed = z**power @ sizes, errors @ sizes
    terms = int((readout != 0).sum()) + (constant != 0)
    if in_pairs:
        levels = len(readout).bit_length() - 1
        made = levels * form.u * (mass + passed)
        total = float((passed + made * (1 + 2 * levels * form.u)).max())
        total += 0.0 if are_powers_of_two(readout[0]) else form.u * (float(mass.max()) + total)
    else:
        if power % 2:
            ends = (np.maximum(np.sign(readout) * side * sums + off, 0) ** power @ sizes for side in (1, -1))
        else:
            ends = (z**power @ np.where(readout * side > 0, sizes, 0.0) for side in (1, -1))
        largest = np.maximum(*(end + abs(constant) for end in ends)) + passed
        products = form.u * (z**power @ np.where(are_powers_of_two(readout), 0.0, sizes))
        total = float((passed + products + max(terms - 1, 0) * form.u * largest).max()) * (1 + 2 * terms * form.u)
    total += float(form.lost(readout, z.max(axis=0) ** power).sum())
    # Units, products and sums may be flushed; in pairs that is before the weight.
    total += form.tiny * float((1 + len(readout)) * sizes.sum() + 2 * terms + 2)
    return (
        total * UP if float(mass.max()) + float((z**power).sum(axis=1).max()) + abs(constant) < form.most else math.inf
    )
