"""What a container's failure is called, from its exit code or from the platform's words."""

import re

from perian_shim.errors import JobFailed, JobKilled

KILLED = 128 + 9
"""Exit code of a process that got SIGKILL."""


def job_failure(job_id: str, reason: str | None, exit_code: int | None = None) -> JobFailed:
    """Return the error for a container that failed.

    Args:
        job_id: Perian's id of the job.
        reason: the platform's words.
        exit_code: of the container; None to look for it in the reason.
    """
    if exit_code is None:
        match = re.search(r"exit\w*\D{0,20}?(\d+)", reason or "", re.IGNORECASE)
        exit_code = int(match[1]) if match else None
    said = f": {reason}" if reason else "."
    if exit_code == KILLED:
        return JobKilled(f"The container of job {job_id} was killed{said}", job_id=job_id)
    if exit_code is not None and not reason:
        said = f": it exited with code {exit_code}."
    return JobFailed(f"The container of job {job_id} failed{said}", job_id=job_id)
