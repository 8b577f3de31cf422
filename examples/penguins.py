"""Two container tasks on Perian: the first leaves files, the second works on them.

On an embedded Perian, with everything that a Flyte cluster would do (`make demo` does the same):

    perian-shim run examples/penguins.py penguins --csv examples/data/penguins.csv

By hand, in two terminals (the first prints what to export in the second):

    perian-shim sandbox
    pyflyte run --raw-output-data-prefix s3://perian-sandbox/runs \
        examples/penguins.py penguins --csv examples/data/penguins.csv
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from flytekit import workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

from perian_shim import PerianConfig, PerianContainerTask

JOBS = Path(__file__).parent / "jobs"
IMAGE = "python:3.12-slim"


@dataclass
class Summary:
    """The table in a few numbers."""

    species: list[str]
    mean_mass_g: float
    heaviest_g: int


prepare = PerianContainerTask(
    name="penguins.prepare",
    task_config=PerianConfig(cores=2, memory=4, country_code="DE"),
    image=IMAGE,
    command=["python3", "-c", (JOBS / "prepare.py").read_text()],
    arguments=["/var/inputs/table", "/var/outputs"],
    inputs={"table": FlyteFile},
    outputs={"clean": FlyteFile, "by_species": FlyteDirectory, "rows": int, "summary": Summary},
)

fit = PerianContainerTask(
    name="penguins.fit",
    task_config=PerianConfig(cores=4, memory="8Gi", accelerators=1, accelerator_type="T4"),
    image=IMAGE,
    command=["python3", "-c", (JOBS / "fit.py").read_text()],
    arguments=["/var/inputs", "/var/outputs"],
    inputs={"clean": FlyteFile, "by_species": FlyteDirectory, "rows": int, "summary": Summary},
    outputs={"report": FlyteFile, "error_g": float},
    retries=1,
    timeout=600,
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
