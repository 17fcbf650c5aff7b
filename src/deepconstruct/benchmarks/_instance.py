"""One instance: drawn, proved, measured and written to files."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from .._analysis.regions import linear_regions
from .._checks import check_choice, check_flag, check_key, check_size
from .._io.atomic import write_atomically
from ..interchange import to_c, to_onnx
from ..network import Network
from . import check, circuits, fractals, pairs, parity, polynomials
from ._matrices import is_held, network_of, rational, with_gradient
from ._problem import Family, Problem
from ._rewriting import rewritten
from ._vnnlib import assertions_text, property_text, property_text_2

FAMILIES: Mapping[str, Family] = {
    "parity": parity.FAMILY,
    "fractal": fractals.FAMILY,
    "circuit": circuits.FAMILY,
    "polynomial": polynomials.FAMILY,
    "pair": pairs.FAMILY,
}
# The oldest opset that verifiers take, how many points figures are taken at, and of how many C is tested.
_OPSET, _POINTS, _CASES = 13, 1000, 16


@dataclasses.dataclass(frozen=True, eq=False)
class Instance:
    """A network, a property of it, and who is right.

    Attributes:
        family: its name.
        difficulty: as it was asked for.
        answer: `"holds"` or `"fails"`.
        disguised: whether the units were put in another order, scaled and split.
        margin: how far, over the reals, the output stays off what is unsafe on the whole box; or how far beyond it
            is at the witness.
        rounding: how far runs in 32 bits are off the output over the reals, at most; less than the margin.
        problem: matrices, box, what is unsafe, and the witness.
    """

    family: str
    difficulty: int
    answer: str
    disguised: bool
    margin: Fraction
    rounding: Fraction
    problem: Problem = dataclasses.field(repr=False)

    @property
    def witness(self) -> tuple[Fraction, ...] | None:
        """An input that refutes the property, of floats of 32 bits; `None` if it holds."""
        return self.problem.witness

    @functools.cached_property
    def network(self) -> Network:
        """The network, in 32 bits."""
        return network_of(self.problem.layers)

    def property_text(self) -> str:
        """The property in VNN-LIB 1.0: its assertions hold at counterexamples."""
        return property_text(self.problem, self._title)

    @property
    def _title(self) -> str:
        return f"deepconstruct: {self.family}, difficulty {self.difficulty}"

    def figures(self) -> dict[str, Any]:
        """How hard it is: sizes, linear regions on a diagonal of the box, volume of what is unsafe, gradients.

        Returns:
            `inputs`, `relus`, `layers`; `pieces`, a text; `regions_on_a_diagonal`, where units keep their signs;
            `violating_volume`, a share of the box, and whether that is `exact`, `at most` or `at least`;
            `zero_gradients`, the share of 1,000 random points where the gradient is 0, and `mean_gradient`, its mean
            2-norm; `unsafe_points`, how many of these are unsafe.
        """
        problem, (low, high) = self.problem, self.problem.box
        x = low + (high - low) * np.random.default_rng(0).random((_POINTS, len(low)))
        values, slopes = with_gradient(problem.layers, x)
        norms = np.linalg.norm(slopes, axis=1)
        unsafe = [values >= float(end) if sense == ">=" else values <= float(end) for sense, end in problem.unsafe]
        kind, volume = problem.volume
        return {
            "inputs": len(low),
            "relus": sum(len(bias) for _, bias in problem.layers[:-1]),
            "layers": len(problem.layers),
            "pieces": problem.pieces,
            "regions_on_a_diagonal": linear_regions(self.network, problem.low, problem.high).activation_regions,
            "violating_volume": float(volume),
            "violating_volume_is": kind,
            "zero_gradients": float(np.mean(norms == 0)),
            "mean_gradient": float(norms.mean()),
            "unsafe_points": int(np.sum(np.any(unsafe, axis=0))),
        }

    def save(self, folder: str | os.PathLike, *, witness: str | os.PathLike | None = None, in_c: bool = False) -> None:
        """Write `model.onnx`, `property.vnnlib` (and `property-2.0.vnnlib`) and `answer.json` to a folder.

        `answer.json` comes last, so that where it is, all is. Where the property fails, it has neither the witness nor
        what would tell it: `witness.json` is written to a folder of its own, or not at all.

        Args:
            folder: made if it isn't there.
            witness: the folder for `witness.json`; none is written if `None`, or if the property holds.
            in_c: whether the network is written as C too, with its test and with the property as assertions.

        Raises:
            ImportError: `onnx` isn't installed.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if witness is not None and self.witness is not None:
            Path(witness).mkdir(parents=True, exist_ok=True)
            secret = {"witness": [str(x) for x in self.witness], "floats": [float(x) for x in self.witness]}
            _write(Path(witness) / "witness.json", json.dumps(secret, indent=1))
        to_onnx(self.network, folder / "model.onnx", opset=_OPSET, batch=1, structure=False)
        _write(folder / "property.vnnlib", self.property_text())
        _write(folder / "property-2.0.vnnlib", property_text_2(self.problem, self._title))
        if in_c:
            self._save_c(folder)
        _write(folder / "answer.json", json.dumps(self._answer(folder), indent=1))

    def _save_c(self, folder: Path) -> None:
        low, high = self.problem.box
        x = low + (high - low) * np.random.default_rng(0).random((_CASES, len(low)), np.float32)
        to_c(self.network, folder, name="network", inputs=x, tolerance=2 * float(self.rounding))
        _write(folder / "property.c", assertions_text(self.problem, "network"))

    def _answer(self, folder: Path) -> dict[str, Any]:
        holds = self.answer == "holds"
        names = ("model.onnx", "property.vnnlib", "property-2.0.vnnlib")
        return {
            "format": "deepconstruct verification",
            "version": 1,
            "family": self.family,
            "difficulty": self.difficulty,
            "disguised": self.disguised,
            "answer": self.answer,
            "result": "unsat" if holds else "sat",
            "margin": str(self.margin),
            "rounding_at_most": float(self.rounding),
            "certificate": FAMILIES[self.family].argument if holds else None,
            "figures": self.figures(),
            "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
        }


