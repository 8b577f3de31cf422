"""What a job's end means when there is nothing to harvest: pure.

The platform explains a failure in words only. What another attempt cannot change is recognised by
them (``PERMANENT``); all else may be tried again.
"""

import re

from perian_shim.api.jobs import Job
from perian_shim.api.phases import Phase
from perian_shim.api.server_text import NOT_STARTED
from perian_shim.errors import (
    CreditExhausted,
    ImageUnavailable,
    JobCancelled,
    JobTimedOut,
    JobUnsuitable,
    PlatformFailed,
    TaskError,
)

PERMANENT: tuple[tuple[re.Pattern[str], type[TaskError]], ...] = (
    (
        re.compile(
            r"(pull|image|manifest|repository|registry)\b.*\b(denied|unauthorized|forbidden"
            r"|not found|does not exist|no such(?! host)|invalid)"
            r"|(denied|unauthorized|not found|no such(?! host)|invalid)\b.*"
            r"\b(pull|image|manifest|repository|registry)"
            r"|(manifest|name|image|repository) unknown|invalid reference format",
            re.IGNORECASE | re.DOTALL,
        ),
        ImageUnavailable,
    ),
    (
        re.compile(
            r"\b(credit|balance|quota|billing)s?\b.*\b(insufficient|exhausted|exceeded|not enough)"
            r"|(insufficient|not enough|no|exceeded)\b.*\b(credit|balance|quota)",
            re.IGNORECASE | re.DOTALL,
        ),
        CreditExhausted,
    ),
    (NOT_STARTED, JobUnsuitable),
)


def verdict(job: Job, limit: float | None) -> TaskError | None:
    """Return why a job that has ended is a failure, None if what it left has to tell.

    Args:
        job: the job.
        limit: the run's limit that was asked for, in seconds.
    """
    reason = f": {job.errors}" if job.errors else "."
    match job.phase:
        case Phase.SUCCEEDED | Phase.FAILED:
            return None
        case Phase.TIMED_OUT:
            seconds = job.timeout_seconds or limit
            limited = f" of {seconds:g} s" if seconds else ""
            message = f"Job {job.id} ran into its limit{limited} and was stopped{reason}"
            return JobTimedOut(message, job_id=job.id)
        case Phase.CANCELLED:
            message = f"Job {job.id} was cancelled, and not by this run{reason}"
            return JobCancelled(message, job_id=job.id)
        case _:
            message = f"Perian could not run job {job.id} ({job.status}){reason}"
            return platform_failure(job)(message, job_id=job.id)


def platform_failure(job: Job) -> type[TaskError]:
    """Return the error for a job that the platform could not run."""
    for pattern, error in PERMANENT:
        if pattern.search(job.errors or ""):
            return error
    return PlatformFailed
