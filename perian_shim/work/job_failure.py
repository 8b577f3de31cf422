"""What a container's failure is called, from its exit code or from the platform's words."""

import re

from perian_shim.api.server_text import NOT_STARTED
from perian_shim.errors import JobFailed, JobKilled, JobUnsuitable, TransferFailed

KILLED = {128 + 9, 256 - 9}
"""Exit codes of a process that got SIGKILL: a shell's, and that of ``pyflyte-fast-execute``, which
ends with what Python says of its child, -9."""


def job_failure(
    job_id: str, reason: str | None, exit_code: int | None = None
) -> JobFailed | JobUnsuitable:
    """Return the error for a container that failed, or could not even be started.

    Args:
        job_id: Perian's id of the job.
        reason: the platform's words.
        exit_code: of the container; None to look for it in the reason.
    """
    if exit_code is None and NOT_STARTED.search(reason or ""):
        return not_started(job_id, reason or "")
    if exit_code is None:
        match = re.search(r"exit\w*\D{0,20}?(\d+)", reason or "", re.IGNORECASE)
        exit_code = int(match[1]) if match else None
    said = f": {reason}" if reason else "."
    if exit_code in KILLED:
        return JobKilled(f"The container of job {job_id} was killed{said}", job_id=job_id)
    if exit_code is not None and not reason:
        said = f": it exited with code {exit_code}."
    return JobFailed(f"The container of job {job_id} failed{said}", job_id=job_id)


def not_started(job_id: str, reason: str) -> JobUnsuitable:
    """Return the error for a container whose first program the image does not have."""
    message = f"The container of job {job_id} could not be started: {reason}"
    remedy = JobUnsuitable.remedy
    if "/bin/sh" in reason:
        remedy = (
            "Use an image with /bin/sh, and with python3, curl, wget or busybox: inputs and outputs"
            " are moved by a script."
        )
    return JobUnsuitable(message, job_id=job_id, remedy=remedy)


WRAPPERS_CODES = {64: JobUnsuitable, 65: TransferFailed, 66: TransferFailed}
"""How the wrapper ends when it could not leave its result either."""

OWN_LINE = "[perian-shim] "


def unrecorded_failure(job_id: str, reason: str | None, log: str | None) -> TransferFailed | None:
    """Return the error for a wrapper that failed and left no result, None if it was not that.

    Args:
        job_id: Perian's id of the job.
        reason: the platform's words.
        log: the job's log, whose last line of ours says why.
    """
    match = re.search(r"exit\w*\D{0,20}?(\d+)", reason or "", re.IGNORECASE)
    error = WRAPPERS_CODES.get(int(match[1])) if match else None
    lines = [line for line in (log or "").splitlines() if line.startswith(OWN_LINE)]
    if error is None or not lines:
        return None
    said = lines[-1].removeprefix(OWN_LINE)
    return error(f"Job {job_id} could leave no result: {said}.", job_id=job_id)
