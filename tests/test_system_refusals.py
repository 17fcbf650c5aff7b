"""What iterated function systems and their networks refuse, by message, and the ways out that a refusal offers."""

# Wrong arguments are the point here.
# pyright: reportArgumentType=false

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

import deepconstruct as dc
from deepconstruct import domains, systems, targets
from fractal_points import deepest, refusal

KEY = jax.random.key(0)
CANTOR, DUST = systems.cantor(), systems.cantor_dust()
HALF = [[0.5, 0.0], [0.0, 0.5]]
CORNERS = [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5]]


def with_last(matrix: object, offset: object) -> dc.IFS:
    """Two good maps of the square, and a third."""
    return dc.IFS([HALF, HALF, matrix], [*CORNERS[:2], offset])


MAPS = [
    ("map 2 is not invertible: it stretches by 0.5 at most and by 0 at least",
     lambda: with_last([[0.5, 0.0], [0.0, 0.0]], CORNERS[2])),
    ("map 2 is not invertible", lambda: with_last([[0.2, 0.4], [0.1, 0.2]], [0.0, 0.5])),
    ("map 2 is not invertible: it stretches by 0 at most", lambda: with_last([[0.0, 0.0], [0.0, 0.0]], CORNERS[2])),
    ("map 2 is not contractive: it stretches some direction by 1; all factors must be below 1",
     lambda: with_last([[1.0, 0.0], [0.0, 0.1]], [0.0, 0.5])),
    (r"map 0 is not contractive: it stretches some direction by 1\.5", lambda: dc.IFS([[[-1.5]]], [[0.0]])),
    # Its eigenvalues are 0, but one direction is stretched.
    (r"map 0 is not contractive: it stretches some direction by 1\.0\d", lambda: dc.IFS(
        [[[0.01, 1.05], [0.0, 0.01]]], [[0.0, 0.0]])),
    (r"map 2 leaves the cube: its image of \[-1, 1\]\^2 reaches 1\.1 along axis 1; shrink or shift it",
     lambda: with_last(HALF, [0.5, -0.6])),
    ("map 0 leaves the cube.*reaches 1.2 along axis 0", lambda: dc.IFS([[[0.6, 0.6], [0.0, 0.6]]], [[0.0, 0.0]])),
    ("map 1 leaves the cube", lambda: dc.IFS([[[0.5]], [[0.5]]], [[-0.5], [0.5000001]])),
    ("map 2 has NaN or infinite coefficients", lambda: with_last([[math.nan, 0.0], [0.0, 0.5]], CORNERS[2])),
    ("map 2 has NaN or infinite coefficients", lambda: with_last(HALF, [0.5, math.nan])),
    ("map 0 has NaN or infinite coefficients", lambda: dc.IFS([[[0.5]], [[0.5]]], [[math.inf], [0.5]])),
    ("maps 1 and 2 overlap: their images of the cube share interior points .shrink both by 0.2 of their size, or move",
     lambda: with_last(HALF, [0.5, 0.3])),
    ("maps 0 and 2 overlap.*shrink both by 1 of their size", lambda: with_last(HALF, CORNERS[0])),
    # The third lies within the first.
    ("maps 0 and 2 overlap", lambda: with_last([[0.1, 0.0], [0.0, 0.1]], CORNERS[0])),
    # Turned squares whose bounding boxes overlap as well as they do.
    ("maps 0 and 1 overlap", lambda: dc.IFS([[[0.3, -0.3], [0.3, 0.3]]] * 2, [[-0.29, 0.0], [0.29, 0.0]])),
]  # fmt: skip

