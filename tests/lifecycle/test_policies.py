import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.errors import ConfigError
from perian_shim.lifecycle.policies import LookPolicy, PollPolicy

POLICY = PollPolicy(shortest=2, longest=20, share=0.05, jitter=0.2)


@given(age=st.floats(0, 1e7), chance=st.floats(0, 1, exclude_max=True))
def test_a_pause_stays_within_its_bounds(age: float, chance: float) -> None:
    assert 2 * 0.8 <= POLICY.pause(age, chance) <= 20 * 1.2


@given(younger=st.floats(0, 1e5), older=st.floats(0, 1e5))
def test_a_pause_grows_with_the_phases_age(younger: float, older: float) -> None:
    assert (POLICY.pause(younger, 0.5) <= POLICY.pause(older, 0.5)) or younger > older


def test_a_pause_grows_by_a_share_of_the_age_up_to_its_bound() -> None:
    assert POLICY.pause(200, 0.5) == pytest.approx(12)
    assert POLICY.pause(400, 0.5) == pytest.approx(20)


@given(age=st.floats(0, 300), chance=st.floats(0, 1, exclude_max=True))
def test_on_average_an_end_is_noticed_within_a_second_and_a_twentieth_of_the_run(
    age: float, chance: float
) -> None:
    assert PollPolicy().pause(age, chance) / 2 <= 1 + 0.05 * age


def test_a_pause_is_longer_while_the_rate_of_requests_is_limited() -> None:
    assert POLICY.pause(0, 0.5, 3.0) == pytest.approx(6)


def test_a_pause_may_be_longer_than_the_longest_only_for_a_limit_and_not_without_bound() -> None:
    assert POLICY.pause(1e6, 0.5, 3.0) == pytest.approx(60)
    assert POLICY.pause(1e6, 0.5, 64.0) == pytest.approx(120)


def test_bounds_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIAN_POLL_MIN_SECONDS", "0.5")
    monkeypatch.setenv("PERIAN_POLL_MAX_SECONDS", "7")
    monkeypatch.setenv("PERIAN_OUTAGE_SECONDS", "60")
    policy = PollPolicy.from_environment()
    assert (policy.shortest, policy.longest, policy.unknown) == (0.5, 7, 60)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIAN_POLL_MIN_SECONDS", "")
    assert PollPolicy.from_environment() == PollPolicy()


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_bound_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PERIAN_POLL_MAX_SECONDS", value)
    with pytest.raises(ConfigError, match="PERIAN_POLL_MAX_SECONDS: expected a number of seconds"):
        PollPolicy.from_environment()


def test_bounds_the_wrong_way_round_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERIAN_POLL_MIN_SECONDS", "30")
    monkeypatch.setenv("PERIAN_POLL_MAX_SECONDS", "10")
    with pytest.raises(ConfigError, match="PERIAN_POLL_MAX_SECONDS: expected at least 30"):
        PollPolicy.from_environment()


@given(age=st.floats(0, 1e7))
def test_a_doubt_is_looked_into_ever_less_often_but_every_minute(age: float) -> None:
    looks = LookPolicy()
    assert looks.first[0] <= looks.pause(age) <= looks.longest
    assert looks.pause(age) == pytest.approx(min(max(age / 4, 1), 60))
