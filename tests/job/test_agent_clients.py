"""The libraries that a function task uses find the agent's keys by themselves, and renew them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.agent import Agent, ask, ended
from support.answers import reply
from support.front import Exchange, Front
from support.grants import GrantServer, aws_keys, google_token
from support.s3 import ACCESS_KEY, SECRET_KEY, Bucket, s3_endpoint
from support.waiting import LONG_SECONDS, on_this_machine, wait_until

from perian_shim.sandbox.server.application import Response

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

S3_KEYS = ("aws", ACCESS_KEY, SECRET_KEY, "session-token")

BOTOCORE = """
import botocore.session, sys
credentials = botocore.session.get_session().get_credentials()
for line in sys.stdin:
    found = credentials.get_frozen_credentials()
    print(credentials.method, found.access_key, found.secret_key, found.token, flush=True)
"""
AIOBOTOCORE = """
import aiobotocore.session, asyncio, sys
async def main():
    credentials = await aiobotocore.session.get_session().get_credentials()
    for line in sys.stdin:
        found = await credentials.get_frozen_credentials()
        print(credentials.method, found.access_key, found.secret_key, found.token, flush=True)
asyncio.run(main())
"""
BOTO3 = """
import boto3, sys
s3 = boto3.client("s3")
for line in sys.stdin:
    print(s3.get_object(Bucket=line.strip(), Key="key")["Body"].read().decode(), flush=True)
"""
S3FS = """
import s3fs, sys
s3 = s3fs.S3FileSystem(use_listings_cache=False)
for line in sys.stdin:
    print(s3.cat_file(f"{line.strip()}/key").decode(), flush=True)
"""
GOOGLE_AUTH = """
import google.auth, google.auth.transport.requests, json, sys
request = google.auth.transport.requests.Request()
credentials, project = google.auth.default(["https://www.googleapis.com/auth/devstorage.read_write"])
for line in sys.stdin:
    headers = {}
    credentials.before_request(request, "GET", "https://storage.googleapis.com/", headers)
    kind = type(credentials).__module__
    print(json.dumps([project, kind, headers["authorization"]]), flush=True)
"""
GCSFS = """
import gcsfs, sys
gcs = gcsfs.GCSFileSystem()
for line in sys.stdin:
    print(gcs.cat_file("bucket/key").decode(), flush=True)
"""
GOOGLE_STORAGE = """
import sys
from google.cloud import storage
client = storage.Client()
for line in sys.stdin:
    print(client.bucket("bucket").blob("key").download_as_bytes().decode(), flush=True)
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path, environment={"AWS_DEFAULT_REGION": "us-east-1"})


@pytest.mark.parametrize("script", [BOTOCORE, AIOBOTOCORE], ids=["botocore", "aiobotocore"])
def test_awss_libraries_get_the_next_keys(agent: Agent, script: str) -> None:
    with GrantServer(aws_keys(1), lives=60, renew=1) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        with agent.script(script) as process:
            assert ask(process) == "container-role ID1 SECRET-CANARY-1 TOKEN-CANARY-1"
            server.write(aws_keys(2))
            second = "container-role ID2 SECRET-CANARY-2 TOKEN-CANARY-2"
            wait_until(lambda: ask(process) == second, LONG_SECONDS, "no new keys")
            assert ended(process).code == 0


@pytest.mark.parametrize("script", [BOTO3, S3FS], ids=["boto3", "s3fs"])
def test_objects_of_s3_are_read_with_the_keys_of_the_moment(
    agent: Agent, bucket: Bucket, script: str
) -> None:
    bucket.put("key", b"first")
    with GrantServer(S3_KEYS, lives=60) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url, AWS_ENDPOINT_URL_S3=s3_endpoint())
        with agent.script(script) as process:
            assert ask(process, bucket.name) == "first"
            bucket.put("key", b"second")
            assert ask(process, bucket.name) == "second"
            assert ended(process).code == 0


def test_keys_that_have_expired_are_an_error_that_says_why(agent: Agent) -> None:
    with GrantServer(aws_keys(), lives=round(on_this_machine(4))) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        with agent.script(BOTOCORE) as process:
            assert ask(process)
            server.listen(False)
            wait_until(lambda: not ask(process), LONG_SECONDS, "still handed out")
            end = ended(process)

    assert end.code == 1
    # The second is botocore's own, if it asks in the last second.
    reasons = ("has expired because the pod that renews it is gone", "are still expired")
    assert any(reason in end.err for reason in reasons), end.err


def google_api(exchange: Exchange) -> Response:
    """Answer as Google's store with an object that holds the token it was asked for with."""
    token = exchange.request.headers.get("authorization", "nothing").encode()
    return Response(200, token, {"Content-Type": "application/octet-stream"})


@pytest.fixture
def store() -> Iterator[Front]:
    """A store in Google's place that accepts any token."""
    with Front(behind=google_api) as front:
        yield front


def test_google_auth_gets_the_next_token(agent: Agent) -> None:
    with GrantServer(google_token(1), lives=60, renew=1) as server:
        agent.give(PERIAN_SHIM_GRANT=server.first_url)
        with agent.script(GOOGLE_AUTH) as process:
            kind = "google.auth.compute_engine.credentials"
            assert json.loads(ask(process)) == ["perian-shim", kind, "Bearer OAUTH-CANARY-1"]
            server.write(google_token(2))
            second = ["perian-shim", kind, "Bearer OAUTH-CANARY-2"]
            wait_until(lambda: json.loads(ask(process)) == second, LONG_SECONDS, "no new token")
            assert ended(process).code == 0


def test_google_auth_asks_the_agent_whatever_proxy_there_is(agent: Agent) -> None:
    with GrantServer(google_token(1)) as server, Front(behind=reply(502)) as proxy:
        url = server.first_url.replace("127.0.0.1", "localhost")
        agent.give(PERIAN_SHIM_GRANT=url, HTTP_PROXY=proxy.url, NO_PROXY="localhost")
        with agent.script(GOOGLE_AUTH) as process:
            assert "OAUTH-CANARY-1" in ask(process)
            assert ended(process).code == 0

    assert proxy.requests == []


@pytest.mark.parametrize(
    ("package", "script"),
    [("gcsfs", GCSFS), ("google.cloud.storage", GOOGLE_STORAGE)],
    ids=["gcsfs", "google-cloud-storage"],
)
def test_objects_of_google_are_read_with_the_token_of_the_moment(
    agent: Agent, store: Front, package: str, script: str
) -> None:
    pytest.importorskip(package)
    with GrantServer(google_token(1), lives=60, renew=1) as server:
        # The other kind of buckets is asked for by gRPC, which the store here does not speak.
        agent.give(PERIAN_SHIM_GRANT=server.first_url, GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT="false")
        script = script.replace("GCSFileSystem()", f'GCSFileSystem(endpoint_url="{store.url}")')
        script = script.replace(
            "Client()", f'Client(client_options={{"api_endpoint": "{store.url}"}})'
        )
        with agent.script(script) as process:
            assert ask(process) == "Bearer OAUTH-CANARY-1"
            server.write(google_token(2))
            wait_until(lambda: ask(process) == "Bearer OAUTH-CANARY-2", LONG_SECONDS, "no token")
            assert ended(process).code == 0
