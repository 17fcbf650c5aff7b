"""The rounding of a hidden layer of powers, which is largest at a corner of the box.

What every unit adds is bounded by convex functions of the input, so that the corners count, where few units are
near the largest: with `a = |z| + dz` the power of a pre-activation errs by `power a^(power - 1) dz`, and

    power a^(power - 1) |s| <= (power - 1) a^power + |s|^power

for a partial sum `s` on the way to `z`.
"""

import math

import numpy as np

from .series_rounding import UP, Format, is_power_of_two, pre_activations


def powers_read(
    power: int,
    weights: np.ndarray,
    biases: np.ndarray,
    readout: np.ndarray,
    constant: float,
    bounds: np.ndarray,
    value: float,
    form: Format,
    *,
    in_order: bool,
    in_pairs: bool,
) -> float:
    """The rounding of a sum of powers `(b + w x)^power`, which is at most `value`: infinite for too many corners."""
    n, units = weights.shape[1], len(weights)
    if n > 16 or 2**n * units * n > 2**22:
        return math.inf
    sums = pre_activations(weights, biases, bounds, form, in_order)
    signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    corners = signs * bounds
    partial = np.cumsum(weights[None] * corners[:, None, :], axis=2)  # (corners, units, inputs)
    off = sums.error.max()
    own = (np.abs(biases) + sums.reach) * (n + 2) * 2.0**-52  # these sums themselves
    z = np.abs(partial[:, :, -1] + biases) + own + off
    used = weights != 0
    terms = used.sum(axis=1) + (biases != 0)
    grown = 1 + 2 * (terms + 2) * form.u
    inner = np.maximum(terms - 2, 0)
    if in_order:
        # The last addition gives z; those before it the sums of the first few inputs.
        adds = used & (np.cumsum(used, axis=1) > 1)
        last = np.cumsum(used[:, ::-1], axis=1)[:, ::-1] == 1
        adds = adds & ~(last & (biases == 0)[:, None])
        steps = np.where(
            adds[None], (power - 1) * z[:, :, None] ** power + (np.abs(partial) + own[:, None] + off) ** power, 0.0
        )
        before = form.u * steps.sum(axis=2)
    else:
        before = form.u * power * z ** (power - 1) * (inner * (np.abs(biases) + sums.reach))
    products = form.u * np.where(is_power_of_two(weights), 0.0, np.abs(weights) * bounds).sum(axis=1)
    flushed = form.lost(weights, bounds).sum(axis=1) + form.tiny * (np.abs(weights).sum(axis=1) + 2 * terms + 2)
    evaluated = z**power
    errors = before + power * z ** (power - 1) * (products + flushed) + form.u * power * evaluated * (terms > 1)
    errors = errors * grown + math.expm1((power - 1) * math.log1p(form.u)) * UP * evaluated
    errors += 2 * power * form.tiny * np.maximum(z, 1.0) ** power
    return _read(power, partial[:, :, -1] + biases, z, errors, readout, constant, value, form, in_pairs, own + off)


def _read(
    power: int,
    sums: np.ndarray,
    z: np.ndarray,
    errors: np.ndarray,
    readout: np.ndarray,
    constant: float,
    value: float,
    form: Format,
    in_pairs: bool,
    off: np.ndarray,
) -> float:
    """The readout of powers, at the corner where it rounds most."""
    sizes = np.abs(readout)
    mass, passed = z**power @ sizes, errors @ sizes
    terms = int((readout != 0).sum()) + (constant != 0)
    if in_pairs:
        levels = len(readout).bit_length() - 1
        made = levels * form.u * (mass + passed)
        total = float((passed + made * (1 + 2 * levels * form.u)).max())
        total += 0.0 if is_power_of_two(readout[0]) else form.u * (value + total)
    else:
        if power % 2:
            ends = (np.maximum(np.sign(readout) * side * sums + off, 0) ** power @ sizes for side in (1, -1))
        else:
            ends = (z**power @ np.where(readout * side > 0, sizes, 0.0) for side in (1, -1))
        largest = np.maximum(*(end + abs(constant) for end in ends)) + passed
        products = form.u * (z**power @ np.where(is_power_of_two(readout), 0.0, sizes))
        total = float((passed + products + max(terms - 1, 0) * form.u * largest).max()) * (1 + 2 * terms * form.u)
    total += float(form.lost(readout, z.max(axis=0) ** power).sum())
    # Units, products and sums may be flushed; in pairs that is before the weight.
    total += form.tiny * float((1 + len(readout)) * sizes.sum() + 2 * terms + 2)
    return (
        total * UP if float(mass.max()) + float((z**power).sum(axis=1).max()) + abs(constant) < form.most else math.inf
    )
