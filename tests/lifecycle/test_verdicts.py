"""What a job's end means, by its status and the platform's words."""

import pytest

from perian_shim.api.jobs import Job
from perian_shim.errors import (
    CreditExhausted,
    ImageUnavailable,
    JobCancelled,
    JobTimedOut,
    PlatformFailed,
    TaskError,
)
from perian_shim.lifecycle.verdicts import verdict


def ended(status: str, errors: str | None = None, limit: float | None = None) -> TaskError | None:
    return verdict(Job("a", status, errors=errors), limit)


@pytest.mark.parametrize("status", ["Done", "UserError"])
def test_what_a_job_has_left_tells_how_its_container_ended(status: str) -> None:
    assert ended(status) is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [("ServerError", PlatformFailed), ("Timeout", JobTimedOut), ("Cancelled", JobCancelled)],
)
def test_an_end_that_was_not_the_containers_is_a_failure_that_names_the_job(
    status: str, expected: type[TaskError]
) -> None:
    error = ended(status)
    assert type(error) is expected
    assert error is not None
    assert error.job_id == "a"
    assert "job a" in error.message.lower()


@pytest.mark.parametrize("status", ["ServerError", "Timeout", "Cancelled"])
def test_the_platforms_words_are_passed_on(status: str) -> None:
    error = ended(status, "the machine burned down")
    assert error is not None
    assert error.message.endswith(": the machine burned down.")


def test_the_limit_of_the_job_is_named() -> None:
    error = verdict(Job("a", "Timeout", timeout_seconds=60), 90.0)
    assert error is not None
    assert "its limit of 60 s" in error.message


def test_the_limit_that_was_asked_for_is_named_if_the_job_tells_none() -> None:
    error = ended("Timeout", limit=90.0)
    assert error is not None
    assert "its limit of 90 s" in error.message


@pytest.mark.parametrize(
    "words",
    [
        "pull access denied for private/image, repository does not exist",
        "Failed to pull image: unauthorized: authentication required",
        "manifest for debian:99 not found: manifest unknown",
        "Image not found",
        "no such image: debian:99",
        "invalid reference format",
        "unauthorized: access to the registry",
        "image\npull: forbidden",
        'Failed to pull image "x": rpc error: code = NotFound desc = image "x": not found',
        "failed to resolve reference: name unknown",
        '{"error": "repository name not known to registry: NOT FOUND"}',
    ],
)
def test_an_image_that_cannot_be_pulled_is_not_tried_again(words: str) -> None:
    assert type(ended("ServerError", words)) is ImageUnavailable


@pytest.mark.parametrize(
    "words",
    [
        "credit exhausted",
        "Credits are insufficient",
        "insufficient balance",
        "quota exceeded",
        "The organization has exceeded its quota",
        "not enough credit",
        "billing: limit exceeded",
    ],
)
def test_an_organization_that_cannot_pay_is_not_tried_again(words: str) -> None:
    assert type(ended("ServerError", words)) is CreditExhausted


@pytest.mark.parametrize(
    "words",
    [
        None,
        "",
        "the machine burned down",
        "node lost",
        "connection to image cache timed out",
        "no capacity",
        "provider unavailable",
        "out of memory",
        "internal error",
        "disk full while unpacking the image",
        "could not reach the registry: i/o timeout",
        'Failed to pull image "x": rpc error: code = Unknown desc = failed to pull: i/o timeout',
        "image pull failed: lookup registry-1.docker.io: no such host",
    ],
)
def test_any_other_fault_of_the_platforms_may_pass(words: str | None) -> None:
    error = ended("ServerError", words)
    assert type(error) is PlatformFailed
    assert error is not None
    assert error.outcome.recoverable
