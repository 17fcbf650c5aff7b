"""The command that reproduces figures: its files, its settings, and that nothing is computed twice."""

import json
import os
import re
import subprocess
import sys

import pytest

from deepconstruct import _cli
from deepconstruct._cli import main
from deepconstruct._reproduce import EXPERIMENTS, settings_of
from deepconstruct._sweep import driver

SMALL = ["--set", "steps=3", "--set", "seeds=2", "--set", "sizes=4", "--set", "scales=0.0,0.1,2.0"]


@pytest.mark.slow
def test_figure_data_and_report_are_written(tmp_path, capsys):
    assert main(["reproduce", "parity-basin", *SMALL, "--set", "fans=layer", "--out", str(tmp_path)]) == 0
    report = (tmp_path / "report.md").read_text()
    assert capsys.readouterr().out.startswith(report)
    for part in (
        "What the source claims",
        "### n = 4, dense\n",
        "n = 4, structured, layer fans",
        "- steps: 3",
        "- jax: ",
    ):
        assert part in report
    assert "| 0 | 2/2 | 2/2 |" in report
    assert "| 2 | 0/2 | 0/2 |" in report
    assert "All runs with noise 0, 0.1 were home before training." in report
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads((tmp_path / "data.json").read_text(), parse_constant=pytest.fail)
    assert data["settings"]["scales"] == [0.0, 0.1, 2.0]
    assert [basin["kind"] for basin in data["results"]["basins"]] == ["dense", "structured"]
    assert data["results"]["basins"][0]["estimate"]["successes"][0] == 2


@pytest.mark.slow
def test_what_is_done_is_not_computed_again(tmp_path, monkeypatch):
    call = ["reproduce", "parity-basin", *SMALL, "--out", str(tmp_path)]
    assert main(call) == 0
    first = json.loads((tmp_path / "data.json").read_text())
    monkeypatch.setattr(driver, "Program", None)
    assert main(call) == 0
    assert json.loads((tmp_path / "data.json").read_text())["results"] == first["results"]


@pytest.mark.slow
def test_both_fans_are_reported(tmp_path, capsys):
    assert (
        main(["reproduce", "parity-basin", *SMALL, "--set", "fans=('layer', 'pattern')", "--out", str(tmp_path)]) == 0
    )
    report = capsys.readouterr().out
    headings = [line for line in report.splitlines() if line.startswith("###")]
    assert headings == [
        f"### n = 4, {kind}" for kind in ("dense", "structured, layer fans", "structured, pattern fans")
    ]


@pytest.mark.parametrize(
    "change, message",
    [
        ("seed", "--set takes NAME=VALUE, such as seeds=32; got .*'seed'"),
        ("sead=1", "parity-basin has no setting 'sead'; it has sizes, fans"),
        ("seeds=many", "seeds must be of type int; got 'many'"),
        ("seeds=2.7", "seeds must be of type int; got 2.7"),
        ("seeds=True", "seeds must be of type int; got True"),
        ("scales=(0.1, 'x')", "scales must be of type float; got 'x'"),
        ("scales=-0.1", r"parity_basin: scales must be finite and at least 0; got -0\.1"),
        ("sizes=()", "reproduce: sizes must hold at least one value; got "),
    ],
)
def test_bad_settings_are_refused(tmp_path, capsys, change, message):
    assert main(["reproduce", "parity-basin", "--set", change, "--out", str(tmp_path)]) == 2
    assert re.search(message, capsys.readouterr().err)


