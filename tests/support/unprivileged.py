"""Run a job as an ordinary user: ``unprivileged.py <package folder> <state> <command> [image]``.

It needs nothing but the standard library, for the tests' own Python may be out of that user's
reach. Prints one JSON object.
"""

import json
import sys
import time
import types
from pathlib import Path

DEADLINE_SECONDS = 60.0


def main(package: Path, state: Path, command: str, image_root: str) -> None:
    for name, folder in (("perian_shim", package.parent), ("perian_shim.sandbox", package)):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
    from perian_shim.sandbox.records import ContainerFile, Execution  # noqa: PLC0415
    from perian_shim.sandbox.server.store import JobStore  # noqa: PLC0415
    from perian_shim.sandbox.supervisor.isolation import choose_isolation  # noqa: PLC0415

    choice = choose_isolation(state)
    store = JobStore(state / "jobs")
    files = (ContainerFile("/perian-shim/plan", b"planned\n"),)
    execution = Execution(
        choice.mode.value, "image", command, image_root=image_root, files=files, environment={}
    )
    job_id = store.create({}, execution)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        snapshot = store.get(job_id)
        assert snapshot is not None
        if snapshot.state.final or time.monotonic() > deadline:  # bounded by the deadline
            break
        time.sleep(0.05)
    store.cancel_all()
    print(
        json.dumps(
            {
                "statement": choice.statement,
                "status": snapshot.state.status.value,
                "errors": snapshot.state.errors,
                "log": snapshot.log,
                "left": store.folder(job_id).workspace.exists(),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4])
