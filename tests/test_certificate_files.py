"""Certificates beside constructions in files: written, read again, and refused where they don't belong."""

# pyright: reportArgumentType=false, reportOptionalSubscript=false

import dataclasses
import io
import json
import math
import typing
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import fuzz_files
from deepconstruct._certify.certificate import Enumerated, Evidence
from deepconstruct._files.certificates import _fits, classes

MEMBER = "certificate.json"


@pytest.fixture(scope="module")
def xor():
    return dc.parity(8, dtype="float32")


@pytest.fixture(scope="module")
def certificate(xor):
    return dc.certify(xor)


def saved(construction, certificate):
    file = io.BytesIO()
    dc.save(file, construction, certificate)
    return file.getvalue()


def changed(content, change):
    """The file with `change(header)` applied to the JSON of its certificate."""
    parts = fuzz_files.members(content)
    header = json.loads(parts[MEMBER])
    change(header)
    return io.BytesIO(fuzz_files.zipped(parts | {MEMBER: json.dumps(header).encode()}))


def test_a_certificate_comes_back_and_the_construction_does_too(tmp_path, xor, certificate):
    path = tmp_path / "xor.dc"
    dc.save(path, xor, certificate)
    assert dc.load_certificate(path) == certificate
    assert dc.load(path).claim == xor.claim
    again = dc.load(path)
    assert saved(again, dc.load_certificate(path)) == path.read_bytes()


def test_without_a_certificate_the_file_is_the_one_of_before(xor, certificate):
    file = io.BytesIO()
    dc.save(file, xor)
    parts = fuzz_files.members(saved(xor, certificate))
    assert parts.pop(MEMBER)
    assert parts == fuzz_files.members(file.getvalue())
    with pytest.raises(ValueError, match="load_certificate: <BytesIO> holds no certificate"):
        dc.load_certificate(file)


def test_every_kind_of_verdict_is_kept(xor):
    wrong = dc.claim(xor.network, dataclasses.replace(xor.claim, target=dc.targets.Product(8)))
    refuted, tested = dc.certify(wrong), dc.certify(xor, method="sampling", samples=10)
    assert (refuted.verdict, tested.verdict) == ("refuted", "tested")
    for construction, found in ((wrong, refuted), (xor, tested)):
        assert dc.load_certificate(io.BytesIO(saved(construction, found))) == found


def test_what_json_does_not_hold_is_kept(xor, certificate):
    odd = dataclasses.replace(
        certificate, verdict="refuted", found=None, counterexample=(1 + 2j, math.inf, -0.0), evidence=Enumerated(None)
    )
    back = dc.load_certificate(io.BytesIO(saved(xor, odd)))
    assert back == odd
    assert math.copysign(1, back.counterexample[2]) == -1
    nan = dataclasses.replace(odd, counterexample=(math.nan,))
    assert math.isnan(dc.load_certificate(io.BytesIO(saved(xor, nan))).counterexample[0])


def test_a_certificate_of_something_else_is_refused_before_the_file_is_touched(tmp_path, xor, certificate):
    path = tmp_path / "xor.dc"
    path.write_bytes(b"old")
    other = dc.claim(xor.network, dataclasses.replace(xor.claim, error=dc.Bound(0.5)))
    for value, match in (
        (dc.parity(9), "the certificate is about another network"),
        (dc.densify(xor), "the certificate is about another network"),
        (other, "the certificate is about another claim"),
        (xor.network, "a certificate is about a construction; a network alone has no claim"),
    ):
        with pytest.raises(ValueError, match=f"save: {match}"):
            dc.save(path, value, certificate)
    with pytest.raises(TypeError, match="save: certificate must be what certify gives; got str"):
        dc.save(path, xor, "proved")
    assert path.read_bytes() == b"old"


def test_evidence_of_others_is_refused(xor, certificate):
    @dataclasses.dataclass(frozen=True)
    class Own(Evidence):
        """Defined outside the library."""

    with pytest.raises(TypeError, match="save: Own is not a class of this library"):
        saved(xor, dataclasses.replace(certificate, evidence=Own()))


def test_every_kind_of_evidence_has_a_name_of_its_own_and_plain_fields():
    evidence = {name: cls for name, cls in classes().items() if name.startswith("evidence.")}
    modules = {cls.__module__ for cls in evidence.values()}
    assert all(module.startswith("deepconstruct._certify.") for module in modules)
    kinds = {cls for kind in Evidence.__subclasses__() for cls in (kind, *kind.__subclasses__())}
    ours = {cls for cls in kinds if cls.__module__.startswith("deepconstruct.")}
    assert ours <= set(evidence.values())
    for cls in evidence.values():
        assert cls.__dataclass_params__.frozen
        assert typing.get_type_hints(cls).keys() == {field.name for field in dataclasses.fields(cls)}


def test_whoever_reads_compares_with_the_construction(xor, certificate):
    parts = fuzz_files.members(saved(xor, certificate))
    other = dc.parity(8, dtype="float32", activation="step")
    mixed = fuzz_files.members(saved(other, dc.certify(other))) | {MEMBER: parts[MEMBER]}
    with pytest.raises(ValueError, match="load_certificate: <BytesIO>: the certificate is about another network"):
        dc.load_certificate(io.BytesIO(fuzz_files.zipped(mixed)))


