"""One instance: built, proved, measured and written to files."""

import dataclasses
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
from . import circuits, fractals, pairs, parity, polynomials
from ._matrices import exact, is_held, network_of, run, with_gradient
from ._problem import Family, Problem, is_unsafe, margin_of
from ._rewriting import COPIES, drawn, rewritten, widths
from ._vnnlib import assertions_text, property_text, property_text_2

FAMILIES: Mapping[str, Family] = {
    "parity": parity.FAMILY,
    "fractal": fractals.FAMILY,
    "circuit": circuits.FAMILY,
    "polynomial": polynomials.FAMILY,
    "pair": pairs.FAMILY,
}
# The oldest opset that verifiers take, and how many points figures are taken at.
_OPSET, _POINTS = 13, 1000


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
        parameters: all that the proof needs, as JSON; they give the witness away.
        witness: an input that refutes the property, in rational numbers; `None` if it holds.
        problem: matrices, box and what is unsafe.
    """

    family: str
    difficulty: int
    answer: str
    disguised: bool
    margin: Fraction
    parameters: dict[str, Any] = dataclasses.field(repr=False)
    witness: tuple[Fraction, ...] | None = dataclasses.field(repr=False)
    problem: Problem = dataclasses.field(repr=False)

    @property
    def network(self) -> Network:
        """The network, in 32 bits."""
        return network_of(self.problem.layers)

    @property
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
        problem = self.problem
        low, high = (np.array([float(v) for v in row]) for row in (problem.low, problem.high))
        x = low + (high - low) * np.random.default_rng(0).random((_POINTS, len(low)))
        values, slopes = with_gradient(problem.layers, x)
        norms = np.linalg.norm(slopes, axis=1)
        unsafe = [values >= float(end) if sense == ">=" else values <= float(end) for sense, end in problem.unsafe]
        kind, volume = problem.volume
        return {
            "inputs": len(low),
            "relus": sum(widths(problem.layers)),
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

        Where it fails, `answer.json` has neither the witness nor what would tell it; `witness.json` is written to
        another folder, or to none.

        Args:
            folder: made if it isn't there.
            witness: the folder for `witness.json`; none is written if `None`, or if it holds.
            in_c: whether the network is written as C too, with its test and with the property as assertions.

        Raises:
            ImportError: `onnx` isn't installed.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        to_onnx(self.network, folder / "model.onnx", opset=_OPSET, batch=1, structure=False)
        _write(folder / "property.vnnlib", self.property_text)
        _write(folder / "property-2.0.vnnlib", property_text_2(self.problem, self._title))
        if in_c:
            self._save_c(folder)
        _write(folder / "answer.json", json.dumps(self._answer(folder), indent=1))
        if witness is not None and self.witness is not None:
            Path(witness).mkdir(parents=True, exist_ok=True)
            secret = {"witness": [str(x) for x in self.witness], "floats": [float(x) for x in self.witness]}
            secret |= {"output": str(exact(self.problem.layers, self.witness)[0]), "parameters": self.parameters}
            _write(Path(witness) / "witness.json", json.dumps(secret, indent=1))

    def _save_c(self, folder: Path) -> None:
        low, high = (np.array([float(v) for v in row]) for row in (self.problem.low, self.problem.high))
        x = low + (high - low) * np.random.default_rng(0).random((16, len(low)))
        tolerance = 2 * float(self.problem.rounding)
        to_c(self.network, folder, name="network", inputs=x.astype(np.float32), tolerance=tolerance)
        _write(folder / "property.c", assertions_text(self.problem, "network"))

    def _answer(self, folder: Path) -> dict[str, Any]:
        holds = self.answer == "holds"
        names = ("model.onnx", "property.vnnlib", "property-2.0.vnnlib")
        proof = {"argument": FAMILIES[self.family].argument, "parameters": self.parameters}
        return {
            "format": "deepconstruct verification",
            "version": 1,
            "family": self.family,
            "difficulty": self.difficulty,
            "disguised": self.disguised,
            "answer": self.answer,
            "result": "unsat" if holds else "sat",
            "margin": str(self.margin),
            "rounding_at_most": float(self.problem.rounding),
            "certificate": proof if holds else None,
            "figures": self.figures(),
            "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
        }


def verification(
    family: str, *, difficulty: int, answer: str = "holds", disguised: bool = False, key: PRNGKeyArray
) -> Instance:
    """A network, a property, and whether it holds: proved, at any difficulty.

    The networks have ReLUs only, one output, and weights that 32 bits hold exactly. The families:

    {families}

    Args:
        family: a name of these.
        difficulty: from 1 on; more variables, regions and depth, and a smaller share of inputs that refute.
        answer: `"holds"` or `"fails"`.
        disguised: whether hidden units are put in another order, multiplied by powers of two and split.
        key: a PRNG key. Keep it: who has it has the witness.

    Returns:
        An `Instance`. It holds by reasoning over the reals, computed in rational numbers; or it fails at a witness in
        rational numbers that floats of 32 bits hold, where the network runs to the same output.

    Raises:
        ValueError: an unknown family or answer, a difficulty below 1, or one at which rounding in 32 bits might reach
            the margin.

    Exactness:
        Outputs stay off what is unsafe, or are beyond it at the witness, by `margin`, which is more than runs in 32
        bits are off: verifiers that reason over the reals and over floats have the same answer.

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
    generator, chosen = generator_of(key), FAMILIES[family]
    parameters: dict[str, Any] = {"base": chosen.draw(difficulty, answer == "holds", generator)}
    if disguised:
        parameters["disguise"] = drawn(widths(chosen.build(parameters["base"]).layers), generator)
    problem = rebuilt(family, parameters)
    witness = None if answer == "holds" else chosen.witness(parameters["base"])
    margin = proved_margin(family, parameters) if witness is None else witness_margin(problem, witness)
    if margin <= problem.rounding or not is_held(problem.layers):
        raise ValueError(
            f"verification: difficulty {difficulty} is too large for {family}: rounding in 32 bits might reach the "
            "margin; take a smaller one"
        )
    return Instance(family, difficulty, answer, disguised, margin, parameters, witness, problem)


