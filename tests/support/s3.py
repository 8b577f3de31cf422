"""A real S3 server (the sandbox's, in a thread of this process), one for the whole session.

Every test takes a bucket of its own with `new_bucket`; `s3_store` is the product's own access.
URLs and POST policies of a bucket are boto3's. The server checks every signature, those that the
product makes among them.
"""

import atexit
import datetime
import functools
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import boto3
import botocore.config

from perian_shim.sandbox.s3.server import make_storage
from perian_shim.sandbox.s3.signatures import Keyring
from perian_shim.storage.s3 import S3Store
from perian_shim.storage.s3_keys import Keys
from perian_shim.storage.sigv4 import Scope, presigned_get

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key"
GIB = 1024**3

bucket_numbers = itertools.count(1)


@functools.cache
def s3_endpoint() -> str:
    """The URL of the session's S3 server; the first call starts it."""
    server = make_storage("127.0.0.1", 0, "first-bucket", Keyring(ACCESS_KEY, SECRET_KEY))
    threading.Thread(target=server.serve_forever, name="session-s3", daemon=True).start()
    atexit.register(server.shutdown)
    return f"http://127.0.0.1:{server.port}"


def s3_store(
    endpoint: str | None = None,
    sleep: Callable[[float], None] = lambda _: None,
    /,
    **variables: str,
) -> S3Store:
    """The product's own access to the session's S3 server, or to what stands in front of it."""
    return S3Store.from_environment(
        {
            "HOME": "/no/such/home",
            "FLYTE_AWS_ENDPOINT": endpoint or s3_endpoint(),
            "FLYTE_AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "FLYTE_AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            **variables,
        },
        sleep,
    )


@functools.cache
def s3_client() -> "S3Client":
    """A client of the session's S3 server."""
    return boto3.client(
        "s3",
        endpoint_url=s3_endpoint(),
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=botocore.config.Config(
            signature_version="s3v4", s3={"addressing_style": "path"}, proxies={}
        ),
    )


@dataclass(frozen=True)
class Bucket:
    """One test's bucket."""

    name: str

    def put(self, key: str, content: bytes) -> None:
        s3_client().put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        with s3_client().get_object(Bucket=self.name, Key=key)["Body"] as body:
            return body.read()

    def keys(self, prefix: str = "") -> set[str]:
        pages = (
            s3_client().get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        )
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def url(self, key: str, seconds: int = 3600) -> str:
        """A presigned GET URL, good for so long; one that has ended if they are negative."""
        if seconds < 0:
            before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=2)
            scope = Scope(Keys(ACCESS_KEY, SECRET_KEY), REGION, before)
            return presigned_get(scope, f"{s3_endpoint()}/{self.name}/{quote(key)}", 3600)
        return s3_client().generate_presigned_url(
            "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=seconds
        )

    def post(self, prefix: str, seconds: int = 3600) -> tuple[str, Mapping[str, str]]:
        """URL and form fields of a presigned POST for any key below `prefix`, good for so long."""
        answer = s3_client().generate_presigned_post(
            self.name,
            prefix + "${filename}",
            Conditions=[
                ["starts-with", "$key", prefix],
                ["content-length-range", 0, 5 * GIB],
                {"success_action_status": "204"},
            ],
            Fields={"success_action_status": "204"},
            ExpiresIn=seconds,
        )
        fields = {name: str(value) for name, value in answer["fields"].items() if name != "key"}
        return answer["url"], fields


def new_bucket() -> Bucket:
    """An empty bucket that nobody else uses."""
    name = f"bucket-{next(bucket_numbers)}"
    s3_client().create_bucket(Bucket=name)
    return Bucket(name)
