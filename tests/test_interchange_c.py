"""Networks in C compile without a warning, and give what is claimed."""

import shutil
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest

import deepconstruct as dc
from interchanged import excess, one_of_each, points, real_entries, sizes_and_structures

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
STRICT = ["gcc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O0"]


def run(folder, name="network"):
    """Compile the harness and run it."""
    sources = [f"{name}.c", f"{name}_test.c"]
    subprocess.run([*STRICT, *sources, "-lm", "-o", "test"], cwd=folder, check=True, capture_output=True)
    return subprocess.run([folder / "test"], capture_output=True, text=True, check=False)


def outputs(folder, network, x):
    """What the network in C gives, by another program."""
    dc.interchange.to_c(network, folder, inputs=x[:1], name="net")
    real = "float" if network.network.dtype == np.float32 else "double"
    (folder / "main.c").write_text(f"""
        #include <stdio.h>
        #include "net.h"
        int main(void) {{
            {real} x[NET_INPUTS], y[NET_OUTPUTS];
            while (fread(x, sizeof x, 1, stdin) == 1) {{ net(x, y); fwrite(y, sizeof y, 1, stdout); }}
            return 0;
        }}""")
    subprocess.run([*STRICT, "net.c", "main.c", "-lm", "-o", "main"], cwd=folder, check=True, capture_output=True)
    done = subprocess.run([folder / "main"], input=x.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, x.dtype).reshape(len(x), network.out_size)


@needs_gcc
def test_some_entries_keep_their_claims_in_c(tmp_path):
    for name in ("parity", "multiplication_gate", "fractal_cantor"):
        x = points(name)
        assert excess(real_entries()[name], x, outputs(tmp_path, real_entries()[name], x)) <= 0, name


@needs_gcc
@pytest.mark.slow
def test_all_entries_keep_their_claims_in_c(tmp_path):
    for name, construction in real_entries().items():
        x = points(name)
        assert excess(construction, x, outputs(tmp_path, construction, x)) <= 0, name
        dc.interchange.to_c(construction, tmp_path)
        assert run(tmp_path).returncode == 0, name


@needs_gcc
def test_a_wrong_weight_is_found_by_the_harness(tmp_path):
    xor = dc.parity(3, dtype="float32")
    dc.interchange.to_c(xor, tmp_path)
    assert run(tmp_path).returncode == 0
    code = (tmp_path / "network.c").read_text()
    start = code.index("weight0[")
    assert "-0x1p+0f" in code[start:]
    (tmp_path / "network.c").write_text(code[:start] + code[start:].replace("-0x1p+0f", "-0x1.8p+0f", 1))
    failed = run(tmp_path)
    assert failed.returncode == 1
    assert "instead of" in failed.stdout


@needs_gcc
@pytest.mark.slow
def test_every_activation_and_size_in_both_precisions(tmp_path):
    # Compiling is what takes time, so every other one is in double precision.
    for index, network in enumerate((*one_of_each(), *sizes_and_structures())):
        dc.interchange.to_c(dc.astype(network, ("float32", "float64")[index % 2]), tmp_path)
        done = run(tmp_path)
        assert done.returncode == 0, (network, done.stdout)


@needs_gcc
def test_zero_weights_and_no_hidden_layer(tmp_path):
    nothing = dc.linear.Sparse([], [], jnp.zeros(0, "float32"), (2, 3))
    network = dc.Network.from_matrices([nothing, [[1, 0]]], None, "relu")
    dc.interchange.to_c(network, tmp_path, inputs=[[1, 2, 3]], tolerance=0.0)
    assert run(tmp_path).returncode == 0


def test_weights_in_c_are_exact():
    weights = np.array([[0.1, -3e-41, 3.4e38, 2.0**-149]], "float32")
    text = dc.interchange.to_c(dc.Network.from_matrices([weights], None, ["identity"]), inputs=[[0, 0, 0, 0]])
    line = text["network.c"].split("weight0[4] = {")[1].split("}")[0]
    read = [float.fromhex(part.strip().removesuffix("f")) for part in line.split(",")]
    assert np.array_equal(np.array(read, "float32"), weights[0])


@pytest.mark.parametrize("name", ["", "2x", "a-b", "int", "main", "weight0", "apply_x", "expf", 3])
def test_names_that_c_cannot_have_are_refused(name):
    with pytest.raises(ValueError, match="to_c: name must be an identifier of C that isn't taken, such as 'network'"):
        dc.interchange.to_c(dc.parity(2), name=name)


def test_inputs_of_the_harness_are_checked():
    xor = dc.parity(2, dtype="float32")
    for inputs in ([1, 0], [[1, 0, 1]], np.zeros((0, 2)), [[np.nan, 0]]):
        with pytest.raises(ValueError, match=r"to_c: inputs must be finite numbers of shape \(count, 2\); got"):
            dc.interchange.to_c(xor, inputs=inputs)
    with pytest.raises(ValueError, match=r"to_c: inputs must lie in Bits\(n=2\), which the claim is about; got"):
        dc.interchange.to_c(xor, inputs=[[1, 0], [2, 0]])
    steep = dc.Network.from_matrices([[[1e30]]], None, ["square"], dtype="float32")
    with pytest.raises(ValueError, match="to_c: outputs must be finite at all inputs of the test; pass other inputs"):
        dc.interchange.to_c(steep, inputs=[[1.0]])
