"""Write the table of constructions into README.md: `python docs/make_tables.py`."""

from pathlib import Path

import deepconstruct as dc

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- catalog: begin -->", "<!-- catalog: end -->"
DTYPES = {"real": "float32", "complex": "complex64"}


def catalog() -> str:
    """The catalog as a Markdown table, in 32 bits, whatever JAX's default is."""
    rows = [
        "| name | computes | n | depth | neurons | synapses | theorem: synapses | error claimed |",
        "|---|---|--:|--:|--:|--:|---|---|",
    ]
    for name, entry in dc.catalog.ENTRIES.items():
        construction = dc.catalog.build(name, dtype=DTYPES[entry.kind])
        cost = dc.cost(construction)
        formula = f"`{entry.formula[0]}`" if entry.formula else ""
        cells = (
            f"`{name}`", entry.summary, entry.size, cost.depth, cost.neurons, f"{cost.synapses:,}",
            formula, construction.claim.error,
        )  # fmt: skip
        rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(rows)


def with_catalog(text: str) -> str:
    """`text` with what stands between the markers replaced by the table."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{catalog()}\n\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_catalog(README.read_text(encoding="utf-8")), encoding="utf-8")
