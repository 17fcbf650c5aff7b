"""Files that are damaged, foreign or hostile: each is refused with a message, always a `ValueError`."""

import io
import json
import struct
import subprocess
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
import fuzz_files


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "parity.dc"
    dc.save(path, dc.parity(5, dtype="float32"))
    return path


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, change=None, **members):
    """Write the file anew, with `change(header)` applied and `members` replaced (`None` drops one)."""
    contents = members_of(path)
    if change is not None:
        header = json.loads(contents["tree.json"])
        change(header)
        contents["tree.json"] = json.dumps(header).encode()
    contents |= {name.replace("_", "."): data for name, data in members.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            if data is not None:
                archive.writestr(name, data)


def npy(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"load: .*parity\.dc is not a complete deepconstruct file"):
        dc.load(saved)


@pytest.mark.parametrize("offset", [-1, -5, -22, -40])
def test_a_file_that_lacks_its_last_bytes_is_refused(saved, offset):
    saved.write_bytes(saved.read_bytes()[:offset])
    with pytest.raises(ValueError, match=r"load: .* is not a complete deepconstruct file"):
        dc.load(saved)


def test_flipped_bytes_in_the_weights_are_noticed(saved):
    data = bytearray(saved.read_bytes())
    position = data.index(b"\x93NUMPY") + 140
    data[position] ^= 0xFF
    saved.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"load: .*CRC"):
        dc.load(saved)


@pytest.mark.parametrize("content", [b"", b"just text\n", b"\x89PNG\r\n", b"\x00" * 1000])
def test_a_file_that_is_no_zip_is_refused(tmp_path, content):
    (tmp_path / "foreign").write_bytes(content)
    with pytest.raises(ValueError, match=r"load: .*foreign is not a complete deepconstruct file"):
        dc.load(tmp_path / "foreign")


def test_a_zip_of_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", weights=np.ones(3))
    with pytest.raises(ValueError, match=r"is not a deepconstruct file \(it has no tree\.json\)"):
        dc.load(tmp_path / "foreign.npz")


def set_version(header, version):
    header["version"] = version


BAD_HEADERS = [
    (lambda header: header.update(format="safetensors"), r"its format isn't 'deepconstruct'"),
    (lambda header: header.pop("format"), r"its format isn't 'deepconstruct'"),
    (lambda header: set_version(header, 3), "is of format version 3, newer than this library's 2; upgrade"),
    (lambda header: set_version(header, 0), "has no valid version or tree"),
    (lambda header: set_version(header, True), "has no valid version or tree"),
    (lambda header: set_version(header, "1"), "has no valid version or tree"),
    (lambda header: header.pop("version"), "has no valid version or tree"),
    (lambda header: header.pop("tree"), "has no valid version or tree"),
    (lambda header: header.update(tree=5), "holds no network or construction"),
    (lambda header: header.update(tree=header["tree"]["fields"]["claim"]), "holds no network or construction"),
    (lambda header: header.update(tree={"pickle": "x"}), r"holds an unknown kind of node: \['pickle'\]"),
    (lambda header: header["tree"].update({"class": "os.system"}), "holds an unknown class 'os.system'"),
    (lambda header: header["tree"].update({"class": "linear.Fancy"}), "holds an unknown class 'linear.Fancy'"),
    (lambda header: header["tree"]["fields"].pop("claim"), r"Construction lacks the fields \['claim'\]"),
    (lambda header: header["tree"]["fields"].update(extra=1), r"doesn't know \['extra'\]"),
    (lambda header: header.update(tree=[1]), "holds a list that isn't marked as a tuple"),
    (
        lambda header: header["tree"]["fields"].update(network={"part": 0}),
        "refers to part 0, which doesn't come before",
    ),
    (lambda header: header.update(parts=[{"part": 0}]), "refers to part 0, which doesn't come before"),
    (lambda header: header.update(parts=3), "is malformed: "),
]


