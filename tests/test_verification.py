"""Benchmarks for verifiers: every answer against oracles of its own, and everything written is read by others."""

# Witnesses that are there, and wrong arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalIterable=false
# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false, reportOptionalOperand=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

import csv
import functools
import itertools
import json
import shutil
import subprocess
from fractions import Fraction

import jax
import numpy as np
import onnxruntime
import pytest

import deepconstruct as dc
from deepconstruct import _cli
from deepconstruct.benchmarks import _instance, _vnnlib, check

FAMILIES = tuple(dc.benchmarks.FAMILIES)
ANSWERS = ("holds", "fails")
KINDS = list(itertools.product(FAMILIES, ANSWERS, (False, True)))


@functools.cache
def made(family, answer, disguised=False, difficulty=1, seed=0):
    return dc.benchmarks.verification(
        family, difficulty=difficulty, answer=answer, disguised=disguised, key=jax.random.key(seed)
    )


def exact(instance, x):
    """The output over the reals by plain sums of fractions."""
    layers = instance.problem.layers
    for index, (weights, bias) in enumerate(layers):
        pairs = zip(weights.tolist(), bias.tolist(), strict=True)
        sums = [sum((Fraction(w) * v for w, v in zip(row, x, strict=True)), Fraction(b)) for row, b in pairs]
        x = sums if index == len(layers) - 1 else [max(z, Fraction(0)) for z in sums]
    return x[0]


def is_unsafe(instance, value, slack=Fraction(0)):
    """Whether an output is unsafe even if it is moved by the slack."""
    gaps = {">=": lambda end: value - end, "<=": lambda end: end - value}
    return any(gaps[sense](end) >= slack for sense, end in instance.problem.unsafe)


def points(instance, count, seed=1):
    """Floats of the box: some random, some of its corners."""
    low, high = instance.problem.box
    share = np.random.default_rng(seed).random((count, len(low)), np.float32)
    share[::3] = np.round(share[::3])
    return np.clip(low + (high - low) * share, low, high)


def fractions(x):
    return [Fraction(float(value)) for value in x]


def test_a_witness_is_unsafe_with_a_margin_and_holding_instances_are_safe_at_points():
    for family, answer, disguised in KINDS:
        instance = made(family, answer, disguised)
        assert instance.margin > instance.rounding > 0
        if answer == "fails":
            assert all(
                a <= x <= b
                for a, x, b in zip(instance.problem.low, instance.witness, instance.problem.high, strict=True)
            )
            assert is_unsafe(instance, exact(instance, instance.witness), instance.margin)
            continue
        assert instance.witness is None
        for x in points(instance, 12):
            value = exact(instance, fractions(x))
            for end in (value - instance.margin, value + instance.margin):
                assert not is_unsafe(instance, end, Fraction(1, 10**9)), (family, x)


def turning_points(instance, start, stop):
    """Where the output turns on a segment, with its ends, exactly."""
    times = [Fraction(0), *dc.linear_regions(instance.network, start, stop).breakpoints, Fraction(1)]
    return [[a + t * (b - a) for a, b in zip(start, stop, strict=True)] for t in times]


@pytest.mark.parametrize("family", ["fractal", "pair"])
def test_with_one_input_the_largest_output_is_the_one_proved(family):
    for answer, seed in itertools.product(ANSWERS, (0, 1)):
        instance = made(family, answer, seed=seed)
        values = [exact(instance, x) for x in turning_points(instance, instance.problem.low, instance.problem.high)]
        if answer == "fails":
            assert is_unsafe(instance, max(values)) or is_unsafe(instance, min(values))
        else:
            assert not any(is_unsafe(instance, value) for value in values)
            assert check.margin_of(min(values), max(values), instance.problem.unsafe) == instance.margin


@pytest.mark.parametrize("family", ["parity", "polynomial"])
def test_no_segment_through_the_hardest_place_leaves_the_bounds(family):
    # The same key gives the same network, whatever is asked of it, so the witness is a place of it, too.
    place = made(family, "fails").witness
    holds = made(family, "holds")
    assert is_unsafe(holds, exact(holds, place), -holds.margin)
    for stop in points(holds, 3):
        for x in turning_points(holds, list(place), fractions(stop)):
            assert not is_unsafe(holds, exact(holds, x), -holds.margin + Fraction(1, 10**9))


def solutions(instance, values):
    """The largest output on a grid with these values of every input; sums are exact in doubles."""
    size = instance.network.in_size
    x = np.array(list(itertools.product(values, repeat=size)))
    for index, (weights, bias) in enumerate(instance.problem.layers):
        x = x @ weights.T + bias
        x = x if index == len(instance.problem.layers) - 1 else np.maximum(x, 0)
    return float(x.max())


