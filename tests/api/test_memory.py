"""However long an answer is, it takes little memory: measured in processes of their own."""

import json
import subprocess
import sys

import pytest
from support.answers import send, stream
from support.api_front import FaultyServer
from support.front import Behaviour

PROGRAM = """
import re, sys
from pathlib import Path
from perian_shim.api.client import PerianClient
from perian_shim.lifecycle.logs import LogTail

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

with PerianClient(sys.argv[1], "acme", "token-123") as client:
    before = peak()
    {act}
    print(peak() - before)
"""
GET = "job = client.get_job('j'); print(job.status, job.price.unit_price, job.env_variables)"
FOLLOW = "tail = LogTail(); job = client.get_job('j'); tail.feed(job.logs); tail.flush()"
LIST = "print([job.env_variables for job in client.list_jobs(limit=100).items])"

MEGABYTE = 1 << 20
LINE = b"epoch 0000012345 loss 0.12345 ok\\n"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
    pytest.mark.thorough,
]


def measured(act: str, behaviour: Behaviour) -> tuple[int, list[str]]:
    """Return by how many megabytes a process grew at most, and what it printed."""
    with FaultyServer(behaviour) as server:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(act=act), server.url],
            capture_output=True,
            check=False,
            env={"NO_PROXY": "*"},
            text=True,
            timeout=120,
        )
    assert ended.returncode == 0, ended.stderr
    *printed, grown = ended.stdout.splitlines()
    return int(grown), printed


@pytest.mark.parametrize(
    "line", ["epoch 0000012345 loss 0.12345 ok\n", "ab\n", "☃☃☃ → größe\n", '{"x": "\\"}\n']
)
def test_following_a_job_with_a_very_long_log_takes_little_memory(line: str) -> None:
    lines = json.dumps(line * 2000, ensure_ascii=False)[1:-1].encode()
    log = lines * (64 * MEGABYTE // len(lines)) + "🙂".encode()
    body = b'{"jobs":[{"id":"j","status":"Done","docker_metadata":{},"logs":"' + log + b'"}]}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    grown, _ = measured(FOLLOW, send(head + body))
    assert grown < 250


@pytest.mark.parametrize("place", ["first", "last"])
def test_all_is_known_of_a_job_whose_log_is_larger_than_memory_should_be(place: str) -> None:
    variables = {"docker_run_parameters": {"env_variables": {"KEY": "k"}}}
    members = {"id": "j", "status": "Running", "price": {"unit_price": "1.5"}}
    rest = json.dumps({**members, "docker_metadata": variables}).encode()[1:-1]
    head, tail = (b'"logs":"', b'",' + rest) if place == "first" else (rest + b',"logs":"', b'"')
    piece = LINE * (MEGABYTE // len(LINE))
    answer = stream(b'{"jobs":[{' + head, piece, tail + b"}]}", times=560)
    grown, printed = measured(GET, answer)
    assert printed == ["Running 1.5 {'KEY': 'k'}"]
    assert grown < 80


def listing(**bulk: object) -> Behaviour:
    """Answer with a page of a hundred jobs that have much in them, and a variable among it."""
    docker = bulk.get("docker", {})
    assert isinstance(docker, dict)
    variables = {"KEY": "k", **docker.get("env_variables", {})}
    parameters = {"image_name": "debian", **docker, "env_variables": variables}
    job = {**bulk, "id": "j", "docker_metadata": {"docker_run_parameters": parameters}}
    entry = json.dumps(job).encode()
    return stream(b'{"jobs":[', entry + b",", entry + b"]}", times=99)


BULK = "x" * 360_000
BULKS: dict[str, dict[str, object]] = {
    "logs of 5 MB": {"logs": LINE.decode() * (5 * MEGABYTE // len(LINE))},
    "commands of 360 kB": {"docker": {"command": BULK}},
    "commands full of escapes": {"docker": {"command": '\\"\n' * 100_000}},
    "files": {"docker": {"container_files": [{"path": "/f", "base64_content": BULK}] * 3}},
    "secrets": {"docker": {"secrets": {f"S{number}": BULK for number in range(3)}}},
    "long variables": {"docker": {"env_variables": {"LONG": BULK}}},
    "errors": {"errors": BULK * 3},
    "what the API may grow": {"traces": [{"spans": [BULK] * 3}], "docker": {"layers": BULK}},
}


@pytest.mark.parametrize("kind", BULKS)
def test_a_page_of_a_hundred_bulky_jobs_is_read_in_little_memory(kind: str) -> None:
    grown, printed = measured(LIST, listing(**BULKS[kind]))
    assert printed == [str([{"KEY": "k"}] * 100)]
    assert grown < 30


def test_a_page_of_a_hundred_very_large_environments_is_read_in_little_memory() -> None:
    variables = {f"V{number}": "x" * 1000 for number in range(1000)}
    grown, printed = measured(LIST, listing(docker={"env_variables": variables}))
    assert printed == [str([{}] * 100)]
    assert grown < 30