verification.__doc__ = (verification.__doc__ or "").replace(
    "{families}", "\n    ".join(f'- `"{name}"`: {entry.summary}.' for name, entry in FAMILIES.items())
)


def rebuilt(family: str, parameters: dict[str, Any]) -> Problem:
    """The problem of parameters, disguised if they say so."""
    record = parameters.get("disguise")
    problem = FAMILIES[family].build(parameters["base"], 1 if record is None else COPIES)
    return problem if record is None else dataclasses.replace(problem, layers=rewritten(problem.layers, record))


def proved_margin(family: str, parameters: dict[str, Any]) -> Fraction:
    """How far all outputs stay off what is unsafe, over the reals, by the family's argument; 0 or less if they don't.

    Disguises keep the function: building one refuses records that don't.
    """
    return margin_of(*FAMILIES[family].bounds(parameters["base"]), rebuilt(family, parameters).unsafe)


def witness_margin(problem: Problem, witness: tuple[Fraction, ...]) -> Fraction:
    """How far beyond what is unsafe an input's output is, over the reals and as it runs; 0 if it isn't, or off the box."""
    inside = all(low <= x <= high for low, x, high in zip(problem.low, witness, problem.high, strict=True))
    value = exact(problem.layers, witness)[0]
    ran = Fraction(float(run(problem.layers, [[float(x) for x in witness]])[0, 0]))
    held = all(Fraction(float(np.float32(float(x)))) == x for x in witness)
    if not inside or not held or not is_unsafe(ran, problem.unsafe):
        return Fraction(0)
    return max(value - end if sense == ">=" else end - value for sense, end in problem.unsafe)


def generator_of(key: PRNGKeyArray) -> np.random.Generator:
    """NumPy's generator from a key of JAX."""
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return np.random.default_rng(np.asarray(data).ravel())


def _write(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
