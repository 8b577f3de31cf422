"""What a bucket may demand of every request: encryption with a certain key, or that we pay. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from perian_shim import settings
from perian_shim.errors import ConfigError

_KMS = ("aws:kms", "aws:kms:dsse")
_ENCRYPTIONS = ("AES256", *_KMS)
_REQUESTER = "requester"


@dataclass(frozen=True)
class S3Options:
    """What goes with our requests, and with those that a job is given.

    Attributes:
        encryption: how S3 encrypts what is written; empty as the bucket says.
        kms_key: the key of AWS's key service for that; empty for the bucket's or the account's.
        requester_pays: whether who asks pays for the request.
    """

    encryption: str = ""
    kms_key: str = ""
    requester_pays: bool = False

    def __post_init__(self) -> None:
        if self.encryption not in {"", *_ENCRYPTIONS}:
            expected = ", ".join(_ENCRYPTIONS)
            message = f"{settings.S3_SSE}: expected one of {expected}, got {self.encryption!r}"
            raise ConfigError(message)
        if self.kms_key and self.encryption not in _KMS:
            message = f"{settings.S3_SSE_KMS_KEY_ID} is of use with {settings.S3_SSE}=aws:kms only"
            raise ConfigError(message)

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "S3Options":
        """Read what is set.

        Raises:
            ConfigError: a value is none that S3 knows.
        """
        payer = settings.text(settings.S3_REQUEST_PAYER, environ=environ)
        if payer not in {"", _REQUESTER}:
            message = f"{settings.S3_REQUEST_PAYER}: expected {_REQUESTER}, got {payer!r}"
            raise ConfigError(message)
        return cls(
            settings.text(settings.S3_SSE, environ=environ),
            settings.text(settings.S3_SSE_KMS_KEY_ID, environ=environ),
            bool(payer),
        )

    @property
    def on_all(self) -> dict[str, str]:
        """What goes with every request: a header, part of a presigned URL's query, or a field."""
        return {"x-amz-request-payer": _REQUESTER} if self.requester_pays else {}

    @property
    def on_new(self) -> dict[str, str]:
        """What goes with a request that makes an object, as a header or a form's field."""
        found = {"x-amz-server-side-encryption": self.encryption} if self.encryption else {}
        if self.kms_key:
            found["x-amz-server-side-encryption-aws-kms-key-id"] = self.kms_key
        return found
