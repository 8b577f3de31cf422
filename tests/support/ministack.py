"""An AWS for tests: ministack's S3, IAM and STS, in a process and an environment of its own.

It checks signatures, presigned URLs, POST forms, policies of users, buckets, roles and sessions.
``root`` bypasses all policies, and its secret is not checked: tests act as an IAM ``user``.

What it does not do: AssumeRoleWithWebIdentity drops the session policy. No DurationSeconds is
refused, so that keys may live for a second. Policies have no variables and no escapes (``${*}``).
An object that is not there is "not found" also for who may not list. Nobody has to pay.
"""

import atexit
import functools
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import boto3
import botocore.config
import pytest
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.storage.s3_keys import Keys

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCOUNT = "000000000000"
REGION = "us-east-1"
ROOT = Keys("root", "rootsecret")
_CHECKOUT = Path(__file__).resolve().parent.parent.parent
_ENVIRONMENTS = (Path(sys.prefix, "ministack"), _CHECKOUT / ".venv" / "ministack")

numbers = itertools.count(1)


def _python() -> str:
    """The Python that has ministack."""
    for environment in _ENVIRONMENTS:
        python = environment / "bin" / "python"
        if python.exists():
            return str(python)
    reason = "needs ministack: `make check` installs it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Ministack:
    """One AWS, empty at first.

    Attributes:
        port: on the loopback interface.
    """

    port: int

    @property
    def url(self) -> str:
        """The endpoint of all its services."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str, keys: Keys = ROOT, region: str = REGION) -> Any:
        """boto3's client of a service."""
        client: Any = boto3.client  # the type of IAM's and STS's is not installed
        return client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token or None,
            config=botocore.config.Config(
                proxies={}, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
            ),
        )

    def s3(self, keys: Keys = ROOT, region: str = REGION) -> "S3Client":
        """boto3's client of S3."""
        client: S3Client = self.client("s3", keys, region)
        return client

    def bucket(self, name: str = "", region: str = REGION, *, lock: bool = False) -> str:
        """A new bucket; its name."""
        name = name or f"bucket-{next(numbers)}"
        place: Any = {}
        if region != REGION:
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.s3(ROOT, region).create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock, **place)
        return name

    def put_bucket_policy(self, bucket: str, *statements: Mapping[str, object]) -> None:
        """Give a bucket a policy."""
        self.s3().put_bucket_policy(Bucket=bucket, Policy=policy(*statements))

    def user(self, *statements: Mapping[str, object]) -> Keys:
        """The static keys of a new user who may do what the statements say."""
        iam, name = self.client("iam"), f"user-{next(numbers)}"
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=policy(*statements))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"])

    def role(
        self,
        *statements: Mapping[str, object],
        trusts: Mapping[str, object] | None = None,
        session_seconds: int = 3600,
    ) -> str:
        """The ARN of a new role, which all of the account may assume unless told otherwise.

        Args:
            *statements: what it may do.
            trusts: a statement that says who may assume it.
            session_seconds: how long a session of it may be.
        """
        iam, name = self.client("iam"), f"role-{next(numbers)}"
        account = allow("sts:AssumeRole", None) | {"Principal": {"AWS": ACCOUNT}}
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=policy(trusts or account),
            MaxSessionDuration=session_seconds,
        )
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=policy(*statements))
        arn: str = role["Role"]["Arn"]
        return arn

    def short_lived(self, role: str, seconds: int) -> Keys:
        """Keys of a role that end soon; boto3 would not ask for fewer than 900 seconds."""
        client = self.client("sts", self.user(allow("sts:AssumeRole")))
        shape = client.meta.service_model.operation_model("AssumeRole").input_shape
        shape.members["DurationSeconds"].metadata["min"] = 1
        made = client.assume_role(RoleArn=role, RoleSessionName="short", DurationSeconds=seconds)[
            "Credentials"
        ]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])


def allow(
    actions: str | Iterable[str], resources: str | Iterable[str] | None = "*"
) -> dict[str, object]:
    """A statement that allows actions."""
    named = {"Action": actions if isinstance(actions, str) else list(actions)}
    if resources is None:  # of a trust policy
        return {"Effect": "Allow", **named}
    on = resources if isinstance(resources, str) else list(resources)
    return {"Effect": "Allow", **named, "Resource": on}


def policy(*statements: Mapping[str, object]) -> str:
    """A policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@functools.cache
def ministack() -> Ministack:
    """The session's AWS; the first call starts it. It ends with this process."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    process = subprocess.Popen(
        [_python(), "-m", "hypercorn", "--bind", f"fd://{listener.fileno()}", "ministack.app:app"],
        env={
            "PATH": os.environ["PATH"],
            "AUTH": "true",
            "SERVICES": "s3,iam,sts",
            "IOT_MTLS_ENABLED": "0",  # it would listen on all interfaces
            "AWS_ACCESS_KEY_ID": ROOT.access_key,
            "AWS_SECRET_ACCESS_KEY": ROOT.secret_key,
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "WARNING",
        },
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=subprocess.STDOUT,
        pass_fds=[listener.fileno()],
        start_new_session=True,  # a signal that a test sends to its group is not for it
    )
    listener.close()
    atexit.register(said.close)
    atexit.register(_end, process)

    def output() -> str:
        said.seek(0)
        return f"ministack answers\n{said.read().decode(errors='replace')[-3000:]}"

    started = Ministack(port)
    wait_until(lambda: _answers(started, process, output), LONG_SECONDS, output)
    return started


def _answers(started: Ministack, process: "subprocess.Popen[bytes]", output: Any) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"ministack ended with {process.returncode}: {output()}")
    try:
        with build_opener(ProxyHandler({})).open(f"{started.url}/_ministack/health", timeout=5):
            return True
    except (URLError, OSError):
        return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait(LONG_SECONDS)
