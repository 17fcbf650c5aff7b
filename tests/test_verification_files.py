"""Instances in files: others read them, they tell no witness, and nothing is lost."""

# Witnesses that are there, and wrong arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalIterable=false
# pyright: reportOptionalMemberAccess=false, reportGeneralTypeIssues=false, reportOptionalOperand=false
# pyright: reportAttributeAccessIssue=false, reportPossiblyUnboundVariable=false

import csv
import itertools
import json
import shutil
import subprocess

import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct import _cli
from deepconstruct.benchmarks import _instance, check
from verified import ANSWERS, FAMILIES, KINDS, exact, fractions, is_unsafe, made, points, saved


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
