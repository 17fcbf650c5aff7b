"""The checker of instances: its bounds hold for any network, and it rejects what was changed."""

# Witnesses that are there, and wrong arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalIterable=false
# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false, reportOptionalOperand=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

import itertools
import json
import subprocess
from fractions import Fraction

import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct.benchmarks import check
from verified import KINDS, fractions, made, rational, run, saved


def random_layers(generator, sizes):
    """Small integers: many rows are multiples of one another, and many units are dead or always active."""
    layers = []
    for inner, outer in itertools.pairwise(sizes):
        weights = generator.integers(-1, 2, (outer, inner)) * generator.choice([0.5, 1, 2], (outer, 1))
        layers.append((weights, generator.integers(-2, 3, outer) * 0.5))
    return layers


UNIT, THIRD, ONE = Fraction(1, 2**24), Fraction(float(np.float32(1 / 3))), Fraction(1)


def test_the_rounding_is_that_of_a_sum_done_by_hand():
    layers = [([{0: THIRD, 1: ONE}], [ONE])]
    found = check.rounding(layers, [(Fraction(-2), ONE), (Fraction(0), Fraction(4))])
    assert found == pytest.approx(float(3 * UNIT * (2 * THIRD + 4 + 1)), rel=1e-6)


def test_what_a_sum_is_off_passes_on_by_the_slope_of_all_that_read_it():
    tent = [([{0: ONE}, {0: ONE}], [Fraction(0), -THIRD]), ([{0: ONE, 1: Fraction(-2)}], [Fraction(0)])]
    own = check.rounding(tent, [(Fraction(0), THIRD)])
    # The sum is off by two roundings, and the tent has slopes of 1 and -1, though its weights add up to 3.
    found = check.rounding([([{0: THIRD}], [Fraction(0)]), *tent], [(Fraction(0), ONE)])
    assert found == pytest.approx(float(own + 2 * UNIT * THIRD), rel=1e-5)


@pytest.mark.parametrize("sizes", [(1, 4, 3, 1), (2, 5, 4, 1), (3, 6, 6, 5, 1), (1, 1, 1), (2, 1)])
def test_bounds_hold_for_random_networks_and_joining_keeps_the_function(sizes):
    generator = np.random.default_rng(0)
    grid = np.array(list(itertools.product(np.arange(-8, 9) / 8, repeat=sizes[0])))[:, : sizes[0]]
    tight = 0
    for _ in range(25):
        layers = random_layers(generator, sizes)
        low, high = check.bounds(rational(layers), [(Fraction(-1), Fraction(1))] * sizes[0])
        values = run(layers, grid)
        assert low <= values.min()
        assert values.max() <= high
        tight += high == values.max()
        simple = check.joined(rational(layers))
        x = fractions(grid[5])
        assert check.exact(simple, x) == check.exact(rational(layers), x) == fractions(run(layers, grid[5]))
    assert tight >= 3  # bounds that say nothing would hold as well


def test_corner_bounds_of_changed_circuits_hold():
    generator = np.random.default_rng(0)
    applied = 0
    for seed in range(3):
        instance = made("circuit", "holds", seed=seed)
        box = [(Fraction(0), Fraction(1))] * instance.network.in_size
        for _ in range(15):
            layers = [(weights.copy(), bias.copy()) for weights, bias in instance.problem.layers]
            part = layers[generator.integers(0, 3)][generator.integers(0, 2)]
            place = tuple(generator.integers(0, size) for size in part.shape)
            part[place] = generator.choice([0.0, -part[place], 2 * part[place], part[place] + 0.5])
            found = check.corner_bound(check.joined(rational(layers)), box)
            grid = np.array(list(itertools.product((0, 3 / 8, 0.5, 5 / 8, 1), repeat=4)))
            applied += found is not None
            assert found is None or run(layers, grid).max() <= found
    assert 5 <= applied < 45


def accepted(folder):
    """Whether the checker accepts a folder, in this process."""
    return check.main([folder], folder.parent / "secret") == 0


def test_the_standalone_checker_accepts_what_is_written(tmp_path, capsys):
    for family, answer, disguised in KINDS:
        folder = saved(tmp_path / f"{family}{answer}{disguised}", made(family, answer, disguised))
        layers = made(family, answer, disguised).problem.layers
        found = check.network_of((folder / "model.onnx").read_bytes())
        assert found == (rational(layers), layers[0][0].shape[1])
        assert accepted(folder)
    assert capsys.readouterr().out.count("accepted: ") == len(KINDS)
    command = ["python", "-S", "-E", check.__file__, tmp_path / "pairholdsTrue" / "it"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("accepted: ")
    assert "holds, by 0.5" in done.stdout


def change(folder, name, old, new):
    """Replace the last such text in a file, and write its new hash into the answer."""
    content = (folder / name).read_bytes()
    assert old in content, f"{name} has no {old!r}"
    before, _, after = content.rpartition(old)
    (folder / name).write_bytes(before + new + after)
    if name != "answer.json":
        answer = json.loads((folder / "answer.json").read_text())
        answer["sha256"][name] = check.hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "answer.json").write_text(json.dumps(answer))


