"""Files: what is saved comes back, and what can't be trusted is refused with a message."""

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
from deepconstruct.domains import Box, Points
from deepconstruct.network import flat_layers


def double(x):
    return 2 * x


def user_construction(points=((0.0, 1.0), (2.0, -3.5))):
    network = dc.Network((dc.Layer(dc.linear.Dense(2 * jnp.eye(2, dtype="float32"))),))
    claim = dc.Claim(dc.Target("double", double), Points(points), Box(2, -9, 9), dtype="float32")
    return dc.claim(network, claim)


def composition():
    pair = dc.parallel(dc.parity(3, dtype="float32"), dc.parity(2, activation="step", dtype="float32"))
    return dc.series(dc.fan_out(pair, pair), dc.parity_bounded_depth(4, 3, dtype="float32"))


BUILD = {
    **{name: lambda name=name: dc.catalog.build(name) for name in dc.catalog.names()},
    "tied": lambda: dc.parity(16, tied=True, activation="sigmoid", dtype="float32"),
    "uneven": lambda: dc.parity(11, encoding="signs", fused=False, dtype="float64"),
    "series and fan_out": composition,
    "parallel of two encodings": lambda: dc.parallel(dc.parity(3), dc.parity(2, encoding="signs")),
    "repeat": lambda: dc.repeat(dc.fft(4, norm="ortho", dtype="complex64"), 3),
    "repeated gates": lambda: dc.repeat(dc.parity(1, dtype="float32"), 4, merge=False),
    "parallel repeats": lambda: dc.parallel(*[dc.repeat(dc.fft(2, norm="ortho"), 3)] * 2),
    "realified": lambda: dc.realify(dc.fft(8, dtype="complex64")),
    "points and a product": lambda: dc.parallel(dc.parity(2, dtype="float32"), user_construction()),
    "half precision": lambda: dc.parity(4, dtype="float16"),
}


@pytest.mark.parametrize("name", BUILD)
def test_everything_comes_back(name, tmp_path):
    built = BUILD[name]()
    dc.save(tmp_path / "it", built)
    loaded = dc.load(tmp_path / "it", functions={"double": double})
    assert isinstance(loaded, dc.Construction)
    assert loaded.claim == built.claim
    assert jax.tree.structure(loaded.network.layers) == jax.tree.structure(built.network.layers)
    for new, old in zip(jax.tree.leaves(loaded.network), jax.tree.leaves(built.network), strict=True):
        assert new.dtype == old.dtype
        assert np.array_equal(new, old)


@pytest.mark.slow
def test_a_loaded_network_computes_the_same(tmp_path):
    network = dc.perturb(dc.parity(8, dtype="float32"), 0.5, key=jax.random.key(0))
    dc.save(tmp_path / "noisy", network)
    loaded = dc.load(str(tmp_path / "noisy"))
    assert isinstance(loaded, dc.Network)
    x = np.random.default_rng(0).normal(size=(5, 8))
    assert np.array_equal(loaded(x), network(x))
    assert [layer.label for layer in flat_layers(loaded)] == [layer.label for layer in flat_layers(network)]


def test_a_missing_file_is_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError):
        dc.load(tmp_path / "nothing")


def test_a_user_target_needs_its_function(tmp_path):
    dc.save(tmp_path / "it", user_construction())
    with pytest.raises(ValueError, match=r"holds the user target 'double'; pass its function: .*functions="):
        dc.load(tmp_path / "it")


@pytest.mark.parametrize("value", [3, "network", jnp.ones(3), dc.parity(2).claim])
def test_only_networks_and_constructions_are_saved(value, tmp_path):
    with pytest.raises(TypeError, match="save: expected a Network or Construction; got"):
        dc.save(tmp_path / "it", value)


class OwnActivation(dc.activations.AbstractActivation):
    def __call__(self, z, *, axis=-1):
        return z

    def lipschitz(self):
        return 1.0

    def ulps(self):
        return 0

    def name(self):
        return "own"


def test_classes_of_others_are_not_saved(tmp_path):
    network = dc.Network((dc.Layer(dc.linear.Dense(jnp.eye(2)), activation=OwnActivation()),))
    with pytest.raises(TypeError, match="save: OwnActivation is not a class of this library and can't be stored"):
        dc.save(tmp_path / "it", network)


def test_bfloat16_is_refused_when_saving(tmp_path):
    with pytest.raises(TypeError, match=r"save: arrays of bfloat16 can't be stored; cast with dc\.astype first"):
        dc.save(tmp_path / "it", dc.astype(dc.parity(4).network, jnp.bfloat16))
    assert not list(tmp_path.iterdir())


# Damaged and foreign files -------------------------------------------------------------------------


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
    (lambda header: set_version(header, 2), "is of format version 2, newer than this library's 1; upgrade"),
    (lambda header: set_version(header, "1"), "has no valid version or tree"),
    (lambda header: header.pop("version"), "has no valid version or tree"),
    (lambda header: header.pop("tree"), "has no valid version or tree"),
    (lambda header: header.update(tree=5), "holds no network or construction"),
    (lambda header: header.update(tree=header["tree"]["fields"]["claim"]), "holds no network or construction"),
    (lambda header: header.update(tree={"pickle": "x"}), r"holds an unknown kind of node: \['pickle'\]"),
    (lambda header: header["tree"].update({"class": "os.system"}), "holds an unknown class 'os.system'"),
    (lambda header: header["tree"].update({"class": "linear.Fancy"}), "holds an unknown class 'linear.Fancy'"),
    (lambda header: header["tree"]["fields"].pop("claim"), r"Construction needs the fields \['claim', 'network'\]"),
    (lambda header: header["tree"]["fields"].update(extra=1), "Construction needs the fields"),
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
        ValueError, match=r"^load: .* (is malformed: |holds no|needs the fields|lacks its member|holds an unknown)"
    ):
        dc.load(saved)


def test_a_tree_nested_too_deeply_is_refused(saved):
    deep = b'{"format": "deepconstruct", "version": 1, "tree": ' + b'{"tuple": [' * 5000 + b"]}" * 5000 + b"}"
    rewrite(saved, tree_json=deep)
    with pytest.raises(ValueError, match="load: "):
        dc.load(saved)


def test_pickled_members_are_never_opened(saved):
    rewrite(saved, **{"0_npy": npy(np.array([{"os": "system"}], dtype=object), allow_pickle=True)})
    with pytest.raises(ValueError, match=r"member '0\.npy' is no plain array .*allow_pickle"):
        dc.load(saved)


@pytest.mark.parametrize("array", [np.array(["text"]), np.array([(1, 2)], dtype="i4,i4"), np.array(["NaT"], "M8[s]")])
def test_members_of_other_dtypes_are_refused(saved, array):
    rewrite(saved, **{"0_npy": npy(array)})
    with pytest.raises(ValueError, match=r"member '0\.npy' has the dtype"):
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


# Saving is all or nothing --------------------------------------------------------------------------


def test_a_save_that_fails_leaves_the_old_file_and_no_scraps(saved, monkeypatch):
    before = saved.read_bytes()

    def full_disk(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(np.lib.format, "write_array", full_disk)
    with pytest.raises(OSError, match="no space left"):
        dc.save(saved, dc.parity(9))
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_save_replaces_the_old_file(saved):
    dc.save(saved, dc.parity(9))
    assert dc.load(saved).claim == dc.parity(9).claim
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_saved_file_has_the_permissions_of_any_new_file(saved):
    (saved.parent / "plain").write_text("")
    assert saved.stat().st_mode == (saved.parent / "plain").stat().st_mode
