"""Compositions that are false, odd or endless, with digests that are right: the checker refuses them."""

import json
import time

import pytest

import deepconstruct as dc
import fuzz_files
from test_check import CHECK, content


def record(name, **fields):
    return {"class": name, "fields": fields}


def several(*parts):
    return {"tuple": list(parts)}


def parity(n):
    return record("targets.Parity", n=n, encoding="bits")


def power(coefficient, n):
    return record("targets.Polynomial", variables=1, outputs=several(several(several(several(n), coefficient))))


def identity(n, **changes):
    fields = {"linear": record("linear.Identity", size=n), "bias": None, "label": None}
    return record("Layer", **fields | {"activation": record("activations.Identity")} | changes)


def repeat(times, *layers):
    return record("Repeat", layers=several(*layers), times=times)


def iterated(part, times):
    return record("targets.Iterated", target=part, times=times)


NESTED = identity(1)
for _ in range(4):
    NESTED = repeat(2000, NESTED)
# Targets for the network of parity(4) or (1), and its name in the certificate.
TARGETS = {
    "another": (4, record("targets.Composed", outer=record("targets.BitsToSigns", n=1), inner=parity(4)),
                "bits to signs(1) of parity(4)"),
    "beside each other, overlapping": (4, record("targets.Parallel", targets=several(parity(3), parity(3)),
                                                 sizes=several(3, 3)), "parity(3) | parity(3)"),
    "of negative size": (4, record("targets.Parallel", targets=several(parity(1), parity(3)), sizes=several(-1, 5)),
                         ""),
    "none": (4, record("targets.FanOut", targets=several()), ""),
    "endless powers": (1, iterated(power(2.0, 64), 500), "2 x^64^500"),
    "endless factors": (1, iterated(power(1e300, 1), 500), "1e+300 x^500"),
    "endless": (4, iterated(iterated(parity(4), 500), 500), ""),
    "thousands": (1, record("targets.FanOut", targets=several(*[parity(1)] * 20_000)), ""),
}  # fmt: skip
# Layers that come last.
LAYERS = {
    "no repetition": repeat(0, identity(1)),
    "endless repetitions": repeat(2**21, identity(1)),
    "nested repetitions": NESTED,
    "two outputs": identity(1, linear=record("linear.Stack", parts=several(*[record("linear.Identity", size=1)] * 2))),
    "maps of several inputs": identity(
        1, linear=record("linear.Stack", parts=several(*(record("linear.Identity", size=n) for n in (1, 2))))
    ),
    "two inputs": identity(1, linear=record("linear.DirectSum", parts=several(record("linear.Identity", size=2)))),
    "many widths": identity(
        1,
        activation=record(
            "activations.Concatenate",
            activations=several(*[record("activations.ReLU")] * 20_000),
            widths=several(*[2**21] * 20_000),
        ),
    ),
    "many biases": identity(
        1, bias=record("bias.JoinedBias", parts=several(*[None] * 20_000), sizes=several(*[2**21] * 20_000))
    ),
}


def forged(data, change):
    """A file after a change of its construction and certificate, with the digests that it then has."""
    members = fuzz_files.members(data)
    tree, about = json.loads(members["tree.json"]), json.loads(members["certificate.json"])
    said = about["certificate"]["fields"]
    change(tree["tree"]["fields"], said)
    file = CHECK.File.__new__(CHECK.File)
    file.members = members | {"tree.json": json.dumps(tree).encode()}
    file.arrays = {name: file.array(part) for name, part in members.items() if name.endswith(".npy")}
    said["digest"], said["claim_digest"] = file.digest("network"), file.digest("claim")
    return fuzz_files.zipped(file.members | {"certificate.json": json.dumps(about).encode()})


def check(data, path, capsys):
    path.write_bytes(data)
    began = time.perf_counter()
    status = CHECK.main([str(path)])
    assert time.perf_counter() - began < 60
    return status, capsys.readouterr().out


def set_target(construction, said, value, name):
    construction["claim"]["fields"]["target"] = value
    said["name"] = name


def test_what_is_true_is_accepted(tmp_path, capsys):
    same = record("targets.Composed", outer=parity(1), inner=parity(4))
    data = content(dc.parity(4, dtype="float32"))
    for change in (
        lambda built, said: set_target(built, said, same, "parity(1) of parity(4)"),
        lambda built, said: built["network"]["fields"]["layers"]["tuple"].append(repeat(3, identity(1))),
    ):
        status, line = check(forged(data, change), tmp_path / "file.dc", capsys)
        assert status == 0, line


@pytest.mark.parametrize("name", TARGETS)
def test_odd_targets_are_rejected(name, tmp_path, capsys):
    bits, value, text = TARGETS[name]
    data = content(dc.parity(bits, dtype="float32"))
    status, line = check(
        forged(data, lambda built, said: set_target(built, said, value, text)), tmp_path / "file.dc", capsys
    )
    assert status == 1, line


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if "repetitions" in n else n for n in LAYERS])
def test_odd_layers_are_rejected(name, tmp_path, capsys):
    data = content(dc.parity(4, dtype="float32"))
    changed = forged(data, lambda built, _: built["network"]["fields"]["layers"]["tuple"].append(LAYERS[name]))
    status, line = check(changed, tmp_path / "file.dc", capsys)
    assert status == 1, line


def test_many_coordinates_are_rejected(tmp_path, capsys):
    domain = record("domains.Product", domains=several(*[record("domains.Bits", n=2**21)] * 20_000))
    data = content(dc.parity(4, dtype="float32"))
    changed = forged(data, lambda built, _: built["claim"]["fields"].update(domain=domain))
    status, line = check(changed, tmp_path / "file.dc", capsys)
    assert (status, "too long" in line) == (1, True)