@pytest.mark.parametrize("change,message", BAD_HEADERS)
def test_a_header_that_is_not_understood_is_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ValueError, match=message):
        dc.load(saved)


MALFORMED = {
    "class is a list": {"class": ["linear.Dense"]},
    "fields is a number": {"class": "Network", "fields": 3},
    "tuple is a number": {"tuple": 5},
    "array is a number": {"array": 5},
    "static is missing": {"static": None},
    "float is a word": {"float": "much"},
    "target is a list": {"target": [1]},
    "layers are numbers": {"class": "Network", "fields": {"layers": {"tuple": [1, 2]}}},
    "layers are none": {"class": "Network", "fields": {"layers": None}},
    "a size is a word": {"class": "domains.Bits", "fields": {"n": "many"}},
    "a size is negative": {"class": "domains.Bits", "fields": {"n": -3}},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_tree_is_refused_with_a_message_of_ours(saved, name):
    rewrite(saved, lambda header: header.update(tree=MALFORMED[name]))
    with pytest.raises(
        ValueError, match=r"^load: .* (is malformed: |holds no|lacks the fields|lacks its member|holds an unknown)"
    ):
        dc.load(saved)


def test_a_tree_nested_too_deeply_is_refused(saved):
    deep = b'{"format": "deepconstruct", "version": 1, "tree": ' + b'{"tuple": [' * 5000 + b"]}" * 5000 + b"}"
    rewrite(saved, tree_json=deep)
    with pytest.raises(ValueError, match="load: "):
        dc.load(saved)


def test_pickled_members_are_never_opened(saved):
    rewrite(saved, **{"0_npy": npy(np.array([{"os": "system"}], dtype=object), allow_pickle=True)})
    with pytest.raises(ValueError, match=r"member '0\.npy' is no plain array .*dtype object"):
        dc.load(saved)


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([(1, 2)], dtype="i4,i4"), np.array(["NaT"], "M8[s]")])
def test_members_of_other_dtypes_are_refused(saved, array):
    rewrite(saved, **{"0_npy": npy(array)})
    with pytest.raises(ValueError, match=r"member '0\.npy' is no plain array .*dtype .*, which isn't one of numbers"):
        dc.load(saved)


def test_a_missing_member_is_named(saved):
    rewrite(saved, **{"0_npy": None})
    with pytest.raises(ValueError, match=r"lacks its member '0\.npy'"):
        dc.load(saved)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array at all", npy(np.ones(8))[:-3]])
def test_a_member_that_is_no_array_is_refused(saved, content):
    rewrite(saved, **{"0_npy": content})
    with pytest.raises(ValueError, match="load: "):
        dc.load(saved)


def test_a_member_that_promises_more_than_memory_holds_is_refused(saved):
    short = npy(np.ones(4, np.float32)).replace(b"(4,), }" + 11 * b" ", b"(4" + 11 * b"0" + b",), }")
    assert b"(400000000000,)" in short
    rewrite(saved, **{"0_npy": short})
    with pytest.raises(ValueError, match=r"its header promises shape \(400000000000,\), but the member has \d+ bytes"):
        dc.load(saved)


def test_other_versions_of_the_array_format_are_refused(saved):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ones(4, np.float32), version=(2, 0))
    rewrite(saved, **{"0_npy": buffer.getvalue()})
    with pytest.raises(ValueError, match="unknown version of the npy format"):
        dc.load(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(saved, value):
    name = next(name for name, data in members_of(saved).items() if name.endswith(".npy") and b"f4" in data)
    weights = np.lib.format.read_array(io.BytesIO(members_of(saved)[name]))
    weights.flat[0] = value
    rewrite(saved, **{name.replace(".", "_"): npy(weights)})
    with pytest.raises(ValueError, match=f"weights must be finite; got {value}"):
        dc.load(saved)


def test_a_file_over_the_limit_is_refused_before_it_is_unpacked(saved):
    total = sum(len(data) for data in members_of(saved).values())
    assert isinstance(dc.load(saved, max_bytes=total), dc.Construction)
    with pytest.raises(ValueError, match=f"unpacks to {total} bytes, more than max_bytes={total - 1}"):
        dc.load(saved, max_bytes=total - 1)


def test_an_entry_that_lies_about_its_size_is_refused(saved):
    # The size in the directory at the end is made 16 bytes; the entry itself is longer.
    data = bytearray(saved.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 16)
    saved.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"load: .* is not a complete deepconstruct file"):
        dc.load(saved)