def verification(
    family: str, *, difficulty: int, answer: str = "holds", disguised: bool = False, key: PRNGKeyArray
) -> Instance:
    """A network, a property, and whether it holds: proved.

    The networks have ReLUs only, one output, and weights that 32 bits hold exactly. The families, of which
    `dc.benchmarks.FAMILIES` has summaries and arguments:

    - `"parity"`: the largest sum of parity trees of affine functions on a box.
    - `"fractal"`: whether a Cantor dust meets itself, moved and seen in other coordinates.
    - `"circuit"`: whether equations modulo 2 hold at once, their bits relaxed to intervals.
    - `"polynomial"`: how far two approximations of a sum of squares are apart on a box.
    - `"pair"`: whether a network equals one that was rewritten, as their difference.

    Args:
        family: a name of these.
        difficulty: from 1 on; more variables, regions and depth, and a smaller share of inputs that refute.
        answer: `"holds"` or `"fails"`.
        disguised: whether hidden units are put in another order, multiplied by powers of two and split.
        key: a PRNG key. Keep it: who has it has the witness.

    Returns:
        An `Instance`. It holds, proved in rational numbers from the weights; or it fails at a witness of floats.

    Raises:
        ValueError: an unknown family or answer, a difficulty below 1, or one at which rounding in 32 bits might reach
            the margin.

    Exactness:
        Over the reals, the output stays off what is unsafe on the whole box by `margin`, or is beyond it at the
        witness by `margin`; and runs in 32 bits, with sums in any order, are off by less than that. So verifiers that
        reason over the reals and over floats have the same answer.

    Cost:
        Sums in rational numbers for every weight and linear piece: some seconds at difficulty 5.

    Example:
        >>> import deepconstruct as dc, jax
        >>> instance = dc.benchmarks.verification("fractal", difficulty=2, answer="fails", key=jax.random.key(0))
        >>> instance.network.in_size, str(instance.margin), len(instance.witness)
        (3, '1', 3)
    """
    check_choice("verification", "family", family, FAMILIES)
    check_size("verification", "difficulty", difficulty)
    check_choice("verification", "answer", answer, ("holds", "fails"))
    check_flag("verification", "disguised", disguised)
    check_key("verification", key)
    generator = generator_of(key)
    problem = FAMILIES[family].draw(difficulty, answer == "holds", generator)
    if disguised:
        problem = dataclasses.replace(problem, layers=rewritten(problem.layers, generator))
    margin, rounding = proved(problem)
    if margin <= rounding:
        raise ValueError(
            f"verification: difficulty {difficulty} is too large for {family}: rounding in 32 bits might reach the "
            "margin; take a smaller one"
        )
    return Instance(family, difficulty, answer, disguised, margin, rounding, problem)


def proved(problem: Problem) -> tuple[Fraction, Fraction]:
    """The margin over the reals, 0 or less if the answer isn't proved; and how far runs in 32 bits are off."""
    layers, box = rational(problem.layers), list(zip(problem.low, problem.high, strict=True))
    numbers = [*problem.low, *problem.high, *(end for _, end in problem.unsafe), *(problem.witness or ())]
    off = check.rounding(layers, box)
    if not is_held(problem.layers) or not all(map(check.is_float, numbers)):
        return Fraction(0), off
    if problem.witness is None:
        return check.margin_of(*check.bounds(layers, box), problem.unsafe), off
    inside = all(low <= x <= high for x, (low, high) in zip(problem.witness, box, strict=True))
    return (check.beyond(check.exact(layers, problem.witness)[0], problem.unsafe) if inside else Fraction(0)), off


def generator_of(key: PRNGKeyArray) -> np.random.Generator:
    """NumPy's generator from a key of JAX."""
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return np.random.default_rng(np.asarray(data).ravel())


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
