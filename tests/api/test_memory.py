"""However long logs are, reading them takes little memory: measured in processes of their own."""

import json
import subprocess
import sys

import pytest
from support.answers import send
from support.api_front import FaultyServer

PROGRAM = """
import re, sys
from pathlib import Path
from perian_shim.api import PerianClient
from perian_shim.lifecycle.logs import LogTail

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024

with PerianClient(sys.argv[1], "acme", "token-123") as client:
    before = peak()
    {act}
    print(peak() - before)
"""
FOLLOW = "tail = LogTail(); job = client.get_job('j'); tail.feed(job.logs); tail.flush()"
LIST = "jobs = list(client.iter_jobs())"

MEGABYTES = 64


def extra_memory(act: str, line: str, jobs: int) -> int:
    """Return by how many megabytes a process grew at most while it read 64 MB of logs."""
    lines = json.dumps(line * 2000, ensure_ascii=False)[1:-1].encode()
    log = lines * (MEGABYTES * 1024 * 1024 // jobs // len(lines)) + "🙂".encode()
    entry = b'{"id":"j","status":"Done","docker_metadata":{},"logs":"' + log + b'"}'
    body = b'{"jobs":[' + b",".join([entry] * jobs) + b"]}"
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with FaultyServer(send(head + body)) as server:
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(act=act), server.url],
            capture_output=True,
            check=False,
            env={"NO_PROXY": "*"},
            timeout=120,
        )
    assert ended.returncode == 0, ended.stderr.decode()
    return int(ended.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "line", ["epoch 0000012345 loss 0.12345 ok\n", "ab\n", "☃☃☃ → größe\n", '{"x": "\\"}\n']
)
def test_following_a_job_with_a_very_long_log_takes_little_memory(line: str) -> None:
    assert extra_memory(FOLLOW, line, jobs=1) < 200


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_listing_jobs_with_long_logs_takes_hardly_any_memory() -> None:
    assert extra_memory(LIST, "epoch 0000012345 loss 0.12345 ok\n", jobs=32) < 30
