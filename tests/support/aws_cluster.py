"""A cluster on an AWS that checks everything, whose pods have keys that end soon.

Perian and the pods are the sandbox's; metadata and data lie in ministack's S3. The pods' keys are
those of a role for a few seconds, handed out as EKS pod identity does.
"""

import datetime
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from flyteidl.core import tasks_pb2
from support.flyte import Harness
from support.function_harness import ImageCluster
from support.ministack import ROOT, Ministack, allow, ministack
from support.waiting import join_all

from perian_shim.sandbox.flyte.places import Pod
from perian_shim.storage.s3_keys import Keys


@dataclass
class PodCluster(ImageCluster):
    """A cluster whose own access to the store is not that of its pods.

    Attributes:
        identity: a pod's variables of the store.
    """

    identity: Mapping[str, str] = field(default_factory=dict)

    def variables(self, template: tasks_pb2.TaskTemplate, pod: Pod, folder: Path) -> dict[str, str]:
        """Return the container's environment."""
        given = super().variables(template, pod, folder)
        secret = ("_FSEC_", "PERIAN_")
        others = {
            name: value
            for name, value in given.items()
            if "AWS_" not in name or name.startswith(secret)
        }
        return {**others, **self.identity}


@dataclass
class Identity:
    """Hands out a role's keys, as the agent on a node of EKS does.

    Attributes:
        aws: the AWS.
        role: the role's ARN.
        seconds: for how long keys are good.
        handed: how often.
    """

    aws: Ministack
    role: str
    seconds: int
    handed: int = 0

    def keys(self) -> Keys:
        """Return new keys."""
        self.handed += 1
        return self.aws.short_lived(self.role, self.seconds)

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve them; gives the URL."""
        identity = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                now = datetime.datetime.now(datetime.timezone.utc)
                keys = identity.keys()
                end = now + datetime.timedelta(seconds=identity.seconds)
                content = json.dumps(
                    {
                        "AccessKeyId": keys.access_key,
                        "SecretAccessKey": keys.secret_key,
                        "Token": keys.token,
                        "Expiration": f"{end:%Y-%m-%dT%H:%M:%SZ}",
                    }
                ).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                del arguments

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/keys"
        finally:
            server.shutdown()
            join_all([thread])
            server.server_close()


@dataclass(frozen=True)
class Account:
    """An account with a bucket for tasks, and one that is nobody's business.

    Attributes:
        aws: the AWS.
        bucket: for metadata and data.
        other: the other bucket.
        role: that of the pods, which may do all in the first.
        assumed: the same for jobs, which those who have the first may assume.
    """

    aws: Ministack
    bucket: str
    other: str
    role: str
    assumed: str

    @classmethod
    def new(cls) -> "Account":
        """Return a new one."""
        aws = ministack()
        bucket, other = aws.bucket(), aws.bucket()
        arn = f"arn:aws:s3:::{bucket}"
        data = allow("s3:*", [arn, f"{arn}/*"])
        return cls(aws, bucket, other, aws.role(data, allow("sts:AssumeRole")), aws.role(data))

    def user(self) -> Keys:
        """Return a user's static keys, who may do all in the bucket and ask for other keys."""
        arn = f"arn:aws:s3:::{self.bucket}"
        return self.aws.user(
            allow("s3:*", [arn, f"{arn}/*"]), allow(["sts:AssumeRole", "sts:GetFederationToken"])
        )

    def harness(self, harness: Harness, identity: Mapping[str, str], **secrets: str) -> Harness:
        """Return a harness on this account.

        Args:
            harness: gives the Perian and the pods.
            identity: a pod's variables of the store, beside those that name it.
            secrets: of the task's secret group, by key.
        """
        given = harness.cluster
        others = {name: each for name, each in given.environment.items() if "AWS_" not in name}
        named = {"FLYTE_AWS_ENDPOINT": self.aws.url, "AWS_REGION": "us-east-1"}
        admin = {
            "FLYTE_AWS_ACCESS_KEY_ID": ROOT.access_key,
            "FLYTE_AWS_SECRET_ACCESS_KEY": ROOT.secret_key,
        }
        cluster = PodCluster(
            bucket=self.bucket,
            environment={**others, **named, **admin},
            secrets={
                **given.secrets,
                **{("perian", key): value for key, value in secrets.items()},
            },
            bin_dir=given.bin_dir,
            identity={**named, "AWS_ENDPOINT_URL_STS": self.aws.url, **identity},
        )
        return Harness(harness.sandbox, cluster, harness.folder, harness.door)


def static(keys: Keys) -> dict[str, str]:
    """Return the variables of a pod that has static keys."""
    return {
        "FLYTE_AWS_ACCESS_KEY_ID": keys.access_key,
        "FLYTE_AWS_SECRET_ACCESS_KEY": keys.secret_key,
    }


def of_container(url: str) -> dict[str, str]:
    """Return the variables of a pod that asks a URL for its keys."""
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}
