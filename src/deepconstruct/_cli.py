"""The command line: `deepconstruct tour`, `list`, `certify`, `check`, `reproduce` and `benchmark`."""

import argparse
import ast
import contextlib
import dataclasses
import itertools
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from . import __version__, benchmarks, catalog
from ._analysis.cost import cost
from ._certify import METHODS, certify
from ._certify.check import main as check_files
from ._checks import check_choice, hint
from ._reproduce import EXPERIMENTS, reproduce, settings_of
from ._tour import tour
from .benchmarks.check import main as check_folders
from .construction.entry import shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 for a failed certificate, 2 for bad usage, 130 if interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, TypeError, OSError, MemoryError, jax.errors.JaxRuntimeError) as error:
        print(f"deepconstruct: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deepconstruct", description="Constructive neural networks, certified.")
    parser.add_argument("--version", action="version", version=f"deepconstruct {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    walk = commands.add_parser("tour", help="build, certify, run on real input, damage and retrain; about a minute")
    walk.add_argument("--file", type=Path, help="a file whose bits' parity is taken (default: a text that is shipped)")
    walk.add_argument("--out", type=Path, default=Path("tour"), help="folder for tables and figures (default: ./tour)")
    walk.set_defaults(run=_tour)

    show = commands.add_parser("list", help="the catalog of constructions")
    show.set_defaults(run=_list)

    for add in (_add_certify, _add_check, _add_reproduce, _add_benchmark):
        add(commands)
    return parser


def _add_certify(commands: Any) -> None:
    check = commands.add_parser("certify", help="build constructions and certify them")
    check.add_argument(
        "name", nargs="?", type=lambda name: name.replace("-", "_"), help="a name from 'deepconstruct list'"
    )
    check.add_argument("--all", action="store_true", help="the whole catalog instead, in 32 and in 64 bits")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument("--size", help="its leading argument, such as n (default: the catalog's)")
    check.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any argument of its builder, such as n=8; as often as you like",
    )
    check.add_argument("--dtype", help="such as float64 or complex128 (default: 32 bits; of --all both)")
    check.add_argument("--method", default="auto", help=f"auto, {', '.join(method.name for method in METHODS)}")
    check.set_defaults(run=_certify)


def _add_check(commands: Any) -> None:
    recheck = commands.add_parser("check", help="recheck certificates of files with Python's standard library alone")
    recheck.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="what dc.save(path, construction, certificate) wrote, or a folder of 'deepconstruct benchmark'",
    )
    recheck.add_argument("--witnesses", type=Path, help="the folder of witnesses, for folders of 'benchmark'")
    recheck.set_defaults(run=_check)


def _add_reproduce(commands: Any) -> None:
    again = commands.add_parser("reproduce", help="a figure of a paper, with its data and a report")
    again.add_argument("name", type=_experiment, help=f"which: {', '.join(sorted(EXPERIMENTS))}", metavar="NAME")
    again.add_argument("--full", action="store_true", help="the source's own sizes, for accelerators")
    again.add_argument("--out", type=Path, help="folder for figure, data and report (default: ./NAME)")
    again.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a setting, such as seeds=32; an unknown one lists them all",
    )
    again.set_defaults(run=_reproduce)


def _add_benchmark(commands: Any) -> None:
    made = commands.add_parser("benchmark", help="instances for verifiers, with answers that are proved")
    made.add_argument("kind", choices=("verification",), help="what: verification")
    made.add_argument("--out", type=Path, required=True, help="folder for the instances and their list")
    made.add_argument("--instances", type=int, default=50, help="how many (default: 50)")
    made.add_argument("--seed", type=int, default=0, help="all follows from it; keep it as secret as the witnesses")
    made.add_argument(
        "--family", action="append", help="one of parity, fractal, circuit, polynomial, pair; as often as you like"
    )
    made.add_argument("--difficulty", action="append", type=int, help="as often as you like (default: 1, 2 and 3)")
    made.add_argument("--timeout", type=int, default=300, help="seconds an instance, in instances.csv (default: 300)")
    made.add_argument("--witnesses", type=Path, help="folder for the witnesses; without it none are written")
    made.add_argument("--c", action="store_true", help="C with the property as assertions too")
    made.set_defaults(run=_benchmark)


def _experiment(name: str) -> str:
    """The name of an experiment, with hyphens or underscores."""
    found = name.replace("_", "-")
    if found not in EXPERIMENTS:
        known = ", ".join(sorted(EXPERIMENTS))
        raise argparse.ArgumentTypeError(f"no experiment {name!r}; known are {known}{hint(found, EXPERIMENTS)}")
    return found


