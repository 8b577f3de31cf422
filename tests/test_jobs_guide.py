"""What the guide to jobs shows can be pasted, and what it says of variables and orphans is so."""

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from support.command import Printed, use_api
from support.recorded_session import IDS, Session, session

from perian_shim import settings
from perian_shim.owners import JobOrigin
from perian_shim.remote import Job
from perian_shim.remote.followers import REPORTING_SECONDS, SILENT_SECONDS

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guides/jobs.md").read_text()

SCRIPT, ABORTING, NOTEBOOK, ORPHANS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)

WHOSE = GUIDE.split("## Whose a job is")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def somebody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Somebody who has jobs."""
    with session(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(autouse=True)
def here(somebody: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process use the jobs' API."""
    use_api(monkeypatch, outage="20")(somebody.api.server.url)


def run(source: str, somebody: Session) -> None:
    """Run an example as a notebook would, of jobs that are there."""
    for real, shown in somebody.shown.items():
        source = source.replace(shown, real)
    code = compile(source, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waits = eval(code, {})
    if inspect.iscoroutine(waits):
        asyncio.run(waits)


def test_a_script_finds_reads_and_waits(somebody: Session, capsys: Printed) -> None:
    run(SCRIPT, somebody)
    found, *log, end = capsys.readouterr().out.splitlines()
    assert found == "segmentation.train n0 2.52 USD"
    assert log[-1] == "epoch 2: loss 0.37"
    assert end == "succeeded True"


def test_a_notebook_awaits_the_same(somebody: Session, capsys: Printed) -> None:
    run(NOTEBOOK, somebody)
    assert capsys.readouterr().out.splitlines() == [
        "n1 UserError",
        "n0 Done",
        "epoch 2: loss 0.37",
        "2.52 USD container exited with code 1",
    ]


def test_orphans_are_told_by_evidence(
    somebody: Session, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody.serve()  # with it there is an object store
    stores = {name: value for name, value in somebody.environ.items() if "AWS" in name}
    for name, value in {**stores, **somebody.admin.environment()}.items():
        monkeypatch.setenv(name, value)
    run(ORPHANS, somebody)
    forgotten = somebody.real("forgotten")
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith(forgotten)]
    assert told == [f"{forgotten} orphan execution c9d4h7vz1p is ABORTED"]


def test_a_script_ends_jobs(somebody: Session, capsys: Printed) -> None:
    run(ABORTING, somebody)
    assert capsys.readouterr().out.splitlines() == ["ended b3k8w5tr2n Cancelled"]


def test_every_part_of_an_origin_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", WHOSE, re.MULTILINE)
    listed = {name for row in rows[1:] for name in re.findall(r"`(\w+)`", row)}
    assert listed == {each.name for each in fields(JobOrigin)}


def test_every_variable_in_the_table_is_one_that_is_read() -> None:
    named = set(re.findall(r"`((?:PERIAN_SHIM|FLYTE)_\w+)`", WHOSE))
    assert named == {
        settings.EXECUTION_PROJECT,
        settings.EXECUTION_DOMAIN,
        settings.EXECUTION_ID,
        settings.TASK_NAME,
        settings.TASK_VERSION,
        settings.ATTEMPT_NUMBER,
        settings.JOB_NODE,
        settings.JOB_POD,
        settings.JOB_OWNER,
        settings.JOB_KEY,
        settings.JOB_RECORDS,
        settings.JOB_OUTPUT,
    }


def test_every_method_named_is_one() -> None:
    named = set(re.findall(r"`(?:job|Job)\.(\w+)", GUIDE)) - {"origin"}
    assert named
    assert all(hasattr(Job, name) for name in named)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"seconds ({SILENT_SECONDS:.0f})" in GUIDE
    assert "five minutes ago" in GUIDE
    assert REPORTING_SECONDS == 300


def test_the_jobs_shown_are_those_of_the_recorded_session() -> None:
    shown = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", GUIDE))
    assert shown <= set(IDS.values())


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / "docs/guides" / target).exists()
