"""FlyteAdmin's data proxy on a real S3: signed URLs, so that clients need no storage credentials.

Locations are FlyteAdmin's: ``s3://<bucket>/<project>/<domain>/<root>/<file name>``, the root being
the content's MD5 in base 32 unless the client chooses one.
"""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import botocore.config
import botocore.exceptions
from flyteidl.service import dataproxy_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from support.admin_answers import Answer, Refused
from support.admin_registry import now

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EXPIRY = timedelta(hours=1)
MD5_METADATA = "flyteContentMD5"


@dataclass(frozen=True)
class UploadStore:
    """The object store that uploads go to.

    Attributes:
        endpoint: URL of the S3.
        bucket: an existing bucket.
        access_key: of somebody who may write there.
        secret_key: the same.
    """

    endpoint: str
    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str], bucket: str) -> "UploadStore":
        """Return the store that flytekit would use with these variables (``FLYTE_AWS_…``)."""
        return cls(
            variables["FLYTE_AWS_ENDPOINT"],
            bucket,
            variables["FLYTE_AWS_ACCESS_KEY_ID"],
            variables["FLYTE_AWS_SECRET_ACCESS_KEY"],
        )

    def client(self) -> "S3Client":
        """Return a client; the caller closes it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=botocore.config.Config(
                signature_version="s3v4", s3={"addressing_style": "path"}, proxies={}
            ),
        )


@dataclass
class DataProxy:
    """Gives out signed URLs.

    Attributes:
        store: where they point.
        uploads: the native URLs given out for uploads, in order.
    """

    store: UploadStore
    uploads: list[str] = field(default_factory=list)
    _client: "S3Client" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = self.store.client()

    def close(self) -> None:
        """Close the connections to the store."""
        self._client.close()

    def answers(self) -> Mapping[str, Answer]:
        """Return the answers of DataProxyService."""
        return {
            "CreateUploadLocation": self.upload_location,
            "CreateDownloadLocation": self.download_location,
        }

    def upload_location(
        self, request: dataproxy_pb2.CreateUploadLocationRequest
    ) -> dataproxy_pb2.CreateUploadLocationResponse:
        """Return a URL to PUT a file to, and the file's ``s3://`` URL."""
        if not (request.project and request.domain):
            raise Refused("INVALID_ARGUMENT", "project and domain are required parameters")
        if not (request.filename_root or request.content_md5):
            message = "content_md5 or filename_root is a required parameter"
            raise Refused("INVALID_ARGUMENT", message)
        root = request.filename_root or base64.b32encode(request.content_md5).decode()
        file_name = request.filename or secrets.token_hex(10)
        key = f"{request.project}/{request.domain}/{root}/{file_name}"
        md5 = base64.b64encode(request.content_md5).decode()
        if request.filename_root and request.filename:
            self.check_overwriting(key, md5)
        signed: dict[str, object] = {"Bucket": self.store.bucket, "Key": key}
        headers = {}
        if md5:
            signed["ContentMD5"] = headers["Content-MD5"] = md5
        if md5 and request.add_content_md5_metadata:
            signed["Metadata"] = {MD5_METADATA: md5}
            headers[f"x-amz-meta-{MD5_METADATA}"] = md5
        native = f"s3://{self.store.bucket}/{key}"
        self.uploads.append(native)
        return dataproxy_pb2.CreateUploadLocationResponse(
            signed_url=self.signed("put_object", signed),
            native_url=native,
            expires_at=expiry(),
            headers=headers,
        )

    def download_location(
        self, request: dataproxy_pb2.CreateDownloadLocationRequest
    ) -> dataproxy_pb2.CreateDownloadLocationResponse:
        """Return a URL to GET a file from."""
        bucket, _, key = request.native_url.removeprefix("s3://").partition("/")
        url = self.signed("get_object", {"Bucket": bucket, "Key": key})
        return dataproxy_pb2.CreateDownloadLocationResponse(signed_url=url, expires_at=expiry())

    def signed(self, method: str, parameters: Mapping[str, object]) -> str:
        """Return a presigned URL."""
        seconds = int(EXPIRY.total_seconds())
        return self._client.generate_presigned_url(method, Params=parameters, ExpiresIn=seconds)

    def check_overwriting(self, key: str, md5: str) -> None:
        """Refuse to replace a file by another one."""
        try:
            existing = self._client.head_object(Bucket=self.store.bucket, Key=key)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return
            raise
        if existing["Metadata"].get(MD5_METADATA.lower()) != md5:
            message = f"file already exists at location [{key}], specify a matching hash"
            raise Refused("ALREADY_EXISTS", message)


def expiry() -> Timestamp:
    """Return when a URL given out now ends."""
    moment = now()
    moment.seconds += int(EXPIRY.total_seconds())
    return moment
