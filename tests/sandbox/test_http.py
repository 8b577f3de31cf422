"""The API as bytes on a connection: refusals, keep-alive, and the seam for faults."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from perian.exceptions import ApiException
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api

from perian_shim.sandbox.records import Json
from perian_shim.sandbox.server.application import Response
from perian_shim.sandbox.server.http import Exchange


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


class Raw:
    """A client that sends what it is told."""

    def __init__(self, api: Api) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(api.server.url).netloc, timeout=30)

    def call(
        self,
        method: str,
        path: str,
        body: Json | bytes = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, object]]:
        given = {"X-PERIAN-AUTH-ORG": ORGANIZATION, "Authorization": f"Bearer {TOKEN}"}
        content = body if isinstance(body, bytes) else None
        if body is not None and content is None:
            content = json.dumps(body).encode()
        self.connection.request(method, path, content, given if headers is None else headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture
def raw(api: Api) -> Iterator[Raw]:
    client = Raw(api)
    yield client
    client.connection.close()


@pytest.mark.parametrize("missing", ["X-PERIAN-AUTH-ORG", "Authorization"])
def test_a_missing_header_is_named(raw: Raw, missing: str) -> None:
    headers = {"X-PERIAN-AUTH-ORG": ORGANIZATION, "Authorization": f"Bearer {TOKEN}"}
    del headers[missing]
    status, body = raw.call("GET", "/job", headers=headers)
    assert (status, body["detail"]) == (400, f"The required header {missing} is missing")


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b"", ["body"]),
        (b"{not json", ["body", 1]),
        ([], ["body"]),
        ({"timeout_seconds": "soon"}, ["body", "timeout_seconds"]),
        ({"timeout_seconds": 0}, ["body", "timeout_seconds"]),
        ({"instance_type_id": "x"}, ["body", "instance_type_id"]),
        ({"requirements": 3}, ["body", "requirements"]),
        ({"requirements": {"cpu": {"cores": "many"}}}, ["body", "requirements", "cpu", "cores"]),
        (
            {"docker_run_parameters": {"command": ["ls"]}},
            ["body", "docker_run_parameters", "command"],
        ),
        (
            {"docker_run_parameters": {"env_variables": {"A": {}}}},
            ["body", "docker_run_parameters", "env_variables", "A"],
        ),
        (
            {"docker_run_parameters": {"container_files": [{"path": "/a", "base64_content": "?"}]}},
            ["body", "docker_run_parameters", "container_files", 0, "base64_content"],
        ),
        (
            {
                "docker_run_parameters": {
                    "container_files": [{"path": "../a", "base64_content": ""}]
                }
            },
            ["body", "docker_run_parameters", "container_files", 0, "path"],
        ),
    ],
)
def test_an_invalid_body_is_refused_where_it_is_wrong(
    raw: Raw, body: Json | bytes, location: list[str | int]
) -> None:
    status, answer = raw.call("POST", "/job", body)
    detail = answer["detail"]
    assert status == 422
    assert isinstance(detail, list)
    assert [problem["loc"] for problem in detail] == [location]
    assert all(problem["msg"] and problem["type"] for problem in detail)


@pytest.mark.parametrize(
    ("method", "path", "location"),
    [
        ("GET", "/job/1234", ["path", "job_id"]),
        ("PATCH", "/job/1234/cancel", ["path", "job_id"]),
        ("GET", "/job?limit=none", ["query", "limit"]),
        ("GET", "/job?page=0", ["query", "page"]),
    ],
)
def test_invalid_parameters_are_refused_where_they_are_wrong(
    raw: Raw, method: str, path: str, location: list[str]
) -> None:
    status, answer = raw.call(method, path)
    assert status == 422
    assert isinstance(answer["detail"], list)
    assert answer["detail"][0]["loc"] == location


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/job", 405), ("GET", "/instance-type", 405)],
)
def test_other_paths_and_methods_do_not_exist(
    raw: Raw, method: str, path: str, status: int
) -> None:
    assert raw.call(method, path)[0] == status


def test_unknown_fields_are_ignored(raw: Raw) -> None:
    status, answer = raw.call("POST", "/job", {"requirements": {"later": 1}, "future": True})
    assert (status, answer["status"]) == (200, "Success")


def test_one_connection_serves_many_requests(raw: Raw) -> None:
    raw.call("GET", "/job")
    used = raw.connection.sock
    raw.call("POST", "/job", {})
    raw.call("GET", "/nothing")
    assert used is not None
    assert raw.connection.sock is used


def test_a_middleware_can_lose_the_answer_to_a_request_that_took_effect(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def lose(exchange: Exchange, proceed: Callable[[], Response]) -> Response | None:
        proceed()
        exchange.connection.shutdown(socket.SHUT_RDWR)
        return None

    with running_api(tmp_path_factory.mktemp("faults")) as api:
        honest, api.server.middleware = api.server.middleware, lose
        client = Raw(api)
        with pytest.raises(ConnectionError):
            client.call("POST", "/job", {"requirements": {}})
        client.connection.close()
        api.server.middleware = honest
        listed = api.jobs.get_all_jobs()
    assert listed.pagination is not None
    assert listed.pagination.total_items == 1


def test_a_middleware_can_answer_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    def overloaded(_exchange: Exchange, _proceed: Callable[[], Response]) -> Response:
        return Response(
            503, b"<html>busy</html>", {"Content-Type": "text/html", "Retry-After": "0"}
        )

    with running_api(tmp_path_factory.mktemp("faults")) as api:
        api.server.middleware = overloaded
        with pytest.raises(ApiException) as error:
            api.jobs.get_all_jobs()
    assert error.value.status == 503
    assert error.value.headers is not None
    assert error.value.headers["Retry-After"] == "0"
