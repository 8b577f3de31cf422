"""Where a bucket is: the URL of S3, or of what speaks its protocol. Pure.

AWS takes the bucket's name in the host name. Where that cannot be (a dot in the name has no
certificate), and at other endpoints unless they are said to take it, it is in the path.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from perian_shim.storage.sigv4 import quoted

DEFAULT_REGION = "us-east-1"

_HOST_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)
_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ACCESS_POINT = re.compile(
    r"arn:[a-z-]+:s3:(?P<region>[a-z0-9-]+):(?P<account>\d+):accesspoint:(?P<name>[a-z0-9-]+)",
    re.ASCII,
)
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eusc-": "amazonaws.eu",
}

_AWS_HOST = re.compile(r"(.+\.)?amazonaws\.(com|com\.cn|eu)", re.ASCII)


@dataclass(frozen=True)
class Addressing:
    """How buckets are found.

    Attributes:
        endpoint: URL of the endpoint, empty for AWS.
        virtual_hosts: whether that endpoint takes the bucket's name in the host name.
        dual_stack: whether AWS's names that have IPv6 addresses as well are used.
        fips: whether AWS's FIPS endpoints are used.
    """

    endpoint: str = ""
    virtual_hosts: bool = False
    dual_stack: bool = False
    fips: bool = False

    def bucket_url(self, bucket: str, region: str) -> str:
        """Return a bucket's URL, without a slash at the end."""
        point = _ACCESS_POINT.fullmatch(bucket)
        if point and not self.endpoint:
            host = f"{point['name']}-{point['account']}.{self._service('s3-accesspoint', region)}"
            return f"https://{host}"
        if not self.endpoint:
            return self._placed(f"https://{self._service('s3', region)}", bucket, virtual=True)
        return self._placed(self.endpoint.rstrip("/"), bucket, virtual=self.virtual_hosts)

    def _service(self, service: str, region: str) -> str:
        if service == "s3" and region == DEFAULT_REGION and not (self.fips or self.dual_stack):
            return "s3.amazonaws.com"
        suffix = next(
            (name for start, name in _SUFFIXES.items() if region.startswith(start)),
            "amazonaws.com",
        )
        kind = f"{service}{'-fips' * self.fips}{'.dualstack' * self.dual_stack}"
        return f"{kind}.{region}.{suffix}"

    @staticmethod
    def _placed(base: str, bucket: str, *, virtual: bool) -> str:
        """Put a bucket's name into a URL."""
        parts = urlsplit(base)
        pattern = _HOST_LABEL if parts.scheme == "https" else _HOST_NAME
        if virtual and pattern.fullmatch(bucket):
            return f"{parts.scheme}://{bucket}.{parts.netloc}{parts.path}"
        return f"{base}/{quoted(bucket)}"


def is_aws(endpoint: str) -> bool:
    """Whether an endpoint of S3 is AWS's own; so is none at all."""
    host = urlsplit(endpoint).hostname or ""
    return not endpoint or _AWS_HOST.fullmatch(host) is not None


def region_of_arn(bucket: str) -> str | None:
    """Return the region that an access point's name tells, None for a bucket."""
    point = _ACCESS_POINT.fullmatch(bucket)
    return point["region"] if point else None


def object_url(bucket_url: str, key: str) -> str:
    """Return an object's URL."""
    return f"{bucket_url}/{quoted(key)}"