def test_64_bit_weights_without_x64_are_refused_by_name(tmp_path):
    dc.save(tmp_path / "double.dc", dc.parity(3, dtype="float64"))
    code = (
        "import sys, deepconstruct as dc\n"
        "try:\n    dc.load(sys.argv[1])\n"
        "except ValueError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "double.dc")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "double.dc: float64 needs 64-bit JAX, which is off" in result.stdout


# What constructors refuse --------------------------------------------------------------------------


def record(cls, **fields):
    return {"class": cls, "fields": fields}


def sizes(*values):
    return {"tuple": list(values)}


def find(node, name):
    """The first record of a class."""
    if isinstance(node, dict) and node.get("class") == name:
        return node
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next((found for part in parts if (found := find(part, name)) is not None), None)


def sparse():
    linear = dc.linear.Sparse([0, 0, 1], [0, 1, 1], jnp.ones(3, "float32"), (2, 2))
    return dc.Network((dc.Layer(linear, jnp.ones(2, "float32"), label=dc.Label("sum")),))


def gelu():
    dense = dc.linear.Dense(jnp.eye(2, dtype="float32"))
    return dc.Network((dc.Layer(dense, activation=dc.activations.GELU()), dc.Layer(dense)))


def mixed():
    activation = dc.activations.Concatenate((dc.activations.ReLU(), dc.activations.Step()), (1, 1))
    return dc.Network((dc.Layer(dc.linear.Dense(jnp.eye(2, dtype="float32")), activation=activation),))


def joined():
    return dc.parallel(dc.parity(2, dtype="float32"), dc.parity(4, tied=True, dtype="float32"))


def own():
    return dc.claim(
        dc.Network((dc.Layer(dc.linear.Dense(jnp.eye(2, dtype="float32"))),)),
        dc.Claim(dc.targets.Realified(dc.targets.DFT(1)), dc.domains.Points([[0, 1]]), dc.domains.Box(2, -9, 9)),
    )


CATALOG = {name: lambda name=name: dc.catalog.build(name) for name in dc.catalog.names()}

# What is built; the class of the record; the field; what is put there; the message.
HELD = [
    (sparse, "linear.Sparse", "shape", sizes(2, 1), "Sparse: positions must lie within shape"),
    (sparse, "linear.Sparse", "shape", sizes(2, -2), "Sparse: shape must be at least 0"),
    (sparse, "linear.Sparse", "shape", sizes(2, 2.0), "Sparse: shape must be an integer"),
    (sparse, "linear.Sparse", "shape", 2, "Sparse: shape must be 2 sizes"),
    (sparse, "linear.Sparse", "rows", {"array": "1.npy"}, "Sparse: rows must be a static array of int32"),
    (sparse, "linear.Sparse", "rows", {"static": "0.npy"}, "Sparse: rows must be a static array of int32"),
    (sparse, "linear.Sparse", "values", {"array": "3.npy"}, "Sparse: values must be an array of shape"),
    (sparse, "linear.Sparse", "values", {"array": "1.npy"}, "every weight must be a floating array"),
    (sparse, "linear.Sparse", "values", None, "Sparse: values must be an array of shape"),
    (sparse, "Layer", "bias", {"array": "0.npy"}, r"Layer: bias must have shape \(2,\)"),
    (sparse, "Layer", "bias", record("domains.Bits", n=2), r"Layer: bias must have shape \(2,\)"),
    (sparse, "Layer", "linear", record("activations.ReLU"), "Layer: linear must be a map"),
    (sparse, "Layer", "activation", record("linear.Identity", size=2), "Layer: activation must be one of"),
    (sparse, "Layer", "label", "sum", "Layer: label must be a dc.Label or None"),
    (sparse, "Label", "name", 3, "Label: name must be a text"),
    (sparse, "Label", "group", 0, "Label: group must be at least 1"),
    (sparse, "Label", "strided", 1, "Label: strided must be True or False"),
    (sparse, "Label", "uneven", sizes(sizes(1)), "Label: a part of uneven must be 2 sizes"),
    (sparse, "Network", "layers", sizes(), "Network: layers must be a non-empty tuple"),
    (gelu, "activations.GELU", "approximate", "no", "GELU: approximate must be True or False"),
    (gelu, "linear.Dense", "shape", sizes(2, 3), r"Dense: weight must be an array of shape \(2, 3\)"),
    (gelu, "linear.Dense", "shape", sizes(10**30, 10**30), "Dense: weight must be an array of shape"),
    (gelu, "linear.Dense", "weight", {"array": "0.npy", "dtype": "bfloat16"}, "dtype 'bfloat16', which it can't have"),
    (gelu, "linear.Dense", "weight", {"array": "0.npy", "dtype": "object"}, "dtype 'object', which it can't have"),
    (mixed, "activations.Concatenate", "widths", sizes(1), "Concatenate: activations and widths must"),
    (mixed, "activations.Concatenate", "widths", sizes(1, 0), "Concatenate: width must be at least 1"),
    (
        mixed,
        "activations.Concatenate",
        "activations",
        sizes(1, 2),
        "Concatenate: activations must be a non-empty tuple",
    ),
    (joined, "bias.TiledBias", "shape", sizes(2, 2), "TiledBias: shape must be 3 sizes"),
    (joined, "bias.TiledBias", "shape", sizes(1, 7, 2), "TiledBias: values must be an array of shape"),
    (joined, "bias.JoinedBias", "sizes", sizes(2), "JoinedBias: sizes must be 2 sizes"),
    (joined, "bias.JoinedBias", "sizes", sizes(3, 3), r"JoinedBias: bias must have shape \(3,\)"),
    (joined, "bias.JoinedBias", "parts", sizes(None, None), "JoinedBias: one of the parts must be a bias"),
    (joined, "domains.Bits", "n", 10**30, "takes Bits"),
    (joined, "targets.Parallel", "sizes", sizes(2), "Parallel: sizes must be 2 sizes"),
    (joined, "targets.Parallel", "targets", sizes(1, 2), "Parallel: targets must be a non-empty tuple"),
    (joined, "Claim", "source", 3, "Claim: source must be a text"),
    (joined, "Claim", "dtype", "float64", "the weights are float32"),
    (joined, "Claim", "dtype", "object", "dtype object"),
    (joined, "Claim", "status", "sure", "Claim: status must be one of"),
    (joined, "Construction", "origin", 3, "Construction: origin must be a Origin"),
    (joined, "Construction", "claim", None, "Construction: claim must be a Claim"),
    (joined, "Construction", "origin", record("origins.Series", parts=sizes(), merge=True), "Series: parts must be"),
    (joined, "Construction", "origin", record("origins.Parallel", parts=3), "Parallel: parts must be constructions"),
    (joined, "Construction", "origin", record("origins.FanOut", parts=sizes(3)), "FanOut: parts must be constructions"),
    (joined, "Construction", "origin", record("origins.Repeated", part=3, times=1, merge=True), "Repeated: parts must"),
    (joined, "Construction", "origin", record("origins.Rewritten", rule="densify", of=3), "Rewritten: parts must be"),
    (joined, "Construction", "origin", record("origins.Built", builder=3), "Built: builder must be a name"),
    (joined, "Construction", "origin", record("origins.Built", arguments=sizes(3)), "Built: arguments must be pairs"),
    (own, "targets.Realified", "target", 3, "Realified: target must be a non-empty tuple of AbstractTarget"),
    (own, "targets.DFT", "inverse", "yes", "DFT: inverse must be True or False"),
    (own, "domains.Points", "array", {"static": "0.npy"}, "Points: array must be a static array of float64"),
    (own, "domains.Box", "low", {"complex": [0.0, 1.0]}, "is malformed: '<' not supported"),
    (own, "Robustness", "radius", {"float": "nan"}, "Robustness: radius must be at least 0"),
    (own, "Bound", "absolute", sizes(1.0, 2.0, 3.0), "Claim: error.absolute has 3 numbers for 2 outputs"),
    (
        CATALOG["parity_tied"],
        "linear.Kronecker",
        "shape",
        sizes(1, 9, 2, 4),
        "Kronecker: matrix must be an array of shape",
    ),
    (CATALOG["fft"], "linear.Butterfly", "shape", sizes(1, 2, 3, 4), "Butterfly: blocks must be square"),
    (CATALOG["fft"], "linear.Butterfly", "shape", sizes(9, 2, 2, 9), "Butterfly: twiddles must be an array of shape"),
    (CATALOG["fft"], "linear.Butterfly", "permutation", {"static": "0.npy"}, "Butterfly: permutation must be a static"),
    (
        CATALOG["parity"],
        "linear.BlockDiagonal",
        "shape",
        sizes(1, 2, 2, 9),
        "BlockDiagonal: blocks must be an array of",
    ),
    (CATALOG["flat_product"], "linear.SignPatterns", "n", 9, "SignPatterns: scales must be an array of shape"),
    (CATALOG["flat_product"], "linear.SignPatterns", "fixed", 3, "SignPatterns: fixed must be True or False"),
    (CATALOG["flat_product"], "linear.SignProduct", "n", 10**12, "SignProduct: n must be at most 62"),
    (CATALOG["fractal_cantor"], "targets.Fractal", "level", 0, "targets.Fractal: level must be at least 1"),
    (CATALOG["fractal_cantor"], "targets.Fractal", "system", 0, "targets.Fractal: system must be a dc.IFS"),
    (CATALOG["fractal_cantor"], "IFS", "name", "", "IFS: name must be a text"),
    (
        CATALOG["gaussian_classifier"],
        "targets.GaussianClassifier",
        "prior",
        sizes(1.0),
        "GaussianClassifier: prior must be",
    ),
    (
        CATALOG["gaussian_classifier"],
        "targets.GaussianClassifier",
        "means",
        {"static": "nine.npy"},
        "GaussianClassifier: covariances must have shape",
    ),
    (
        CATALOG["hamiltonian_classifier"],
        "targets.HamiltonianClassifier",
        "hamiltonians",
        record("targets.Product", n=2),
        "HamiltonianClassifier: hamiltonians must be a Polynomial",
    ),
    (
        CATALOG["boolean_function"],
        "targets.BooleanFunction",
        "table",
        {"static": "nine.npy"},
        "BooleanFunction: table must have shape",
    ),
    (
        CATALOG["boolean_classifier"],
        "targets.BooleanClassifier",
        "logits",
        {"static": "0.npy"},
        "BooleanClassifier: logits must be a static array",
    ),
    (CATALOG["polynomial"], "targets.Polynomial", "outputs", sizes(), "Polynomial: outputs must be a non-empty tuple"),
    (CATALOG["polynomial"], "targets.Polynomial", "outputs", sizes(sizes(sizes(sizes(1), 1.0))), "exponents a term"),
]


@pytest.mark.parametrize("build,cls,field,value,message", HELD)
def test_what_constructors_refuse_is_refused(build, cls, field, value, message):
    contents = fuzz_files.members(fuzz_files.saved(build()))
    header = json.loads(contents["tree.json"])
    found = find(header["tree"], cls)
    assert found is not None
    found["fields"][field] = value
    nine = {"nine.npy": npy(np.ones((9, 9)))}
    changed = fuzz_files.zipped(contents | nine | {"tree.json": json.dumps(header)})
    with pytest.raises(ValueError, match=f"^load: <BytesIO>.*({message})"):
        dc.load(io.BytesIO(changed))


@pytest.mark.parametrize("rows,cols,message", [
    ([0, 1, 1], [0, 1, 1], "Sparse: a position was given twice"),
    ([1, 0, 1], [0, 1, 1], "Sparse: positions must be stored in order"),
    ([0, 0], [0, 1, 1], "Sparse: values must be an array of shape"),
    ([0, 0, 1], [0, 1], "Sparse: rows and cols must be equally many"),
    ([0, 0, 2], [0, 1, 1], "Sparse: positions must lie within shape"),
    ([-1, 0, 1], [0, 1, 1], "Sparse: positions must lie within shape"),
])  # fmt: skip
def test_positions_that_apply_and_entries_read_differently_are_refused(rows, cols, message):
    contents = fuzz_files.members(fuzz_files.saved(sparse()))
    found = find(json.loads(contents["tree.json"]), "linear.Sparse")
    assert found is not None
    fields = found["fields"]
    for name, values in (("rows", rows), ("cols", cols)):
        contents[fields[name]["static"]] = npy(np.array(values, np.int32))
    with pytest.raises(ValueError, match=message):
        dc.load(io.BytesIO(fuzz_files.zipped(contents)))


def test_one_member_used_often_counts_as_often():
    layer = dc.Layer(dc.linear.Dense(jnp.ones((32, 32), "float32")))
    content = fuzz_files.saved(dc.Network((layer,) * 100))
    with pytest.raises(ValueError, match="unpacks to more than max_bytes"):
        dc.load(io.BytesIO(content), max_bytes=100_000)


def test_a_file_with_two_members_of_one_name_is_refused():
    content = fuzz_files.saved(sparse())
    twice = content.replace(b"1.npy", b"0.npy")
    assert twice != content
    with pytest.raises(ValueError, match="is malformed: it has two members of one name"):
        dc.load(io.BytesIO(twice))


def test_an_ensemble_that_its_file_does_not_tell_of_is_refused():
    ensemble = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), sparse())
    for stack in ([], [3], [2, 2], ["2"], 2):
        contents = fuzz_files.members(fuzz_files.saved(ensemble))
        header = json.loads(contents["tree.json"]) | {"stack": stack}
        with pytest.raises(ValueError, match=r"^load: <BytesIO> is malformed"):
            dc.load(io.BytesIO(fuzz_files.zipped(contents | {"tree.json": json.dumps(header)})))


