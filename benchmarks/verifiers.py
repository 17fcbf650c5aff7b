"""Marabou on our instances: does it agree, and how long does it take?

`python benchmarks/verifiers.py` needs `maraboupy` and `onnx`. Where Marabou finds an input, it is run in rational
numbers, clipped to the box. Prints a table.
"""

import argparse
import multiprocessing
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import jax

import deepconstruct as dc
from deepconstruct.benchmarks import check
from deepconstruct.benchmarks._matrices import rational


def asked(folder: Path, problem, seconds: int):
    """Marabou's answers, one for each way to be unsafe: `sat`, `unsat` or `killed`, and the input that it found."""
    said, point = [], None
    for side in problem.unsafe:
        box = [(float(low), float(high)) for low, high in zip(problem.low, problem.high, strict=True)]
        code, found = in_time(seconds, str(folder / "model.onnx"), box, side[0], float(side[1]))
        said.append(code)
        if code == "sat":
            point = found
            break
    return said, point


def in_time(seconds: int, *question):
    """The answer of a process of its own: Marabou's own limit isn't always kept."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=solve, args=(theirs, *question))
    worker.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(seconds) else ("killed", None)
    except EOFError:
        return "crashed", None
    finally:
        worker.kill()
        worker.join()


def solve(answers, path: str, box, sense: str, end: float) -> None:
    """Ask Marabou for an input of the box with an unsafe output."""
    from maraboupy import Marabou

    network = Marabou.read_onnx(path)
    inputs, output = network.inputVars[0].flatten().tolist(), int(network.outputVars[0].flatten()[0])
    for variable, (low, high) in zip(inputs, box, strict=True):
        network.setLowerBound(variable, low)
        network.setUpperBound(variable, high)
    bound = network.setLowerBound if sense == ">=" else network.setUpperBound
    bound(output, end)
    code, values, _ = network.solve(verbose=False, options=Marabou.createOptions(verbosity=0))
    answers.send((code, [values[variable] for variable in inputs] if code == "sat" else None))


def verdict(said: list[str]) -> str:
    """`sat` if any way is, `unsat` if none is."""
    if "sat" in said:
        return "sat"
    return "unsat" if all(code == "unsat" for code in said) else "unknown"


def gap(problem, point: list[float]) -> float:
    """How far beyond what is unsafe the output is over the reals; negative if it is safe."""
    ends = zip(point, problem.low, problem.high, strict=True)
    value = check.exact(rational(problem.layers), [min(max(Fraction(x), low), high) for x, low, high in ends])[0]
    return float(check.beyond(value, problem.unsafe))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=40)
    parser.add_argument("--difficulty", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=30, help="for each question")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", action="append", help="default: all, in turn")
    options = parser.parse_args()
    names, wrong = options.family or list(dc.benchmarks.FAMILIES), 0
    print("| family | disguised | our answer | Marabou | seconds | its input, beyond unsafe by |")
    print("|---|---|---|---|--:|--:|")
    for index in range(options.instances):
        family, answer = names[index % len(names)], ("holds", "fails")[index // len(names) % 2]
        disguised = bool(index // (2 * len(names)) % 2)
        key = jax.random.fold_in(jax.random.key(options.seed), index)
        made = dc.benchmarks.verification(
            family, difficulty=options.difficulty, answer=answer, disguised=disguised, key=key
        )
        with tempfile.TemporaryDirectory() as folder:
            made.save(folder)
            began = time.perf_counter()
            said, point = asked(Path(folder), made.problem, options.seconds)
            spent = time.perf_counter() - began
        found, beyond = verdict(said), "" if point is None else f"{gap(made.problem, point):.3g}"
        expected = "unsat" if answer == "holds" else "sat"
        wrong += found not in (expected, "unknown")
        print(f"| {family} | {disguised} | {answer} | {found} | {spent:.1f} | {beyond} |", flush=True)
    print(f"\n{wrong} disagreements")


if __name__ == "__main__":
    main()