@pytest.mark.parametrize("disguised", [False, True])
def test_circuits_are_right_at_every_corner_and_at_every_kink(disguised):
    for answer, seed in itertools.product(ANSWERS, range(3)):
        instance = made("circuit", answer, disguised, seed=seed)
        ((_, threshold),) = instance.problem.unsafe
        best = float(threshold) + (0.5 if answer == "fails" else -0.5)
        assert solutions(instance, (0, 3 / 8, 7 / 16, 0.5, 9 / 16, 5 / 8, 1)) == best


@pytest.mark.slow
def test_circuits_of_16_bits_are_right_at_every_corner():
    for answer in ANSWERS:
        instance = made("circuit", answer, difficulty=2)
        ((_, threshold),) = instance.problem.unsafe
        assert solutions(instance, (0, 1)) == float(threshold) + (0.5 if answer == "fails" else -0.5)


def test_onnxruntime_and_orders_of_sums_stay_within_the_rounding(tmp_path):
    generator = np.random.default_rng(0)
    for family, answer, disguised in KINDS:
        instance = made(family, answer, disguised, seed=3)
        instance.save(tmp_path / family)
        session = onnxruntime.InferenceSession(tmp_path / family / "model.onnx")
        inputs = list(points(instance, 3))
        inputs += [] if instance.witness is None else [np.array(instance.witness, np.float32)]
        for x in inputs:
            wanted = exact(instance, fractions(x))
            (ran,) = session.run(None, {"input": x[None]})[0].ravel()
            for value in (ran, in_some_order(instance.problem.layers, x, generator)):
                assert abs(Fraction(float(value)) - wanted) <= instance.rounding
        if instance.witness is not None:
            assert is_unsafe(instance, Fraction(float(ran)), instance.margin - instance.rounding)


def in_some_order(layers, x, generator):
    """A run in float32 that adds one term after another in a random order."""
    for index, (weights, bias) in enumerate(layers):
        terms = np.concatenate([weights.astype(np.float32) * x, bias.astype(np.float32)[:, None]], axis=1)
        sums = np.cumsum(terms[:, generator.permutation(terms.shape[1])], axis=1, dtype=np.float32)[:, -1]
        x = sums if index == len(layers) - 1 else np.maximum(sums, 0)
    return x[0]


def test_the_rounding_is_that_of_a_sum_done_by_hand():
    unit, third = Fraction(1, 2**24), Fraction(float(np.float32(1 / 3)))
    layers = [([{0: third, 1: Fraction(1)}], [Fraction(1)])]
    found = check.rounding(layers, [(Fraction(-2), Fraction(1)), (Fraction(0), Fraction(4))])
    assert found == pytest.approx(float(3 * unit * (2 * third + 4 + 1)), rel=1e-6)
    # A sum of which two units are read: its error passes on by the slope of their sum, 1, not by 1 + 2.
    tent = [*layers, ([{0: Fraction(1), 1: Fraction(-2)}], [Fraction(0)])]
    tent[0] = ([layers[0][0][0], layers[0][0][0]], [Fraction(0), Fraction(-1)])
    deep = [([{0: third}], [Fraction(0)]), ([{0: Fraction(1)}, {0: Fraction(1)}], [Fraction(0), Fraction(-1)]), tent[1]]
    own = check.rounding(deep[1:], [(Fraction(0), third)])
    assert check.rounding(deep, [(Fraction(0), Fraction(1))]) == pytest.approx(float(own + 2 * unit * third), rel=0.01)


def random_layers(generator, sizes):
    """Small integers: many rows are multiples of one another, and many units are dead or always active."""
    layers = []
    for inner, outer in itertools.pairwise(sizes):
        weights = generator.integers(-1, 2, (outer, inner)) * generator.choice([0.5, 1, 2], (outer, 1))
        layers.append((weights, generator.integers(-2, 3, outer) * 0.5))
    return layers


def rational(layers):
    """As the checker takes them."""
    return [
        ([{col: Fraction(w) for col, w in enumerate(row) if w} for row in weights.tolist()], list(map(Fraction, bias)))
        for weights, bias in layers
    ]


def run(layers, x):
    for index, (weights, bias) in enumerate(layers):
        x = x @ weights.T + bias
        x = x if index == len(layers) - 1 else np.maximum(x, 0)
    return x


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


def saved(folder, instance, **options):
    instance.save(folder / "it", witness=folder / "secret" / "it", **options)
    return folder / "it"


def accepted(folder):
    """Whether the checker accepts a folder, in this process."""
    return check.main([folder], folder.parent / "secret") == 0


def test_the_standalone_checker_accepts_what_is_written(tmp_path, capsys):
    for family, answer, disguised in KINDS:
        assert accepted(saved(tmp_path / f"{family}{answer}{disguised}", made(family, answer, disguised)))
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
    assert check.main([folder]) == 1  # no witness beside it
    assert "rejected: " in capsys.readouterr().out


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


