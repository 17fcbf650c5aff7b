"""The experiment on sharpness: equal functions, and blocks that scale as they must."""

# Wrong arguments are refused here.
# pyright: reportArgumentType=false

import jax
import numpy as np
import pytest

import deepconstruct as dc
from deepconstruct._cli import main
from deepconstruct.experiments import rescaled_sharpness, sharpness
from deepconstruct.network import flat_layers

KEY = jax.random.key(0)
SMALL = {"factors": (1, 2, 32), "width": 4, "seeds": 2, "steps": 20, "progress": False, "key": KEY}


@pytest.mark.slow
def test_functions_are_equal_and_sharpness_is_apart(tmp_path, monkeypatch):
    found = rescaled_sharpness(3, **SMALL, store=tmp_path)
    assert found.names == ("parity tree", "trained, seed 0", "trained, seed 1")
    assert not found.change.any()
    assert np.array_equal(found.loss, np.repeat(found.loss[:, :1], 3, axis=1))
    assert not found.loss[0].any()
    np.testing.assert_allclose(found.layers[..., 0], found.layers[:, :1, 0] / np.array([1, 4, 1024]), rtol=1e-8)
    # The block of the second layer is that of its bias and, with the square of the factor, that of its weights.
    weights = (found.layers[:, 1, 1] - found.layers[:, 0, 1]) / 3
    np.testing.assert_allclose(found.layers[:, 2, 1], found.layers[:, 0, 1] + 1023 * weights, rtol=1e-8)
    assert np.all(found.largest[:, 2] > 50 * found.largest[:, 0])
    assert np.all(found.keskar[:, 2] > found.keskar[:, 0])
    monkeypatch.setattr(sharpness, "sharpness", None)
    again = rescaled_sharpness(3, **SMALL, store=tmp_path)
    assert np.array_equal(again.largest, found.largest)
    (path, *_) = (tmp_path / "sharpness").iterdir()
    path.write_bytes(b"damaged")
    with pytest.raises(TypeError, match="not callable"):  # it is measured anew
        rescaled_sharpness(3, **SMALL, store=tmp_path)


def test_a_forgotten_bias_changes_the_function():
    tree = dc.densify(dc.parity(3).network)
    bits = dc.domains.Bits(3).enumerate(np.arange(8))
    moved = dc.rewrite.rescale_layers(tree, [8, 0.125, *[1] * (len(flat_layers(tree)) - 2)])
    assert np.array_equal(moved(bits), tree(bits))
    first, *rest = flat_layers(moved)
    wrong = dc.Network((dc.Layer(first.linear, flat_layers(tree)[0].bias, first.activation), *rest))
    assert not np.allclose(wrong(bits), tree(bits))


@pytest.mark.slow
def test_the_command_reports_what_was_measured(tmp_path, capsys):
    changes = ("n=3", "factors=(1.0, 8.0)", "width=4", "seeds=1", "steps=3")
    settings = [part for change in changes for part in ("--set", change)]
    assert main(["reproduce", "sharpness", *settings, "--out", str(tmp_path)]) == 0
    report = capsys.readouterr().out
    for part in ("### Parity tree", "### Trained, seed 0", "| 8 | 0 | 0 | ", "Eigenvalues are apart by a factor of "):
        assert part in report
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "data.json").exists()


def test_meaningless_settings_are_refused():
    for message, n, options in (
        ("rescaled_sharpness: n must be at least 3; got 2", 2, {}),
        (r"rescaled_sharpness: n must be at most 12, since all 2\^n inputs are used; got 13", 13, {}),
        (r"rescaled_sharpness: factors must be a list of at least one number; got \(\)", 4, {"factors": ()}),
        ("rescaled_sharpness: factors must be finite and above 0; got -2", 4, {"factors": (1, -2)}),
        ("rescaled_sharpness: the first factor must be 1, to which others are compared; got 2", 4, {"factors": [2]}),
    ):
        with pytest.raises(ValueError, match=message):
            rescaled_sharpness(n, **options, key=KEY)
