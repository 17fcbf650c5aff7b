"""The standalone checker: it accepts what is proved, and rejects everything else with one line."""

import ast
import dataclasses
import decimal
import importlib.util
import io
import itertools
import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import fuzz_files
from deepconstruct._certify import METHODS
from deepconstruct._certify.certificate import certificate
from deepconstruct._certify.points.pointwise import Pointwise
from deepconstruct._cli import main as command_line
from deepconstruct._files.certificates import classes
from deepconstruct._files.registry import CLASSES
from deepconstruct.construction.encoding import digest

SOURCE = Path(dc.__file__).parent / "_certify" / "check.py"


def loaded():
    """The checker as a module of its own, outside the package."""
    spec = importlib.util.spec_from_file_location("standalone_checker", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = loaded()


def content(construction, **changes):
    """A file with a certificate that says `proved`, whether it is or not."""
    fields = {
        "ran": False,
        "found": construction.claim.error,
        "inputs": 0,
        "evidence": Pointwise(5, 0.0, 0.0),
        "trusts": (),
    }
    said = dataclasses.replace(certificate(construction, "exhaustive", "proved", **fields), **changes)
    file = io.BytesIO()
    dc.save(file, construction, said)
    return file.getvalue()


@pytest.fixture
def verdict(tmp_path, capsys):
    """Run the checker on the bytes of a file: its line, after a check of what it may look like."""

    def run(data):
        path = tmp_path / "file.dc"
        path.write_bytes(data)
        status = CHECK.main([str(path)])
        shown = capsys.readouterr()
        (line,) = shown.out.splitlines()
        assert not shown.err
        assert len(line) < 1000
        word = "accepted" if status == 0 else "rejected"
        assert line.startswith(f"{word}: {path}: "), (status, line)
        return line.replace(f"{path}: ", "")

    return run


def tree_of(bits):
    """A tree of XOR gates that no builder made: its weights are those of `parity`, as one dense matrix a layer."""
    return dc.densify(dc.parity(bits, dtype="float32"))


def boolean(n, dtype, outputs=1, whole=False):
    rng = np.random.default_rng(n)
    table = rng.integers(0, 2, (2**n, outputs)) if whole else rng.normal(size=(2**n, outputs))
    return dc.boolean_function(table, dtype=dtype)


ACCEPTED = {
    "parity": lambda: dc.parity(16, dtype="float32"),
    "one bit": lambda: dc.parity(1, dtype="float32"),
    "uneven": lambda: dc.parity(37, dtype="float32"),
    "prime, step": lambda: dc.parity(101, activation="step", dtype="float64"),
    "large": lambda: dc.parity(2**12, dtype="float32"),
    "half": lambda: dc.parity(8, dtype="float16"),
    "signs": lambda: dc.parity(16, encoding="signs", dtype="float32"),
    "ternary": lambda: dc.parity(27, arity=3, dtype="float32"),
    "tied": lambda: dc.parity(16, tied=True, dtype="float32"),
    "dense": lambda: tree_of(12),
    "count": lambda: dc.parity_shallow(16, dtype="float32"),
    "dnf": lambda: dc.parity_shallow(8, kind="dnf", dtype="float32"),
    "bounded depth": lambda: dc.parity_bounded_depth(16, 3, dtype="float32"),
    "table": lambda: boolean(6, "float32", whole=True),
    "table of two outputs": lambda: boolean(3, "float64", outputs=2, whole=True),
    "real table": lambda: boolean(6, "float32"),
    "real table of two outputs": lambda: boolean(4, "float64", outputs=2),
    "constant table": lambda: dc.boolean_function(np.zeros(8), dtype="float32"),
    "sigmoids": lambda: dc.parity(16, activation="sigmoid", dtype="float32"),
    "uneven sigmoids": lambda: dc.parity(7, activation="sigmoid", dtype="float64"),
    "unfused sigmoids": lambda: dc.parity(8, activation="sigmoid", fused=False, dtype="float32"),
    "a sigmoid": lambda: dc.bit_product(8, dtype="float32"),
    "table by sigmoids": lambda: dc.catalog.build("boolean_sigmoid", dtype="float32"),
    "bits to signs": lambda: dc.bits_to_signs(5, dtype="float32"),
    "signs to bits": lambda: dc.signs_to_bits(5, dtype="float32"),
    "square gate": lambda: dc.multiplication_gate(activation="square", dtype="float32"),
    "wide square gate": lambda: dc.multiplication_gate(activation="square", bound=3.0, dtype="float64"),
    "square tree": lambda: dc.product_tree(8, activation="square", dtype="float32"),
    "polynomial": lambda: dc.catalog.build("polynomial", dtype="float32"),
    "quadratic form": lambda: dc.catalog.build("quadratic_form", dtype="float64"),
}


@pytest.mark.default_cases(11)
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_true_is_accepted(verdict, name):
    construction = ACCEPTED[name]()
    line = verdict(content(construction))
    claim = construction.claim
    assert line.startswith(f"accepted: {construction.name} on {claim.domain!r} in {claim.dtype}: error at most "), line
    bound = float(line.split("error at most ")[1].split(",")[0])
    assert (bound == 0) == claim.error.is_exact
    assert bound <= claim.error.largest * (1 + 1e-5)


SQUARE: Any = {"activation": "square", "dtype": "float64"}
# Parts that are joined: side by side, on the same input, one after another, repeated.
COMPOSED = {
    "parity of parities": lambda: dc.series(
        dc.parallel(dc.parity(8, dtype="float32"), dc.parity(5, dtype="float32")), dc.parity(2, dtype="float32")
    ),
    "table of parities": lambda: dc.series(
        dc.parallel(*[dc.parity(8, dtype="float32")] * 3),
        dc.boolean_function([0, 1, 1, 0, 1, 0, 1, 1], dtype="float32"),
        merge=False,
    ),
    "product of parities": lambda: dc.series(dc.parallel(dc.parity(40), dc.parity(40)), dc.multiplication_gate()),
    "trees and boxes": lambda: dc.parallel(dc.parity(3, dtype="float64"), dc.multiplication_gate(**SQUARE)),
    "unequal depths": lambda: dc.parallel(
        dc.parity(5), dc.parity_shallow(6, kind="dnf"), dc.bit_product(4), dc.boolean_function([0.5, 1, 2, 3])
    ),
    "one input": lambda: dc.fan_out(dc.parity(6), dc.bit_product(6), dc.parity_shallow(6)),
    "polynomials": lambda: dc.fan_out(dc.multiplication_gate(**SQUARE), dc.polynomial({(2, 0): 1.0}, **SQUARE)),
    "products of products": lambda: dc.series(
        dc.parallel(*[dc.multiplication_gate(**SQUARE)] * 2), dc.multiplication_gate(**SQUARE)
    ),
    "repeated": lambda: dc.repeat(dc.series(dc.bits_to_signs(4), dc.signs_to_bits(4)), 3),
}


@pytest.mark.default_cases(5)
@pytest.mark.parametrize("name", COMPOSED)
def test_compositions_are_accepted_as_a_whole_and_false_ones_are_not(verdict, name):
    construction = COMPOSED[name]()
    found = dc.certify(construction, method="composition")
    assert (found.verdict, found.method) == ("proved", "composition")
    file = io.BytesIO()
    dc.save(file, construction, found)
    line = verdict(file.getvalue())
    assert line.startswith(f"accepted: {construction.name} on {construction.claim.domain!r} in "), line
    for seed in range(3):
        leaves, structure = jax.tree.flatten(construction.network)
        arrays, rng = [np.array(leaf) for leaf in leaves], np.random.default_rng(seed)
        flat = arrays[rng.integers(len(arrays))].reshape(-1)
        nonzero = np.flatnonzero(flat)
        flat[nonzero[rng.integers(len(nonzero))] if len(nonzero) else 0] += 0.75
        network = jax.tree.unflatten(structure, [jnp.asarray(array) for array in arrays])
        wrong = verdict(content(dc.claim(network, construction.claim)))
        assert wrong.startswith("rejected: "), wrong
        assert "malformed" not in wrong


SHIPPED = {
    "parity": lambda: dc.parity(10, dtype="float32"),
    "bits to signs": lambda: dc.bits_to_signs(5, dtype="float32"),
    "bounded depth": lambda: dc.parity_bounded_depth(8, 3, dtype="float64"),
    "table": lambda: boolean(4, "float32", whole=True),
    "dnf": lambda: dc.parity_shallow(8, kind="dnf", dtype="float32"),
    "square gate": lambda: dc.multiplication_gate(activation="square", dtype="float32"),
    "square tree": lambda: dc.product_tree(4, activation="square", dtype="float64"),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_certificates_of_certify_are_accepted(verdict, name):
    construction = SHIPPED[name]()
    found = dc.certify(construction)
    assert (found.verdict, found.method in CHECK.METHODS) == ("proved", True)
    file = io.BytesIO()
    dc.save(file, construction, found)
    assert verdict(file.getvalue()).startswith("accepted: ")


def test_its_tables_follow_the_library():
    """Classes that files hold have the fields that the checker expects, and methods the evidence."""
    known = CLASSES | classes()
    for name, fields in CHECK.CLASSES.items():
        assert {field.name for field in dataclasses.fields(known[name])} == fields, name
    assert set(CHECK.METHODS) <= {method.name for method in METHODS}
    assert set(CHECK.METHODS.values()) <= set(CHECK.CLASSES)


# Softmax isn't known, and the last one has too many terms.
OPEN = ("boolean_classifier", "gaussian_classifier", "hamiltonian_classifier", "flat_product_power")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_certificates_of_the_catalog_are_accepted(verdict, dtype):
    """Those of methods that the checker knows."""
    accepted = 0
    for name, entry in dc.catalog.ENTRIES.items():
        if entry.kind == "complex" or name in OPEN or name.startswith("fractal"):
            continue
        construction = dc.catalog.build(name, dtype=dtype)
        methods = [method for method in METHODS if method.name in CHECK.METHODS and not method.applies(construction)]
        found = [dc.certify(construction, method=method.name) for method in methods]
        for proof in [certified for certified in found if certified.verdict == "proved"][:1]:
            file = io.BytesIO()
            dc.save(file, construction, proof)
            assert verdict(file.getvalue()).startswith("accepted: "), name
            accepted += 1
    assert accepted >= 20


def test_robustness_is_said_not_to_be_rechecked(verdict):
    covers = ("error", "robustness")
    assert verdict(content(dc.parity(4), covers=covers)).endswith("; robustness was not rechecked")
    assert "robustness" not in verdict(content(dc.parity(4)))


# What is false, with fresh digests: the checker's own mathematics must find it.


def claimed(construction, **changes):
    return dc.claim(construction.network, dataclasses.replace(construction.claim, **changes))


def less(construction, share):
    """The same claim with a smaller error."""
    error = construction.claim.error.largest * share
    return claimed(construction, error=dc.Bound(error))


def altered(construction, change):
    """With another leaf: `change` takes a copy of the first array of more than one number, flat."""
    leaves, done = [], False
    for leaf in jax.tree.leaves(construction.network):
        flat = np.array(leaf).ravel()
        if not done and flat.size > 1:
            change(flat)
            done = True
        leaves.append(jnp.asarray(flat.reshape(leaf.shape), leaf.dtype))
    return dc.claim(jax.tree.unflatten(jax.tree.structure(construction.network), leaves), construction.claim)


def bump(place, change):
    def inner(flat):
        flat[place] = change(flat[place])

    return inner


FALSE = {
    "parity of fewer bits": (lambda: claimed(dc.parity(8), target=dc.targets.Product(8)), "more than is claimed"),
    "one gate's weight doubled": (lambda: altered(dc.parity(8), bump(0, lambda w: 2 * w)), "more than is claimed"),
    "one gate's weight an ulp larger": (
        lambda: altered(dc.parity(8), bump(3, lambda w: np.nextafter(w, np.float64(9)))),
        "more than is claimed",
    ),
    "one gate's weight lost": (lambda: altered(dc.parity(8), bump(5, lambda w: 0 * w)), "more than is claimed"),
    "a sign lost": (lambda: altered(dc.parity(7), bump(2, lambda w: -w)), "more than is claimed"),
    "another table": (
        lambda: claimed(boolean(4, "float32", whole=True), target=boolean(4, "float32").claim.target),
        "leaves its codomain|more than is claimed",
    ),
    "real table, smaller claim": (lambda: less(boolean(5, "float32"), 1e-3), "more than is claimed"),
    "square tree, smaller claim": (
        lambda: less(dc.product_tree(8, activation="square", dtype="float32"), 0.9),
        "more than is claimed",
    ),
    "sigmoids, smaller claim": (
        lambda: less(dc.parity(16, activation="sigmoid", dtype="float32"), 0.7),
        "more than is claimed",
    ),
    "a sigmoid, smaller claim": (lambda: less(dc.bit_product(8, dtype="float32"), 0.7), "more than is claimed"),
    "one sigmoid's weight halved": (
        lambda: altered(dc.parity(4, activation="sigmoid"), bump(0, lambda w: w / 2)),
        "more than is claimed",
    ),
    "square gate, claimed exact": (
        lambda: less(dc.multiplication_gate(activation="square"), 0.0),
        "more than is claimed",
    ),
    "codomain of corners": (
        lambda: claimed(dc.multiplication_gate(activation="square"), codomain=dc.domains.Signs(1)),
        "leaves its codomain",
    ),
    "codomain": (lambda: claimed(dc.parity(4), codomain=dc.domains.Signs(1)), "leaves its codomain"),
    "table on signs": (
        lambda: claimed(boolean(3, "float32", whole=True), domain=dc.domains.Signs(3)),
        "isn't known on this domain",
    ),
    "bits for signs": (
        lambda: claimed(dc.parity(4, encoding="signs"), domain=dc.domains.Bits(4), codomain=dc.domains.Bits(1)),
        "more than is claimed",
    ),
    "large weights": (lambda: altered(dc.parity(2), bump(0, lambda w: w * 2.0**120)), "more than is claimed|overflow"),
    "subnormal weights": (lambda: altered(dc.parity(2), bump(0, lambda w: w * 2.0**-1070)), "flushed"),
    "an estimate": (lambda: claimed(dc.parity(4), status="estimate"), "status"),
}


@pytest.mark.parametrize("name", FALSE)
def test_what_is_false_is_rejected_though_its_digests_are_right(verdict, name):
    build, reason = FALSE[name]
    line = verdict(content(build()))
    assert line.startswith("rejected: ")
    assert any(part in line for part in reason.split("|")), line


def test_wires_that_two_gates_read_are_no_trees(verdict):
    # Two XOR gates read bit 1; their outputs' parity is that of bits 0 and 2 alone.
    gate = np.array([[1.0, 1.0], [1.0, 1.0]])
    first = np.zeros((4, 3))
    first[:2, :2], first[2:, 1:] = gate, gate
    second = np.array([[1.0, -2.0, 1.0, -2.0]] * 2)
    layers = [first, second, np.array([[1.0, -2.0]])]
    biases = [np.array([0.0, -1, 0, -1]), np.array([0.0, -1]), None]
    network = dc.Network.from_matrices(layers, biases, "relu", dtype="float32")
    bits, bit = dc.domains.Bits(3), dc.domains.Bits(1)
    wrong = dc.claim(network, dc.Claim(dc.targets.Parity(3), bits, bit, dtype="float32"))
    assert "more than is claimed" in verdict(content(wrong))
    table = [(i ^ i >> 2) & 1 for i in range(8)]
    right = dc.claim(network, dc.Claim(dc.targets.BooleanFunction(table), bits, bit, dtype="float32"))
    assert verdict(content(right)).startswith("accepted: ")


def test_towers_of_powers_take_no_time(verdict):
    network = dc.Network.from_matrices([[[2.0**-1000]]] * 7, None, [dc.activations.Power(60)] * 7)
    claim = dc.Claim(
        dc.targets.Product(1), dc.domains.Box(1, 0, 1), dc.domains.Box(1, 0, 1), error=dc.Bound(1.0), dtype="float64"
    )
    assert "too long" in verdict(content(dc.claim(network, claim)))
    bits = dataclasses.replace(claim, domain=dc.domains.Bits(1))
    assert "too long" in verdict(content(dc.claim(network, bits)))


def test_a_network_whose_partial_sums_round_is_not_exact(verdict):
    """Exact in rationals and on this processor, but not in every order of sums."""
    big = 2.0**24
    weights = [np.array([[big, 1.0, -big]]), np.array([[1.0]])]
    network = dc.Network.from_matrices(weights, None, "identity", dtype="float32")
    table = [big * (i & 1) + (i >> 1 & 1) - big * (i >> 2) for i in range(8)]
    claim = dc.Claim(dc.targets.BooleanFunction(table), dc.domains.Bits(3), dc.domains.Box(1, -(2**25), 2**25))
    assert "more than is claimed" in verdict(content(dc.claim(network, dataclasses.replace(claim, dtype="float32"))))
    loose = dataclasses.replace(claim, dtype="float32", error=dc.Bound(8.0))
    assert verdict(content(dc.claim(network, loose))).startswith("accepted: ")


@pytest.mark.parametrize("seed", range(4))
def test_bounds_of_rounding_hold_in_any_order(seed):
    """Sums in many orders, in float32, against the bound that the checker finds."""
    rng = np.random.default_rng(seed)
    checker = CHECK.Checker.__new__(CHECK.Checker)
    checker.digits, checker.tiny, checker.large = 24, Fraction(1, 2**126), 2**128
    checker.u = Fraction(1, 2**24)
    for _ in range(50):
        n = int(rng.integers(1, 7))
        w = rng.normal(size=n).astype(np.float32) * rng.choice([1, 2.0**-100, 2.0**20])
        x, bias = rng.integers(0, 2, n), np.float32(rng.normal())
        true = sum(Fraction(float(a)) * int(b) for a, b in zip(w, x, strict=True)) + Fraction(float(bias))
        facts = [(float(a), (1, Fraction(1), 0)) for a in w]
        bound = checker.rounding(facts, float(bias))(0, abs(true))
        for order in itertools.islice(itertools.permutations([*(w * x.astype(np.float32)), bias]), 100):
            total = np.float32(0)
            for term in order:
                total = np.float32(total + term)
            assert abs(Fraction(float(total)) - true) <= bound


@pytest.mark.parametrize("z", [0, 1, -1, 0.5, -37, 300, -2000, 4095, 2.0**-60, Fraction(-7, 2**70)])
def test_enclosures_of_the_sigmoid(z):
    with decimal.localcontext(prec=60):
        exact = Fraction(1 / (1 + (-(decimal.Decimal(Fraction(z).numerator) / Fraction(z).denominator)).exp()))
    near, low, high = CHECK.logistic(Fraction(z))
    assert low - Fraction(1, 10**55) <= exact <= high + Fraction(1, 10**55)
    assert high - low < Fraction(1, 2**100)
    assert abs(near - exact) < Fraction(1, 2**99)


def test_sigmoids_of_floats_keep_the_bound():
    """The compiled sigmoid against what the checker allows for, at inputs that are off by a little."""
    checker = CHECK.Checker.__new__(CHECK.Checker)
    checker.digits, checker.tiny, checker.u = 24, Fraction(1, 2**126), Fraction(1, 2**24)
    z, beta, off = np.linspace(-3, 3, 41), 7.3, 2.0**-20
    moved = (z + np.random.default_rng(0).uniform(-off, off, z.shape)).astype(np.float32)
    got = np.asarray(dc.activations.Sigmoid(beta)(jnp.asarray(moved)))
    for value, true in zip(got, z, strict=True):
        bound = checker.logistic_rounding(Fraction(float(true)), Fraction(beta), Fraction(off) * 2)
        assert abs(Fraction(float(value)) - CHECK.logistic(Fraction(beta) * Fraction(float(true)))[0]) <= bound


# Five hundred corrupted files.


def corrupted(data, rng):
    """Files in which something was changed, each with what it was."""
    parts = fuzz_files.members(data)
    arrays = [name for name in parts if name.endswith(".npy")]
    zipped = fuzz_files.zipped

    for name in arrays:  # weights, with the old digest
        raw = bytearray(parts[name])
        for _ in range(3):
            copy = bytearray(raw)
            copy[int(rng.integers(128, len(raw)))] ^= 1 << int(rng.integers(8))
            yield f"bit of {name}", zipped(parts | {name: bytes(copy)})
    for member in ("tree.json", "certificate.json"):  # every value in turn
        for place in range(len(list(fuzz_files.places(json.loads(parts[member]))))):
            header = json.loads(parts[member])
            holder, key = list(fuzz_files.places(header))[place]
            if "origin" in holder or passed_over(header, holder, key):
                continue
            old = holder[key]
            holder[key] = forged(old)
            yield f"{member}: {key}: {old!r:.30} to {holder[key]!r:.30}", zipped(parts | {member: written(header)})
            holder[key] = old
            if isinstance(holder, dict):
                del holder[key]
                yield f"{member}: without {key}", zipped(parts | {member: written(header)})
    for share in np.linspace(0, 0.999, 20):
        yield f"{share} of it", data[: int(share * len(data))]
    yield from tricks(data, parts, arrays)


def passed_over(header, holder, key):
    """What is remembered, not claimed: the origin; and figures of the certificate that may be others."""
    inside = header.get("tree", {}).get("fields", {}).get("origin", {})
    if holder is inside or any(holder is node for node, _ in fuzz_files.places(inside)):
        return True
    return key in ("seconds", "inputs", "backend", "digits", "real", "rounding", "found", "covers")


def forged(value):
    """Another value of the same kind where there is one."""
    if isinstance(value, bool) or value is None:
        return 1.5
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return "Step" if value == "ReLU" else value + "x"
    return {} if isinstance(value, list) else []


def written(header):
    return json.dumps(header).encode()


def tricks(data, parts, arrays):
    """Archives that hold the right members, and yet aren't what `dc.save` writes; headers that promise too much."""
    first = arrays[0]

    def written_by(write, start=b""):
        buffer = io.BytesIO(start)
        with zipfile.ZipFile(buffer, "a") as archive:
            write(archive)
        return buffer.getvalue()

    def again(archive, **how):
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name), part, **how)

    yield "compressed", written_by(lambda a: again(a, compress_type=zipfile.ZIP_DEFLATED))
    bomb = {**parts, "99.npy": bytes(10**6)}
    yield "bomb", written_by(lambda a: [a.writestr(n, p, compress_type=zipfile.ZIP_DEFLATED) for n, p in bomb.items()])
    with pytest.warns(UserWarning, match="Duplicate name"):
        yield "twice", written_by(lambda a: a.writestr(first, parts[first]), data)
    for name in ("a/0.npy", "../0.npy", "/0.npy", "more.npy", "0.NPY", "tree.json.npy", "", "\u0660.npy", "77.npy"):
        yield f"member {name!r}", fuzz_files.zipped({**parts, name: parts[first]})
        yield f"renamed to {name!r}", fuzz_files.zipped({name if n == first else n: p for n, p in parts.items()})
    for name in parts:
        yield f"without {name}", fuzz_files.zipped({n: p for n, p in parts.items() if n != name})
    yield "comment", written_by(lambda a: setattr(a, "comment", b"x"), data)
    yield "trailing", data + b"\0"
    yield "leading", b"\0" + data
    yield "two archives", data + data
    yield "nothing", b""
    yield "end alone", struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)
    for offset in (4, 6, 8, 10, 14, 18, 22, 26, 28):  # version, flags, method, time, CRC, sizes, lengths
        for value in (1, 0x7F):
            copy = bytearray(data)
            copy[offset] ^= value
            yield f"local header {offset}", bytes(copy)
    start = data.index(b"PK\1\2")
    for offset in (4, 6, 8, 10, 12, 16, 20, 24, 27, 28, 30, 32, 34, 36, 38, 42, 45):
        copy = bytearray(data)
        copy[start + offset] ^= 0x7F
        yield f"directory {offset}", bytes(copy)
    for old, new in (
        (b"'fortran_order': False", b"'fortran_order': True "),
        (b"\x93NUMPY\1\0", b"\x93NUMPY\2\0"),
        (b"<f4", b">f4"),
        (b"<f4", b"|O4"),
        (b"<f4", b"<i4"),
        (b"<f4", b"<c8"),
        (b"'shape': (", b"'shape':-("),
        (b"'shape': (", b"'shape': (99999999999,"),
        (b"'descr': ", b"'descr':  "),
        (b"}", b"]"),
        (b"}", b"} + open('/etc/passwd') "),
    ):
        forged_header = parts[first].replace(old, new)
        if forged_header != parts[first]:
            yield f"npy {new!r}", fuzz_files.zipped({**parts, first: forged_header})
    yield "npy of nothing", fuzz_files.zipped({**parts, first: b""})
    yield "npy twice as long", fuzz_files.zipped({**parts, first: parts[first] * 2})
    yield "npy cut", fuzz_files.zipped({**parts, first: parts[first][:-1]})
    nest = b"[" * 100_000 + b"]" * 100_000
    for member in ("tree.json", "certificate.json"):
        text = parts[member].decode()
        for change in (nest, b"", b"{}", b"[]", b"null", b"\xff", text.replace(" ", "").encode(), b" " + text.encode()):
            yield f"{member}: {change[:10]!r}", fuzz_files.zipped({**parts, member: change})
        for old, new in (
            (text[:-1] + ', "more": 1}', None),
            ('{"class"', '{"class": "Layer", "class"'),
            ("0.0", "NaN"),
            ("0.0", "1e999"),
        ):
            changed = old if new is None else text.replace(old, new, 1)
            yield f"{member}: {new}", fuzz_files.zipped({**parts, member: changed.encode()})


