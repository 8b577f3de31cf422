"""The newest jobs out of a listing of any length and order."""

import datetime
import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.command import Use
from support.front import Behaviour, Received
from support.listings import foreign

from perian_shim.remote import Job, init
from perian_shim.settings import JOB_KEY

NOW = datetime.datetime.now(datetime.timezone.utc)

View = dict[str, Any]

Answers = Callable[[Received], Behaviour]


def jobs(number: int, **environment: str) -> list[View]:
    """Return so many jobs, the newest first, a minute apart."""
    found = []
    for index in range(number):
        view: View = foreign(NOW - datetime.timedelta(minutes=index), log_bytes=1000)
        parameters = view["docker_metadata"]["docker_run_parameters"]
        parameters["env_variables"] = {JOB_KEY: f"key {index}", **environment}
        found.append(view)
    return found


def listing(views: Sequence[View], *, fails: Callable[[int, int], bool] | None = None) -> Answers:
    """Answer with pages of these."""

    @cache
    def body(page: int, limit: int) -> bytes:
        pages = math.ceil(len(views) / limit)
        pagination = {
            "current_page": page,
            "total_pages": pages,
            "next_page": page + 1 if page < pages else None,
            "total_items": len(views),
        }
        part = views[(page - 1) * limit : page * limit]
        return json.dumps({"jobs": part, "pagination": pagination}).encode()

    def answer(request: Received) -> Behaviour:
        page, limit = int(request.query["page"]), int(request.query["limit"])
        if fails is not None and fails(page, limit):
            return reply(504)
        return reply(200, body(page, limit), {"Content-Type": "application/json"})

    return answer


def ids(views: Sequence[View]) -> list[str]:
    return [view["id"] for view in views]


def found(use: Use, answers: Answers, **which: Any) -> tuple[list[str], int]:
    """Return the ids of the jobs that are listed, and how many requests that took."""
    with FaultyServer(by_request(answers)) as server:
        use(server.url)
        init()
        listed = [job.id for job in Job.listall(**which)]
        return listed, len(server.requests)


def test_of_a_listing_that_is_the_newest_first_no_more_is_read_than_needed(use: Use) -> None:
    views = jobs(1000)
    assert found(use, listing(views), limit=25) == (ids(views[:25]), 1)
    assert found(use, listing(views), limit=150) == (ids(views[:150]), 2)


def test_what_is_too_old_is_not_read(use: Use) -> None:
    views = jobs(1000)
    since = NOW - datetime.timedelta(minutes=30, seconds=1)
    assert found(use, listing(views), since=since, limit=None) == (ids(views[:31]), 1)


def test_a_listing_in_another_order_is_read_to_its_end(use: Use) -> None:
    views = jobs(300)
    oldest_first = views[::-1]
    assert found(use, listing(oldest_first), limit=3) == (ids(views[:3]), 3)
    late = [*views[1:200], views[0], *views[200:]]
    newest, requests = found(use, listing(late), limit=250)
    assert (newest, requests) == (ids(views[:250]), 3)


def test_jobs_without_a_time_prove_no_order(use: Use) -> None:
    views = jobs(300)
    for view in views[1:]:
        view["created_at"] = None
    listed, requests = found(use, listing(views), limit=1)
    assert (listed, requests) == (ids(views[:1]), 3)


def test_jobs_of_one_moment_prove_no_order(use: Use) -> None:
    views = jobs(300)
    for view in views[:200]:
        view["created_at"] = NOW.isoformat()
    _, requests = found(use, listing(views), limit=1)
    assert requests == 3


def test_a_job_that_few_are_like_is_found_wherever_it_is(use: Use) -> None:
    views = jobs(300)
    assert found(use, listing(views), key="key 299", limit=1)[0] == [views[299]["id"]]


def test_a_page_that_cannot_be_had_is_asked_for_in_smaller_ones(use: Use) -> None:
    views = jobs(120)
    too_big = listing(views, fails=lambda _, limit: limit > 30)
    assert found(use, too_big, limit=None)[0] == ids(views)


PROGRAM = """
import re, sys, time
from pathlib import Path
from perian_shim.remote import Job, init

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

init("acme", "token", sys.argv[1])
next(Job.listall(limit=1))
before, began = peak(), time.process_time()
number = len(list(Job.listall(owner="nobody", limit=25)))
print(number, (peak() - before) // 1024, time.process_time() - began)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_organization_with_5000_jobs_takes_seconds_and_little_memory() -> None:
    with FaultyServer(by_request(listing(jobs(5000)))) as server:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, server.url],
            capture_output=True,
            check=False,
            env={"NO_PROXY": "*"},
            text=True,
            timeout=120,
        )
        assert len(server.requests) == 51
    assert ended.returncode == 0, ended.stderr
    number, grown, seconds = ended.stdout.split()
    assert int(number) == 0
    assert int(grown) < 8, "megabytes"
    assert float(seconds) < 10, "seconds of a processor that others use too"
