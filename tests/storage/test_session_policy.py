"""A session policy allows what a job may reach, little more when it is shortened, or is refused.

An evaluator of its own, written from AWS's reference of policies, says what a policy allows.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.errors import InvalidInput
from perian_shim.storage.reach import Reach
from perian_shim.storage.session_policy import MAX_CHARACTERS, partition_of, session_policy

# --- what a policy allows ---


def one_or_more(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def is_like(pattern: str, value: str) -> bool:
    """Whether a value fits, by `*`, `?` and the three escapes."""
    parts = re.findall(r"\$\{[*?$]\}|.", pattern, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    text = "".join(wild.get(p) or re.escape(p[2] if len(p) > 1 else p) for p in parts)
    return re.fullmatch(text, value, re.DOTALL) is not None


def allows(policy: str, action: str, resource: str, **context: str) -> bool:
    """Whether a policy allows an action; `prefix` is the one that is listed."""
    return any(
        statement["Effect"] == "Allow"
        and any(is_like(each, action) for each in one_or_more(statement["Action"]))
        and any(is_like(each, resource) for each in one_or_more(statement["Resource"]))
        and fits(statement.get("Condition", {}), context)
        for statement in json.loads(policy)["Statement"]
    )


def fits(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for operator, keys in condition.items():
        assert operator == "StringLike"
        for key, values in keys.items():
            value = context.get(key.partition(":")[2])
            if value is None or not any(is_like(each, value) for each in one_or_more(values)):
                return False
    return True


def arn(uri: str) -> str:
    return "arn:aws:s3:::" + uri.removeprefix("s3://")


def reads(policy: str, uri: str) -> bool:
    return allows(policy, "s3:GetObject", arn(uri))


def writes(policy: str, uri: str) -> bool:
    return all(
        allows(policy, f"s3:{action}", arn(uri)) for action in ("PutObject", "AbortMultipartUpload")
    )


def lists(policy: str, uri: str) -> bool:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return allows(policy, "s3:ListBucket", f"arn:aws:s3:::{bucket}", prefix=prefix)


# --- what is asked for ---

REACH = Reach(("s3://in/one/x.csv",), ("s3://in/folder/",), ("s3://out/run/7/",))


def test_a_job_reads_its_inputs_and_writes_its_outputs() -> None:
    policy = session_policy(REACH)
    assert reads(policy, "s3://in/one/x.csv")
    assert reads(policy, "s3://in/folder/a/b")
    assert reads(policy, "s3://out/run/7/o")
    assert writes(policy, "s3://out/run/7/o")
    assert lists(policy, "s3://in/folder/")
    assert lists(policy, "s3://out/run/7/a/")


@pytest.mark.parametrize(
    "uri", ["s3://in/one/x.csv2", "s3://in/one/y.csv", "s3://in/folder", "s3://out/run/70/o"]
)
def test_a_job_reads_nothing_else(uri: str) -> None:
    assert not reads(session_policy(REACH), uri)


@pytest.mark.parametrize("uri", ["s3://in/one/x.csv", "s3://in/folder/a", "s3://out/run/8/o"])
def test_a_job_writes_nothing_else(uri: str) -> None:
    assert not writes(session_policy(REACH), uri)


@pytest.mark.parametrize("uri", ["s3://in/", "s3://in/one/", "s3://out/", "s3://out/run/"])
def test_a_job_lists_nothing_else(uri: str) -> None:
    assert not lists(session_policy(REACH), uri)


def test_a_job_lists_nothing_without_a_prefix() -> None:
    assert not allows(session_policy(REACH), "s3:ListBucket", "arn:aws:s3:::in")


@pytest.mark.parametrize(
    "action", ["DeleteObject", "PutObjectAcl", "PutBucketPolicy", "GetBucketAcl"]
)
def test_a_job_does_nothing_else_in_s3(action: str) -> None:
    policy = session_policy(REACH)
    for resource in ("arn:aws:s3:::out", "arn:aws:s3:::out/run/7/o"):
        assert not allows(policy, f"s3:{action}", resource)


def test_a_key_of_the_key_service_is_used_by_way_of_s3_only() -> None:
    policy = session_policy(REACH)
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    assert allows(policy, "kms:GenerateDataKey", key, ViaService="s3.eu-west-1.amazonaws.com")
    assert not allows(policy, "kms:Decrypt", key)
    assert not allows(policy, "kms:Decrypt", key, ViaService="ec2.eu-west-1.amazonaws.com")


def test_without_anything_to_reach_nothing_is_allowed() -> None:
    (statement,) = json.loads(session_policy(Reach()))["Statement"]
    assert statement == {"Effect": "Deny", "Action": "*", "Resource": "*"}


@pytest.mark.parametrize(
    ("name", "other"),
    [("a*b", "a-b"), ("a?b", "a-b"), ("${aws:username}", "u"), ("$", ""), ("${*}", "*")],
)
def test_no_character_of_a_name_is_a_wildcard_or_a_variable(name: str, other: str) -> None:
    policy = session_policy(Reach((f"s3://b/d/{name}",), (f"s3://b/{name}/",)))
    assert reads(policy, f"s3://b/d/{name}")
    assert lists(policy, f"s3://b/{name}/")
    assert not reads(policy, f"s3://b/d/{other}")
    assert not lists(policy, f"s3://b/{other}/")


def test_what_no_policy_can_say_is_any_one_character() -> None:
    policy = session_policy(Reach(("s3://b/日\n.csv", "s3://b/🚀"), ()))
    assert policy.isascii()
    assert all(map(str.isprintable, policy))
    assert reads(policy, "s3://b/日\n.csv")
    assert reads(policy, "s3://b/🚀")
    assert reads(policy, "s3://b/\ud83d\ude80")
    assert not reads(policy, "s3://b/3 more.csv")


def test_an_access_point_has_arns_of_its_own() -> None:
    point = "arn:aws:s3:eu-west-1:123456789012:accesspoint:mine"
    policy = session_policy(Reach(read=(f"s3://{point}/folder/",)))
    base = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
    assert allows(policy, "s3:GetObject", f"{base}/object/folder/x")
    assert allows(policy, "s3:ListBucket", base, prefix="folder/")


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("", "aws"),
        ("eu-west-1", "aws"),
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
    ],
)
def test_arns_are_of_the_part_of_aws_that_the_region_is_in(region: str, partition: str) -> None:
    assert partition_of(region) == partition
    assert f'"arn:{partition}:s3:::in/one/x.csv"' in session_policy(REACH, region)


# --- what is too long ---


def test_files_close_together_become_what_their_names_have_in_common() -> None:
    many = tuple(f"s3://b/data/set/part-{number:04}.parquet" for number in range(500))
    policy = session_policy(Reach(many, write=("s3://b/run/7/",)))
    assert all(reads(policy, uri) for uri in many)
    assert not reads(policy, "s3://b/data/other")
    assert not lists(policy, "s3://b/data/set/")


def test_what_lies_apart_stays_apart_while_it_can() -> None:
    near = tuple(f"s3://b/near/{number}" for number in range(500))
    policy = session_policy(Reach((*near, "s3://b/far/a/b/c", "s3://b/far/d")))
    assert reads(policy, "s3://b/far/a/b/c")
    assert not reads(policy, "s3://b/far/a/b/e")


def test_what_may_be_written_never_becomes_more() -> None:
    written = tuple(f"s3://b/runs/{number:040}/" for number in range(50))
    with pytest.raises(InvalidInput, match="50 different places"):
        session_policy(Reach(write=written))


def test_a_whole_bucket_is_never_given() -> None:
    scattered = tuple(f"s3://b/{number:040}/x" for number in range(100))
    with pytest.raises(InvalidInput, match="100 different places") as raised:
        session_policy(Reach(scattered))
    assert "one folder" in str(raised.value)


@pytest.mark.parametrize("uri", ["s3://b/", "gs://b/folder/"])
def test_a_whole_bucket_and_another_store_are_refused(uri: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(uri)):
        session_policy(Reach(read=(uri,)))


PLAIN = st.sampled_from("ab*?${}. ")
ANY = st.sampled_from("日🚀é\n") | PLAIN | st.characters(codec="utf-8", exclude_characters="/")


def folders(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """URIs of prefixes in two buckets."""
    keys = st.lists(st.text(characters, min_size=1), min_size=1, max_size=12)
    return st.builds("s3://{}/{}/".format, st.sampled_from(["one", "two"]), keys.map("/".join))


def reaches(characters: st.SearchStrategy[str]) -> st.SearchStrategy[Reach]:
    """What a job may reach, up to more than a policy can say."""
    uris = folders(characters)
    near = st.integers(0, 100).map(lambda count: [f"s3://one/near/{i}" for i in range(count)])
    single = st.lists(uris.map(lambda uri: f"{uri}x"), max_size=30)
    return st.builds(
        lambda some, more, read, write: Reach((*some, *more), tuple(read), tuple(write)),
        *(near, single, st.lists(uris, max_size=8), st.lists(uris, max_size=4)),
    )


def below(uris: tuple[str, ...]) -> Iterator[str]:
    return (uri + name for uri in uris for name in ("x", "a/b*"))


@given(reaches(ANY))
def test_whatever_is_reached_is_allowed_or_refused(reach: Reach) -> None:
    try:
        policy = session_policy(reach)
    except InvalidInput:
        return
    assert len(policy) <= MAX_CHARACTERS
    assert all(reads(policy, uri) for uri in (*reach.objects, *below(reach.read + reach.write)))
    assert all(writes(policy, uri) for uri in below(reach.write))
    assert all(lists(policy, uri) for uri in reach.read + reach.write)


@given(reaches(PLAIN), folders(PLAIN))
def test_whatever_is_not_to_be_written_cannot_be(reach: Reach, other: str) -> None:
    try:
        policy = session_policy(reach)
    except InvalidInput:
        return
    assert writes(policy, f"{other}x") == any(f"{other}x".startswith(uri) for uri in reach.write)
    assert not lists(policy, "s3://one/")