SHAPES = [
    (ValueError, r"linear must have shape \(r, d, d\), one matrix a map; got \(2, 2\)", lambda: dc.IFS(HALF, CORNERS)),
    (ValueError, r"linear must have shape .*; got \(1, 1, 2\)", lambda: dc.IFS([[[0.5, 0.1]]], [[0.0]])),
    (ValueError, r"linear must have shape .*; got \(0,\)", lambda: dc.IFS([], [])),
    (ValueError, r"linear must have shape .*; got \(1, 0, 0\)", lambda: dc.IFS(np.zeros((1, 0, 0)), np.zeros((1, 0)))),
    (ValueError, r"linear must have shape .*; got \(\)", lambda: dc.IFS(0.5, 0.0)),
    (ValueError, r"offsets must have shape \(2, 2\), one vector a map; got \(3, 2\)",
     lambda: dc.IFS([HALF] * 2, CORNERS)),
    (ValueError, r"offsets must have shape \(1, 2\), one vector a map; got \(2,\)", lambda: dc.IFS([HALF], [0.5, 0.5])),
    (TypeError, "linear must be an array of real numbers; got", lambda: dc.IFS([[[0.5j]]], [[0.0]])),
    (TypeError, "offsets must be an array of real numbers; got", lambda: dc.IFS([[[0.5]]], [[0.0 + 0j]])),
    (TypeError, "linear must be an array of real numbers; got 'cantor'", lambda: dc.IFS("cantor", [[0.0]])),
    (TypeError, "offsets must be an array of real numbers; got", lambda: dc.IFS([[[0.5]]], [["left"]])),
    (TypeError, "linear must be an array of real numbers; got", lambda: dc.IFS([[[0.5]], [[0.5, 1]]], [[0.0]])),
    (TypeError, "name must be a text; got", lambda: dc.IFS([[[0.5]]], [[0.0]], name="")),
    (TypeError, "name must be a text; got 3", lambda: dc.IFS([[[0.5]]], [[0.0]], name=3)),
]  # fmt: skip

METHODS = [
    (ValueError, "IFS: measure must be one of 'uniform', 'self-similar'; got 'hausdorff'",
     lambda: CANTOR.sample(KEY, 2, 3, "hausdorff")),
    (ValueError, "IFS: level must be at least 0; got -1", lambda: CANTOR.sample(KEY, -1, 3)),
    (ValueError, "IFS: num must be at least 0; got -3", lambda: CANTOR.sample(KEY, 1, -3)),
    (TypeError, "IFS: num must be an integer; got 2.5", lambda: CANTOR.sample(KEY, 1, 2.5)),
    (TypeError, "IFS: key must be one PRNG key, such as .*; got int", lambda: CANTOR.sample(0, 1, 3)),
    (TypeError, "IFS: key must be one PRNG key.*; got an array", lambda: CANTOR.sample(jax.random.split(KEY), 1, 3)),
    (ValueError, "IFS: dtype must be a real floating type; got int32", lambda: CANTOR.sample(KEY, 1, 3, dtype="int32")),
    *((ValueError, "IFS: level must be at least 0; got -1", ask) for ask in (
        lambda: CANTOR.words(-1), lambda: CANTOR.cells(-1), lambda: CANTOR.depth([0.0], -1),
        lambda: CANTOR.contains([0.0], -1), lambda: CANTOR.exact_depth([[0.0]], -1),
    )),
    (TypeError, "IFS: level must be an integer; got True", lambda: CANTOR.words(True)),
    (ValueError, r"IFS: 2\^25 words are too many to list; at most 2\^24 are", lambda: CANTOR.words(25)),
    (ValueError, r"IFS: 4\^13 words are too many to list", lambda: DUST.cells(13)),
    (ValueError, r"IFS: expected points of 2 coordinates; got shape \(3,\)", lambda: DUST.depth([0.0, 0.0, 0.0], 2)),
    (ValueError, r"IFS: expected points of 2 coordinates; got shape \(\)", lambda: DUST.contains(0.5, 2)),
    (ValueError, r"IFS: expected points of 2 coordinates; got shape \(4, 1\)",
     lambda: DUST.contains(np.zeros((4, 1)), 2)),
    (ValueError, "IFS: tolerance must be finite and at least -1; got nan",
     lambda: DUST.depth([0.0, 0.0], 2, tolerance=math.nan)),
    (ValueError, "IFS: tolerance must be finite and at least -1; got -2",
     lambda: DUST.depth([0.0, 0.0], 2, tolerance=-2)),
    (ValueError, r"IFS: expected points of shape \(count, 2\); got \(2,\)", lambda: DUST.exact_depth([0.0, 0.0], 2)),
    (ValueError, r"IFS: expected points of shape \(count, 2\); got \(1, 3\)", lambda: DUST.exact_depth([[0.0] * 3], 2)),
    *((ValueError, "IFS: points must be finite numbers or fractions", lambda x=x: CANTOR.exact_depth([[x]], 2))
      for x in (math.nan, -math.inf, 1j, None, "half")),
    (ValueError, "IFS: can compose only with a system of 1 coordinates; got IFS.cantor_dust: 4 maps",
     lambda: CANTOR.compose(DUST)),
    (ValueError, "IFS: can compose only with a system of 2 coordinates; got 'dust'", lambda: DUST.compose("dust")),
    (ValueError, "maps 0 and 1 overlap", lambda: systems.cantor(0.6)),
    (ValueError, "cantor: ratio must be below 1; got 1", lambda: systems.cantor(1)),
    (ValueError, "cantor_dust: ratio must be finite and above 0; got 0", lambda: systems.cantor_dust(2, 0)),
    (ValueError, "cantor_dust: ratio must be finite and above 0; got -0.3", lambda: systems.cantor_dust(2, -0.3)),
    (TypeError, "cantor_dust: ratio must be a number; got 'third'", lambda: systems.cantor_dust(2, "third")),
    (ValueError, "cantor_dust: d must be at least 1; got 0", lambda: systems.cantor_dust(0)),
    (ValueError, r"cantor_dust: at most 16 coordinates, as there are 2\^d maps; got 17",
     lambda: systems.cantor_dust(17)),
    (ValueError, r"sierpinski_carpet: at most 5 coordinates, as there are 3\^d - 1 maps; got 6",
     lambda: systems.sierpinski_carpet(6)),
    (ValueError, r"vicsek: at most 8 coordinates, as there are 2\^d \+ 1 maps; got 9", lambda: systems.vicsek(9)),
    (ValueError, "vicsek: d must be at least 1; got 0", lambda: systems.vicsek(0)),
    (ValueError, "rotated_dust: angle must be finite.*; got nan", lambda: systems.rotated_dust(math.nan)),
    (ValueError, "rotated_dust: ratio must be below 1; got 2", lambda: systems.rotated_dust(0.1, 2)),
    (ValueError, "map 0 leaves the cube", lambda: systems.rotated_dust(0.3, 0.9)),
]  # fmt: skip

