"""Known vulnerabilities are looked for in each version that a lock file pins."""

import subprocess
from pathlib import Path
from typing import Any

import audit
import pytest
import yaml
from support.audit_tools import require_audit_tools
from support.tools import require_tool
from support.waiting import LONG_SECONDS

ROOT = Path(__file__).parent.parent

LOCK = """\
attrs==26.1.0 \\
    --hash=sha256:aa
numpy==1.0 ; python_full_version < '3.11' \\
    --hash=sha256:bb
numpy==2.0 ; python_full_version >= '3.11' \\
    --hash=sha256:cc
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.txt"
    path.write_text(LOCK)
    return path


def test_each_version_is_asked_for_once_for_whichever_python(lock: Path) -> None:
    pinned = audit.pins([lock, lock])
    assert pinned == {
        "attrs": {"26.1.0": {"lock.txt"}},
        "numpy": {v: {"lock.txt"} for v in ("1.0", "2.0")},
    }
    assert list(audit.rounds(pinned)) == ["attrs==26.1.0\nnumpy==2.0\n", "numpy==1.0\n"]


def test_a_finding_says_where_it_is_pinned_and_what_mends_it(lock: Path) -> None:
    found = {"id": "PYSEC-1", "aliases": ["CVE-2"], "fix_versions": ["1.1"]}
    reported: list[dict[str, Any]] = [
        {"name": "numpy", "version": "1.0", "vulns": [found]},
        {"name": "attrs", "version": "26.1.0", "vulns": []},
        {"name": "gone", "skip_reason": "it is not on the index"},
    ]
    assert list(audit.findings(reported, audit.pins([lock]))) == [
        "numpy 1.0 (lock.txt): PYSEC-1 CVE-2, fixed in 1.1",
        "gone: not looked up, it is not on the index",
    ]


def test_every_lock_file_is_among_those_that_are_looked_at() -> None:
    locks = {path for each in audit.LOCKS for path in ROOT.glob(each)}
    hashed = {
        path
        for folder in ("requirements", "benchmarks")
        for path in (ROOT / folder).glob("*.txt")
        if "--hash=" in path.read_text()
    }
    assert hashed == locks


def run(code: str, *before: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, require_audit_tools(), *code.split("\0")],
        cwd=ROOT / "tools",
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG_SECONDS,
    )


@pytest.mark.slow
def test_pip_audit_takes_what_it_is_given_of_the_lock_files() -> None:
    code = """
import audit
locks = [path for each in audit.LOCKS for path in audit.CHECKOUT.glob(each)]
for requirements in audit.rounds(audit.pins(locks)):
    audit.asked(requirements, "--dry-run")
print("taken")
"""
    ended = run(f"-c\0{code}")
    assert ended.stdout == "taken\n", ended.stderr


@pytest.mark.slow
def test_without_a_network_it_says_that_nothing_was_looked_up(lock: Path) -> None:
    apart = (require_tool("unshare"), "--user", "--map-root-user", "--net")
    ended = run(f"audit.py\0{lock}", *apart)
    if "unshare" in ended.stderr.partition("\n")[0]:
        pytest.skip("needs the right to make a network namespace")
    assert ended.returncode == 2, ended.stderr
    assert "nothing was looked up, as the advisory service did not answer" in ended.stderr
    assert "no known vulnerabilities" not in ended.stdout


def test_the_workflow_looks_every_week_and_when_a_lock_file_changes() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/audit.yml").read_text())
    when = workflow[True]  # `on`, as YAML has it
    assert [each["cron"].split()[2:] for each in when["schedule"]] == [["*", "*", "1"]]
    for event in ("push", "pull_request"):
        assert when[event]["paths"] == ["requirements/**", "benchmarks/official.txt"]
    assert workflow["jobs"]["audit"]["steps"][-1] == {"run": "make audit"}
