"""What the client puts on the wire and how it reads good answers, against real HTTP servers."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.answers import by_request, close, half_body, reply, reset, stream
from support.api_front import FaultyServer
from support.front import Behaviour, Received

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import (
    ApiError,
    ClientConfigError,
    InstanceTypeNotFound,
    InvalidRequest,
    JobNotFound,
    MalformedResponse,
    Redirected,
    TransportError,
)
from perian_shim.api.excerpt import Excerpt
from perian_shim.api.job_request import CreateJobRequest, DockerRun, Requirements

JOB_ID = "046b6c7f-0b8a-43b9-b35d-6489e6daee91"
JOB = {"id": JOB_ID, "status": "Running"}
ONE_JOB = reply(body={"status": "Success", "status_code": 200, "jobs": [JOB]})
CREATED = reply(body={"status": "Success", "id": JOB_ID})
SUCCESS = reply(body={"status": "Success", "message": "Operation was successful"})
REQUEST = CreateJobRequest(DockerRun("busybox", command="true"), Requirements(cores=2))


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def client_for(server: FaultyServer, **options: object) -> PerianClient:
    return PerianClient(server.url, "acme", "token-123", **options)  # type: ignore[arg-type]  # each test's own


def test_a_job_is_created_from_the_request_and_its_id_returned() -> None:
    with FaultyServer(CREATED) as server, client_for(server) as client:
        assert client.create_job(REQUEST) == JOB_ID
    sent = server.requests[0]
    assert (sent.method, sent.path, sent.json) == ("POST", "/job", REQUEST.to_json())


def test_a_job_is_fetched_by_its_id() -> None:
    with FaultyServer(ONE_JOB) as server, client_for(server) as client:
        assert client.get_job(JOB_ID).status == "Running"
    assert (server.requests[0].method, server.requests[0].path) == ("GET", f"/job/{JOB_ID}")


def test_the_job_that_was_asked_for_is_taken_from_among_others() -> None:
    jobs = [{"id": "other", "status": "Done"}, JOB]
    with FaultyServer(reply(body={"jobs": jobs})) as server, client_for(server) as client:
        assert client.get_job(JOB_ID.upper()).id == JOB_ID


def test_an_odd_job_beside_the_one_that_was_asked_for_does_not_matter() -> None:
    jobs = [{"id": 7}, {"id": "other", "status": []}, JOB]
    with FaultyServer(reply(body={"jobs": jobs})) as server, client_for(server) as client:
        assert client.get_job(JOB_ID).status == "Running"


def test_a_listing_with_odd_jobs_shows_all_others() -> None:
    odd = {"id": "odd", "status": [], "price": "n/a", "docker_metadata": 7}
    body = {"jobs": [None, odd, JOB], "pagination": {"current_page": 1, "total_pages": 1}}
    with FaultyServer(reply(body=body)) as server, client_for(server) as client:
        assert [job.id for job in client.iter_jobs()] == ["odd", JOB_ID]


def test_a_listing_comes_without_logs() -> None:
    logs = {**JOB, "logs": "line\n"}
    with FaultyServer(reply(body={"jobs": [logs]})) as server, client_for(server) as client:
        assert [job.logs for job in client.list_jobs().items] == [None]
        assert client.get_job(JOB_ID).logs == "line\n"


def test_of_a_very_long_log_both_ends_are_read() -> None:
    lines = "".join(f"line {number} ☃\n" for number in range(700_000))
    answer = reply(body={"jobs": [{**JOB, "logs": lines}, {**JOB, "id": "other", "logs": lines}]})
    with FaultyServer(answer) as server, client_for(server) as client:
        log = client.get_job(JOB_ID).logs
    assert isinstance(log, Excerpt)
    assert log.startswith("line 0 ☃\nline 1 ☃\n")
    assert log.endswith("\nline 699999 ☃\n")
    assert log.whole_length == len(lines)
    # How much more than head and tail depends on the pieces in which the answer came.
    assert len(json.dumps(log)) < 9 << 20


def test_an_answer_may_be_compressed() -> None:
    logs = "line\n" * 100_000
    body = gzip.compress(json.dumps({"jobs": [{**JOB, "logs": logs}]}).encode())
    answer = reply(body=body, headers={"Content-Encoding": "gzip"})
    with FaultyServer(answer) as server, client_for(server) as client:
        assert client.get_job(JOB_ID).logs == logs


def test_a_compressed_answer_that_ends_early_is_no_answer() -> None:
    body = gzip.compress(json.dumps({"jobs": [JOB]}).encode())[:-4]
    answer = reply(body=body, headers={"Content-Encoding": "gzip"})
    with (
        FaultyServer(answer) as server,
        client_for(server) as client,
        pytest.raises(MalformedResponse, match="breaks off"),
    ):
        client.get_job(JOB_ID)


def test_a_small_answer_that_unpacks_to_too_much_is_broken_off() -> None:
    body = gzip.compress(b'{"jobs":[],"message":"' + bytes(64 << 20))
    answer = reply(body=body, headers={"Content-Encoding": "gzip"})
    with (
        FaultyServer(answer) as server,
        client_for(server) as client,
        pytest.raises(MalformedResponse, match="abandoned as too long"),
    ):
        client.get_job(JOB_ID)


def test_an_encoding_that_nobody_asked_for_is_no_answer() -> None:
    answer = reply(body=b"{}", headers={"Content-Encoding": "br"})
    with (
        FaultyServer(answer) as server,
        client_for(server) as client,
        pytest.raises(MalformedResponse),
    ):
        client.get_job(JOB_ID)
    assert server.requests[0].headers["accept-encoding"] == "gzip"


def test_another_job_than_asked_for_is_no_answer() -> None:
    with (
        FaultyServer(reply(body={"jobs": [{"id": "other"}]})) as server,
        client_for(server) as client,
        pytest.raises(MalformedResponse, match="other ids"),
    ):
        client.get_job(JOB_ID)


def test_no_job_in_the_answer_means_there_is_none() -> None:
    with (
        FaultyServer(reply(body={"jobs": []})) as server,
        client_for(server) as client,
        pytest.raises(JobNotFound),
    ):
        client.get_job(JOB_ID)


def test_a_job_is_cancelled_by_its_id() -> None:
    with FaultyServer(SUCCESS) as server, client_for(server) as client:
        client.cancel_job(JOB_ID)
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("PATCH", f"/job/{JOB_ID}/cancel")


def test_a_page_of_jobs_is_asked_for_by_number_and_size() -> None:
    with FaultyServer(ONE_JOB) as server, client_for(server) as client:
        assert [job.id for job in client.list_jobs(page=2, limit=7).items] == [JOB_ID]
    assert (server.requests[0].path, server.requests[0].query) == (
        "/job",
        {"page": "2", "limit": "7"},
    )


def test_instance_types_are_queried_by_requirements() -> None:
    answer = reply(body={"instance_types": [{"id": "it-1"}]})
    with FaultyServer(answer) as server, client_for(server) as client:
        page = client.list_instance_types(Requirements(cores=2), page=3, limit=5)
    sent = server.requests[0]
    assert [item.id for item in page.items] == ["it-1"]
    assert (sent.method, sent.path, sent.query) == (
        "POST",
        "/instance-type",
        {"page": "3", "limit": "5"},
    )
    assert sent.json == {"instance_type_query": {"cpu": {"cores": 2}}}


def test_an_instance_type_is_fetched_by_its_id() -> None:
    answer = reply(body={"instance_types": [{"id": "it-2"}, {"id": "it-1", "name": "big"}]})
    with FaultyServer(answer) as server, client_for(server) as client:
        assert client.get_instance_type("it-1").name == "big"
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/instance-type/it-1")


def test_an_instance_type_that_is_not_there_is_missing() -> None:
    empty = reply(body={"instance_types": []})
    refused = reply(400, {"detail": "No instance type found with specified ID"})
    for answer in (empty, refused):
        with (
            FaultyServer(answer) as server,
            client_for(server) as client,
            pytest.raises(InstanceTypeNotFound),
        ):
            client.get_instance_type("it-1")


def test_another_instance_type_than_asked_for_is_no_answer() -> None:
    with (
        FaultyServer(reply(body={"instance_types": [{"id": "other"}]})) as server,
        client_for(server) as client,
        pytest.raises(MalformedResponse, match=r"GET /instance-type/it-1: .* other ids"),
    ):
        client.get_instance_type("it-1")


def test_accelerator_types_are_queried() -> None:
    answer = reply(body={"accelerator_types": [{"id": "at-1", "name": "NVIDIA_L4_24"}]})
    with FaultyServer(answer) as server, client_for(server) as client:
        page = client.list_accelerator_types(limit=1)
    assert [item.name for item in page.items] == ["NVIDIA_L4_24"]
    assert not page.has_next
    assert server.requests[0].json == {"accelerator_type_query": {}}


def test_every_call_carries_credentials_and_says_who_calls() -> None:
    with FaultyServer(ONE_JOB) as server, client_for(server) as client:
        client.get_job(JOB_ID)
    headers = server.requests[0].headers
    assert headers["x-perian-auth-org"] == "acme"
    assert headers["authorization"] == "Bearer token-123"
    assert headers["user-agent"].startswith("perian-shim/")
    assert headers["accept"] == "application/json"


def test_white_space_around_a_stored_secret_is_no_part_of_it() -> None:
    with FaultyServer(ONE_JOB) as server, PerianClient(server.url, "acme\n", " tok\n") as client:
        client.get_job(JOB_ID)
    assert server.requests[0].headers["authorization"] == "Bearer tok"
    assert server.requests[0].headers["x-perian-auth-org"] == "acme"


def test_a_netrc_of_the_machine_does_not_replace_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with FaultyServer(ONE_JOB) as server, client_for(server) as client:
        client.get_job(JOB_ID)
    assert server.requests[0].headers["authorization"] == "Bearer token-123"


def test_a_name_of_the_callers_is_who_calls() -> None:
    with FaultyServer(ONE_JOB) as server, client_for(server, user_agent="mine/1") as client:
        client.get_job(JOB_ID)
    assert server.requests[0].headers["user-agent"] == "mine/1"


def test_a_base_path_and_trailing_slashes_are_fine() -> None:
    with (
        FaultyServer(ONE_JOB) as server,
        PerianClient(f" {server.url}/v1// ", "acme", "tok") as client,
    ):
        client.get_job(JOB_ID)
    assert server.requests[0].path == f"/v1/job/{JOB_ID}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.perian.cloud",
        "ftp://api.perian.cloud",
        "https://",
        "https://user:HIDDEN@api.perian.cloud",
        "https://api.perian.cloud:port",
        "https://api.perian.cloud:99999",
        "https://api.perian.cloud/?a=1",
        "https://api.perian.cloud/#a",
        "https://api.perian.cloud/a b",
        "https://[::1",
        "https://user:HIDDEN@[::1",
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ClientConfigError, match="base URL") as caught:
        PerianClient(url, "acme", "tok")
    assert "HIDDEN" not in str(caught.value)


@pytest.mark.parametrize("value", ["", " \n", "a\nHIDDEN", "HIDDEN-ü", "HIDDEN\x7f"])
def test_credentials_that_no_header_can_carry_are_refused_unseen(value: str) -> None:
    with pytest.raises(ClientConfigError, match="token") as of_token:
        PerianClient("http://localhost", "acme", value)
    with pytest.raises(ClientConfigError, match="organization") as of_organization:
        PerianClient("http://localhost", value, "tok")
    assert "HIDDEN" not in f"{of_token.value}{of_organization.value}"


@pytest.mark.parametrize("job_id", ["", ".", "..", "../job", "a/b", "a b", "a?x=1", "a\n", "%2e"])
def test_an_id_that_would_be_another_path_is_never_sent(job_id: str) -> None:
    with FaultyServer(ONE_JOB) as server, client_for(server) as client:
        with pytest.raises(InvalidRequest, match="Not a job id"):
            client.get_job(job_id)
        with pytest.raises(InvalidRequest, match="Not a job id"):
            client.cancel_job(job_id)
        with pytest.raises(InvalidRequest, match="Not an instance type id"):
            client.get_instance_type(job_id)
    assert not server.requests


@pytest.mark.parametrize(("page", "limit"), [(0, 1), (1, 0)])
def test_pages_are_counted_from_one(page: int, limit: int) -> None:
    with (
        PerianClient("http://localhost", "acme", "tok") as client,
        pytest.raises(ValueError, match="at least 1"),
    ):
        client.list_jobs(page, limit)


def test_a_created_job_with_an_impossible_id_is_malformed() -> None:
    with (
        FaultyServer(reply(body={"id": "../x"})) as server,
        client_for(server) as client,
        pytest.raises(MalformedResponse) as caught,
    ):
        client.create_job(REQUEST)
    assert caught.value.outcome_unknown


def listing(request: Received, total: int) -> Behaviour:
    """A well-behaved listing of jobs j0, j1, ..."""
    page, limit = int(request.query["page"]), int(request.query["limit"])
    numbers = range(total)[(page - 1) * limit : page * limit]
    pages = -(-total // limit)
    return reply(
        body={
            "jobs": [{"id": f"j{number}", "status": "Done"} for number in numbers],
            "pagination": {"current_page": page, "total_pages": pages, "total_items": total},
        }
    )


@pytest.mark.parametrize(("total", "calls"), [(0, 1), (1, 1), (2, 1), (3, 2), (5, 3)])
def test_all_jobs_are_iterated_page_by_page(total: int, calls: int) -> None:
    server = FaultyServer(by_request(lambda request: listing(request, total)))
    with server, client_for(server) as client:
        assert [job.id for job in client.iter_jobs(limit=2)] == [f"j{n}" for n in range(total)]
    assert len(server.requests) == calls


def test_only_pages_that_are_needed_are_asked_for() -> None:
    server = FaultyServer(by_request(lambda request: listing(request, 100)))
    with server, client_for(server) as client:
        jobs: Iterator[object] = client.iter_jobs(limit=2)
        next(jobs)
    assert len(server.requests) == 1


def test_a_server_that_repeats_its_page_has_not_shown_the_listing() -> None:
    again = reply(body={"jobs": [JOB], "pagination": {"current_page": 1, "total_pages": 9}})
    with FaultyServer(again) as server, client_for(server) as client:
        jobs = client.iter_jobs()
        assert next(jobs).id == JOB_ID
        with pytest.raises(MalformedResponse, match="the same jobs"):
            list(jobs)
    assert len(server.requests) < 10


def test_a_server_that_promises_pages_and_sends_none_ends_the_iteration() -> None:
    empty = reply(body={"jobs": [], "pagination": {"current_page": 1, "total_pages": 9}})
    with FaultyServer(empty) as server, client_for(server) as client:
        assert list(client.iter_jobs()) == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("fault", [reset(), half_body(), reply(502), reply(504)])
def test_a_page_that_is_too_much_for_the_server_is_asked_for_in_smaller_ones(
    fault: Behaviour,
) -> None:
    def answer(request: Received) -> Behaviour:
        return fault if int(request.query["limit"]) > 30 else listing(request, 130)

    with FaultyServer(by_request(answer)) as server, client_for(server) as client:
        assert [job.id for job in client.iter_jobs()] == [f"j{number}" for number in range(130)]
    assert [request.query["limit"] for request in server.requests[:3]] == ["100", "50", "25"]


@pytest.mark.parametrize(("fault", "calls"), [(reply(503), 1), (reply(401), 1), (reply(500), 7)])
def test_a_page_that_cannot_be_had_at_all_ends_the_iteration(fault: Behaviour, calls: int) -> None:
    with FaultyServer(fault) as server, client_for(server) as client:
        with pytest.raises(ApiError):
            list(client.iter_jobs())
        assert len(server.requests) == calls


def test_a_job_that_slips_to_the_next_page_meanwhile_is_seen_once() -> None:
    def page(*ids: str, more: bool) -> Behaviour:
        pagination = {"next_page": 99 if more else None, "total_pages": 1}
        return reply(body={"jobs": [{"id": i} for i in ids], "pagination": pagination})

    pages = [page("c", "b", more=True), page("b", "a", more=False)]
    with FaultyServer(*pages) as server, client_for(server) as client:
        assert [job.id for job in client.iter_jobs(limit=2)] == ["c", "b", "a"]


def test_connections_are_kept_between_looks_at_a_job() -> None:
    with FaultyServer(ONE_JOB) as server, client_for(server) as client:
        for _ in range(3):
            client.get_job(JOB_ID)
        assert server.connections == 1


def test_a_connection_is_kept_after_an_answer_in_chunks() -> None:
    body = json.dumps({"jobs": [JOB]}).encode()
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
    answer = reply(body=chunks, headers={"Transfer-Encoding": "chunked"})
    with FaultyServer(answer) as server, client_for(server) as client:
        for _ in range(2):
            assert client.get_job(JOB_ID).status == "Running"
        assert server.connections == 1


def test_no_connection_is_kept_after_an_answer_that_was_not_read_to_its_end() -> None:
    log = stream(
        b'{"jobs":[{"id":"%b","status":"Running","logs":"' % JOB_ID.encode(), b"x", pause=0.02
    )
    with FaultyServer(log, ONE_JOB) as server, client_for(server, read_timeout=0.5) as client:
        assert str(client.get_job(JOB_ID).logs).startswith("xx")
        assert client.get_job(JOB_ID).logs is None
        assert server.connections == 2


def test_a_kept_connection_that_the_server_closes_does_not_surface() -> None:
    with FaultyServer(ONE_JOB, close(), ONE_JOB) as server, client_for(server) as client:
        client.get_job(JOB_ID)
        client.get_job(JOB_ID)
        assert server.connections == 2


def test_it_does_not_either_if_the_error_happens_to_spell_a_secret() -> None:
    with (
        FaultyServer(ONE_JOB, close(), ONE_JOB) as server,
        PerianClient(server.url, "acme", "connection") as client,
    ):
        client.get_job(JOB_ID)
        assert client.get_job(JOB_ID).status == "Running"


def test_a_cancellation_survives_a_kept_connection_that_the_server_closes() -> None:
    with FaultyServer(ONE_JOB, close(), SUCCESS) as server, client_for(server) as client:
        client.get_job(JOB_ID)
        client.cancel_job(JOB_ID)


def test_a_fresh_connection_that_the_server_closes_is_one_attempt() -> None:
    with FaultyServer(close()) as server, client_for(server) as client:
        with pytest.raises(TransportError):
            client.get_job(JOB_ID)
        assert len(server.requests) == 1


def test_a_second_closed_connection_surfaces() -> None:
    with FaultyServer(ONE_JOB, close()) as server, client_for(server) as client:
        client.get_job(JOB_ID)
        with pytest.raises(TransportError):
            client.get_job(JOB_ID)
        assert len(server.requests) == 3


def test_a_submission_never_travels_on_a_kept_connection() -> None:
    with FaultyServer(ONE_JOB, CREATED) as server, client_for(server) as client:
        client.get_job(JOB_ID)
        client.create_job(REQUEST)
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_submission_is_never_sent_twice() -> None:
    with FaultyServer(ONE_JOB, close()) as server, client_for(server) as client:
        client.get_job(JOB_ID)
        with pytest.raises(TransportError) as caught:
            client.create_job(REQUEST)
    assert [request.method for request in server.requests] == ["GET", "POST"]
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_and_the_token_stays(status: int) -> None:
    with FaultyServer(ONE_JOB) as elsewhere:
        away = reply(status, headers={"Location": f"{elsewhere.url}/job?token=HIDDEN"})
        with FaultyServer(away) as server, client_for(server) as client:
            for call in (
                lambda: client.get_job(JOB_ID),
                lambda: client.create_job(REQUEST),
                lambda: client.cancel_job(JOB_ID),
            ):
                with pytest.raises(Redirected, match=elsewhere.url) as caught:
                    call()
                assert "HIDDEN" not in str(caught.value)
    assert not elsewhere.requests


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyServer(ONE_JOB) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with PerianClient("http://api.example", "acme", "tok") as client:
            client.get_job(JOB_ID)
    assert proxy.requests[0].target == f"http://api.example/job/{JOB_ID}"


def test_a_proxy_that_is_no_url_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:HIDDEN@[bad")
    with (
        PerianClient("http://api.example", "acme", "tok") as client,
        pytest.raises(ClientConfigError, match="proxy") as caught,
    ):
        client.get_job(JOB_ID)
    assert "HIDDEN" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_closing_twice_is_fine() -> None:
    client = PerianClient("http://localhost", "acme", "tok")
    client.close()
    client.close()


def test_repr_shows_where_but_not_who() -> None:
    with PerianClient("http://localhost/", "HIDDEN-org", "HIDDEN-token") as client:
        assert repr(client) == "PerianClient('http://localhost')"
        assert "HIDDEN" not in repr(client._transport) + repr(client._transport._credentials)