CHANGES = {
    "answer": ("answer.json", b'"answer": "holds"', b'"answer": "maybe"'),
    "other answer": ("answer.json", b'"answer": "holds"', b'"answer": "fails"'),
    "margin": ("answer.json", b'"margin": "1/4"', b'"margin": "1/3"'),
    "threshold": ("property.vnnlib", b"(>= Y_0 1.25)", b"(>= Y_0 1.0)"),
    "sense": ("property.vnnlib", b"(>= Y_0 1.25)", b"(<= Y_0 1.25)"),
    "no float": ("property.vnnlib", b"(>= Y_0 1.25)", b"(>= Y_0 1.3)"),
    "long number": ("property.vnnlib", b"(>= Y_0 1.25)", b"(>= Y_0 1e999999999)"),
    "other output": ("property.vnnlib", b"(>= Y_0 1.25)", b"(>= Y_1 1.25)"),
    "other relation": ("property.vnnlib", b"(>= Y_0 1.25)", b"(< Y_0 1.25)"),
    "second end": ("property.vnnlib", b"(assert (>= X_0 0.0))", b"(assert (>= X_0 0.0)) (assert (>= X_0 0.5))"),
    "missing end": ("property.vnnlib", b"(assert (>= X_0 0.0))", b""),
    "empty box": ("property.vnnlib", b"(assert (>= X_0 0.0))", b"(assert (>= X_0 2.0))"),
    "bracket": ("property.vnnlib", b"(assert (>= X_0 0.0))", b"(assert (>= X_0 0.0)"),
    "bracket too many": ("property.vnnlib", b"(assert (>= X_0 0.0))", b"(assert (>= X_0 0.0)))"),
    "other command": ("property.vnnlib", b"(assert (>= X_0 0.0))", b"(suppose (>= X_0 0.0))"),
    "weight": ("model.onnx", np.array([1, -2], "f4").tobytes(), np.array([2, -2], "f4").tobytes()),
    "operator": ("model.onnx", b"Relu", b"Tanh"),
    "long integer": ("model.onnx", b"layer0", b"\x80" * 6),
    "cut": ("model.onnx", b"layer0", b"layer0 "),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_files_are_rejected(tmp_path, capsys, name):
    folder = saved(tmp_path, made("parity", "holds"))
    assert accepted(folder)
    change(folder, *CHANGES[name])
    assert not accepted(folder)
    assert "rejected: " in capsys.readouterr().out


def test_a_change_without_its_hash_and_a_file_too_large_are_rejected(tmp_path, capsys, monkeypatch):
    folder = saved(tmp_path, made("parity", "holds"))
    (folder / "property.vnnlib").write_text("; another\n" + (folder / "property.vnnlib").read_text())
    assert not accepted(folder)
    assert "isn't the file of the answer" in capsys.readouterr().out
    monkeypatch.setattr(check, "LARGEST", 10)
    assert not accepted(folder)
    assert "is too large" in capsys.readouterr().out


def test_changed_witnesses_are_rejected(tmp_path, capsys):
    folder = saved(tmp_path, made("parity", "fails"))
    assert accepted(folder)
    file = tmp_path / "secret" / "it" / "witness.json"
    first, *rest = json.loads(file.read_text())["witness"]
    for other, message in (("2", "isn't in the box"), ("1/3", "must be floats"), ("0", "isn't proved")):
        assert other != first
        file.write_text(json.dumps({"witness": [other, *rest]}))
        assert not accepted(folder)
        assert message in capsys.readouterr().out
    assert check.main([folder]) == 1
    assert "name the folder of witnesses" in capsys.readouterr().out


def test_no_changed_weight_of_a_fractal_is_proved_wrongly():
    instance = made("fractal", "holds")
    box = [(instance.problem.low[0], instance.problem.high[0])]
    for layer, (weights, bias) in enumerate(instance.problem.layers):
        for part, place in [(0, at) for at in np.argwhere(weights)] + [(1, at) for at in np.argwhere(bias)]:
            layers = [[weights.copy(), bias.copy()] for weights, bias in instance.problem.layers]
            layers[layer][part][tuple(place)] *= -1 if sum(place) % 2 else 1.25
            network = dc.Network.from_matrices([w for w, _ in layers], [b for _, b in layers], "relu", dtype="float32")
            times = dc.linear_regions(network, *([end] for end in box[0])).breakpoints
            values = [check.exact(rational(layers), [box[0][0] + t])[0] for t in (Fraction(0), *times, Fraction(1))]
            assert check.bounds(rational(layers), box) == (min(values), max(values))
