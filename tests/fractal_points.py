"""Points of fractals and off them for tests, drawn with NumPy alone; and a check of indicator networks on them."""

import re
from typing import Any

import numpy as np

import deepconstruct as dc
from deepconstruct import domains


def turned(angle: float, ratio: float) -> np.ndarray:
    return ratio * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


# Three maps that differ in size, angle and orientation.
MIXED = dc.IFS(
    [turned(0.4, 0.3), turned(1.1, 0.2) @ np.diag([-1.0, 1.0]), [[0.25, 0.1], [0.0, 0.4]]],
    [[-0.5, -0.5], [0.6, -0.6], [0.2, 0.5]],
    name="mixed",
)
# [-1, -1/2] and [0, 1].
UNEQUAL = dc.IFS([[[0.25]], [[0.5]]], [[-0.75], [0.5]], name="unequal")


def by_name(value: object) -> str:
    """For the names of parametrized tests."""
    return f"{value.name}-{value.size}" if isinstance(value, dc.IFS) else str(value)


def domain_of(construction: dc.Construction) -> domains.Fractal:
    """Where an indicator network is right."""
    domain = construction.claim.domain
    assert isinstance(domain, domains.Fractal)
    return domain


def excess(system: dc.IFS, x: np.ndarray) -> np.ndarray:
    """By how much points exceed the images of all maps, in cell coordinates."""
    inverses = np.linalg.inv(system.linear.array)
    u = inverses @ (x.T - system.offsets.array[:, :, None])
    return np.abs(u).max(axis=1).min(axis=0) - 1


def moved_in(system: dc.IFS, x: np.ndarray, letters: int, generator: np.random.Generator, inner: float) -> np.ndarray:
    """Points taken into random cells; others stand in for those that come too near to a face on the way."""
    count = len(x)
    for _ in range(letters):
        kept = x[np.abs(x).max(axis=1) <= 1 - inner]
        x = np.concatenate([kept, kept[generator.integers(0, len(kept), count - len(kept))]])
        which = generator.integers(0, system.num_maps, count)
        x = np.einsum("nij,nj->ni", system.linear.array[which], x) + system.offsets.array[which]
    return x


def on_the_fractal(domain: domains.Fractal, count: int) -> np.ndarray:
    """Points of `K_level`, half of them at corners of cells."""
    generator = np.random.default_rng(domain.level)
    x = generator.uniform(-1, 1, (count, domain.size)) * (1 - domain.inner)
    x[::2] = np.sign(x[::2]) * (1 - domain.inner)
    return moved_in(domain.system, x, domain.level, generator, domain.inner)


def leaving(domain: domains.Fractal, stop: int, count: int) -> np.ndarray:
    """Points of `K_(stop - 1)` that are off `K_stop` by the margin; none where there are none."""
    generator = np.random.default_rng(1000 + stop)
    x = generator.uniform(-1, 1, (3 * count, domain.size))
    x = x[(excess(domain.system, x) >= domain.outer) & (np.abs(x).max(axis=1) <= 1 - domain.inner)][:count]
    return moved_in(domain.system, x, stop - 1, generator, domain.inner)


def check_outputs(construction: dc.Construction, count: int, each: int | None = None, delta: float = 0.0) -> None:
    """1 on the fractal, 0 where points leave at every level, also where they are moved by `delta`.

    Args:
        construction: an indicator network.
        count: of points on the fractal.
        each: of points that leave at each level; by default `count` in all.
        delta: in the max norm.
    """
    domain = domain_of(construction)
    stops = range(1, domain.level + 1)
    parts = [leaving(domain, stop, each or count // domain.level) for stop in stops]
    parts.append(on_the_fractal(domain, count))
    assert all(len(part) for part in parts) or not domain.last_left
    x, stays = np.concatenate(parts), np.repeat(np.arange(len(parts)) == domain.level, [len(part) for part in parts])
    # One shape for all systems, so that they share what was compiled.
    missing = count + (each * domain.level if each else count) - len(x)
    x, stays = (np.concatenate([np.repeat(array[-1:], missing, axis=0), array]) for array in (x, stays))
    x += delta * np.random.default_rng(0).choice([-1.0, 1.0], x.shape)
    found = np.asarray(construction(x.astype(construction.claim.dtype)))[:, 0]
    np.testing.assert_array_equal(found, stays)


def refusal(build: Any) -> str:
    """What a build that must be refused says."""
    try:
        build()
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def deepest(system: dc.IFS, dtype: str, **options: Any) -> int:
    """The deepest level that a refusal names, 0 where even the first is refused."""
    message = refusal(lambda: dc.fractal(system, 4096, dtype=dtype, **options))
    if "even at level 1" in message:
        return 0
    found = re.search(rf"{dtype} carries {system.name} to level (\d+) at a margin of \S+; got 4096", message)
    assert found, message
    return int(found[1])
