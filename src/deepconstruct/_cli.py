"""The command line: `deepconstruct tour`, `list` and `certify`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from . import __version__, catalog
from ._analysis.cost import cost
from ._certify import certify
from ._tour import tour


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 1 for a failed certificate, 2 for bad usage."""
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

    check = commands.add_parser("certify", help="build one construction and certify it")
    check.add_argument("name", help="a name from 'deepconstruct list'")
    check.add_argument("--size", type=int, help="its size (default: the catalog's)")
    check.add_argument("--dtype", help="such as float64 or complex128 (default: 32 bits)")
    check.add_argument("--method", default="auto", help="auto, exhaustive, basis or sampling")
    check.set_defaults(run=_certify)
    return parser


def _tour(options: argparse.Namespace) -> int:
    if options.file is not None and not options.file.is_file():
        raise ValueError(f"tour: no such file: {options.file}")
    return 0 if tour(options.out, options.file) else 1


def _list(options: argparse.Namespace) -> int:
    for name, entry in catalog.ENTRIES.items():
        theorem = f"synapses: {entry.formula[0]}" if entry.formula else ""
        print(f"{name:26}{entry.summary:58} {theorem}".rstrip())
    return 0


def _certify(options: argparse.Namespace) -> int:
    if options.dtype in ("float64", "complex128"):
        jax.config.update("jax_enable_x64", True)
    construction = catalog.build(options.name, options.size, dtype=options.dtype)
    certificate = certify(construction, method=options.method)
    print(construction)
    print(cost(construction))
    print(f"claimed: {construction.claim.error}")
    print(certificate)
    return 0 if certificate.holds else 1
