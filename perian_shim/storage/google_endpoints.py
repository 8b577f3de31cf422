"""Where Google's servers are. Pure.

An emulator is named as Google's libraries know it, ``STORAGE_EMULATOR_HOST``. Real servers under
another name (Private Service Connect) are named as gcloud knows them:
``CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE``, ``…_IAMCREDENTIALS`` and ``…_STS``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_OVERRIDES = "CLOUDSDK_API_ENDPOINT_OVERRIDES_"


@dataclass(frozen=True)
class GoogleEndpoints:
    """URLs, without a slash at the end.

    Attributes:
        storage: of Cloud Storage.
        iam: of the IAM Credentials API, which signs for service accounts.
        sts: of the Security Token Service, which makes narrower tokens of wider ones.
        emulated: whether the storage is an emulator, which asks for no token.
    """

    storage: str = "https://storage.googleapis.com"
    iam: str = "https://iamcredentials.googleapis.com"
    sts: str = "https://sts.googleapis.com"
    emulated: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "GoogleEndpoints":
        """Read what is set."""
        emulator = environ.get("STORAGE_EMULATOR_HOST", "")
        if emulator and "://" not in emulator:
            emulator = f"http://{emulator}"
        given = {
            "storage": emulator or environ.get(f"{_OVERRIDES}STORAGE", ""),
            "iam": environ.get(f"{_OVERRIDES}IAMCREDENTIALS", ""),
            "sts": environ.get(f"{_OVERRIDES}STS", ""),
        }
        urls = {name: url.rstrip("/") for name, url in given.items() if url}
        return cls(**urls, emulated=bool(emulator))