CORRUPTED = {
    "sigmoid": lambda: dc.parity(4, activation="sigmoid", dtype="float32"),
    "parity": lambda: dc.parity(6, dtype="float32"),
    "step": lambda: dc.parity(4, activation="step", dtype="float32"),
    "table": lambda: boolean(2, "float32"),
    "square": lambda: dc.multiplication_gate(activation="square", dtype="float32"),
}


@pytest.mark.parametrize("name", CORRUPTED)
def test_corrupted_files_are_rejected(verdict, name):
    data = content(CORRUPTED[name]())
    assert verdict(fuzz_files.zipped(fuzz_files.members(data))).startswith("accepted: ")
    count = 0
    for what, changed in corrupted(data, np.random.default_rng(0)):
        line = verdict(changed)
        assert line.startswith("rejected: "), (what, line)
        count += 1
    assert count >= 200, count


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("found", dc.Bound(0.5)),
        ("found", dc.Bound(0.0, 0.1)),
        ("covers", ()),
        ("method", "sampling"),
        ("method", "basis"),
        ("verdict", "enumerated"),
        ("verdict", "tested"),
        ("verdict", "undecided"),
        ("inputs", 2**65),
    ],
)
def test_certificates_that_prove_nothing_are_rejected(verdict, field, value, monkeypatch):
    monkeypatch.setattr("deepconstruct._files.certificates._check_certificate", lambda owner, value: None)
    assert verdict(content(dc.parity(4), **{field: value})).startswith("rejected: ")