def _tour(options: argparse.Namespace) -> int:
    if options.file is not None and not options.file.is_file():
        raise ValueError(f"tour: no such file: {options.file}")
    return 0 if tour(_made("tour", options.out), options.file) else 1


def _list(options: argparse.Namespace) -> int:
    for name, entry in catalog.ENTRIES.items():
        theorem = f"synapses: {entry.formula.text}" if entry.formula else ""
        print(f"{name:26}{entry.summary:60}{shown(entry.size):14} {theorem}".rstrip())
    return 0


def _certify(options: argparse.Namespace) -> int:
    if options.all != (options.name is None):
        raise ValueError("certify: give the name of a construction, or --all for every one")
    return _certify_all(options) if options.all else _certify_one(options)


def _certify_one(options: argparse.Namespace) -> int:
    if options.dtype in ("float64", "complex128"):
        jax.config.update("jax_enable_x64", True)
    construction = catalog.build(options.name, _size(options), dtype=options.dtype)
    certificate = certify(construction, method=options.method)
    if options.json:
        print(json.dumps(_plain(certificate), indent=1))
        return 0 if certificate.holds else 1
    print(construction)
    print(cost(construction))
    print(f"claimed: {construction.claim.error}")
    print(certificate)
    return 0 if certificate.holds else 1


def _certify_all(options: argparse.Namespace) -> int:
    """Print a row as soon as it is there."""
    if options.size is not None or options.set or options.method != "auto":
        raise ValueError(
            "certify: --all takes every construction as the catalog shows it; drop --size, --set, --method"
        )
    jax.config.update("jax_enable_x64", True)
    both = ("float32", "float64")
    dtypes = both if options.dtype is None else (check_choice("certify", "--dtype", options.dtype, both),)
    form = "{name:26}{size:14}{dtype:11}{verdict:11}{method:12}{covers:18}{found:>18}{claimed:>18}{seconds:>8}"
    if not options.json:
        print(form.format(**{field.name: field.name for field in dataclasses.fields(catalog.Verdict)}))
    rows = []
    for entry, dtype in itertools.product(catalog.ENTRIES.values(), dtypes):
        rows.append(dataclasses.asdict(catalog.verdict(entry, entry.dtype(double=dtype == "float64"))))
        if not options.json:
            print(form.format(**{**rows[-1], "seconds": f"{rows[-1]['seconds']:.2f}"}), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
    return 1 if any(row["verdict"] in ("refuted", "undecided") for row in rows) else 0


def _plain(value: Any) -> Any:
    """A certificate as JSON takes it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, int | float | str | bool | None):
        return value if not isinstance(value, float) or math.isfinite(value) else str(value)
    return str(value)


def _size(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of the builder that `--size` and `--set` give."""
    leading = next(iter(catalog.get(options.name).size))
    first = {} if options.size is None else {leading: _value(options.size)}
    return first | dict(_change("certify", text, "n=8") for text in options.set)


def _reproduce(options: argparse.Namespace) -> int:
    _use_all_cores()
    experiment = EXPERIMENTS[options.name]
    changes = dict(_change("reproduce", text, "seeds=32") for text in options.set)
    settings = settings_of(experiment, full=options.full, changes=changes)
    folder = _made("reproduce", Path(experiment.name) if options.out is None else options.out)
    try:
        print(reproduce(experiment, settings, folder))
    except KeyboardInterrupt:
        print(f"deepconstruct: interrupted; the same command goes on from what is in {folder}", file=sys.stderr)
        return 130
    print(f"Written to {folder}: report.md, figure.png and data.json")
    return 0


def _check(options: argparse.Namespace) -> int:
    folders = [path for path in options.files if path.is_dir()]
    files = [path for path in options.files if not path.is_dir()]
    found = [check_files(files)] if files else []
    found += [check_folders(folders, options.witnesses)] if folders else []
    return max(found)


def _benchmark(options: argparse.Namespace) -> int:
    names = benchmarks.verification_set(
        _made("benchmark", options.out),
        instances=options.instances,
        seed=options.seed,
        families=options.family or tuple(benchmarks.FAMILIES),
        difficulties=options.difficulty or (1, 2, 3),
        witnesses=options.witnesses,
        in_c=options.c,
        timeout=options.timeout,
    )
    print(f"Written to {options.out}: {len(names)} instances, and instances.csv")
    return 0


def _made(command: str, folder: Path) -> Path:
    """Make a folder, before the work that it is to hold."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{command}: --out must be a folder that can be made: {error}") from None
    return folder


def _change(command: str, text: str, example: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{command}: --set takes NAME=VALUE, such as {example}; got {text!r}")
    return name, _value(value)


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _use_all_cores() -> None:
    """Make every CPU core a device, unless the user has chosen, or JAX has started already."""
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", os.cpu_count())
