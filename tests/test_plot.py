"""Pictures show what they say: one mark a unit, one line a synapse."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

import deepconstruct as dc
from deepconstruct.experiments import Basin


@pytest.mark.parametrize(
    "construction",
    [dc.parity(1), dc.parity(5), dc.parity(8, tied=True), dc.fft(8), dc.parity_bounded_depth(8, 3)],
    ids=lambda c: c.name,
)
def test_network_has_a_mark_a_unit_and_a_line_a_synapse(construction):
    axes = dc.plot.network(construction).axes[0]
    lines = [c for c in axes.collections if isinstance(c, LineCollection)]
    assert sum(len(c.get_segments()) for c in lines) == dc.cost(construction).synapses
    marks = sum(np.shape(c.get_offsets())[0] for c in axes.collections if c not in lines)
    cost = dc.cost(construction)
    units = cost.neurons + (construction.out_size if cost.layers > cost.depth else 0)
    assert marks == construction.in_size + units
    assert axes.get_title() == construction.name


def test_the_inputs_of_a_gate_are_drawn_side_by_side():
    places = dc.plot._places(dc.parity(16).network)
    pairs = places[0].reshape(2, 8)  # input i is paired with input i + 8
    assert np.allclose(np.abs(pairs[0] - pairs[1]), 1 / 16)


def test_too_many_synapses_are_refused():
    with pytest.raises(ValueError, match="at most 4096 can be told apart"):
        dc.plot.network(dc.parity_shallow(65))


def test_basin_draws_every_kind_and_survives_lost_runs():
    error = np.array([[1e-3, np.nan], [0.2, 0.3]])
    basin = Basin(4, (0.1, 1.0), "dense", error, error, np.ones((2, 2)))
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
