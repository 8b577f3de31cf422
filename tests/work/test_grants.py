"""What a job may use to reach its data: renewed in good time, and taken away at its end."""

import urllib.error
import urllib.request
from collections.abc import Sequence

import pytest
from support.s3 import ACCESS_KEY, SECRET_KEY, new_bucket, s3_store

from perian_shim.errors import AccessTooShort
from perian_shim.storage import Signing, join_uri
from perian_shim.work.grants import LONGEST_SECONDS, Access, Grants, check_life

OUTPUT = "s3://bucket/a/b"
HOUR = 3600.0


class Clock:
    """A clock that a test moves, and that moves a little whenever it is looked at."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        self.time += 1e-6
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def grants(clock: Clock) -> Grants:
    store = s3_store()
    return Grants(store, store, f"s3://{new_bucket().name}/node/_perian/grants", clock)


def fetched(url: str) -> dict[str, list[str]]:
    with urllib.request.urlopen(url) as answer:
        lines = answer.read().decode().splitlines()
    return {fields[0]: fields[1:] for fields in (line.split("\t") for line in lines)}


def giving(*records: tuple[str, ...], seconds: float = 10 * HOUR) -> "Giving":
    return Giving(records, seconds)


class Giving:
    """Gives access, and notes for how long it was asked for."""

    def __init__(self, records: Sequence[tuple[str, ...]], seconds: float) -> None:
        self.records, self.seconds = tuple(records), seconds
        self.asked: list[float] = []

    def __call__(self, seconds: float) -> Access:
        self.asked.append(seconds)
        return Access(self.records, self.seconds)


def test_a_job_reads_its_grant_at_the_url_that_it_is_given(grants: Grants) -> None:
    given = grants.give(OUTPUT, giving(("post", "https://x")))
    grant = fetched(given.url)
    assert [*grant] == ["version", "renew", "lives", "next", "post", "end"]
    assert (grant["version"], grant["post"], grant["end"]) == (["1"], ["https://x"], [])


def test_each_grant_names_where_the_next_one_is_read(grants: Grants) -> None:
    first = fetched(grants.give(OUTPUT, giving()).url)
    grants.give(OUTPUT, giving(("post", "https://second")))
    assert fetched(first["next"][0])["post"] == ["https://second"]


def test_a_grant_is_good_for_an_hour_at_most_and_read_several_times_in_it(grants: Grants) -> None:
    giver = giving()
    grant = fetched(grants.give(OUTPUT, giver).url)
    assert giver.asked == [LONGEST_SECONDS]
    assert (grant["lives"], grant["renew"]) == (["3600"], ["450"])


def test_a_grant_lives_no_longer_than_what_it_gives(grants: Grants) -> None:
    grant = fetched(grants.give(OUTPUT, giving(seconds=60.0)).url)
    assert (grant["lives"], grant["renew"]) == (["60"], ["7"])


def test_a_grant_is_written_anew_when_half_of_its_life_has_passed(
    grants: Grants, clock: Clock
) -> None:
    giver = giving()
    grants.give(OUTPUT, giver)
    written = []
    for minute in (10, 29, 31, 45, 60, 62):
        clock.time = minute * 60.0
        grants.keep(OUTPUT, giver)
        written.append(len(giver.asked))
    assert written == [1, 1, 2, 2, 2, 3]


def test_a_pod_that_takes_a_job_over_renews_its_grant_at_once(grants: Grants) -> None:
    giver = giving()
    grants.keep(OUTPUT, giver)
    assert len(giver.asked) == 1


def test_after_the_end_of_its_job_a_grant_cannot_be_read(grants: Grants) -> None:
    given = grants.give(OUTPUT, giving())
    grants.revoke(OUTPUT)
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(given.url)


def test_the_grants_of_two_jobs_are_two(grants: Grants) -> None:
    first = grants.give(OUTPUT, giving(("post", "https://first")))
    grants.give(join_uri(OUTPUT, "submission-0-2"), giving(("post", "https://second")))
    assert fetched(first.url)["post"] == ["https://first"]


def test_a_url_that_outlives_every_queue_is_not_spoken_of(grants: Grants) -> None:
    assert grants.give(OUTPUT, giving()).seconds is None


def test_a_url_that_ends_and_that_no_later_one_could_outlive_makes_no_job_be_replaced(
    clock: Clock,
) -> None:
    store = s3_store(
        FLYTE_AWS_ACCESS_KEY_ID="",
        FLYTE_AWS_SECRET_ACCESS_KEY="",
        AWS_ACCESS_KEY_ID=ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=SECRET_KEY,
        AWS_SESSION_TOKEN="of a session",
    )
    grants = Grants(store, store, f"s3://{new_bucket().name}/grants", clock)
    assert grants.give(OUTPUT, giving()).seconds is None


def test_nothing_secret_shows() -> None:
    assert "canary" not in repr(Access((("aws", "canary"),), 1.0))


TEMPORARY = Signing(900.0, renewed=False)
UNKNOWN = Signing(0.0, renewed=False)


@pytest.mark.parametrize(
    ("signing", "needed"),
    [
        (Signing(), None),
        (Signing(None, renewed=False), None),
        (Signing(900.0, renewed=True), None),
        (TEMPORARY, 900.0),
    ],
)
def test_access_that_lasts_is_accepted(signing: Signing, needed: float | None) -> None:
    check_life(signing, needed, accepted=False)


@pytest.mark.parametrize(
    ("signing", "needed", "says"),
    [
        (TEMPORARY, None, "would end in 900 s.*nothing bounds the job"),
        (TEMPORARY, 901.0, "would end in 900 s.*the job may take 901 s"),
        (UNKNOWN, 1.0, "at a time that nobody knows"),
    ],
)
def test_access_that_may_end_before_the_job_is_refused_with_the_remedy(
    signing: Signing, needed: float | None, says: str
) -> None:
    with pytest.raises(AccessTooShort, match=says) as refusal:
        check_life(signing, needed, accepted=False)
    assert "allow_short_access=True" in refusal.value.remedy
    check_life(signing, needed, accepted=True)