NETWORKS = [
    (ValueError, "fractal: level must be at least 1; got 0", lambda: dc.fractal(CANTOR, 0)),
    (TypeError, "fractal: level must be an integer; got 2.0", lambda: dc.fractal(CANTOR, 2.0)),
    (TypeError, r"fractal: system must be a dc\.IFS, such as dc\.systems\.cantor\(\); got str",
     lambda: dc.fractal("cantor", 2)),
    (TypeError, r"fractal: system must be a dc\.IFS.*; got function", lambda: dc.fractal(systems.cantor, 2)),
    (ValueError, "fractal: method must be one of 'branches', 'fold'; got 'tree'",
     lambda: dc.fractal(CANTOR, 2, method="tree")),
    *((ValueError, r"fractal: method 'fold' is for the thirds of the cube without the center, such as "
       r"systems.sierpinski_carpet\(2\); IFS\(.*\) is another system: use 'branches'",
       lambda system=system: dc.fractal(system, 2, method="fold"))
      for system in (DUST, systems.vicsek(), systems.cantor_reversed(), systems.cantor(1 / 4), systems.pentaflake())),
    *((ValueError, "fractal: margin must be finite and above 0; got", lambda m=m: dc.fractal(CANTOR, 2, margin=m))
      for m in (0, -0.1, math.nan, math.inf)),
    (TypeError, "fractal: margin must be a number; got 'wide'", lambda: dc.fractal(CANTOR, 2, margin="wide")),
    (ValueError, r"fractal: margin must be at most 1 for cantor .*; got 1\.1",
     lambda: dc.fractal(CANTOR, 2, margin=1.1)),
    (ValueError, r"fractal: margin must be at most 0\.222+ for cantor \(the gap between cells is 0\.222222\); got",
     lambda: dc.fractal(systems.cantor(0.45), 2, margin=0.25)),
    (ValueError, r"fractal: margin must be at most 0\.\d+ for vicsek .*; got 0\.6",
     lambda: dc.fractal(systems.vicsek(), 2, margin=0.6)),
    (ValueError, "fractal: dtype must be a real floating type; got int32",
     lambda: dc.fractal(CANTOR, 2, dtype="int32")),
    (ValueError, "fractal: bfloat16 is too coarse for cantor, even at level 1",
     lambda: dc.fractal(CANTOR, 1, dtype="bfloat16")),
    (TypeError, r"domains.Fractal: system must be a dc.IFS; got str", lambda: domains.Fractal("cantor", 2, 0.0, 0.1)),
    (ValueError, "domains.Fractal: level must be at least 1; got 0", lambda: domains.Fractal(CANTOR, 0, 0.0, 0.1)),
    (ValueError, "domains.Fractal: inner must be finite and at least 0; got -1",
     lambda: domains.Fractal(CANTOR, 2, -1.0, 0.1)),
    (ValueError, "domains.Fractal: outer must be finite and at least 0; got nan",
     lambda: domains.Fractal(CANTOR, 2, 0.0, math.nan)),
    (TypeError, r"Fractal\(cantor_dust, 2, off it by 0.1\) can't be cut into coordinates",
     lambda: domains.Fractal(DUST, 2, 0.0, 0.1).slice(0, 1)),
    (ValueError, r"Fractal\(cantor_dust.*: expected vectors of 2 numbers; got shape \(3,\)",
     lambda: domains.Fractal(DUST, 2, 0.0, 0.1).contains(np.zeros(3))),
    (ValueError, "IFS: expected points of 2 coordinates", lambda: targets.Fractal(DUST, 2)(jnp.zeros(3))),
    (ValueError, r"Repeat: every leaf must be stacked 3 times; got one of shape \(1, 1\)",
     lambda: dc.Repeat((dc.Layer(dc.linear.Dense(jnp.ones((1, 1)))),), 3)),
]  # fmt: skip


