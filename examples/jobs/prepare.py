"""Runs in the first job: cleans the table, splits it by species and island, sums it up.

argv: the table's path, the directory for the outputs. Standard library only, so that any Python
image will do.
"""

import csv
import json
import pathlib
import sys

table, out = sys.argv[1], pathlib.Path(sys.argv[2])

with open(table, newline="") as source:  # noqa: PTH123 - as short as a job's script may be
    every = list(csv.DictReader(source))
rows = [row for row in every if "NA" not in row.values()]
print(f"{len(rows)} of {len(every)} penguins are complete")


def write(path: pathlib.Path, penguins: list[dict[str, str]]) -> None:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as target:
        writer = csv.DictWriter(target, list(penguins[0]))
        writer.writeheader()
        writer.writerows(penguins)


write(out / "clean", rows)
for species, island in sorted({(row["species"], row["island"]) for row in rows}):
    group = [row for row in rows if (row["species"], row["island"]) == (species, island)]
    write(out / "by_species" / species / f"{island}.csv", group)
    print(f"{species} on {island}: {len(group)}")

mass = [float(row["body_mass_g"]) for row in rows]
summary = {
    "species": sorted({row["species"] for row in rows}),
    "mean_mass_g": sum(mass) / len(mass),
    "heaviest_g": int(max(mass)),
}
(out / "summary").write_text(json.dumps(summary))
(out / "rows").write_text(str(len(rows)))