def test_the_parser_of_the_format_reads_every_property(tmp_path):
    vnnlib, compat = pytest.importorskip("vnnlib"), pytest.importorskip("vnnlib.compat")
    for family, answer, _ in KINDS[::2]:
        instance = made(family, answer)
        folder = saved(tmp_path / f"{family}{answer}", instance)
        cases = compat.transform(vnnlib.parse_query_file(str(folder / "property-2.0.vnnlib")))
        low, high = instance.problem.box
        found = set()
        for case in cases:
            assert [tuple(map(np.float32, ends)) for ends in case.input_box] == list(zip(low, high, strict=True))
            for polytope in case.output_constraints:
                ((coefficient,),), (end,) = np.array(polytope.coeff_matrix).tolist(), np.ravel(polytope.rhs).tolist()
                found.add(("<=", end) if coefficient > 0 else (">=", -end))
        assert found == {(sense, float(end)) for sense, end in instance.problem.unsafe}
        box, unsafe = check.property_of((folder / "property.vnnlib").read_text(), len(low))
        assert box == list(zip(instance.problem.low, instance.problem.high, strict=True))
        assert tuple(unsafe) == instance.problem.unsafe


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
@pytest.mark.default_cases(1)
@pytest.mark.parametrize("family", FAMILIES)
def test_c_compiles_passes_its_test_and_refutes_at_the_witness(tmp_path, family):
    strict = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-O0"]
    instance = made(family, "fails", disguised=True)
    folder = saved(tmp_path / family, instance, in_c=True)
    for sources, name in ((["network_test.c"], "test"), (["property.c"], "property")):
        subprocess.run([*strict, "network.c", *sources, "-lm", "-o", name], cwd=folder, check=True)
    subprocess.run([*strict, "-DVERIFIER", "-c", "property.c"], cwd=folder, check=True)
    subprocess.run([folder / "test"], check=True)
    safe = next(x.tolist() for x in points(instance, 9) if not is_unsafe(instance, exact(instance, fractions(x))))
    off = [float(instance.problem.high[0]) + 1, *safe[1:]]
    for inputs, code in ((map(float, instance.witness), 1), (safe, 0), (off, 2), ([], 2)):
        done = subprocess.run([folder / "property", *(f"{x:.9g}" for x in inputs)], check=False)
        assert done.returncode == code


def test_answers_tell_no_witness(tmp_path):
    folder = saved(tmp_path, made("parity", "fails"))
    answer = json.loads((folder / "answer.json").read_text())
    assert (answer["answer"], answer["result"], answer["certificate"]) == ("fails", "sat", None)
    figures = answer["figures"]
    assert figures["inputs"] == 4
    assert figures["relus"] == 6
    assert figures["regions_on_a_diagonal"] > 1
    assert 0 < figures["violating_volume"] < 1
    assert figures["violating_volume_is"] == "at least"
    assert sorted(file.name for file in folder.iterdir()) == [
        "answer.json", "model.onnx", "property-2.0.vnnlib", "property.vnnlib"
    ]  # fmt: skip
    holds = json.loads((saved(tmp_path / "other", made("parity", "holds")) / "answer.json").read_text())
    assert holds["result"] == "unsat"
    assert "at most" in holds["certificate"]
    assert not (tmp_path / "other" / "secret").exists()


def test_volumes_are_bounds_of_the_share_that_is_unsafe():
    for family in FAMILIES:
        instance = made(family, "fails", seed=1)
        low, high = (end.astype(float) for end in instance.problem.box)
        kind, volume = instance.problem.volume
        x = low + (high - low) * np.random.default_rng(0).random((50_000, len(low)))
        values = run(instance.problem.layers, x)[:, 0]
        unsafe = np.zeros(len(x), bool)
        for sense, end in instance.problem.unsafe:
            unsafe |= values >= float(end) if sense == ">=" else values <= float(end)
        share, error = unsafe.mean(), 5 * np.sqrt(max(unsafe.mean(), 1e-5) / len(x))
        assert share <= float(volume) + error if kind == "at most" else share >= float(volume) - error, family


