"""An S3 for the sandbox: moto's server in a process of its own.

Objects live in that process's memory (large ones in its temporary files): they are gone when it
stops, and several sandboxes on a machine share nothing. It takes signed requests only, by keys that
are new at each start: code and pickles pass through it, and whoever could replace them would run
code as the user. The process ends with its parent, however the parent dies, because it watches a
pipe that only the parent holds.
"""

import contextlib
import json
import os
import secrets
import select
import subprocess
import sys
from pathlib import Path

from perian_shim.sandbox.errors import ADVICE, SandboxDependencyError, SandboxError
from perian_shim.sandbox.s3.signatures import TOLERANCE_SECONDS
from perian_shim.sandbox.spawn import HERE

REGION = "us-east-1"
START_SECONDS = 60.0
STOP_SECONDS = 5.0


class ObjectStorage:
    """Moto's S3 with one bucket.

    Args:
        log: file for the server's complaints.
        host: address to listen on.
        port: 0 for a free one.
        bucket: made at the start.
        tolerance: seconds by which a signature's time may differ from this machine's.

    Attributes:
        access_key_id: key that requests must be signed with.
        secret_access_key: its secret part.
    """

    def __init__(
        self,
        log: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        bucket: str = "perian-sandbox",
        tolerance: float = TOLERANCE_SECONDS,
    ) -> None:
        self.log = log
        self.host = host
        self.port = port
        self.bucket = bucket
        self.tolerance = tolerance
        self.access_key_id = f"SANDBOX{secrets.token_hex(8).upper()}"
        self.secret_access_key = secrets.token_urlsafe(30)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """The S3 endpoint's URL; known once started."""
        # "Any address" is where to listen, not where to go.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not bound here
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def start(self) -> None:
        """Start the server and wait until it serves.

        Raises:
            SandboxDependencyError: moto or flask is not installed.
            SandboxError: it did not start; says why.
        """
        settings = json.dumps(
            {
                "host": self.host,
                "port": self.port,
                "bucket": self.bucket,
                "tolerance": self.tolerance,
            }
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "spawn.py"), "storage_server", settings],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Control-C in a terminal is for the sandbox, which ends this process in its turn.
                start_new_session=True,
            )
        self.hand_over_keys()
        answer = self.first_line()
        if "port" in answer:
            self.port = int(answer["port"])
            return
        self.stop()
        if "missing" in answer:
            raise SandboxDependencyError(
                f"the sandbox's storage needs the package {answer['missing']}: {ADVICE}"
            )
        reason = answer.get("error", f"it ended without a word; see {self.log}")
        raise SandboxError(
            f"the sandbox's storage did not start on {self.host}:{self.port}: {reason}"
        )

    def hand_over_keys(self) -> None:
        """Give the server its keys; what is not there any more says why by itself."""
        if self.process is None or self.process.stdin is None:
            return
        line = json.dumps([self.access_key_id, self.secret_access_key]) + "\n"
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(line.encode())
            self.process.stdin.flush()

    def first_line(self) -> dict[str, str]:
        """Give what the server says when it is ready or has failed; empty if it says nothing."""
        if self.process is None or self.process.stdout is None:
            return {}
        descriptor = self.process.stdout.fileno()
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([descriptor], [], [], START_SECONDS)
            piece = os.read(descriptor, 4096) if readable else b""
            if not piece:
                return {}
            line += piece
        return {name: str(value) for name, value in json.loads(line).items()}

    def stop(self) -> None:
        """End the server; its objects are gone. Repeatable."""
        process, self.process = self.process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
