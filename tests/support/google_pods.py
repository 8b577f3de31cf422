"""Pods whose metadata and raw data are in Google Cloud Storage, as far as ``GoogleCloud`` is that.

What the backend itself reads and writes goes straight to the buckets' memory: the signatures and
tokens that are looked at are all the product's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from support.gcs_verifier import GoogleCloud

from perian_shim.sandbox.flyte.cluster import METADATA, Cluster
from perian_shim.sandbox.flyte.places import Place
from perian_shim.sandbox.flyte.store import Store

BUCKET = "bucket"


class GoogleStore(Store):
    """The backend's own access to both stores.

    Args:
        google: where ``gs://`` is.
        environment: flytekit's variables of S3.
    """

    def __init__(self, google: GoogleCloud, environment: dict[str, str]) -> None:
        super().__init__(environment)
        self.google = google

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object."""
        if not uri.startswith("gs://"):
            super().write(uri, content)
            return
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        self.google.put(bucket, key, content)

    def read(self, uri: str) -> bytes | None:
        """Return an object's content, None if there is none."""
        if not uri.startswith("gs://"):
            return super().read(uri)
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        return self.google.contents(bucket).get(key)

    def listed(self, prefix: str) -> Iterator[str]:
        """Yield the URIs of all objects below a folder, in order."""
        if not prefix.startswith("gs://"):
            yield from super().listed(prefix)
            return
        bucket, _, key = prefix.rstrip("/").removeprefix("gs://").partition("/")
        names = sorted(self.google.contents(bucket))
        yield from (f"gs://{bucket}/{name}" for name in names if name.startswith(f"{key}/"))


@dataclass
class GoogleCluster(Cluster):
    """A cluster on Google: its pods have an identity there, and their data lie in a bucket.

    Attributes:
        google: the cloud.
        home: scheme of the URIs of metadata and raw data.
    """

    google: GoogleCloud = field(kw_only=True)
    home: str = field(default="gs", kw_only=True)

    def __post_init__(self) -> None:
        host = self.google.url.partition("://")[2]
        own = {**self.google.environ, "GCE_METADATA_IP": host, **flytekits(self.google)}
        self.environment = {**self.environment, **own}

    def store(self) -> Store:
        """Return the backend's own access to the object stores."""
        return GoogleStore(self.google, dict(self.environment))

    def place(self, execution: str, node: str) -> Place:
        """Return where a node of an execution's own workflow is."""
        place = super().place(execution, node)
        if self.home != "gs":
            return place
        folder = place.data_prefix.partition(METADATA)[2]
        return replace(place, bucket=BUCKET, data_prefix=f"gs://{BUCKET}/{METADATA}{folder}")


def flytekits(google: GoogleCloud) -> dict[str, str]:
    """Return the variables by which flytekit's file system finds the storage."""
    return {
        "FSSPEC_GCS_ENDPOINT_URL": google.url,
        # The other kind of buckets is asked for by gRPC, which is not spoken here.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
    }
