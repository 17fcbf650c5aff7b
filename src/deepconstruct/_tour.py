"""The tour: exact networks are built, certified, run on real input, damaged and retrained."""

import collections
import dataclasses
import json
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import numpy as np

from . import catalog, plot
from ._analysis.cost import cost
from ._certify import Certificate, certify
from ._flint import has_flint
from .constructions import fft, parity
from .experiments import ParityBasin, parity_basin
from .experiments.parity_basin import KINDS
from .plot._matplotlib import is_installed

# What the verdicts of certificates that hold say.
_VERDICTS = {
    "proved": "on the whole domain, in any order of operations",
    "enumerated": "every input was run, here",
    "tested": "drawn inputs were run",
}
# The file check cuts a file into rows of so many bits, and runs so many rows at once.
_ROW, _ROWS = 2**10, 2**12


def tour(out: Path | None, file: Path | None, say: Callable[[str], Any] = print) -> bool:
    """Run all parts, writing tables and figures to the folder `out` if given; whether every certificate holds."""
    say(f"deepconstruct tour, on {jax.devices()[0].device_kind} ({jax.default_backend()})\n")
    table = catalog_table(say)
    file_parity = check_file(file, say)
    sunspots = check_sunspots(say)
    basins = small_basin(say)
    if out is not None:
        _write(out, table, file_parity, sunspots, basins, say)
    failed = [row["name"] for row in table if not row["certified"] or not row["formula_holds"]]
    if failed:
        say(f"FAILED: the claim, its proof, or the theorem's cost: {', '.join(failed)}")
    if not file_parity["agree"] or not sunspots["agree"]:
        say("FAILED: a network disagrees with the plain computation")
    return not failed and file_parity["agree"] and sunspots["agree"]


def catalog_table(say: Callable[[str], Any]) -> list[dict[str, Any]]:
    """Build, count and certify every construction of the catalog."""
    say("1. Every construction of the catalog, built and certified\n")
    named = max(len(name) for name in catalog.ENTRIES) + 1
    what = max(len(entry.summary) for entry in catalog.ENTRIES.values()) + 1
    heads = f"{'name':{named}}{'what':{what}}{'depth':>5} {'neurons':>7} {'synapses':>8} {'theorem':>8}  "
    say(heads + f"{'claimed error':17}{'certificate':58}time    where")
    rows = []
    for name, entry in catalog.ENTRIES.items():
        row = _row(name, entry)
        rows.append(row)
        theorem = "" if row["theorem_synapses"] is None else row["theorem_synapses"]
        say(
            f"{name:{named}}{entry.summary:{what}}{row['depth']:5} {row['neurons']:7} {row['synapses']:8} "
            f"{theorem:>8}  {row['claim']:17}{row['certificate']:57}{row['seconds']:5.2f} s  {row['domain']}"
        )
    say("")
    for verdict, count in collections.Counter(row["verdict"] for row in rows).items():
        say(f"   {count:3} {verdict:10}  {_VERDICTS.get(verdict, '')}".rstrip())
    return rows


def _row(name: str, entry: catalog.Entry) -> dict[str, Any]:
    """One construction of the catalog: what it is, what it costs, and its certificate."""
    began = time.perf_counter()
    construction = entry.build()
    proof, size = certify(construction), cost(construction)
    expected = catalog.row(entry, construction).expected
    return {
        "name": name,
        "size": dict(entry.size),
        "computes": entry.summary,
        "domain": repr(construction.claim.domain),
        **dataclasses.asdict(size),
        "theorem": entry.formula.text if entry.formula else None,
        "theorem_synapses": expected,
        "formula_holds": expected is None or expected == size.synapses,
        "claim": str(construction.claim.error),
        "certificate": str(proof),
        **dataclasses.asdict(proof) | {"name": name},
        "certified": _is_certified(proof),
        "seconds": time.perf_counter() - began,
    }


def _is_certified(proof: Certificate) -> bool:
    """Whether the claim is proved; without python-flint some are tested only."""
    return proof.verdict == "proved" or (proof.holds and not has_flint())


