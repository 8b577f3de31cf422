"""The penguins with Flyte 2: two container tasks, a function on Perian, and what calls them.

On an embedded Perian, with everything that a Flyte backend would do:

    perian-shim run examples/flyte2/penguins.py penguins --csv examples/data/penguins.csv
"""

from dataclasses import dataclass
from pathlib import Path

import flyte
from flyte.io import Dir, File

from perian_shim.flyte2 import PerianConfig, PerianContainerTask

JOBS = Path(__file__).parent.parent / "jobs"
IMAGE = "python:3.12-slim"


@dataclass
class Summary:
    """The table in a few numbers."""

    species: list[str]
    mean_mass_g: float
    heaviest_g: int


def script(name: str) -> str:
    """Return the text of a script; of none in a function's job, where this file is alone."""
    file = JOBS / name
    return file.read_text() if file.exists() else "pass"


prepare = PerianContainerTask(
    name="penguins.prepare",
    plugin_config=PerianConfig(country_code="DE"),
    resources=flyte.Resources(cpu=2, memory="4Gi"),
    image=IMAGE,
    command=["python3", "-c", script("prepare.py")],
    arguments=["/var/inputs/table", "/var/outputs"],
    inputs={"table": File},
    outputs={"clean": File, "by_species": Dir, "rows": int, "summary": Summary},
)

fit = PerianContainerTask(
    name="penguins.fit",
    plugin_config=PerianConfig(),
    resources=flyte.Resources(cpu=4, memory="8Gi", gpu="T4:1"),
    image=IMAGE,
    command=["python3", "-c", script("fit.py")],
    arguments=["/var/inputs", "/var/outputs"],
    inputs={"clean": File, "by_species": Dir, "rows": int, "summary": Summary},
    outputs={"report": File, "error_g": float},
    retries=1,
    timeout=600,
)

containers = flyte.TaskEnvironment.from_task("containers", prepare, fit)
functions = flyte.TaskEnvironment(
    name="functions",
    image="registry.example.org/team/penguins:1",
    plugin_config=PerianConfig(cores=1),
)
driver = flyte.TaskEnvironment(
    name="driver", image="registry.example.org/team/penguins:1", depends_on=[containers, functions]
)


@functions.task
def share(summary: Summary) -> float:
    """Return by how much the heaviest penguin is above the mean."""
    return summary.heaviest_g / summary.mean_mass_g - 1


@driver.task
async def penguins(csv: File) -> tuple[int, Summary, File, float, float]:
    """Clean a table of penguins, then predict their mass from the length of their flippers."""
    clean, by_species, rows, summary = await prepare(table=csv)
    report, error_g = await fit(clean=clean, by_species=by_species, rows=rows, summary=summary)
    return rows, summary, report, error_g, await share.aio(summary)
