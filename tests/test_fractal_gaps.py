"""Points that leave a fractal through thin gaps: drawn quickly, in any dimension, inside the domain."""

import itertools

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.domains import Fractal
from deepconstruct.systems.gaps import gap_of
from fractal_points import MIXED, excess, turned

KEY = jax.random.key(0)


def thin(size, ratio):
    """Cells in all corners that leave a cross of width `2 - 4 ratio`."""
    signs = list(itertools.product([-1, 1], repeat=size))
    return dc.IFS([np.eye(size) * ratio] * len(signs), [[s * (1 - ratio) for s in row] for row in signs], name="thin")


# A ninth map that leaves a frame of width 1e-4 around the center, and one turned map alone.
FRAME = dc.IFS(
    [np.eye(2) / 3 * (1 - 1e-4 * (not any(row))) for row in itertools.product((-2 / 3, 0.0, 2 / 3), repeat=2)],
    list(itertools.product((-2 / 3, 0.0, 2 / 3), repeat=2)),
    name="frame",
)
TURNED = dc.IFS([turned(0.3, 0.7)], [[0.0, 0.0]], name="turned")
CASES = [
    (thin(1, 0.4999), 2, 0.0, 2.0**-12),
    (thin(1, 0.5 - 2.0**-24), 1, 0.0, 2.0**-23),
    (thin(2, 0.4999), 2, 0.0, 2.0**-13),
    (thin(4, 0.4999), 1, 0.0, 2.0**-13),
    (FRAME, 1, 0.0, 2.0**-15),
    (MIXED, 2, 0.0, 2.0**-6),
    (TURNED, 2, 0.0, 2.0**-6),
    (dc.systems.vicsek(2), 9, 0.2, 0.0),
    (dc.systems.vicsek(2), 1, 0.7, 0.0),
]


@pytest.mark.parametrize("system,level,inner,outer", CASES)
def test_the_boxes_of_a_gap_are_off_the_cells_or_close_to_them(system, level, inner, outer):
    gap = gap_of(system.linear, system.offsets, 0.0, outer)
    points = gap.points.array
    assert len(points) >= 100
    assert np.all(excess(system, points) >= outer * (1 - 1e-9))
    if gap.is_tight:
        boxes = gap.boxes.array
        assert np.all(excess(system, boxes.mean(axis=1)) >= outer)


def test_the_boxes_of_a_gap_have_its_volume():
    gap = gap_of(*(getattr(dc.systems.vicsek(2), name) for name in ("linear", "offsets")), 0.0, 0.0)
    boxes = gap.boxes.array
    assert gap.is_tight
    assert np.prod(boxes[:, 1] - boxes[:, 0], axis=1).sum() == pytest.approx(4 * 4 / 9, rel=1e-12)
    turned_gap = gap_of(TURNED.linear, TURNED.offsets, 0.0, 0.0)
    volume = np.prod(turned_gap.boxes.array[:, 1] - turned_gap.boxes.array[:, 0], axis=1).sum()
    # Its boxes reach into the cell, by little.
    assert 4 * (1 - 0.49) < volume < 4 * (1 - 0.49) * 1.05


@pytest.mark.parametrize("system,level,inner,outer", CASES)
def test_probes_leave_at_every_level(system, level, inner, outer):
    domain = Fractal(system, level, inner, outer)
    x = domain.probe(KEY, (600,), dtype="float64")
    assert np.all(domain.contains(x))
    depths = system.depth(x, level)
    assert set(depths.tolist()) >= set(range(domain.last_left)) | {level}


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system,level,inner,outer,dtype", [(*CASES[0], "float32"), (*CASES[7], "float64")])
def test_samples_leave_at_every_level(system, level, inner, outer, dtype):
    domain = Fractal(system, level, inner, outer)
    x = np.asarray(jax.jit(lambda key: domain.sample(key, (600,), dtype=dtype))(KEY))
    assert np.all(domain.contains(x))
    depths = system.depth(x.astype(float), level)
    assert set(depths.tolist()) >= set(range(domain.last_left)) | {level}
    assert abs(np.mean(depths == level) - 0.5) < 0.1


@pytest.mark.slow
def test_samples_are_uniform_in_a_thin_gap():
    domain = Fractal(thin(1, 0.4999), 1, 0.0, 2.0**-13)
    x = np.asarray(domain.sample(KEY, (2000,), dtype="float64"))[:, 0]
    # The gap without the margins, in units of half a cell.
    width = 0.0002 - 0.4999 * 2.0**-13
    left = np.sort(x[np.abs(x) < 0.0002]) / width
    assert len(left) > 800
    assert np.max(np.abs((left + 1) / 2 - (np.arange(len(left)) + 0.5) / len(left))) < 2 / np.sqrt(len(left))


def test_a_claim_with_a_thin_gap_is_certified():
    construction = dc.fractal(thin(1, 0.4999), 1, margin=2.0**-12)
    assert dc.certify(construction).holds


def test_a_domain_whose_points_are_never_found_says_so():
    class Nowhere(Fractal):
        def _contains(self, x, room):
            return np.zeros(x.shape[:-1], bool)

    with pytest.raises(
        ValueError, match=r"Fractal\(cantor, 1, .*\): no points were found in float32 that keep the margins"
    ):
        Nowhere(dc.systems.cantor(), 1, 0.0, 0.1).probe(jax.random.key(0), (3,), dtype="float32")