@pytest.mark.parametrize("message, ask", MAPS)
def test_bad_maps_are_refused_by_their_numbers(message, ask):
    with pytest.raises(ValueError, match=f"IFS: {message}"):
        ask()


@pytest.mark.parametrize("kind, message, ask", SHAPES)
def test_what_is_no_system_is_refused(kind, message, ask):
    with pytest.raises(kind, match=f"IFS: {message}"):
        ask()


@pytest.mark.parametrize("kind, message, ask", METHODS)
def test_bad_questions_are_refused(kind, message, ask):
    with pytest.raises(kind, match=message):
        ask()


@pytest.mark.parametrize("kind, message, ask", NETWORKS)
def test_bad_networks_are_refused(kind, message, ask):
    with pytest.raises(kind, match=message):
        ask()


@pytest.mark.parametrize("kind", [np.array, jnp.array], ids=["numpy", "jax"])
def test_complex_points_are_refused(kind):
    with pytest.raises(TypeError, match="IFS: points must be real; got complex128"):
        CANTOR.depth(kind([[0.5 + 1j]]), 2)


def test_domains_without_a_margin_are_refused():
    with pytest.raises(ValueError, match=r"domains\.Fractal: one of the margins inner and outer must be above 0"):
        domains.Fractal(CANTOR, 2, 0.0, 0.0)


@pytest.mark.parametrize(
    "system, level, inner",
    [(CANTOR, 1, 1.5), (CANTOR, 2, 0.7), (dc.IFS([[[0.5]]], [[0.25]]), 2, 0.9), (systems.pentaflake(), 2, 0.55)],
)
def test_margins_that_no_point_keeps_are_refused(system, level, inner):
    # Points of the second level of the Cantor set have |u| >= 1/3: to draw again and again would never end.
    with pytest.raises(ValueError, match=rf"domains\.Fractal: no points of .* keep inner={inner} from the faces"):
        domains.Fractal(system, level, inner, 0.0)


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system, level, inner", [(CANTOR, 1, 0.7), (CANTOR, 9, 0.49), (systems.vicsek(), 3, 0.9)])
def test_margins_that_few_points_keep_are_not(system, level, inner):
    domain = domains.Fractal(system, level, inner, 0.0)
    assert np.all(domain.contains(domain.sample(KEY, (3,))))


def test_the_overlap_that_is_named_is_the_worst():
    with pytest.raises(ValueError, match=r"maps 2 and 3 overlap.*shrink both by 0.5 of"):
        dc.IFS([[[0.2]]] * 4, [[-0.8], [-0.5], [0.6], [0.8]])


