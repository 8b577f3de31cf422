"""The platform's rules as they are written: what is wrong in them is named, and never ignored."""

import dataclasses
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.errors import ConfigError
from perian_shim.pod.policy import MAX_BYTES, PlatformPolicy

EVERY_RULE: dict[str, object] = {
    "max_price_per_hour": 3.5,
    "max_price_per_run": "100",
    "currency": "EUR",
    "providers": ["OTC", "OVH"],
    "countries": ["DE", "nl"],
    "instance_types": ["s3.medium.2"],
    "default_timeout_seconds": 3600,
    "max_timeout_seconds": 86400,
    "default_secret_group": "perian-team",
    "max_jobs": 20,
    "max_jobs_per_project": {"research": 10, "*": 2},
    "max_wait_seconds": 7200,
    "queue_folder": "s3://bucket/turns/",
}


def read(**rules: object) -> PlatformPolicy:
    return PlatformPolicy.from_text(json.dumps(rules))


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        PlatformPolicy.from_text(text)
    assert caught.value.message.startswith("PERIAN_POLICY: ")
    return caught.value.message


def test_every_rule_can_be_set() -> None:
    assert set(EVERY_RULE) == {each.name for each in dataclasses.fields(PlatformPolicy)}
    policy = read(**EVERY_RULE)
    assert policy.max_price_per_hour == Decimal("3.5")
    assert policy.max_price_per_run == Decimal(100)
    assert policy.providers == ("OTC", "OVH")
    assert policy.by_project == {"research": 10, "*": 2}


def test_no_rules_are_no_rules() -> None:
    assert PlatformPolicy.from_environment({}) == read() == PlatformPolicy()
    assert not PlatformPolicy().limits_jobs


def test_a_number_of_jobs_is_each_projects() -> None:
    assert read(max_jobs_per_project=3).by_project == {"*": 3}


def test_a_price_is_read_to_the_last_digit() -> None:
    policy = PlatformPolicy.from_text('{"max_price_per_hour": 0.1, "currency": "EUR"}')
    assert policy.max_price_per_hour == Decimal("0.1")


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"max_job": 1}, "max_job: expected one of max_price_per_hour,"),
        ({"max_jobs": "2"}, "max_jobs: expected a whole number of at least 1, got '2'"),
        ({"max_jobs": True}, "max_jobs: expected a whole number of at least 1, got True"),
        ({"max_jobs": None}, "max_jobs: expected a value"),
        ({"max_jobs": 1.5}, "max_jobs: expected a whole number of at least 1, got 1.5"),
        ({"max_price_per_hour": 1}, "currency: expected the currency of the highest prices"),
        ({"currency": "EUR"}, "currency: expected max_price_per_hour or max_price_per_run"),
        ({"max_price_per_hour": 1, "currency": "euro"}, "currency: expected three capitals"),
        ({"max_price_per_hour": -1, "currency": "EUR"}, "expected a price above 0, got -1"),
        ({"max_price_per_hour": [1], "currency": "EUR"}, "expected a price above 0, got [1]"),
        ({"providers": "OTC"}, "providers: expected a list of names that is not empty, got 'OTC'"),
        ({"providers": []}, "providers: expected a list of names that is not empty, got []"),
        ({"countries": ["Germany"]}, "countries: expected two letters each"),
        ({"default_secret_group": "a b"}, "default_secret_group: expected the name"),
        ({"max_jobs_per_project": {}}, "max_jobs_per_project: expected a number, or at least one"),
        ({"max_jobs_per_project": {"a": 0}}, "max_jobs_per_project['a']: expected a whole number"),
        ({"max_jobs_per_project": {"a": None}}, "max_jobs_per_project['a']: expected a whole"),
        ({"max_wait_seconds": 5}, "max_wait_seconds: expected max_jobs or max_jobs_per_project"),
        ({"max_jobs": 1, "queue_folder": "s3://bucket/x"}, "queue_folder: expected the URI"),
        (
            {"default_timeout_seconds": 20, "max_timeout_seconds": 10},
            "default_timeout_seconds: expected at most max_timeout_seconds, 10, got 20",
        ),
    ],
    ids=json.dumps,
)
def test_a_wrong_rule_is_named_with_what_was_expected_and_given(
    rules: dict[str, object], says: str
) -> None:
    assert says in complaint(json.dumps(rules))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "expected a JSON object, got list"),
        ("{", "expected a JSON object: "),
        ('{"max_jobs": 1, "max_jobs": 2}', "'max_jobs' stands twice"),
        ('{"max_price_per_hour": NaN, "currency": "EUR"}', "NaN is no number"),
    ],
)
def test_what_is_no_object_is_said(text: str, says: str) -> None:
    assert says in complaint(text)


@given(text=st.text(max_size=60) | st.text('{}[]":,0', max_size=20))
def test_whatever_is_written_is_read_or_complained_of(text: str) -> None:
    said = "PERIAN_POLICY: "
    try:
        PlatformPolicy.from_text(text)
    except ConfigError as error:
        said = error.message
    assert said.startswith("PERIAN_POLICY: ")


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
        max_leaves=4,
    ),
    name=st.sampled_from(sorted(EVERY_RULE)),
)
def test_any_value_of_a_rule_is_taken_or_named(name: str, value: object) -> None:
    said = name
    try:
        PlatformPolicy(**{**EVERY_RULE, name: value})  # type: ignore[arg-type]  # that is the point
    except ConfigError as error:
        said = error.message
    assert name in said


def test_rules_are_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text('{"max_jobs": 7}')
    assert PlatformPolicy.from_environment({"PERIAN_POLICY": f" {file} "}).max_jobs == 7


@pytest.mark.parametrize("kind", ["missing", "folder", "binary", "long"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "rules.json"
    if kind == "folder":
        file.mkdir()
    elif kind == "binary":
        file.write_bytes(b"\xff")
    elif kind == "long":
        file.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="PERIAN_POLICY: ") as caught:
        PlatformPolicy.from_environment({"PERIAN_POLICY": str(file)})
    assert kind == "binary" or str(file) in caught.value.message
