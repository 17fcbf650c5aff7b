"""Sets of instances in a folder, listed as verification competitions do."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from .._checks import check_choice, check_flag, check_size
from .._io.atomic import write_atomically
from .._io.progress import progress_bar
from ._instance import FAMILIES, verification


def verification_set(
    folder: str | os.PathLike,
    *,
    instances: int = 50,
    seed: int = 0,
    families: Sequence[str] = tuple(FAMILIES),
    difficulties: Sequence[int] = (1, 2, 3),
    witnesses: str | os.PathLike | None = None,
    in_c: bool = False,
    timeout: int = 300,
    progress: bool = True,
) -> list[str]:
    """Write many instances, and `instances.csv` with a line each: model, property, seconds.

    Families and difficulties take turns; every other round is disguised; answers are drawn. An instance is listed once
    all its files are there, so that nothing is lost when the work is killed: the same call writes the same files again.

    Args:
        folder: made if it isn't there; each instance gets a folder in it.
        instances: how many.
        seed: all follows from it. Who has it has the witnesses.
        families: which take turns.
        difficulties: which take turns.
        witnesses: a folder for the witnesses, a folder each; none are written if `None`.
        in_c: whether C is written too.
        timeout: the seconds in the list.
        progress: whether a bar is shown, on a terminal.

    Returns:
        The names of the instances.

    Raises:
        ValueError: no instances, families or difficulties, or unknown ones.
        ImportError: `onnx` isn't installed.
    """
    check_size("verification_set", "instances", instances)
    check_size("verification_set", "seed", seed, minimum=0)
    check_size("verification_set", "timeout", timeout)
    check_flag("verification_set", "progress", progress)
    kinds = list(itertools.product(difficulties, families))
    if not kinds:
        raise ValueError("verification_set: expected at least one family and one difficulty; got none")
    for difficulty, family in kinds:
        check_choice("verification_set", "families", family, FAMILIES)
        check_size("verification_set", "difficulties", difficulty)
    root, names = Path(folder), []
    answers = np.random.default_rng(seed).integers(0, 2, instances)
    root.mkdir(parents=True, exist_ok=True)
    with progress_bar(total=instances, unit="instance", shown=progress) as bar:
        for index in range(instances):
            difficulty, family = kinds[index % len(kinds)]
            made = verification(
                family,
                difficulty=difficulty,
                answer=("holds", "fails")[answers[index]],
                disguised=bool(index // len(kinds) % 2),
                key=jax.random.fold_in(jax.random.key(seed), index),
            )
            names.append(f"{index:04}-{family}-{difficulty}")
            made.save(root / names[-1], witness=None if witnesses is None else Path(witnesses) / names[-1], in_c=in_c)
            _write_list(root / "instances.csv", names, timeout)
            bar.update()
    return names


def _write_list(path: Path, names: list[str], timeout: int) -> None:
    lines = [f"{name}/model.onnx,{name}/property.vnnlib,{timeout}\n" for name in names]
    write_atomically(path, lambda file: file.write("".join(lines).encode()))
