"""The floor: the least that a flytekit shim for a job platform can do.

It submits one job, polls it at perian-shim's default pauses and returns a constant. It knows no
storage, no idempotency, no logs and no errors: whatever perian-shim takes more than this is its own
doing. This file is copied into the executors' environment and imported there; times are seconds.
"""

import os
import random
import time
from typing import Any

import requests
from flytekit.core.shim_task import ShimTaskExecutor
from flytekit.models.task import TaskTemplate

ANSWER = "done"
SHORTEST, LONGEST, SHARE, JITTER = 2.0, 20.0, 0.05, 0.2


class FloorExecutor(ShimTaskExecutor[Any]):
    """Submits one job, waits for it, returns a constant."""

    def execute_from_model(self, tt: TaskTemplate, **_inputs: object) -> str:
        """Run the job that ``custom`` holds.

        Raises:
            RuntimeError: the job did not end well.
        """
        url = os.environ["PERIAN_API_URL"] + "/job"
        headers = {
            "X-PERIAN-AUTH-ORG": os.environ["PERIAN_ORGANIZATION"],
            "Authorization": f"Bearer {os.environ['PERIAN_TOKEN']}",
        }
        answer = requests.post(url, json=tt.custom["job"], headers=headers, timeout=30)
        answer.raise_for_status()
        job = f"{url}/{answer.json()['id']}"
        status, changed = "", time.monotonic()
        while True:
            now = requests.get(job, headers=headers, timeout=30).json()["jobs"][0]["status"]
            if now == "Done":
                return ANSWER
            if now not in {"Queued", "Initializing", "Running"}:
                raise RuntimeError(f"{job} is {now}")
            if now != status:
                status, changed = now, time.monotonic()
            calm = min(LONGEST, max(SHORTEST, SHARE * (time.monotonic() - changed)))
            time.sleep(calm * random.uniform(1 - JITTER, 1 + JITTER))
