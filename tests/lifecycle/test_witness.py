"""A witness is told facts, and cannot disturb the run."""

from dataclasses import dataclass, field

import pytest
from support.still_node import StillNode

from perian_shim.api.jobs import Job
from perian_shim.lifecycle.witness import Discreet, Nobody, Sighting

SIGHTING = Sighting(Job("id", "Running"), lines=("a secret",))


@dataclass
class Forgetful:
    """A witness that fails."""

    told: int = 0

    def seen(self, sighting: Sighting) -> None:  # noqa: ARG002 - a witness's
        self.told += 1
        message = "a secret"
        raise RuntimeError(message)


@dataclass
class Attentive:
    """A witness that remembers."""

    sightings: list[Sighting] = field(default_factory=list)

    def seen(self, sighting: Sighting) -> None:
        self.sightings.append(sighting)


def test_it_is_told_of_each_look() -> None:
    witness = Attentive()
    Discreet(witness).seen(SIGHTING)
    assert witness.sightings == [SIGHTING]


def test_what_it_raises_is_said_once_and_it_is_told_again() -> None:
    witness, said = Forgetful(), list[str]()
    discreet = Discreet(witness, said.append)
    for _ in range(3):
        discreet.seen(SIGHTING)
    assert witness.told == 3
    assert said == ["what was seen could not be shown: RuntimeError"]


def test_there_need_be_none() -> None:
    Discreet().seen(SIGHTING)
    Nobody().seen(SIGHTING)


def test_what_a_job_prints_is_not_in_the_repr_of_a_sighting() -> None:
    assert "secret" not in repr(SIGHTING)


def test_it_sees_a_job_from_its_first_look_to_its_end() -> None:
    attempt, witness = StillNode().attempt(), Attentive()
    attempt.witness = Discreet(witness, attempt.warn)
    assert attempt.run() == "job-0"
    statuses = list(dict.fromkeys(sighting.job.status for sighting in witness.sightings))
    assert statuses == ["Running", "Done"]
    assert {sighting.job.id for sighting in witness.sightings} == {"job-0"}


@pytest.mark.parametrize("failing", [False, True])
def test_a_run_is_the_same_with_a_witness_that_fails(failing: bool) -> None:
    node = StillNode()
    attempt = node.attempt()
    if failing:
        attempt.witness = Discreet(Forgetful(), attempt.warn)
    assert attempt.run() == "job-0"
    assert node.words.count("could not be shown") == failing
