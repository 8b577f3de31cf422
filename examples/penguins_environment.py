"""The penguins with environments: what tasks share is said once.

On an embedded Perian, with everything that a Flyte cluster would do:

    perian-shim run examples/penguins_environment.py penguins --csv examples/data/penguins.csv
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from flytekit import workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

from perian_shim import PerianEnvironment, Resources, Timeout

JOBS = Path(__file__).parent / "jobs"

cpus = PerianEnvironment(
    "birds",
    image="python:3.12-slim",
    resources=Resources(cpu=2, mem="4Gi"),
    country_code="DE",
)
gpus = cpus.clone_with(
    "birds",
    resources=Resources(cpu=4, mem="8Gi", gpu="T4:1"),
    country_code=None,
    retries=1,
    timeout=Timeout(max_runtime=600),
)


@dataclass
class Summary:
    """The table in a few numbers."""

    species: list[str]
    mean_mass_g: float
    heaviest_g: int


prepare = cpus.container_task(
    "prepare",
    command=["python3", "-c", (JOBS / "prepare.py").read_text()],
    arguments=["/var/inputs/table", "/var/outputs"],
    inputs={"table": FlyteFile},
    outputs={"clean": FlyteFile, "by_species": FlyteDirectory, "rows": int, "summary": Summary},
)

fit = gpus.container_task(
    "fit",
    command=["python3", "-c", (JOBS / "fit.py").read_text()],
    arguments=["/var/inputs", "/var/outputs"],
    inputs={"clean": FlyteFile, "by_species": FlyteDirectory, "rows": int, "summary": Summary},
    outputs={"report": FlyteFile, "error_g": float},
)


class Prediction(NamedTuple):
    """What the workflow returns."""

    rows: int
    summary: Summary
    report: FlyteFile
    error_g: float


@workflow
def penguins(csv: FlyteFile) -> Prediction:
    """Clean a table of penguins, then predict their mass from the length of their flippers."""
    clean, by_species, rows, summary = prepare(table=csv)
    report, error_g = fit(clean=clean, by_species=by_species, rows=rows, summary=summary)
    return Prediction(rows, summary, report, error_g)