def test_the_attack_finds_easy_witnesses_and_none_where_there_is_none():
    easy = dc.benchmarks.attack(made("parity", "fails"), starts=200, key=jax.random.key(0))
    assert is_unsafe(made("parity", "fails"), exact(made("parity", "fails"), fractions(easy.witness)))
    assert easy.nearest <= 0
    assert easy.starts <= 200
    none = dc.benchmarks.attack(made("pair", "holds"), starts=100, steps=5, key=jax.random.key(0))
    assert none.witness is None
    assert none.nearest == pytest.approx(0.5, abs=1e-2)
    assert (none.starts, none.evaluations) == (100, 2 * 100 * 6)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_at_difficulty_3_the_attack_finds_nothing_while_the_witness_fails_when_run(family):
    instance = made(family, "fails", difficulty=3)
    assert dc.benchmarks.attack(instance, starts=1000, steps=20, key=jax.random.key(0)).witness is None
    ran = run([(w.astype("f4"), b.astype("f4")) for w, b in instance.problem.layers], np.array(instance.witness, "f4"))
    assert is_unsafe(instance, Fraction(float(ran[0])), instance.margin - instance.rounding)


def test_a_set_is_listed_and_the_same_again(tmp_path):
    options = {"instances": 6, "families": ("fractal", "pair"), "difficulties": (1,), "progress": False}
    names = dc.benchmarks.verification_set(tmp_path / "a", witnesses=tmp_path / "w", timeout=7, **options)
    dc.benchmarks.verification_set(tmp_path / "b", **options)
    with open(tmp_path / "a" / "instances.csv") as file:
        rows = list(csv.reader(file))
    assert rows == [[f"{name}/model.onnx", f"{name}/property.vnnlib", "7"] for name in names]
    assert len(names) == 6
    answers = [json.loads((tmp_path / "a" / name / "answer.json").read_text()) for name in names]
    assert {answer["answer"] for answer in answers} == set(ANSWERS)
    assert [answer["disguised"] for answer in answers] == [False, False, True, True, False, False]
    fails = {name for name, answer in zip(names, answers, strict=True) if answer["answer"] == "fails"}
    assert {folder.name for folder in (tmp_path / "w").iterdir()} == fails
    for name, file in itertools.product(names, ("model.onnx", "property.vnnlib", "answer.json")):
        assert (tmp_path / "a" / name / file).read_bytes() == (tmp_path / "b" / name / file).read_bytes()


def test_what_was_written_before_the_work_is_killed_is_listed_and_whole(tmp_path, monkeypatch):
    count, write = [], _instance.to_onnx

    def killed(*arguments, **options):
        count.append(None)
        if len(count) == 3:
            raise KeyboardInterrupt
        return write(*arguments, **options)

    monkeypatch.setattr(_instance, "to_onnx", killed)
    with pytest.raises(KeyboardInterrupt):
        dc.benchmarks.verification_set(tmp_path, instances=4, families=("fractal",), difficulties=(1,), progress=False)
    listed = (tmp_path / "instances.csv").read_text().splitlines()
    whole = sorted(file.parent.name for file in tmp_path.glob("*/answer.json"))
    assert [line.split("/")[0] for line in listed] == whole
    assert len(whole) == 2


def test_the_command_line_writes_a_set_and_checks_it(tmp_path, capsys):
    options = ["--instances", "2", "--seed", "5", "--family", "circuit", "--difficulty", "1"]
    out, secret = str(tmp_path / "out"), str(tmp_path / "secret")
    assert _cli.main(["benchmark", "verification", "--out", out, "--witnesses", secret, *options]) == 0
    assert "2 instances, and instances.csv" in capsys.readouterr().out
    folders = [str(folder) for folder in sorted((tmp_path / "out").iterdir()) if folder.is_dir()]
    assert _cli.main(["check", *folders, "--witnesses", secret]) == 0
    assert capsys.readouterr().out.count("accepted: ") == 2
    assert _cli.main(["check", folders[0], str(tmp_path / "none"), "--witnesses", secret]) == 1
    assert _cli.main(["benchmark", "verification", "--out", out, "--family", "nothing"]) == 2


def test_refusals(monkeypatch):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="verification: family must be"):
        dc.benchmarks.verification("nothing", difficulty=1, key=key)
    with pytest.raises(ValueError, match="difficulty must be at least 1"):
        dc.benchmarks.verification("parity", difficulty=0, key=key)
    with pytest.raises(ValueError, match="answer must be"):
        dc.benchmarks.verification("parity", difficulty=1, answer="maybe", key=key)
    with pytest.raises(TypeError, match=r"attack: expected an Instance of dc\.benchmarks"):
        dc.benchmarks.attack("parity", key=key)
    with pytest.raises(ValueError, match="expected at least one family and one difficulty"):
        dc.benchmarks.verification_set("never", families=())
    with pytest.raises(ValueError, match="has no finite decimal that a file would hold"):
        _vnnlib.decimal(Fraction(1, 3))
    monkeypatch.setattr(check, "UNIT", Fraction(1, 2**12))
    with pytest.raises(ValueError, match="is too large for polynomial: rounding in 32 bits might reach the"):
        dc.benchmarks.verification("polynomial", difficulty=2, key=key)