def test_maps_that_follow_the_advice_no_longer_overlap():
    with pytest.raises(ValueError, match="shrink both by") as caught:
        dc.IFS([HALF, HALF], [[-0.5, -0.5], [0.3, -0.2]])
    share = re.search(r"shrink both by (\S+) of", str(caught.value))
    assert share
    smaller = np.array(HALF) * (1 - float(share[1]) - 1e-3)
    assert dc.IFS([smaller, smaller], [[-0.5, -0.5], [0.3, -0.2]]).gap > 0


def test_a_failed_linear_program_is_reported(monkeypatch):
    failed = scipy.optimize.OptimizeResult(x=None, message="out of time")
    monkeypatch.setattr(scipy.optimize, "linprog", lambda *_, **__: failed)
    with pytest.raises(ValueError, match="IFS: the linear program for the gap between cells failed: out of time"):
        dc.IFS([[[0.25]], [[0.125]]], [[-0.5], [0.123]])


def test_cells_too_fine_to_draw_points_are_refused():
    domain = domains.Fractal(systems.cantor_reversed(), 30, 0.0, 2.0**-4)
    with pytest.raises(ValueError, match="its points can't be drawn in float32, which resolves cells up to level"):
        domain.sample(KEY, (3,), dtype="float32")


# Ways out of a level that is too deep.


TOO_DEEP = [
    (systems.cantor(), {"margin": 2.0**-10}, "float32"), (systems.cantor(3 / 8), {}, "float32"),
    (systems.cantor(3 / 8), {}, "float64"), (systems.cantor(0.45), {"margin": 2.0**-12}, "float32"),
    (systems.rotated_dust(), {}, "float32"), (systems.rotated_dust(0.2, 0.3), {}, "float64"),
    (systems.reflected_dust(3), {}, "float32"), (systems.vicsek(), {}, "float32"),
    (systems.pentaflake(), {}, "float64"),
    (systems.sierpinski_triangle(), {"margin": 2.0**-16}, "float32"), (systems.sierpinski_carpet(), {}, "float32"),
    (systems.sierpinski_carpet(), {"margin": 1e-4}, "float64"), (systems.cantor(), {}, "float16"),
    (systems.cantor_dust(2, 0.375), {}, "float32"),
]  # fmt: skip


@pytest.mark.parametrize("system, options, dtype", TOO_DEEP)
def test_the_deepest_level_is_built_and_the_next_is_refused(system, options, dtype):
    level = deepest(system, dtype, **options)
    if level:
        assert dc.fractal(system, level, dtype=dtype, **options).claim.robustness.radius > 0
    assert "carries" in refusal(lambda: dc.fractal(system, level + 1, dtype=dtype, **options)) or not level


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("system, options, dtype", TOO_DEEP)
def test_every_way_out_that_is_offered_is_one(system, options, dtype):
    level = deepest(system, dtype, **options) + 1
    message = refusal(lambda: dc.fractal(system, level, dtype=dtype, **options))
    ways = message.split("; it takes ")[1].split(", or ") if "it takes" in message else []
    for way in ways:
        margin = re.fullmatch(r"a larger margin, up to (\S+)", way)
        if margin:
            dc.fractal(system, level, dtype=dtype, **{**options, "margin": float(margin[1])})
        else:
            assert way == "dtype='float64'"
            dc.fractal(system, level, dtype="float64", **options)


@pytest.mark.parametrize("beyond", [1, 3])
def test_a_way_out_is_offered_where_there_is_one(beyond):
    level = deepest(CANTOR, "float32", margin=2.0**-10) + beyond
    message = refusal(lambda: dc.fractal(CANTOR, level, margin=2.0**-10, dtype="float32"))
    assert message.endswith("; it takes a larger margin, up to 1, or dtype='float64'")
    assert dc.fractal(CANTOR, level, margin=1.0, dtype="float32").claim.dtype == "float32"


def test_the_last_level_of_all_is_built_where_nothing_is_rounded():
    construction = dc.fractal(systems.cantor(1 / 4), 4096, dtype="float32")
    assert construction(np.array([[-1.0], [1.0], [0.0], [0.375]]))[:, 0].tolist() == [1, 1, 0, 0]
    with pytest.raises(ValueError, match="fractal: level must be at most 4096; got 4097"):
        dc.fractal(systems.cantor(1 / 4), 4097, dtype="float32")
