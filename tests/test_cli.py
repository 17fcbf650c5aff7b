"""The command line, run as a user would: output, files and exit status."""

import json
import re
from functools import partial

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import _cli, _tour
from deepconstruct._cli import main
from deepconstruct.experiments import parity_basin


@pytest.fixture
def short_basin(monkeypatch):
    """The tour with a few training steps of a small tree; everything else in full."""
    monkeypatch.setattr(_tour, "parity_basin", partial(parity_basin, n=4, steps=3, seeds=2, progress=False))


@pytest.mark.slow
@pytest.mark.usefixtures("short_basin")
def test_tour_writes_tables_and_figures_and_succeeds(tmp_path, capsys):
    assert main(["tour", "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    for name in dc.catalog.names():
        assert name in shown
    assert "strongest period: 11.1 years" in shown
    assert "DISAGREE" not in shown
    catalog = json.loads((tmp_path / "out" / "catalog.json").read_text())
    assert [row["name"] for row in catalog] == dc.catalog.names()
    assert all(row["certified"] and row["formula_holds"] for row in catalog)
    assert {row["verdict"] for row in catalog} == {"proved"}
    counts = re.findall(r"^ +(\d+) (proved|enumerated|tested) +\w.*$", shown, flags=re.MULTILINE)
    assert counts == [(str(len(catalog)), "proved")]
    basin = json.loads((tmp_path / "out" / "basin.json").read_text())
    assert [np.shape(result["trained"]) for result in basin] == [(8, 2), (8, 2)]
    for figure in ("parity", "sunspots", "basin"):
        assert (tmp_path / "out" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.usefixtures("short_basin")
def test_tour_fails_when_a_certificate_does(tmp_path, monkeypatch, capsys):
    wrong = dc.claim(dc.perturb(dc.parity(4), 0.5, key=jax.random.key(0)), dc.parity(4).claim)
    entry = dc.catalog.Entry("broken", "a perturbed tree", lambda n, dtype=None: wrong, {"n": 4}, ({"n": 4},))
    monkeypatch.setattr(_tour.catalog, "ENTRIES", {"broken": entry})
    assert main(["tour", "--out", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 127, 128, 129, 200_000])
def test_parity_of_a_file_equals_a_plain_count(tmp_path, size):
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    path = tmp_path / "data.bin"
    path.write_bytes(data.tobytes())
    result = _tour.check_file(path, lambda line: None)
    assert result["network"] == int(np.unpackbits(data).sum()) % 2
    assert result["agree"]
    assert result["bits"] == 8 * size
    assert result["rows_right"] == result["rows"] == -(-size // 128)


def test_tour_refuses_a_missing_file(tmp_path, capsys):
    assert main(["tour", "--file", str(tmp_path / "absent")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_tour_refuses_a_file_for_its_output_before_it_starts(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    assert main(["tour", "--out", str(path)]) == 2
    assert "tour: --out must be a folder that can be made" in capsys.readouterr().err


def test_list_names_every_construction(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in dc.catalog.names())
    assert "n=16, depth=3" in shown
    assert "synapses: 6 n - 6 for n = 2^k" in shown


@pytest.mark.parametrize(
    "arguments,shown",
    [
        (["parity"], "parity(16)"),
        (["parity", "--size", "5"], "parity(n=5, activation='relu'"),
        (["parity", "--set", "n=6", "--set", "arity=3", "--set", "encoding=signs"], "encoding='signs', arity=3"),
        (["parity_bounded_depth", "--size", "5", "--set", "depth=4"], "parity_bounded_depth(n=5, depth=4"),
        (["fft", "--size", "8", "--dtype", "complex128"], "dft(8)"),
    ],
)
def test_certify_proves(arguments, shown, capsys):
    assert main(["certify", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "proved" in printed
    assert shown in printed


def test_certify_with_sampling_says_tested(capsys):
    assert main(["certify", "parity", "--method", "sampling"]) == 0
    assert "tested (sampling" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["certify", "nothing"], "no construction 'nothing'"),
        (["certify", "partiy"], "Did you mean 'parity'?"),
        (["certify", "parity", "--set", "8"], "certify: --set takes NAME=VALUE, such as n=8; got '8'"),
        (["certify", "parity", "--set", "arty=3"], "parity: no argument 'arty'; it takes n, activation"),
        (["certify", "parity", "--set", "encoding=sign"], "Did you mean 'signs'?"),
        (["certify", "parity", "--size", "six"], "parity: n must be an integer; got 'six'"),
        (["certify", "fft", "--size", "12"], "power of two"),
        (["certify", "parity", "--method", "magic"], "method must be one of"),
        (["certify", "parity", "--dtype", "int32"], "dtype must be a real floating type"),
        (["certify", "parity", "--dtype", "foo"], "dtype must be a floating type"),
    ],
)
def test_bad_usage_is_explained(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["parity-basin", "parity_basin"])
def test_experiments_go_by_either_spelling(name):
    assert _cli._parser().parse_args(["reproduce", name]).name == "parity-basin"


def test_constructions_go_by_either_spelling(capsys):
    assert main(["certify", "parity-step", "--size", "3"]) == 0
    assert "parity(3)" in capsys.readouterr().out


def test_an_unknown_experiment_is_refused_with_the_nearest(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["reproduce", "parity_basn"])
    shown = capsys.readouterr().err
    assert "no experiment 'parity_basn'; known are" in shown
    assert "Did you mean 'parity-basin'?" in shown
