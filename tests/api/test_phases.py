import pytest
from perian.models.workload_status import WorkloadStatus

from perian_shim.api.phases import PHASES, JobStatus, Phase, phase_of


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("Queued", Phase.QUEUED),
        ("Initializing", Phase.STARTING),
        ("ModelLoading", Phase.RUNNING),
        ("Running", Phase.RUNNING),
        ("Paused", Phase.RUNNING),
        ("Resumed", Phase.RUNNING),
        ("Done", Phase.SUCCEEDED),
        ("UserError", Phase.FAILED),
        ("ServerError", Phase.PLATFORM_FAILED),
        ("Timeout", Phase.TIMED_OUT),
        ("Cancelled", Phase.CANCELLED),
        ("Undefined", Phase.UNKNOWN),
        ("Hibernating", Phase.UNKNOWN),
        ("", Phase.UNKNOWN),
        ("DONE", Phase.SUCCEEDED),
        ("done", Phase.SUCCEEDED),
        ("usererror", Phase.FAILED),
        ("MODELLOADING", Phase.RUNNING),
        ("modelLoading", Phase.RUNNING),
    ],
)
def test_each_status_has_one_phase(status: str, phase: Phase) -> None:
    assert phase_of(status) is phase


def test_every_status_of_the_official_client_has_a_row() -> None:
    assert {status.value for status in WorkloadStatus} <= set(PHASES)


def test_every_status_that_we_know_has_a_row() -> None:
    assert {status.value for status in JobStatus} == set(PHASES)


def test_only_an_ended_job_is_terminal() -> None:
    going_on = {Phase.QUEUED, Phase.STARTING, Phase.RUNNING, Phase.UNKNOWN}
    assert {phase for phase in Phase if not phase.terminal} == going_on