def test_methods_that_are_not_known_are_named(verdict):
    network = dc.fft(4)
    file = io.BytesIO()
    dc.save(file, network, dc.certify(network))
    assert verdict(file.getvalue()).startswith("rejected: ")
    assert "activations.Softplus" in verdict(content(dc.multiplication_gate(activation="softplus")))


def test_what_is_no_file_is_rejected(tmp_path, capsys):
    path = tmp_path / "good.dc"
    path.write_bytes(content(dc.parity(4)))
    absent = tmp_path / "absent\n\u00e9.dc"
    assert CHECK.main([str(path), str(absent), str(tmp_path)]) == 1
    first, second, third = capsys.readouterr().out.splitlines()
    assert (first[:9], second[:9], third[:9]) == ("accepted:", "rejected:", "rejected:")
    assert CHECK.main([]) == 1
    assert CHECK.main([str(path), str(path)]) == 0


def test_the_command_line_checks_files(tmp_path, capsys):
    path = tmp_path / "xor.dc"
    path.write_bytes(content(dc.parity(4)))
    assert command_line(["check", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"accepted: {path}: parity(4)")
    path.write_bytes(b"no")
    assert command_line(["check", str(path)]) == 1
    assert capsys.readouterr().out.startswith(f"rejected: {path}: ")


def test_it_is_one_short_file_that_imports_the_standard_library_alone():
    text = SOURCE.read_text()
    tree = ast.parse(text)
    said = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    words = {line for node in said for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = enumerate(text.splitlines(), 1)
    code = [line for number, line in lines if number not in words and line.strip() and not line.strip().startswith("#")]
    assert len(code) < 600
    imported = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names
    assert "__import__" not in text


def interpreters():
    """Pythons from 3.11 to 3.13 on the path that start."""
    for minor in (11, 12, 13):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-S", "-E", "-c", ""], capture_output=True, check=False).returncode == 0:
            yield found


@pytest.mark.parametrize("python", list(interpreters()) or [sys.executable])
def test_it_runs_on_its_own(python, tmp_path):
    good, bad, large = (tmp_path / name for name in ("good.dc", "bad.dc", "large.dc"))
    good.write_bytes(content(dc.parity(12, dtype="float32")))
    bad.write_bytes(good.read_bytes()[:-1])
    large.write_bytes(content(dc.parity(2**14, dtype="float32")))
    command = [python, "-S", "-E", str(SOURCE)]
    run = subprocess.run([*command, str(good), str(large)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("accepted: ") == 2
    run = subprocess.run(
        [*command, str(bad)], capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ
    )
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.startswith("rejected: ")


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "step"])
def test_a_million_bits_take_seconds(tmp_path, activation):
    path = tmp_path / "parity.dc"
    path.write_bytes(content(dc.parity(2**20, activation=activation, dtype="float32")))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-S", "-E", str(SOURCE), str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3


def said_by(data):
    """Network and claim of a file, with the arrays that they name."""
    parts = fuzz_files.members(data)
    tree = json.loads(parts["tree.json"])["tree"]["fields"]
    del tree["origin"]
    named = {value for holder, key in fuzz_files.places(tree) for value in [holder[key]] if str(value) in parts}
    return tree, {name: parts[name] for name in named}


@pytest.mark.slow
def test_damage_at_random_is_refused_by_both_readers(tmp_path, capsys):
    """Two thousand files, or as many as the environment variable FUZZ_FILES says."""
    originals = [content(build()) for build in CORRUPTED.values()]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path, rng, accepted = tmp_path / "file.dc", np.random.default_rng(int(os.environ.get("FUZZ_SEED", "0"))), 0
    kinds = (fuzz_files.damaged, fuzz_files.rearrayed, fuzz_files.altered)
    kinds += (lambda data, rng: fuzz_files.altered(data, rng, "certificate.json"),)
    for _ in range(int(os.environ.get("FUZZ_FILES", "2000"))):
        data = originals[rng.integers(len(originals))]
        changed = kinds[rng.integers(len(kinds))](data, rng)
        path.write_bytes(changed)
        began = time.perf_counter()
        status = CHECK.main([str(path)])
        shown = capsys.readouterr()
        assert (len(shown.out.splitlines()), shown.err) == (1, "")
        if status == 0:  # what is remembered may have changed, not what is claimed
            accepted += 1
            assert said_by(changed) == said_by(data)
        for read in (dc.load, dc.load_certificate):
            try:
                read(io.BytesIO(changed))
            except ValueError as error:
                assert str(error).startswith(f"{read.__name__}: <BytesIO>"), error  # noqa: PT017
        assert time.perf_counter() - began < 20
    assert accepted < 0.2 * int(os.environ.get("FUZZ_FILES", "2000"))
    # In kilobytes: a gigabyte more than other tests have taken.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**20


def test_digests_are_those_of_the_library(tmp_path):
    for construction in (dc.parity(5), boolean(3, "float32"), dc.catalog.build("polynomial")):
        file = CHECK.File(content(construction))
        assert file.digest("network") == digest(construction.network)
        assert file.digest("claim") == digest(construction.claim)
