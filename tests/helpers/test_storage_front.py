"""The object store's front passes everything on but what it is told to treat otherwise."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from support.api_faults import Spell
from support.front import Behaviour
from support.s3 import ACCESS_KEY, REGION, SECRET_KEY, Bucket, s3_endpoint
from support.storage_front import UNWELL, StorageFront
from support.traps import Trap, When

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Through = Callable[..., "S3Client"]


@pytest.fixture
def through() -> Iterator[Through]:
    """A client that goes through a front and asks nothing twice."""
    with ExitStack() as stack:

        def enter(*behaviours: Behaviour, speed: float = 1.0) -> "S3Client":
            front = stack.enter_context(StorageFront(s3_endpoint(), *behaviours, speed=speed))
            return boto3.client(
                "s3",
                endpoint_url=front.url,
                region_name=REGION,
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
                config=Config(
                    retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"}
                ),
            )

        yield enter


def test_objects_go_both_ways_unchanged(through: Through, bucket: Bucket) -> None:
    s3 = through()
    content = bytes(range(256)) * 5000
    s3.put_object(Bucket=bucket.name, Key="a b/ü", Body=content)
    assert bucket.get("a b/ü") == content
    with s3.get_object(Bucket=bucket.name, Key="a b/ü")["Body"] as body:
        assert body.read() == content


def test_sizes_and_lists_are_those_of_the_store(through: Through, bucket: Bucket) -> None:
    bucket.put("k", b"12345")
    s3 = through()
    assert s3.head_object(Bucket=bucket.name, Key="k")["ContentLength"] == 5
    assert s3.list_objects_v2(Bucket=bucket.name)["Contents"][0]["Key"] == "k"


def test_a_hiccup_hits_only_what_it_is_meant_for(through: Through, bucket: Bucket) -> None:
    s3 = through(Spell(UNWELL, re.compile("^GET .*/record"), times=1))
    for key in ("record", "other"):
        s3.put_object(Bucket=bucket.name, Key=key, Body=b"x")
    s3.get_object(Bucket=bucket.name, Key="other")["Body"].close()
    with pytest.raises(ClientError, match="SlowDown"):
        s3.get_object(Bucket=bucket.name, Key="record")
    s3.get_object(Bucket=bucket.name, Key="record")["Body"].close()


def test_what_is_trapped_after_it_was_acted_on_is_stored(through: Through, bucket: Bucket) -> None:
    sprung = []
    trap = Trap(re.compile("^PUT "), When.AFTER, lambda: sprung.append(bucket.keys()), drop=False)
    through(trap).put_object(Bucket=bucket.name, Key="k", Body=b"x")
    assert sprung == [{"k"}]


def test_what_is_trapped_before_it_is_acted_on_is_not_stored_yet(
    through: Through, bucket: Bucket
) -> None:
    sprung = []
    trap = Trap(re.compile("^PUT "), When.BEFORE, lambda: sprung.append(bucket.keys()), drop=False)
    through(trap).put_object(Bucket=bucket.name, Key="k", Body=b"x")
    assert sprung == [set()]
    assert bucket.keys() == {"k"}
