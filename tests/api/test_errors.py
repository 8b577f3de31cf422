"""The error tree itself: what every leaf promises, without a network."""

import pickle

import pytest

from perian_shim.api import errors
from perian_shim.api.errors import (
    ApiError,
    ApiTimeout,
    InvalidRequest,
    JobNotFound,
    MalformedResponse,
    PerianError,
    RateLimited,
    ServerFault,
    TransportError,
    Unauthorized,
)

LEAVES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, PerianError)
]
API_LEAVES = [leaf for leaf in LEAVES if issubclass(leaf, ApiError)]


def test_codes_are_unique_and_have_the_project_prefix() -> None:
    codes = [leaf.code for leaf in LEAVES]
    assert len(set(codes)) == len(codes)
    assert all(code.startswith("PERIAN:") for code in codes)


@pytest.mark.parametrize("leaf", LEAVES)
def test_the_text_is_what_happened_and_then_what_to_do(leaf: type[PerianError]) -> None:
    assert str(leaf("It broke.")) == f"It broke. {leaf.remedy}"
    assert leaf.remedy.endswith(".")


def test_a_remedy_can_be_replaced_for_one_error_only() -> None:
    assert str(Unauthorized("No.", remedy="Ask Ann.")) == "No. Ask Ann."
    assert Unauthorized("No.").remedy == Unauthorized.remedy


@pytest.mark.parametrize("leaf", API_LEAVES)
def test_errors_survive_pickling_with_all_they_know(leaf: type[ApiError]) -> None:
    error = leaf("m", method="POST", path="/job", status_code=418, remedy="r")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is leaf
    assert vars(copy) == vars(error)


def test_only_faults_that_may_pass_are_retryable() -> None:
    retryable = {leaf for leaf in API_LEAVES if leaf.retryable}
    assert retryable == {TransportError, ApiTimeout, MalformedResponse, RateLimited, ServerFault}


@pytest.mark.parametrize("leaf", [TransportError, ApiTimeout, MalformedResponse, ServerFault])
@pytest.mark.parametrize(
    ("method", "path", "unknown"),
    [
        ("POST", "/job", True),
        ("PATCH", "/job/1/cancel", True),
        ("GET", "/job/1", False),
        ("POST", "/instance-type", False),
        ("POST", "/accelerator-type", False),
    ],
)
def test_the_outcome_is_unknown_only_for_calls_that_change_something(
    leaf: type[ApiError], method: str, path: str, *, unknown: bool
) -> None:
    assert leaf("m", method=method, path=path).outcome_unknown is unknown


def test_the_outcome_is_known_when_nothing_was_sent() -> None:
    assert not TransportError("m", sent=False, method="POST", path="/job").outcome_unknown


@pytest.mark.parametrize("leaf", [RateLimited, Unauthorized, InvalidRequest, JobNotFound])
def test_the_outcome_of_a_refused_submission_is_known(leaf: type[ApiError]) -> None:
    assert not leaf("m", method="POST", path="/job").outcome_unknown


def test_errors_that_are_no_call_have_a_known_outcome() -> None:
    assert not PerianError("m").outcome_unknown