def check_file(file: Path | None, say: Callable[[str], Any]) -> dict[str, Any]:
    """The parity of a file's bits by networks, row by row and in all, and by a plain count."""
    if file is None:
        name, data = "the Gettysburg Address", _record("gettysburg.txt").encode()
    else:
        name, data = str(file), file.read_bytes()
    rows = np.zeros((-(-8 * len(data) // _ROW), _ROW // 8), np.uint8)
    rows.ravel()[: len(data)] = np.frombuffer(data, np.uint8)  # zeros fill the last row: its parity stays
    parities = row_parities(rows)
    counted = np.bitwise_count(rows).sum(axis=1) % 2
    right = int(np.sum(parities == counted))
    computed, count = network_parity(parities), int.from_bytes(data, "big").bit_count() % 2
    agree = computed == count and right == len(rows)
    say(f"\n2. The parity of {name}: {len(data):,} bytes, {8 * len(data):,} bits")
    say(f"   parity({_ROW}) on {len(rows):,} rows: {right:,} agree with a plain count, {int(counted.sum()):,} are odd")
    say(f"   all bits, by network: {computed}   plain count: {count}   {'agree' if agree else 'DISAGREE'}")
    return {
        "file": name,
        "bits": 8 * len(data),
        "rows": len(rows),
        "rows_right": right,
        "network": computed,
        "count": count,
        "agree": agree,
    }


def row_parities(rows: np.ndarray) -> np.ndarray:
    """The parity of every row of packed bits, by one exact network."""
    network = jax.jit(parity(8 * rows.shape[1]).network)
    blocks = (np.unpackbits(rows[i : i + _ROWS], axis=1) for i in range(0, len(rows), _ROWS))
    return np.concatenate([np.zeros(0, np.uint8), *(np.asarray(network(b))[:, 0].astype(np.uint8) for b in blocks)])


def network_parity(bits: np.ndarray) -> int:
    """The parity of any number of bits by exact networks: of rows first, then of their parities."""
    while len(bits) > 1:
        width = min(2 * _ROW, max(8, 1 << (len(bits) - 1).bit_length()))
        rows = np.zeros((-(-len(bits) // width), width), np.uint8)
        rows.ravel()[: len(bits)] = bits
        bits = row_parities(np.packbits(rows, axis=1))
    return int(bits[0]) if len(bits) else 0


def check_sunspots(say: Callable[[str], Any]) -> dict[str, Any]:
    """The spectrum of 256 years of sunspot numbers by the FFT network, against `numpy.fft`."""
    years, values = np.loadtxt(_record("sunspots.csv").splitlines()[3:], delimiter=",", unpack=True)
    construction = fft(256)
    got = np.asarray(construction(values - values.mean()))
    wanted = np.fft.fft(values - values.mean())
    error = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    allowed = construction.claim.error.relative
    power = np.abs(got[:129]) ** 2
    period = len(values) / int(np.argmax(power))
    agree = error <= allowed
    say(f"\n3. Sunspot numbers, {int(years[0])} to {int(years[-1])}, through the FFT of 256 points")
    say(f"   strongest period: {period:.1f} years")
    verdict = "agree" if agree else "DISAGREE"
    say(f"   difference from numpy.fft: {error:.1e} relative, at most {allowed:.1e} claimed: {verdict}")
    return {
        "years": years.tolist(),
        "values": values.tolist(),
        "power": power.tolist(),
        "period": period,
        "error": error,
        "claimed": allowed,
        "agree": agree,
    }


def small_basin(say: Callable[[str], Any]) -> list[ParityBasin]:
    """Perturb and retrain the parity tree of 16 bits, dense and structured."""
    say("\n4. Parity of 16 bits, three-neuron sigmoid XORs, perturbed and retrained (2,000 steps of Adam)\n")
    basins = [parity_basin(kind=kind, key=jax.random.key(0)) for kind in KINDS]
    say(f"   {'noise':>5}  {'dense: untrained -> trained test error, a column a seed':46}  structured: the same")
    for i, scale in enumerate(basins[0].scales):
        cells = []
        for basin in basins:
            runs = zip(basin.untrained[i], basin.trained[i], strict=True)
            cells.append("  ".join(f"{before:.0e} -> {after:.0e}" for before, after in runs))
        say(f"   {scale:5.2f}  {cells[0]:46}  {cells[1]}")
    say("   0.25 is chance. Noise on weights only, scaled by layer fans; a home run has error below 0.01.")
    for basin in basins:
        share = "  ".join(f"{value:.2f}" for value in basin.success())
        say(f"   share of runs that came home, {basin.kind:10}: {share}")
    return basins


def _record(name: str) -> str:
    return resources.files("deepconstruct").joinpath("_records", name).read_text(encoding="utf-8")


def _write(
    out: Path, table: list, file_parity: dict, sunspots: dict, basins: list[ParityBasin], say: Callable[[str], Any]
) -> None:
    tables = {
        "catalog": table,
        "file": file_parity,
        "sunspots": sunspots,
        "basin": [dataclasses.asdict(basin) | {"success": basin.success()} for basin in basins],
    }
    for name, content in tables.items():
        (out / f"{name}.json").write_text(json.dumps(content, indent=1, default=_plain) + "\n")
    written = [f"{name}.json" for name in tables]
    if not is_installed():
        say("\nNo figures: they need matplotlib (pip install 'deepconstruct[plot]')")
    else:
        figures = {
            "parity": plot.network(parity(16)),
            "sunspots": plot.spectrum(
                sunspots["years"], sunspots["values"], np.asarray(sunspots["power"]), peak=sunspots["period"]
            ),
            "basin": plot.basin(basins),
        }
        for name, figure in figures.items():
            figure.savefig(out / f"{name}.png", dpi=150)
        written += [f"{name}.png" for name in figures]
    say(f"\nWritten to {out}: {', '.join(written)}")


def _plain(value: Any) -> Any:
    """What JSON doesn't know: arrays, and complex numbers as pairs."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, complex):
        return [value.real, value.imag]
    raise TypeError(f"can't write {type(value).__name__} as JSON")