# Damage at random ----------------------------------------------------------------------------------

WHOLE = {
    "bit_product": lambda: dc.bit_product(3),
    "joined": joined,
    "repeat": lambda: dc.repeat(dc.fft(2, norm="ortho", dtype="complex64"), 3),
    "realified": own,
    "ensemble": lambda: jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), sparse()),
    "flat_product": CATALOG["flat_product"],
    "gaussian_classifier": CATALOG["gaussian_classifier"],
    "fractal_cantor": CATALOG["fractal_cantor"],
}


def check_damage(kind, trials):
    rng, survived = np.random.default_rng(trials), 0
    damage = getattr(fuzz_files, kind)
    for build in WHOLE.values():
        content = fuzz_files.saved(build())
        survived += sum(fuzz_files.survive(damage(content, rng), {}) for _ in range(trials))
    assert survived < trials * len(WHOLE)


@pytest.mark.filterwarnings("ignore:load. .* holds NaN:RuntimeWarning")
@pytest.mark.parametrize("kind", ["altered", "damaged", "rearrayed"])
def test_random_damage_is_refused_or_harmless(kind):
    check_damage(kind, 5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:load. .* holds NaN:RuntimeWarning")
@pytest.mark.parametrize("kind", ["altered", "damaged", "rearrayed"])
def test_more_random_damage_is_refused_or_harmless(kind):
    check_damage(kind, 250)
