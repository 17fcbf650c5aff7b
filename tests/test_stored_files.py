"""Files age: those that older versions wrote, kept in `stored/`, load to the same bits and claims.

`stored/version1` holds every catalog entry, as `name-size.dc`. `stored/version2` was written by

    python tests/test_stored_files.py

which adds files that are missing; files that are there are never written again.
"""

import dataclasses
import json
import pathlib
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._bias import JoinedBias, TiledBias
from deepconstruct._static import StaticArray
from deepconstruct.construction import (
    Built,
    FanOut,
    Parallel,
    Repeated,
    Rewritten,
    Series,
    Stated,
)
from deepconstruct.construction.encoding import digest

STORED = pathlib.Path(__file__).parent / "stored"
# Entries whose bounds have been computed more carefully since, and by how much they changed at most.
RECOUNTED = {
    "bit_product": 0.04,
    "boolean_classifier": 0.2,
    "boolean_function": 0.2,
    "boolean_minterm": 0.2,
    "gaussian_classifier": 1e-9,
}
VERSION_1 = sorted((STORED / "version1").glob("*.dc"))


def check_same(loaded, built):
    assert jax.tree.structure(loaded.network.layers) == jax.tree.structure(built.network.layers)
    for new, old in zip(jax.tree.leaves(loaded.network), jax.tree.leaves(built.network), strict=True):
        assert new.dtype == old.dtype
        assert np.array_equal(new, old)
    assert digest(loaded.network) == digest(built.network)
    assert loaded.claim == built.claim
    assert type(loaded.origin) is type(built.origin)
    assert str(loaded.origin) == str(built.origin)
    if isinstance(built.origin, Built):
        assert loaded.origin == built.origin
    for new, old in zip(parts_of(loaded), parts_of(built), strict=True):
        check_same(new, old)


def parts_of(construction):
    """The constructions that an origin tells of."""
    fields = [getattr(construction.origin, field.name) for field in dataclasses.fields(construction.origin)]
    parts = [part for field in fields for part in (field if isinstance(field, tuple) else (field,))]
    return [part for part in parts if isinstance(part, dc.Construction)]


def test_every_entry_of_its_time_is_stored():
    assert len(VERSION_1) == 38


@pytest.mark.parametrize("path", VERSION_1, ids=lambda path: path.stem)
def test_files_of_version_1_load_to_what_is_built_today(path):
    name, size = path.stem.rsplit("-", 1)
    loaded = dc.load(path)
    assert loaded.origin == Stated()
    built = dc.catalog.build(name, int(size), dtype=loaded.claim.dtype)
    if name in RECOUNTED:
        for old, new in zip(numbers_of(loaded.claim), numbers_of(built.claim), strict=True):
            assert old != 0 or new == 0
            assert old == pytest.approx(new, rel=RECOUNTED[name])
        claim = dataclasses.replace(built.claim, error=loaded.claim.error, robustness=loaded.claim.robustness)
        built = dataclasses.replace(built, claim=claim)
    check_same(loaded, dataclasses.replace(built, origin=Stated()))


def numbers_of(claim):
    """All that a claim bounds."""
    return *dataclasses.astuple(claim.error), *dataclasses.astuple(claim.robustness)


@pytest.mark.parametrize("path", VERSION_1, ids=lambda path: path.stem)
def test_claims_of_version_1_say_what_their_files_say(path):
    with zipfile.ZipFile(path) as archive:
        stored = json.loads(archive.read("tree.json"))["tree"]["fields"]["claim"]["fields"]
    claim = dc.load(path).claim
    said = [stored["error"]["fields"][name] for name in ("absolute", "relative")]
    said += [stored[name] for name in ("radius", "gain", "rounding")]
    assert [float(value["float"]) if isinstance(value, dict) else value for value in said] == list(numbers_of(claim))
    assert claim.is_estimate == stored["estimate"]
    assert (claim.dtype, claim.source) == (stored["dtype"], stored["source"])


def test_claims_of_version_1_are_migrated(tmp_path):
    with zipfile.ZipFile(STORED / "version1" / "parity-2.dc") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["tree.json"])
    fields = header["tree"]["fields"]["claim"]["fields"]
    fields |= {"radius": {"float": "inf"}, "gain": 3.0, "rounding": 0.5, "estimate": True}
    with zipfile.ZipFile(tmp_path / "old.dc", "w") as archive:
        for name, data in (members | {"tree.json": json.dumps(header)}).items():
            archive.writestr(name, data)
    claim = dc.load(tmp_path / "old.dc").claim
    assert claim.robustness == dc.Robustness(np.inf, 3.0, 0.5)
    assert claim.status == "estimate"


