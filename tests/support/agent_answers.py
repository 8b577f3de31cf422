"""Asks a running agent as a library would, but byte by byte."""

import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from support.agent import Agent, Telling
from support.grants import GrantServer
from support.waiting import LONG_SECONDS

FLAVOR = {"Metadata-Flavor": "Google"}
EMAIL = "job@perian-shim.invalid"
ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"


def telling(agent: Agent, server: GrantServer, **variables: str) -> Telling:
    """A command that runs with what the server grants."""
    agent.give(PERIAN_SHIM_GRANT=server.first_url, **variables)
    return agent.telling()


def get(address: str, path: str, headers: Mapping[str, str]) -> "tuple[int, str]":
    """Ask the agent; return status and body."""
    connection = http.client.HTTPConnection(address, timeout=LONG_SECONDS)
    try:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def aws(command: Telling, authorization: str | None = None) -> "tuple[int, dict[str, str]]":
    """Ask for AWS's keys; return status and what is answered."""
    url = urlsplit(command.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    token = command.environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    given = token if authorization is None else authorization
    status, body = get(url.netloc, url.path, {"Authorization": given} if given else {})
    return status, json.loads(body)


def google(command: Telling, path: str, headers: Mapping[str, str] = FLAVOR) -> "tuple[int, str]":
    """Ask the metadata server; return status and body."""
    return get(command.environment["GCE_METADATA_HOST"], path, headers)


def key_of(command: Telling) -> str:
    """The key ID that is handed out now."""
    return aws(command)[1].get("AccessKeyId", "")
