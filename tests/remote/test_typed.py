"""Handles are typed: what a script gets is known to mypy, awaited or not."""

import re
from pathlib import Path

import pytest
from mypy import api as mypy

pytestmark = pytest.mark.thorough

SCRIPT = """
from datetime import timedelta

from perian_shim.remote import Job, Phase


def plain() -> None:
    job = Job.get("j")
    reveal_type(job)
    reveal_type(job.phase)
    reveal_type(job.cost)
    reveal_type(job.origin)
    reveal_type(job.wait(quiet=True, wait_for="running", timeout=3.0))
    reveal_type(job.abort("why"))
    reveal_type(next(job.logs(follow=True)))
    reveal_type(job.outputs())
    for each in Job.listall(in_phase=Phase.RUNNING, since=timedelta(hours=1), limit=5):
        reveal_type(each)


async def awaited() -> None:
    job = await Job.get.aio("j")
    reveal_type(job)
    async for line in job.logs.aio(tail=3):
        reveal_type(line)
    async for each in Job.listall.aio(owner="me"):
        reveal_type(each)
    reveal_type(await job.abort.aio())
"""

REVEALED = [
    "Job",
    "Phase",
    "Cost | None",
    "JobOrigin | None",
    "Job",
    "bool",
    "str",
    "dict[str, Any]",
    "Job",
    "Job",
    "str",
    "Job",
    "bool",
]

WRONG = """
from perian_shim.remote import Job

Job.get(3)
Job.get("j").wait(wait_for="paused")
Job.get("j").abort(timeout="long")
next(Job.listall(owners="me"))
"""


def checked(folder: Path, script: str) -> list[str]:
    """Return what mypy says of a script, strictly."""
    path = folder / "script.py"
    path.write_text(script)
    said, _, _ = mypy.run(["--strict", "--cache-dir", str(folder / "cache"), str(path)])
    return said.splitlines()


@pytest.mark.slow
def test_a_script_is_told_what_it_gets(tmp_path: Path) -> None:
    lines = checked(tmp_path, SCRIPT)
    found = re.findall(r'Revealed type is "(.*)"', "\n".join(lines))
    assert [re.sub(r"\b(\w+\.)+", "", each) for each in found] == REVEALED, lines
    assert not [line for line in lines if " error: " in line]


@pytest.mark.slow
def test_a_script_is_told_what_is_wrong(tmp_path: Path) -> None:
    errors = [line for line in checked(tmp_path, WRONG) if " error: " in line]
    assert [int(error.split(":")[1]) for error in errors] == [4, 5, 6, 7], errors