def _per_output():
    network = dc.Network((dc.Layer(dc.linear.Dense(jnp.eye(2, dtype="float32"))),))
    target, domain = dc.targets.Realified(dc.targets.DFT(1)), dc.domains.Box(2, -1, 1)
    robustness = dc.Robustness(np.inf, (1.0, 2.0))
    return dc.claim(network, dc.Claim(target, domain, domain, dc.Bound((0.0, 1e-3), 1e-6), robustness, source="here"))


def _with_origins():
    stated = _per_output()
    arguments = (("n", 2), ("bound", 0.5), ("activation", dc.activations.Sigmoid(3.0)), ("points", StaticArray([1.0])))
    built = dataclasses.replace(stated, origin=Built("made", arguments))
    both = dataclasses.replace(stated, origin=Series((built, stated), merge=True))
    for origin in (Parallel((both, built)), FanOut((built, both))):
        both = dataclasses.replace(both, origin=origin)
    return dataclasses.replace(
        both, origin=Rewritten("densify", dataclasses.replace(both, origin=Repeated(both, 2, False)))
    )


def _every_map():
    linear, ones, activations = dc.linear, lambda *shape: jnp.ones(shape, "float32"), dc.activations
    eye = linear.Sparse([0, 1], [1, 0], ones(2), (2, 2))
    maps = [
        linear.Stack((linear.Kronecker(ones(1, 2), outer=2), linear.DirectSum((eye, eye)))),
        linear.Composed(linear.Dense(ones(4, 1)), linear.Dense(ones(1, 6))),
        linear.Butterfly(ones(1, 2, 2, 2), [0, 2, 1, 3]),
        linear.BlockDiagonal(ones(2, 2, 2, 1)),
        linear.Permutation([3, 2, 1, 0]),
        linear.Identity(4),
        linear.SignPatterns(ones(4), fixed=True),
        linear.SignProduct(jnp.float32(0.125), 3),
    ]
    mixed = activations.Concatenate((activations.ReLU(), activations.Power(3)), (2, 4))
    joined = JoinedBias((TiledBias(ones(2), outer=2), None), (4, 2))
    first = dc.Layer(maps[0], joined, mixed, dc.Label("first", uneven=((2, 1), (4, 1))))
    block = dc.Repeat.copies((dc.Layer(linear.Dense(ones(1, 1)), ones(1), activations.GELU(False)),), 3)
    return dc.Network((first, *map(dc.Layer, maps[1:]), block))


def _plain(dtype="float32"):
    weight = jnp.array([[1.0, -2.0], [0.5, 0.25]], dtype)
    return dc.Network((dc.Layer(dc.linear.Dense(weight), jnp.array([0.0, -0.0], dtype), dc.activations.Sigmoid(3.0)),))


def _diverged(leaf):
    return leaf * np.broadcast_to(np.asarray([np.nan, np.inf], np.float32), leaf.shape)


VERSION_2 = {
    "origins": _with_origins,
    "maps": _every_map,
    "outputs": _per_output,
    "bfloat16": lambda: _plain("bfloat16"),
    "stacked": lambda: jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), _plain()),
    "diverged": lambda: jax.tree.map(
        lambda leaf: leaf * np.broadcast_to(np.asarray([np.nan, np.inf], np.float32), leaf.shape), _plain()
    ),
}


@pytest.mark.filterwarnings("ignore:load. .* holds NaN:RuntimeWarning")
@pytest.mark.parametrize("name", VERSION_2)
def test_files_of_version_2_load_to_what_is_built_today(name):
    loaded, built = dc.load(STORED / "version2" / f"{name}.dc"), VERSION_2[name]()
    if isinstance(built, dc.Network):
        assert digest(loaded) == digest(built)
    else:
        check_same(loaded, built)


def test_fields_that_a_file_lacks_have_their_defaults(tmp_path):
    with zipfile.ZipFile(STORED / "version2" / "outputs.dc") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["tree.json"])
    assert header["version"] == 2
    del header["tree"]["fields"]["origin"], header["parts"]
    for name in ("error", "robustness", "status", "dtype", "source"):
        del header["tree"]["fields"]["claim"]["fields"][name]
    with zipfile.ZipFile(tmp_path / "short.dc", "w") as archive:
        for name, data in (members | {"tree.json": json.dumps(header)}).items():
            archive.writestr(name, data)
    built = _per_output().claim
    assert dc.load(tmp_path / "short.dc").claim == dc.Claim(built.target, built.domain, built.codomain)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    for name, build in VERSION_2.items():
        if not (STORED / "version2" / f"{name}.dc").exists():
            dc.save(STORED / "version2" / f"{name}.dc", build())