TINY = {
    "fft-basin": (
        ["sizes=4", "scales=(0.0, 1.0)", "steps=3", "learning_rate=0.0"],
        ["n = 4: 32 weights, of which the FFT needs 16", "| 0 | ", "| 16 |\n"],
    ),
    "fft-scaling": (
        ["sizes=(2, 4)", "scales=(0.0, 1.0)", "steps=3", "learning_rate=0.0", "tolerance=1e-6"],
        ["| n | construction | noise 0 | noise 1 |", "| 2 | 2.00 | 2.00 | - |", "| 4 | 2.00 | 2.00 | - |"],
    ),
    "fractal-depth": (
        ["depths=(1, 2)", "widths=2", "steps=3", "train_points=100", "test_points=200", "curves=6"],
        ["### Curve 6: finest(1)", "| hidden layers | width 2 |", "\n| 2 | 0.", "Construction: 1."],
    ),
    "fractal-curves": (
        ["depths=1", "widths=2", "steps=3", "train_points=100", "test_points=200", "curves=(1, 6)"],
        ["| 1 | power(0) | 0.500, 0.629, 0.742, 0.840, 0.926, 1.000 | 0.", "0.500, 1.000 | 0.", "| 1 |\n"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_every_experiment_reports_what_it_measured(tmp_path, capsys, name):
    settings, expected = TINY[name]
    changes = [part for setting in [*settings, "seeds=2"] for part in ("--set", setting)]
    assert main(["reproduce", name, *changes, "--out", str(tmp_path)]) == 0
    report = capsys.readouterr().out
    for part in expected:
        assert part in report
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    json.loads((tmp_path / "data.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("name", ["fft-basin", "fft_basin"])
def test_a_truth_value_is_no_text(name, tmp_path, capsys):
    assert main(["reproduce", name, "--set", "squared=false", "--out", str(tmp_path)]) == 2
    assert "squared must be of type bool; got 'false'" in capsys.readouterr().err


def test_an_interrupted_run_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(_cli, "reproduce", interrupt)
    assert main(["reproduce", "parity-basin", "--out", str(tmp_path)]) == 130
    assert f"interrupted; the same command goes on from what is in {tmp_path}" in capsys.readouterr().err


def test_a_file_for_the_folder_is_refused(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    assert main(["reproduce", "parity-basin", "--out", str(path)]) == 2
    assert "reproduce: --out must be a folder that can be made" in capsys.readouterr().err


def test_curves_have_the_numbers_of_the_source(tmp_path, capsys):
    assert main(["reproduce", "fractal-curves", "--set", "curves=7", "--out", str(tmp_path)]) == 2
    assert re.search("curves have the source's numbers 1 to .*6; got 7", capsys.readouterr().err)


def test_all_figures_of_the_design_are_there():
    named = ["parity-basin", "fft-basin", "fft-scaling", "fractal-depth", "fractal-curves", "sharpness"]
    assert list(EXPERIMENTS) == named


@pytest.mark.parametrize(
    "name, message",
    [
        ("parity", "no experiment 'parity'; known are {}. Did you mean 'parity-basin'?"),
        ("fft_scalign", "no experiment 'fft_scalign'; known are {}. Did you mean 'fft-scaling'?"),
        ("nothing", "no experiment 'nothing'; known are {}"),
    ],
)
def test_unknown_experiments_are_refused_with_the_nearest(capsys, name, message):
    with pytest.raises(SystemExit):
        main(["reproduce", name])
    assert message.format(", ".join(sorted(EXPERIMENTS))) in capsys.readouterr().err


def test_experiments_are_found_with_underscores(tmp_path, capsys):
    assert main(["reproduce", "parity_basin", "--set", "sead=1", "--out", str(tmp_path)]) == 2
    assert "parity-basin has no setting 'sead'" in capsys.readouterr().err


@pytest.mark.slow
def test_without_matplotlib_nothing_is_computed(tmp_path):
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from deepconstruct import _cli\n"
        "assert _cli.main(['list']) == 0\n"
        f"_cli.main(['reproduce', 'fft-basin', '--out', {str(tmp_path)!r}])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "parity" in result.stdout
    assert "deepconstruct.plot needs matplotlib: pip install 'deepconstruct[plot]'" in result.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_full_and_quick_settings_are_alike(name):
    experiment = EXPERIMENTS[name]
    assert list(experiment.quick) == list(experiment.full)
    assert settings_of(experiment, full=True) == experiment.full
    for setting, value in experiment.quick.items():
        assert type(value) is type(experiment.full[setting])


@pytest.mark.slow
@pytest.mark.parametrize("flags, devices", [("", os.cpu_count()), ("--xla_force_host_platform_device_count=3", 3)])
def test_all_cores_are_devices_unless_the_user_chose(tmp_path, flags, devices):
    changes = [*SMALL, "--set", "sizes=2", "--set", "scales=0.1"]
    command = [sys.executable, "-m", "deepconstruct", "reproduce", "parity-basin", *changes, "--out", str(tmp_path)]
    result = subprocess.run(command, env={**os.environ, "XLA_FLAGS": flags}, capture_output=True, text=True, check=True)
    assert f"- devices: {devices} x cpu (cpu)" in result.stdout
