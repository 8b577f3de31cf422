"""What a task's definition costs: importing flytekit, and flytekit with perian-shim's tasks."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.records import FLOOR, OURS_FLYTEKIT

IMPORTS = {
    FLOOR: "import flytekit",
    OURS_FLYTEKIT: "import flytekit, perian_shim; perian_shim.PerianTask, perian_shim.PerianConfig,"
    " perian_shim.PerianContainerTask",
}
"""Programs by whose column they belong to."""

PRINT_CPU = "; import time; print(time.process_time())"
LONG_SECONDS = 120.0


def import_seconds(python: Path, repetitions: int) -> Mapping[str, list[float]]:
    """Return the CPU seconds of a Python that imports, by contender, taken in turns.

    Args:
        python: of an environment with flytekit and perian-shim.
        repetitions: how often.
    """
    found: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(repetitions):
        for name, program in IMPORTS.items():
            command = [str(python), "-c", program + PRINT_CPU]
            ended = subprocess.run(
                command, check=True, capture_output=True, text=True, timeout=LONG_SECONDS
            )
            found[name].append(float(ended.stdout))
    return found