FIELDS = {
    "verdict": ["certain", None, 1],
    "method": ["guess", None],
    "covers": [{"tuple": []}, {"tuple": ["all"]}, "error"],
    "found": [None, 0.0, {"class": "Bound", "fields": {"absolute": -1.0, "relative": 0.0}}],
    "name": ["parity(9)", None],
    "domain": ["Bits(n=9)", 8],
    "claimed": [None, {"class": "Bound", "fields": {"absolute": 0.5, "relative": 0.0}}],
    "evidence": [
        None,
        {"class": "evidence.Nothing", "fields": {}},
        {"class": "evidence.Enumerated", "fields": {}},
        {"class": "evidence.Enumerated", "fields": {"digits": "5"}},
        {"class": "evidence.Enumerated", "fields": {"digits": 5, "more": 1}},
        {"class": "Bound", "fields": {"absolute": 0.0, "relative": 0.0}},
        {"array": "0.npy"},
    ],
    "trusts": [{"tuple": [1]}, "nothing", None],
    "inputs": [-1, 0.5, True, "256"],
    "dtype": [None, "float64"],
    "backend": [7],
    "digest": ["", "0" * 64, "g" * 64, None],
    "claim_digest": ["0" * 64, "G" * 64, 3],
    "seconds": [-1.0, {"float": "nan"}, {"float": "inf"}, "1"],
    "counterexample": [{"tuple": [1.0]}, [1.0], {"tuple": ["1"]}, 5],
}


@pytest.mark.parametrize("name", FIELDS)
def test_values_that_a_field_cannot_have_are_refused(xor, certificate, name):
    content = saved(xor, certificate)
    for value in FIELDS[name]:
        with pytest.raises(ValueError, match="load_certificate: <BytesIO>"):
            dc.load_certificate(
                changed(content, lambda header, v=value: header["certificate"]["fields"].update({name: v}))
            )
    assert dc.load_certificate(changed(content, lambda header: None)) == certificate


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda header: header.update(format="other"), "its format isn't 'deepconstruct certificate'"),
        (lambda header: header.update(version=2), "is of version 2; this library reads version 1"),
        (lambda header: header.update(version=True), "is of version True"),
        (lambda header: header.pop("certificate"), "holds no certificate that is known"),
        (lambda header: header.update(certificate={"tuple": []}), "holds tuple instead of a certificate"),
        (lambda header: header["certificate"]["fields"].pop("trusts"), r"lacks the fields \['trusts'\]"),
        (lambda header: header["certificate"]["fields"].update(more=1), r"doesn't know \['more'\]"),
        (lambda header: header["certificate"].update({"class": "Layer"}), "unknown class 'Layer'"),
    ],
)
def test_malformed_certificates_are_refused(xor, certificate, change, match):
    with pytest.raises(ValueError, match=match):
        dc.load_certificate(changed(saved(xor, certificate), change))


def test_a_certificate_that_is_no_json_is_refused(xor, certificate):
    parts = fuzz_files.members(saved(xor, certificate))
    for text in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
        with pytest.raises(ValueError, match="load_certificate: <BytesIO>"):
            dc.load_certificate(io.BytesIO(fuzz_files.zipped(parts | {MEMBER: text})))


def test_a_target_of_ones_own_takes_its_function_again(tmp_path):
    target = dc.Target("half", lambda x: x / 2)
    network = dc.Network.from_matrices([np.array([[0.5]], np.float32)], None, "identity")
    claim = dc.Claim(target, dc.domains.Bits(1), dc.domains.Box(1, 0, 1), dtype="float32")
    half = dc.claim(network, claim)
    path, certificate = tmp_path / "half.dc", dc.certify(half)
    dc.save(path, half, certificate)
    assert dc.load_certificate(path, functions={"half": target.function}) == certificate
    with pytest.raises(ValueError, match=r"load_certificate: .*half\.dc holds the user target 'half'"):
        dc.load_certificate(path)
    with pytest.raises(ValueError, match="the certificate is about another claim"):
        dc.load_certificate(path, functions={"half": lambda x: x / jnp.asarray(3.0, x.dtype)})


def test_files_that_load_refuses_are_refused_in_the_same_words(tmp_path):
    path = tmp_path / "no.dc"
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match=r"load_certificate: .*no\.dc is not a complete deepconstruct file"):
        dc.load_certificate(path)
    with pytest.raises(FileNotFoundError):
        dc.load_certificate(tmp_path / "absent.dc")
    with pytest.raises(TypeError, match="load_certificate: expected a path"):
        dc.load_certificate(3)


def test_arrays_are_stored_row_by_row_whatever_their_order_in_memory():
    matrix = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    network = dc.Network((dc.Layer(dc.linear.Dense(jnp.asarray(matrix))),))
    file = io.BytesIO()
    dc.save(file, network)
    with zipfile.ZipFile(file) as archive:
        assert b"'fortran_order': False" in archive.read("0.npy")
    points = dc.domains.Points(np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    claim = dc.Claim(dc.targets.Product(3), points, dc.domains.Space(1), dtype="float64")
    plain = dc.Network((dc.Layer(dc.linear.Dense(jnp.ones((1, 3)))),))
    file = io.BytesIO()
    dc.save(file, dc.claim(plain, claim))
    assert dc.load(file).claim == claim


@pytest.mark.parametrize(
    ("value", "hint", "fits"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        ("1", float, False),
        ((1, 2), tuple[int, ...], True),
        ((1, "2"), tuple[int, ...], False),
        ((1, "2"), tuple[int, str], True),
        ((1,), tuple[int, str], False),
        ([1], tuple[int, ...], False),
        (None, int | None, True),
        ("a", typing.Literal["a", "b"], True),
        ("c", typing.Literal["a", "b"], False),
        (object(), typing.Any, True),
        (((1.0, (2, "x")),), tuple[tuple[float, tuple[int, str]], ...], True),
    ],
)
def test_types_of_fields(value, hint, fits):
    assert _fits(value, hint) is fits
