"""The cluster stand-in's own access to the object store, apart from what it tests."""

import threading
from collections.abc import Iterator, Mapping

import boto3

_MAKING = threading.Lock()
"""boto3's default session, which makes the clients, is not made for several threads."""


class Store:
    """Reads and writes objects by their ``s3://`` URIs.

    Args:
        environment: flytekit's variables of the store.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        with _MAKING:
            self._client = boto3.client(
                "s3",
                endpoint_url=environment.get("FLYTE_AWS_ENDPOINT"),
                aws_access_key_id=environment.get("FLYTE_AWS_ACCESS_KEY_ID"),
                aws_secret_access_key=environment.get("FLYTE_AWS_SECRET_ACCESS_KEY"),
                region_name="us-east-1",
            )

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def read(self, uri: str) -> bytes | None:
        """Return an object's content, None if there is none."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            with self._client.get_object(Bucket=bucket, Key=key)["Body"] as body:
                return body.read()
        except self._client.exceptions.NoSuchKey:
            return None

    def listed(self, prefix: str) -> Iterator[str]:
        """Yield the URIs of all objects below a folder, in order."""
        bucket, _, key = prefix.rstrip("/").removeprefix("s3://").partition("/")
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=bucket, Prefix=f"{key}/"):
            for found in page.get("Contents", ()):
                yield f"s3://{bucket}/{found['Key']}"
