"""What runs inside a job, where the user's image holds nothing of ours, or not what it should.

The files below are sent with the job request and put side by side in one directory together with
`plan`, which says what to download, run and upload; run.sh's head describes it. They are data here:
nothing in this package is imported by the rest of perian_shim. They need /bin/sh and python3, which
runs stages.py with the other Python files, and nothing else. Without python3, run.sh and the other
shell files need some of coreutils, and one of curl, GNU wget or busybox.
"""

from pathlib import Path

ASSETS = (
    "run.sh",
    "transports.sh",
    "outputs.sh",
    "texts.sh",
    "stages.py",
    "before.py",
    "after.py",
    "plan.py",
    "listing.py",
    "grant.py",
    "grant_text.py",
    "transfer.py",
)
"""Names of the files that a job needs, all of them, in the directory of its plan."""

AGENT_ASSETS = (
    *("agent.py", "agent_child.py", "agent_grants.py", "agent_server.py", "agent_trust.py"),
    *("grant_text.py", "transfer.py"),
)
"""The same for a function task's job: its command is run by agent.py, whose head describes it."""


def read_asset(name: str) -> bytes:
    """The content of one of `ASSETS` or `AGENT_ASSETS`.

    Raises:
        FileNotFoundError: This installation of perian-shim lacks the file.
    """
    return Path(__file__).with_name(name).read_bytes()
