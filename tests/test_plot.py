"""Pictures show what they say: one mark a unit, one line a synapse, one patch a cell, one color a decision."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import LineCollection

import deepconstruct as dc
from deepconstruct.experiments import FFTBasin, FractalTraining, ParityBasin, Settings
from deepconstruct.plot.networks import _places


def lines_of(axes):
    return [collection for collection in axes.collections if isinstance(collection, LineCollection)]


CANTOR, DUST = dc.systems.cantor(), dc.systems.cantor_dust()


@pytest.mark.parametrize(
    "construction",
    [dc.parity(1), dc.parity(5), dc.parity(8, tied=True), dc.fft(8), dc.parity_bounded_depth(8, 3)],
    ids=lambda c: c.name,
)
def test_network_has_a_mark_a_unit_and_a_line_a_synapse(construction):
    axes = dc.plot.network(construction).axes[0]
    lines = lines_of(axes)
    assert sum(len(c.get_segments()) for c in lines) == dc.cost(construction).synapses
    marks = sum(np.shape(c.get_offsets())[0] for c in axes.collections if c not in lines)
    cost = dc.cost(construction)
    units = cost.neurons + (construction.out_size if cost.layers > cost.depth else 0)
    assert marks == construction.in_size + units
    assert axes.get_title() == construction.name


def test_the_inputs_of_a_gate_are_drawn_side_by_side():
    places = _places(dc.parity(16).network)
    pairs = places[0].reshape(2, 8)  # input i is paired with input i + 8
    assert np.allclose(np.abs(pairs[0] - pairs[1]), 1 / 16)


def test_too_many_synapses_are_refused():
    with pytest.raises(ValueError, match="at most 4096 can be told apart"):
        dc.plot.network(dc.parity_shallow(65))


def test_basin_draws_every_kind_and_survives_lost_runs():
    error = np.array([[1e-3, np.nan], [0.2, 0.3]])
    basin = ParityBasin(4, (0.1, 1.0), "dense", error, error, np.ones((2, 2)), np.ones((2, 2)))
    figure = dc.plot.basin([basin])
    assert len(figure.axes) == 2
    assert "n = 4" in figure.get_suptitle()


def test_spectrum_marks_the_peak(tmp_path):
    years = np.arange(1900, 1964)
    values = np.sin(2 * np.pi * years / 8)
    power = np.abs(np.fft.rfft(values)) ** 2
    figure = dc.plot.spectrum(years, values, power, peak=8.0)
    figure.savefig(tmp_path / "spectrum.png")
    assert any("8.0 years" in text.get_text() for text in figure.axes[1].texts)


def patches(figure):
    """The corners of all polygons of a picture, a list of arrays."""
    from matplotlib.collections import PolyCollection

    found = [c for c in figure.axes[0].collections if isinstance(c, PolyCollection)]
    return [np.asarray(path.vertices) for collection in found for path in collection.get_paths()]


def pixels(figure):
    """The colors of a picture of decision regions, by number."""
    return np.asarray(figure.axes[0].images[0].get_array())


@pytest.mark.parametrize("system", [DUST, dc.systems.sierpinski_triangle(), dc.systems.rotated_dust()], ids=str)
@pytest.mark.parametrize("level", [0, 1, 3])
def test_a_system_in_the_plane_has_a_patch_a_cell_of_its_size(system, level):
    cells = patches(dc.plot.fractal(system, level))
    assert len(cells) == system.num_maps**level
    x, y = np.array([cell[:4] for cell in cells]).T
    areas = 0.5 * np.abs(np.sum(x * np.roll(y, -1, axis=0) - y * np.roll(x, -1, axis=0), axis=0))
    assert np.allclose(areas, 4 * system.volumes[0] ** level)
    assert max(np.abs(x).max(), np.abs(y).max()) <= 1 + 1e-12


def test_cells_are_drawn_where_they_are():
    lower = sorted(tuple(cell.min(axis=0).round(9)) for cell in patches(dc.plot.fractal(DUST, 1)))
    third = round(1 / 3, 9)
    assert lower == [(-1, -1), (-1, third), (third, -1), (third, third)]


def test_a_system_on_the_line_has_a_row_a_level():
    bars = patches(dc.plot.fractal(CANTOR, 4))
    heights = np.array([bar[:, 1].mean() for bar in bars])
    widths = np.array([np.ptp(bar[:, 0]) for bar in bars])
    for level in range(5):
        row = np.abs(heights + level) < 0.35
        assert row.sum() == 2**level
        assert np.allclose(widths[row], 2 / 3**level)


def excess_at_leaving(x, level):
    """By how much a point leaves the dust of exact thirds, in rational arithmetic; 0 if it stays."""
    for _ in range(level):
        x = [3 * value - (2 if value > 0 else -2) for value in x]
        if max(map(abs, x)) > 1:
            return max(map(abs, x)) - 1
    return 0


def test_decision_regions_show_fractal_margin_and_rest():
    construction = dc.fractal(DUST, 2, margin=0.25)
    for (row, col), kind in np.ndenumerate(pixels(dc.plot.fractal(construction, resolution=50))):
        place = [Fraction(2 * index + 1, 50) - 1 for index in (col, row)]
        excess = excess_at_leaving(place, 2)
        assert kind == (1 if excess == 0 else 2 if excess < 0.25 else 0), place


def test_decision_regions_stand_upright():
    triangle = dc.fractal(dc.systems.sierpinski_triangle(), 1, margin=0.1)
    image = dc.plot.fractal(triangle, resolution=16).axes[0].images[0]
    shown = np.asarray(image.get_array())
    assert image.origin == "lower"
    assert (shown[12, 8], shown[12, 1], shown[4, 2], shown[4, 13]) == (1, 0, 1, 1)


def test_a_bare_network_has_no_margin_to_show():
    construction = dc.fractal(dc.systems.sierpinski_triangle(), 2, margin=0.1)
    shown, bare = (pixels(dc.plot.fractal(what, resolution=40)) for what in (construction, construction.network))
    assert {0, 1, 2} == set(np.unique(shown))
    assert set(np.unique(bare)) == {0, 1}
    assert np.all((shown == bare) | (shown == 2))


def test_a_network_on_the_line_is_drawn_as_its_output_with_the_margin_behind():
    construction = dc.fractal(CANTOR, 2, margin=0.5)
    axes = dc.plot.fractal(construction, resolution=101).axes[0]
    places, output = (np.asarray(data) for data in axes.lines[0].get_data())
    assert np.array_equal(places, np.linspace(-1, 1, 101))
    assert np.array_equal(output, construction(places[:, None])[:, 0])
    # Of the point 0.2 in the middle third the margin reaches from 1/3 down to 1/6.
    inside = [any(patch[:, 0].min() <= x <= patch[:, 0].max() for patch in patches(axes.figure)) for x in (0.2, 0, 0.4)]
    assert inside == [True, False, False]


@pytest.mark.default_cases(1)
@pytest.mark.parametrize(
    ("shown", "title"),
    [(dc.fractal(DUST, 2), "cantor_dust(2)"), (dc.fractal(DUST, 2).network, ""), (dc.fractal(CANTOR, 3), "cantor(3)")],
    ids=["construction", "network", "line"],
)
def test_headings_of_fractals(shown, title):
    assert dc.plot.fractal(shown, resolution=5).axes[0].get_title() == title
    assert dc.plot.fractal(shown, resolution=5, title="mine").axes[0].get_title() == "mine"


@pytest.mark.parametrize(("level", "title"), [(0, "cantor, level 0: 1 cell"), (11, "cantor, level 11: 2,048 cells")])
def test_heading_counts_cells(level, title):
    assert dc.plot.fractal(CANTOR, level).axes[0].get_title() == title


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shown": DUST}, "needs a level"),
        ({"shown": DUST, "level": -1}, "level must be at least 0; got -1"),
        ({"shown": DUST, "level": 9}, "level 9 has 262144 cells; at most 65536 are drawn"),
        ({"shown": dc.systems.cantor_dust(3), "level": 1}, "one or two dimensions can be drawn; got .*3"),
        ({"shown": dc.fractal(dc.systems.cantor_dust(3), 1)}, "one or two dimensions can be drawn; got .*3"),
        ({"shown": dc.fractal(DUST, 1), "level": 2}, "drawn at its own level"),
        ({"shown": dc.fft(2)}, "expected a network with one output; got .*2"),
        ({"shown": dc.parity(2), "resolution": 1}, "resolution must be at least 2; got 1"),
    ],
    ids=[
        "no level",
        "negative level",
        "many cells",
        "system in space",
        "network in space",
        "network's level",
        "outputs",
        "resolution",
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        dc.plot.fractal(**arguments)


@pytest.mark.slow
def test_truncations_are_drawn_beside_the_curve():
    distribution = dc.data.FractalDistribution(DUST, 3, [0.5, 0.6, 0.9, 1.0])
    networks = [dc.fractal(DUST, level) for level in (1, 2)]
    axes = dc.plot.truncations(distribution, networks, jax.random.key(3), num=500).axes[0]
    theory, measured = (line.get_data() for line in axes.lines[:2])
    assert np.array_equal(theory[0], [0, 1, 2, 3])
    assert np.allclose(theory[1], [0.5, 0.4, 0.1, 0.0])
    assert np.array_equal(measured[0], [1, 2])
    x, y = distribution.sample(jax.random.key(3), 500)
    errors = [float(np.mean((np.asarray(network(x))[:, 0] > 0.5) != (y > 0))) for network in networks]
    assert np.allclose(measured[1], errors, atol=1e-6)
    assert "500 points" in str(axes.get_legend_handles_labels()[1])


@pytest.mark.slow
def test_error_bars_are_three_standard_errors():
    distribution = dc.data.FractalDistribution(CANTOR, 2, dc.data.fine)
    axes = dc.plot.truncations(distribution, [dc.fractal(CANTOR, 1)], jax.random.key(0), num=400, title="bars").axes[0]
    (bars,) = lines_of(axes)
    (_, low), (_, high) = bars.get_segments()[0]
    error = (low + high) / 2
    assert np.isclose((high - low) / 2, 3 * np.sqrt(error * (1 - error) / 400))
    assert axes.get_title() == "bars"


def drawn(figure, width):
    """The lines of a width, as arrays `(2, points)`."""
    return [np.array(line.get_data()) for line in figure.axes[0].lines if line.get_linewidth() == width]


def curve(counts, errors):
    return dc.SparsificationCurve(counts, jnp.asarray(errors))


def test_sparsification_draws_runs_and_the_median_of_those_that_are_whole():
    errors = np.array([[9.0, 4.0, 1.0], [9.0, 2.0, 3.0], [9.0, np.nan, np.nan], [9.0, 3.0, 2.0]])
    curves = [curve((0, 5, 10), errors), curve((1, 2, 3), errors[0])]
    figure = dc.plot.sparsification(curves, labels=["many", "one"], mark=5, title="curves")
    assert np.array_equal([run[1] for run in drawn(figure, 0.7)], errors, equal_nan=True)
    median, single = drawn(figure, 2)
    assert np.array_equal(median, [[0, 5, 10], [9, 3, 2]])
    assert np.array_equal(single, [[1, 2, 3], errors[0]])
    assert figure.axes[0].get_legend_handles_labels()[1] == ["many", "one"]
    assert figure.axes[0].get_legend()
    assert [text.get_text() for text in figure.axes[0].texts] == [" 5"]
    assert figure.axes[0].get_title() == "curves"


def test_sparsification_shows_zeros_on_the_lower_edge(tmp_path):
    figure = dc.plot.sparsification(curve((0, 1, 2), [4.0, 0.5, 0.0]))
    bottom = figure.axes[0].get_ylim()[0]
    assert bottom == pytest.approx(0.05)
    assert drawn(figure, 2)[0][1].tolist() == [4.0, 0.5, bottom]
    assert [text.get_text() for text in figure.axes[0].texts] == ["0 "]
    figure.savefig(tmp_path / "curve.png")


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_sparsification_survives_runs_without_any_positive_error(value, tmp_path):
    dc.plot.sparsification(curve((0, 1), np.full((2, 2), value))).savefig(tmp_path / "curve.png")


def test_sparsification_marks_the_optimal_counts():
    errors = np.array([[9.0, 1.0, 0.5], [9.0, 4.0, 0.8], [9.0, 8.0, 7.0]])
    axes = dc.plot.sparsification(curve((0, 5, 10), errors), tolerance=1.0).axes[0]
    (dots,) = (np.array(line.get_data()) for line in axes.lines if line.get_marker() == "o")
    assert dots.T.tolist() == [[5, 1.0], [10, 0.8]]


def test_curves_without_labels_of_their_own_are_refused():
    one = curve((0,), [1.0])
    for curves in ([one, one], []):
        with pytest.raises(ValueError, match=r"plot.sparsification: expected curves and a label for each; got \d and"):
            dc.plot.sparsification(curves, labels=["one"] * bool(curves))


@pytest.mark.parametrize(
    "counts, shown",
    [([8, 6, 2, 0], "critical noise 2.5"), ([8, 8, 0, 0], "jump, between 2 and 3"), ([8, 8, 8, 8], None)],
)
def test_an_estimate_shows_what_it_says_of_the_critical_noise(counts, shown):
    found = dc.basin(np.arange(1.0, 5.0), np.arange(8) < np.array(counts)[:, None])
    axes = dc.plot.basin(found, title="mine").axes[0]
    legend = axes.get_legend()
    assert legend is not None
    texts = [text.get_text() for text in legend.get_texts()]
    assert axes.get_title() == "mine"
    assert [text for text in texts if "critical" in text or "jump" in text] == ([shown] if shown else [])
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), np.array(counts) / 8)


# What figures say of their numbers ----------------------------------------------------------------

TRAINED = Settings(2000, None, "Adam at 0.1", "some loss", "tanh", "300 fresh points")
TELLS = "2,000 steps on the exact expectation, Adam at 0.1, some loss, tanh units, tested on 300 fresh points."


def told(figure):
    """The caption, without its line breaks."""
    return figure.get_supxlabel().replace("\n", " ")


def parity_result(fans="layer", scales=(0.1, 1.0), settings: Settings | None = TRAINED, seeds=3):
    table = np.full((2, seeds), 0.1)
    return ParityBasin(4, scales, "dense", table, table, table, table, fans, settings)


def fft_result(n):
    counts = (0, 2 * n * (n.bit_length() - 1), n**2 * (n.bit_length() - 1))
    errors = np.broadcast_to([1.0, 0.1, 0.0], (2, 5, 3))
    return FFTBasin(n, (0.1, 1.0), curve(counts, errors[0, 0]), curve(counts, errors), curve(counts, errors), TRAINED)


def fractal_result(seeds):
    curves = (dc.data.coarse, dc.data.fine)
    return FractalTraining(
        curves, (1, 2), (5,), np.ones((2, 4)), np.full((2, 2, 1, seeds), 0.75), np.ones(2), TRAINED
    )  # fmt: skip


CAPTIONS = {
    "parity": (lambda: dc.plot.basin(parity_result()),
               ["Seeds a noise scale: 3;", "fans of the layer.", TELLS, "are 95 % intervals (Wilson)", "below 0.01"]),
    "fans": (lambda: dc.plot.basin([parity_result(), parity_result("pattern", seeds=4)]),
             ["Seeds a noise scale: 3 and 4;", "fans of the layer and pattern.", TELLS]),
    "fft": (lambda: dc.plot.fft_basin(fft_result(4)),
            ["single seeds, 5 a noise scale", "2 n log2 n weights", "standard deviation s / sqrt(n)", TELLS]),
    "scaling": (lambda: dc.plot.fft_scaling([fft_result(4), fft_result(8)], tolerance=0.5),
                ["single seeds, 5 a noise scale", "the fewest with an error of at most 0.5.", TELLS]),
    "best": (lambda: dc.plot.fft_scaling([fft_result(4)]), ["the fewest with the least error."]),
    "depths": (lambda: dc.plot.fractal_depths(fractal_result(8)),
               ["Means of 8 seeds; bars: two standard errors of the mean", TELLS]),
    "curves": (lambda: dc.plot.fractal_curves(fractal_result(1)), ["Means of 1 seed; one seed has no bars", TELLS]),
    "sparsification": (lambda: dc.plot.sparsification(curve((0, 1), np.ones((6, 2))), tolerance=1.0),
                       ["Thin lines: 6 networks a curve", "error is at most 1."]),
    "fractal": (lambda: dc.plot.fractal(dc.fractal(DUST, 1), resolution=9), ["yellow: the margin", "9 points an axis"]),
    "slope": (lambda: dc.plot.basin(dc.basin([1, 2, 3], np.arange(8) < np.array([[8], [5], [1]]))),
              ["8 seeds a noise scale", "Wilson's 95 % interval", "a logistic fit, 95 % by a bootstrap"]),
    "jump": (lambda: dc.plot.basin(dc.basin([1, 2], np.arange(8) < np.array([[8], [0]]), confidence=0.9)),
             ["Wilson's 90 % interval", "in the jump, 90 % between 1 and 2"]),
    "unknown": (lambda: dc.plot.basin(dc.basin([1, 2], np.ones((2, 8), bool))), ["unknown, 95 % between 2 and inf"]),
}  # fmt: skip


@pytest.mark.default_cases(2)
@pytest.mark.parametrize("name", CAPTIONS)
def test_figures_say_what_their_numbers_are(name):
    draw, expected = CAPTIONS[name]
    figure = draw()
    for part in expected:
        assert part in told(figure)
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel() or axes is not figure.axes[0]


def test_a_result_without_settings_makes_none_up():
    assert "Training" not in told(dc.plot.basin(parity_result(settings=None)))


def test_noise_of_zero_has_a_place_on_the_axis():
    for scales, kind in (((0.0, 0.1), "symlog"), ((0.1, 1.0), "log")):
        for axes in dc.plot.basin(parity_result(scales=scales)).axes:
            assert axes.get_xscale() == kind
