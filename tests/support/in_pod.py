"""What a test changes within a pod's process, by environment variables: its clock, its connections.

Python itself finds ``inside_pods/sitecustomize.py`` through PYTHONPATH; nothing of the product
knows of it. It is only for pods that are started in earnest: a fork has been customized already.
"""

import os
from collections.abc import Mapping
from pathlib import Path

INSIDE_PODS = Path(__file__).parent / "inside_pods"

POLICIES = {
    "PERIAN_POLL_MIN_SECONDS": 0.8,
    "PERIAN_POLL_MAX_SECONDS": 20.0,
    "PERIAN_OUTAGE_SECONDS": 1800.0,
}
"""perian-shim's defaults of what can be told to it in seconds."""


def customized(**variables: str) -> dict[str, str]:
    """Return the environment of a pod that is changed as these variables say."""
    return {"PYTHONPATH": str(INSIDE_PODS), **variables}


def skewed(seconds: float) -> dict[str, str]:
    """Return the environment of a pod whose clock is ahead by so much, or behind if negative."""
    return customized(CLOCK_SKEW_SECONDS=str(seconds))


def peak_left(file: Path) -> dict[str, str]:
    """Return the environment of a pod that leaves its peak of memory in a file, in KiB."""
    return customized(PEAK_TO=str(file))


def paced(speed: float, since: float) -> dict[str, str]:
    """Return the environment of a pod whose time passes so many times faster.

    Args:
        speed: seconds of the pod's in a real one.
        since: from when on, in seconds since the epoch.
    """
    return customized(CLOCK_SPEED=str(speed), CLOCK_SINCE=str(since))


def hurried(speed: float, **others: float) -> dict[str, str]:
    """Return perian-shim's policies so many times shorter; others are given in full seconds."""
    wanted = {**POLICIES, **others}
    return {name: f"{seconds / speed:g}" for name, seconds in wanted.items()}


def joined(*environments: Mapping[str, str]) -> dict[str, str]:
    """Return environments as one: the last one wins, but all folders of PYTHONPATH are kept."""
    paths = [each["PYTHONPATH"] for each in environments if each.get("PYTHONPATH")]
    folders = os.pathsep.join(dict.fromkeys(reversed(paths)))
    merged = {name: value for each in environments for name, value in each.items()}
    return {**merged, "PYTHONPATH": folders} if folders else merged
