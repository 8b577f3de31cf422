"""Runs in the second job: predicts body mass from flipper length, over all and per species.

argv: the input directory, the directory for the outputs. Standard library only.
"""

import csv
import json
import pathlib
import statistics
import sys

inputs, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
summary = json.loads((inputs / "summary").read_text())
expected = int((inputs / "rows").read_text())


def read(path: pathlib.Path) -> list[tuple[float, float]]:
    """Read pairs of flipper length and body mass."""
    with path.open(newline="") as source:
        return [
            (float(row["flipper_length_mm"]), float(row["body_mass_g"]))
            for row in csv.DictReader(source)
        ]


def fit(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Return slope, intercept and the root mean square error of a line."""
    lengths, masses = zip(*pairs)  # noqa: B905 - Python 3.9 images lack strict=
    mean_l, mean_m = statistics.fmean(lengths), statistics.fmean(masses)
    slope = sum((length - mean_l) * (mass - mean_m) for length, mass in pairs) / sum(
        (length - mean_l) ** 2 for length in lengths
    )
    base = mean_m - slope * mean_l
    error = statistics.fmean((mass - base - slope * length) ** 2 for length, mass in pairs) ** 0.5
    return slope, base, error


pairs = read(inputs / "clean")
if len(pairs) != expected:
    (out / "_ERROR").write_text(f"expected {expected} penguins, got {len(pairs)}")
    sys.exit(1)
slope, base, error = fit(pairs)
lines = [
    f"# Body mass of {len(pairs)} penguins, {summary['mean_mass_g']:.0f} g on average",
    f"all: {base:.0f} g + {slope:.1f} g/mm x flipper, off by {error:.0f} g",
]
for folder in sorted((inputs / "by_species").iterdir()):
    group = [pair for path in sorted(folder.rglob("*.csv")) for pair in read(path)]
    slope, base, group_error = fit(group)
    lines.append(
        f"{folder.name}: {base:.0f} g + {slope:.1f} g/mm x flipper, off by {group_error:.0f} g"
    )
print("\n".join(lines))
(out / "report").write_text("\n".join(lines) + "\n")
(out / "error_g").write_text(repr(error))
