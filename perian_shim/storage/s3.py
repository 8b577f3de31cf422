"""Amazon S3, and what speaks its protocol (MinIO, Ceph, …), by boto3.

Endpoint and keys are found as flytekit finds them (``FLYTE_AWS_*``, its config file), then as boto3
does (environment, web identity, instance role). Presigned requests are signature version 4 for
the bucket's own region, which is asked for once per bucket: unlike ordinary calls, a presigned one
cannot follow a redirect to another region.

A presigned request dies with the credentials that signed it. ``access_expires_in`` tells when,
so that the caller can warn before it pays for a job that cannot leave its outputs.

A read is the whole content or an error: an answer that breaks off is asked for again, a few times.
"""

import datetime
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from fsspec import get_filesystem_class

from perian_shim import settings
from perian_shim.errors import StorageFailed
from perian_shim.storage.base import MAX_OBJECT_BYTES, ObjectInfo, UploadPolicy, broken_off

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

T = TypeVar("T")

MAX_EXPIRY_SECONDS = 7 * 24 * 3600
"""The longest life that signature version 4 allows a presigned request."""

READ_PAUSES = (0.5, 1.0, 2.0)
"""Seconds between the attempts of a read whose answer breaks off."""

_NOT_FOUND = {"NoSuchKey", "404", "NotFound"}
_NO_BUCKET = "NoSuchBucket"
_BUSY = {"SlowDown", "RequestTimeout", "Throttling", "TooManyRequests"}
_SERVER_ERROR = 500


