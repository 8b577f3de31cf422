"""A pod's clock may be wrong or fast, and nobody else's is."""

import datetime
import json
import os
import subprocess
import sys
import time

import pytest
from support.in_pod import hurried, joined, paced, skewed
from support.waiting import LONG_SECONDS

LOOK = """
import datetime, email.utils, json, logging, time
from datetime import date, datetime as imported
utc = datetime.timezone.utc
began, began_wall = time.monotonic(), time.time()
time.sleep(30)
print(json.dumps({
    "time": time.time(),
    "ns": time.time_ns() / 1e9,
    "now": datetime.datetime.now(utc).timestamp(),
    "imported": imported.now(utc).timestamp(),
    "utcnow": imported.utcnow().replace(tzinfo=utc).timestamp(),
    "local": imported.now().timestamp(),
    "gmtime": time.mktime(time.localtime()),
    "date": email.utils.parsedate_to_datetime(email.utils.formatdate()).timestamp(),
    "slept": time.monotonic() - began,
    "passed": time.time() - began_wall,
    "made in C": isinstance(imported.now(utc) - datetime.timedelta(1), datetime.datetime),
    "parsed": isinstance(imported.fromisoformat("2026-01-01"), imported),
    "is a date": isinstance(imported.now(), date),
    "no date": isinstance(7, date),
}))
"""

CLOCKS = ("time", "ns", "now", "imported", "utcnow", "local", "gmtime", "date")


def seen_by_a_process(variables: dict[str, str], program: str = LOOK) -> dict[str, float]:
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.defpath, **variables},
        capture_output=True,
        check=True,
        timeout=LONG_SECONDS,
    )
    seen: dict[str, float] = json.loads(ended.stdout)
    return seen


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_every_clock_of_a_pod_is_ahead_or_behind(seconds: int) -> None:
    began = time.time()
    seen = seen_by_a_process(skewed(seconds), LOOK.replace("time.sleep(30)", ""))
    ended = time.time()
    for clock in CLOCKS:
        assert began - 1 <= seen[clock] - seconds <= ended, clock


def test_time_passes_faster_in_a_pod_from_a_moment_on() -> None:
    since = time.time()
    seen = seen_by_a_process(paced(300, since))
    ended = time.time()
    assert seen["slept"] >= 29.9
    assert seen["passed"] >= 29.9
    assert ended - since < 30
    for clock in CLOCKS:
        assert since < seen[clock] <= since + (ended - since) * 300, clock


def test_what_is_a_time_stays_one() -> None:
    seen = seen_by_a_process(skewed(0.0), LOOK.replace("time.sleep(30)", ""))
    assert (seen["made in C"], seen["parsed"], seen["is a date"]) == (True, True, True)
    assert not seen["no date"]


def test_nobody_elses_clock_is_changed() -> None:
    skewed(3600)
    seen = seen_by_a_process({}, LOOK.replace("time.sleep(30)", ""))
    assert abs(seen["time"] - time.time()) < LONG_SECONDS
    assert type(datetime.datetime) is type


def test_policies_are_shortened_alike() -> None:
    assert hurried(10, PERIAN_READ_TIMEOUT_SECONDS=30) == {
        "PERIAN_POLL_MIN_SECONDS": "0.08",
        "PERIAN_POLL_MAX_SECONDS": "2",
        "PERIAN_OUTAGE_SECONDS": "180",
        "PERIAN_READ_TIMEOUT_SECONDS": "3",
    }


def test_environments_are_joined_without_losing_a_folder_of_modules() -> None:
    joint = joined({"PYTHONPATH": "/a", "X": "1"}, {"X": "2"}, {"PYTHONPATH": "/b"})
    assert joint == {"PYTHONPATH": f"/b{os.pathsep}/a", "X": "2"}
