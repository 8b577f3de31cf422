"""What a failed job without a result record is called."""

import pytest

from perian_shim.errors import JobFailed, JobKilled, JobUnsuitable, TransferFailed
from perian_shim.work.job_failure import job_failure, unrecorded_failure

LOG = "[perian-shim] attempt 1\nmine\n[perian-shim] no result was left: Request has expired\n"


@pytest.mark.parametrize(
    ("code", "error"), [(64, JobUnsuitable), (65, TransferFailed), (66, TransferFailed)]
)
def test_the_wrappers_last_line_is_the_cause(code: int, error: type[TransferFailed]) -> None:
    failure = unrecorded_failure("j", f"container exited with code {code}", LOG)
    assert type(failure) is error
    assert "Request has expired" in str(failure)


@pytest.mark.parametrize(("code", "log"), [(3, LOG), (66, "mine\n"), (66, None)])
def test_a_programs_own_failure_is_not_taken_for_the_wrappers(code: int, log: str | None) -> None:
    assert unrecorded_failure("j", f"container exited with code {code}", log) is None


@pytest.mark.parametrize(
    "reason",
    [
        'exec: "/bin/sh": no such file or directory',
        'runc create failed: exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown',
        'failed to start: exec: "train": executable file not found in $PATH',
        "exec /app/run: exec format error",
    ],
)
def test_a_program_that_the_image_does_not_have_is_not_tried_again(reason: str) -> None:
    failure = job_failure("j", reason)
    assert isinstance(failure, JobUnsuitable)
    assert reason in str(failure)
    assert ("/bin/sh, and with python3" in failure.remedy) == ("/bin/sh" in reason)


@pytest.mark.parametrize("reason", ["stat /data/x: no such file or directory", "permission denied"])
def test_what_a_program_says_of_its_files_is_its_own_failure(reason: str) -> None:
    assert type(job_failure("j", reason)) is JobFailed


@pytest.mark.parametrize("code", [137, 247])
def test_a_killed_container_is_told_from_one_that_failed(code: int) -> None:
    """247 is what fast registration's entry point makes of its killed child's -9."""
    assert type(job_failure("j", f"container exited with code {code}")) is JobKilled