class S3Store:
    """An ``ObjectStore`` on S3.

    Args:
        session: boto3 session: credentials and default region.
        endpoint: endpoint URL, None for AWS.
        public_endpoint: endpoint to sign for when jobs reach it under another name.
        virtual_hosts: whether a custom endpoint takes the bucket's name in the host name.
        sleep: waits between attempts.
    """

    def __init__(
        self,
        session: boto3.session.Session,
        endpoint: str | None = None,
        public_endpoint: str | None = None,
        *,
        virtual_hosts: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._sleep = sleep
        self._endpoint = endpoint
        self._public_endpoint = public_endpoint or endpoint
        self._virtual_hosts = virtual_hosts
        self._client = self._new_client(endpoint, session.region_name)
        self._signers: dict[str, S3Client] = {}

    @classmethod
    def from_flytekit(cls) -> "S3Store":
        """Return a store set up as flytekit's own S3 access is."""
        from flytekit.configuration import DataConfig  # noqa: PLC0415 - loaded already at run time

        config = DataConfig.auto().s3
        session = boto3.session.Session(
            botocore_session=with_parsed_descriptions(),
            aws_access_key_id=config.access_key_id,
            aws_secret_access_key=config.secret_access_key,
        )
        endpoint = config.endpoint or settings.text("AWS_ENDPOINT_URL_S3") or None
        return cls(
            session,
            endpoint,
            settings.text(settings.S3_PUBLIC_ENDPOINT) or None,
            virtual_hosts=getattr(config, "adressing_style", None)
            == "virtual",  # flytekit's spelling
        )

    def __repr__(self) -> str:
        return f"S3Store(endpoint={self._endpoint!r})"

    def access_expires_in(self) -> float | None:
        """Return how long what we sign stays good, None if longer than its own expiry."""
        credentials: Credentials | None = self._session.get_credentials()
        if not isinstance(credentials, RefreshableCredentials):
            return None
        credentials.get_frozen_credentials()  # refreshes them when they are about to expire
        expiry: datetime.datetime | None = getattr(credentials, "_expiry_time", None)
        now = datetime.datetime.now(datetime.timezone.utc)
        return (expiry - now).total_seconds() if expiry else None

    def presign_get(self, uri: str, expires_in: int) -> str:
        """Return a URL that reads one object."""
        bucket, key = split(uri)
        parameters = {"Bucket": bucket, "Key": key}
        return self._attempt(
            uri,
            lambda: self._signer(bucket).generate_presigned_url(
                "get_object", Params=parameters, ExpiresIn=min(expires_in, MAX_EXPIRY_SECONDS)
            ),
        )

    def upload_policy(self, prefix: str, expires_in: int) -> UploadPolicy:
        """Return leave to create objects below a prefix."""
        bucket, key = split(prefix)
        key_prefix = key.rstrip("/") + "/"
        post = self._attempt(
            prefix,
            lambda: self._signer(bucket).generate_presigned_post(
                bucket,
                key_prefix + "${filename}",
                Fields={"success_action_status": "201"},
                Conditions=[
                    ["starts-with", "$key", key_prefix],
                    ["content-length-range", 0, MAX_OBJECT_BYTES],
                    {"success_action_status": "201"},
                ],
                ExpiresIn=min(expires_in, MAX_EXPIRY_SECONDS),
            ),
        )
        fields = {name: value for name, value in post["fields"].items() if name != "key"}
        return UploadPolicy(url=post["url"], key_prefix=key_prefix, fields=fields)

    def iter_objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a folder; folder markers are left out."""
        bucket, key = split(prefix)
        folder = key.rstrip("/") + "/" if key else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
        try:
            found = [
                ObjectInfo(f"s3://{bucket}/{entry['Key']}", entry["Size"])
                for page in pages
                for entry in page.get("Contents", [])
                if not entry["Key"].endswith("/")
            ]
        except (ClientError, BotoCoreError) as error:
            if error_code(error) == _NO_BUCKET:
                return
            raise failed(prefix, error) from error
        yield from found

    def size(self, uri: str) -> int | None:
        """Return an object's size, or None if there is none."""
        bucket, key = split(uri)
        return self._find(uri, lambda: self._client.head_object(Bucket=bucket, Key=key))

    def read(self, uri: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes, or None if there is no such object."""
        bucket, key = split(uri)
        try:
            for pause in READ_PAUSES:
                content = self._read(bucket, key, limit)
                if content is not None:
                    return content
                self._sleep(pause)
            content = self._read(bucket, key, limit)
        except (ClientError, BotoCoreError, OSError) as error:
            if is_not_found(error):
                return None
            raise failed(uri, error) from error
        if content is None:
            raise broken_off(uri)
        return content

    def _read(self, bucket: str, key: str, limit: int) -> bytes | None:
        """Read once; None when the answer broke off."""
        answer = self._client.get_object(Bucket=bucket, Key=key)
        try:
            with answer["Body"] as body:
                content = body.read(limit)
        except (BotoCoreError, OSError):
            return None
        return content if len(content) == min(limit, answer["ContentLength"]) else None

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""
        bucket, key = split(uri)
        self._attempt(uri, lambda: self._client.put_object(Bucket=bucket, Key=key, Body=content))

    def _find(self, uri: str, call: Callable[[], "HeadObjectOutputTypeDef"]) -> int | None:
        try:
            return call()["ContentLength"]
        except (ClientError, BotoCoreError) as error:
            if is_not_found(error):
                return None
            raise failed(uri, error) from error

    def _attempt(self, uri: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            raise failed(uri, error) from error

    def _signer(self, bucket: str) -> "S3Client":
        """Return the client that signs for a bucket."""
        if bucket not in self._signers:
            region = None if self._public_endpoint else self._region_of(bucket)
            self._signers[bucket] = self._new_client(
                self._public_endpoint, region or self._session.region_name
            )
        return self._signers[bucket]

    def _region_of(self, bucket: str) -> str | None:
        try:
            answer = self._client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
        except (
            ClientError
        ) as error:  # 403 for want of s3:ListBucket: the header is there all the same
            answer = error.response["ResponseMetadata"]["HTTPHeaders"]
        return answer.get("x-amz-bucket-region")

    def _new_client(self, endpoint: str | None, region: str | None) -> "S3Client":
        style: Literal["virtual", "path"]
        style = "virtual" if endpoint is None or self._virtual_hosts else "path"
        return self._session.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region or "us-east-1",
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": style},
                retries={"mode": "standard", "total_max_attempts": 5},
                connect_timeout=10,
                read_timeout=60,
            ),
        )


def with_parsed_descriptions() -> botocore.session.Session:
    """Return a session that shares the descriptions of S3 which flytekit's own access has parsed.

    They take 14 MiB and 55 ms per session otherwise. Where flytekit has not used S3, it is plain.
    """
    session = botocore.session.get_session()
    flytekits = getattr(get_filesystem_class("s3").current(), "session", None)
    if flytekits is not None:
        session.register_component("data_loader", flytekits.get_component("data_loader"))
    return session


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key.

    Raises:
        StorageFailed: it is no ``s3://bucket/key``.
    """
    parts = urlsplit(uri, allow_fragments=False)
    key = re.sub(r"^s3://[^/]*/?", "", uri)  # a key may hold "?" and "#", which urlsplit would cut
    if parts.scheme != "s3" or not parts.netloc:
        message = f"Expected a URI like s3://bucket/key, got {uri!r}."
        raise StorageFailed(message)
    return parts.netloc, key


def error_code(error: Exception) -> str | None:
    """Return the store's own code for an error, None if it has none."""
    return error.response["Error"].get("Code") if isinstance(error, ClientError) else None


def is_not_found(error: Exception) -> bool:
    """Whether the store said that there is no such object."""
    return error_code(error) in _NOT_FOUND


def failed(uri: str, error: Exception) -> StorageFailed:
    """Return our error for the store's."""
    failure = StorageFailed(f"S3 access to {uri} failed: {error}")
    failure.passing = may_pass(error)
    return failure


def may_pass(error: Exception) -> bool:
    """Whether the same access may succeed later: no answer, or one of a store in trouble."""
    if not isinstance(error, ClientError):
        return not isinstance(error, NoCredentialsError | PartialCredentialsError)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= _SERVER_ERROR or error_code(error) in _BUSY
