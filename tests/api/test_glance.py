"""Looking at a job without reading its log, over real connections."""

import gzip
import itertools
import json

import pytest
from support.answers import by_request, reply
from support.api_front import FaultyServer
from support.front import Behaviour, Exchange

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import JobNotFound, MalformedResponse, ServerFault
from perian_shim.api.jobs import Glance, Job
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import Retrier

MEGABYTE = 1 << 20
LOG = b"epoch 0000012345 loss 0.12345 ok\\n" * (MEGABYTE // 34)
MEMBERS = b'"id":"j","status":"Running","started_at":null'


class Pouring:
    """Answers with a job's log of so many megabytes, and counts what the other side lets it send.

    Args:
        megabytes: how long the log is.
        status_first: whether the status stands before the log.
    """

    def __init__(self, megabytes: int, *, status_first: bool) -> None:
        before, behind = (MEMBERS + b",", b"") if status_first else (b"", b"," + MEMBERS)
        self.head = b'{"jobs":[{' + before + b'"logs":"'
        self.tail = b'"' + behind + b"}]}"
        self.megabytes = megabytes
        self.length = len(self.head) + len(LOG) * megabytes + len(self.tail)
        self.sent = 0

    def __call__(self, exchange: Exchange) -> None:
        start = f"HTTP/1.1 200 OK\r\nContent-Length: {self.length}\r\n\r\n".encode()
        logs = itertools.repeat(LOG, self.megabytes)
        try:
            for piece in itertools.chain([start + self.head], logs, [self.tail]):
                for place in range(0, len(piece), 4096):
                    self.sent += exchange.connection.send(piece[place : place + 4096])
        except OSError:
            return


def glance_at(*answers: Behaviour) -> Glance:
    with FaultyServer(*answers) as server, PerianClient(server.url, "o", "token-123") as client:
        return client.glance("j")


@pytest.mark.parametrize("status_first", [True, False])
def test_a_glance_at_a_job_with_a_long_log_lets_little_of_it_be_sent(*, status_first: bool) -> None:
    pouring = Pouring(200, status_first=status_first)
    glance = glance_at(pouring)
    assert glance.job == (Job("j", "Running") if status_first else None)
    assert glance.answer_bytes == pouring.length
    assert not glance.whole
    # What is sent beyond the first kilobytes is in the buffers of two kernels.
    assert pouring.sent < 20 * MEGABYTE


def test_after_a_glance_the_next_call_has_a_connection_of_its_own() -> None:
    long, short = Pouring(20, status_first=True), reply(200, {"jobs": [{"id": "j"}]})
    with FaultyServer(long, short) as server, PerianClient(server.url, "o", "token-123") as client:
        assert client.glance("j").job == Job("j", "Running")
        assert client.get_job("j").status == "Undefined"
        assert [request.connection for request in server.requests] == [1, 2]


@pytest.mark.parametrize("logs", [None, "", "a line\n"])
def test_what_fits_in_a_glance_is_whole(logs: str | None) -> None:
    body = json.dumps({"jobs": [{"id": "j", "logs": logs, "status": "Done"}]}).encode()
    glance = glance_at(reply(200, body))
    assert glance.whole
    assert glance.job == Job("j", "Done", logs=logs)
    assert glance.job.answer_bytes == len(body)


def test_what_stands_before_the_log_is_told_however_long_it_is() -> None:
    metadata = {"docker_run_parameters": {"env_variables": {"KEY": "k" * 100_000}}}
    job = {"docker_metadata": metadata, "id": "j", "status": "Done", "logs": "x" * 500_000}
    glance = glance_at(reply(200, {"jobs": [job]}))
    assert glance.job is not None
    assert (glance.job.status, len(glance.job.env_variables["KEY"])) == ("Done", 100_000)
    assert glance.job.logs is None


def test_of_a_packed_answer_the_length_is_not_told() -> None:
    body = b'{"jobs":[{' + MEMBERS + b',"logs":"' + LOG + b'"}]}'
    glance = glance_at(reply(200, gzip.compress(body), headers={"Content-Encoding": "gzip"}))
    assert glance == Glance(Job("j", "Running"), None)


def test_a_reading_says_how_much_was_read() -> None:
    pouring = Pouring(2, status_first=True)
    with FaultyServer(pouring) as server, PerianClient(server.url, "o", "token-123") as client:
        assert client.get_job("j").answer_bytes == pouring.length


def test_errors_are_as_with_any_look() -> None:
    with pytest.raises(JobNotFound):
        glance_at(reply(400, {"detail": "No job found with specified ID"}))
    with pytest.raises(ServerFault):
        glance_at(reply(503, {"logs": "x" * 100_000}))
    with pytest.raises(MalformedResponse):
        glance_at(reply(200, b"<html>"))
    with pytest.raises(JobNotFound):
        glance_at(reply(200, {"jobs": []}))


def test_a_pod_that_must_go_does_not_read_a_long_log_to_see_its_job_end() -> None:
    pouring = Pouring(200, status_first=True)
    answers = by_request(lambda request: pouring if request.method == "GET" else reply(200, {}))
    with FaultyServer(answers) as server, PerianClient(server.url, "o", "token-123") as client:
        job = Jobs(lambda: client, Retrier(RetryPolicy())).ask_to_end("j", brief=True)
        assert job == Job("j", "Running")
        assert [request.method for request in server.requests] == ["PATCH", "GET"]
    assert pouring.sent < 20 * MEGABYTE
