"""`Sandbox`: API server, object storage and state directory as one thing.

Security: the sandbox executes what it is sent, as the user who started it (root, with overlay
isolation, which is no security boundary). It listens on the loopback interface unless told
otherwise. Its API asks for a token, which is random unless given, and its storage for signatures
by keys that are random; the state directory is its user's alone. Do not expose it.
"""

import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import FrameType, TracebackType

from perian_shim.sandbox.errors import SandboxError, address_problem
from perian_shim.sandbox.s3.process import REGION, ObjectStorage
from perian_shim.sandbox.s3.signatures import TOLERANCE_SECONDS
from perian_shim.sandbox.server.account import START_CREDITS, Account
from perian_shim.sandbox.server.application import Application, Credentials
from perian_shim.sandbox.server.http import ApiServer
from perian_shim.sandbox.server.images import ImageCatalogue
from perian_shim.sandbox.server.job_request import JobPolicy
from perian_shim.sandbox.server.store import JobStore
from perian_shim.sandbox.state import hold, make_private
from perian_shim.sandbox.supervisor.exec import DEFAULT_PATH
from perian_shim.sandbox.supervisor.isolation import Isolation, IsolationChoice, choose_isolation
from perian_shim.sandbox.supervisor.rewrite import DEFAULT_PREFIXES


class Sandbox:
    """An embedded Perian-compatible server that really runs jobs, with an S3 beside it.

    As a context manager it starts on entry; on exit it cancels its jobs and stops, leaving no
    process behind. `stop` alone leaves running jobs running: a sandbox started later on the same
    directory has them all. What was in the S3 is lost when it stops.

    Args:
        state_dir: where jobs are kept; made if missing, else it must be this user's alone.
        host: address that both servers listen on.
        api_port: port of the API, 0 for a free one.
        s3_port: port of the storage, 0 for a free one.
        organization: the organization that requests must name.
        token: the token that they must carry; None for a random one.
        bucket: made in the storage.
        isolation: how jobs are kept apart; None for the best that works here.
        runner: "docker" or "podman" to run jobs as real containers.
        images: root directories of images, by reference; see `ImageCatalogue`.
        host_images: patterns of further images that stand for this machine's root.
        queued_seconds: how long a job stays Queued.
        initializing_seconds: how long it then stays Initializing.
        grace_seconds: from SIGTERM to SIGKILL on cancellation and timeout.
        rewrite_prefixes: directories that rewrite isolation moves into the job's folder.
        start_credits: what the organization has before any job, in EUR.
        clock_tolerance: seconds by which the time of a request to the storage may be wrong.

    Raises:
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        state_dir: Path | str,
        *,
        host: str = "127.0.0.1",
        api_port: int = 0,
        s3_port: int = 0,
        organization: str = "sandbox",
        token: str | None = None,
        bucket: str = "perian-sandbox",
        isolation: Isolation | None = None,
        runner: str | None = None,
        images: Mapping[str, Path] | None = None,
        host_images: Iterable[str] = (),
        queued_seconds: float = 0.0,
        initializing_seconds: float = 0.0,
        grace_seconds: float = 2.0,
        rewrite_prefixes: Iterable[str] = DEFAULT_PREFIXES,
        start_credits: Decimal | int | str = START_CREDITS,
        clock_tolerance: float = TOLERANCE_SECONDS,
    ) -> None:
        self.state_dir = Path(state_dir).absolute()
        self.host = host
        self.api_port = api_port
        self.organization = organization
        self.token = token if token is not None else secrets.token_urlsafe(24)
        if not self.token or not self.organization:
            raise ValueError("organization and token: expected text, got an empty one")
        self.bucket = bucket
        self.start_credits = read_credits(start_credits)
        self.requested = (isolation, runner)
        self.images = ImageCatalogue(images, host_images)
        self.policy_settings = (queued_seconds, initializing_seconds, grace_seconds)
        self.rewrite_prefixes = tuple(rewrite_prefixes)
        self.storage = ObjectStorage(
            self.state_dir / "storage.log",
            host=host,
            port=s3_port,
            bucket=bucket,
            tolerance=clock_tolerance,
        )
        self.choice: IsolationChoice | None = None
        self.store: JobStore | None = None
        self.server: ApiServer | None = None
        self.lock: int | None = None

    def __repr__(self) -> str:
        return f"Sandbox({str(self.state_dir)!r}, started={self.server is not None})"

    def start(self) -> "Sandbox":
        """Decide on the isolation, start both servers.

        Raises:
            SandboxError: it cannot start; says why, and nothing is left running.
            OSError: the state directory cannot be written.
        """
        if self.server is not None:
            raise SandboxError("the sandbox is started already")
        make_private(self.state_dir)
        with ExitStack() as undo:
            self.lock = hold(self.state_dir)
            undo.callback(self.release)
            self.choice = choose_isolation(self.state_dir, *self.requested)
            self.store = JobStore(self.state_dir / "jobs")
            self.storage.start()
            undo.callback(self.storage.stop)
            credentials = Credentials(self.organization, self.token)
            account = Account(self.store, self.organization, self.start_credits)
            application = Application(self.store, self.policy(self.choice), credentials, account)
            server = self.listening(application)
            server.start()
            undo.pop_all()
        self.server = server
        return self

    def listening(self, application: Application) -> ApiServer:
        """Return the API's server, on its address."""
        try:
            return ApiServer(application, self.host, self.api_port)
        except OSError as error:
            place = f"{self.host}:{self.api_port}"
            raise SandboxError(
                f"the sandbox's API did not start on {place}: {address_problem(error)}"
            ) from error

    def release(self) -> None:
        """Give the state directory back."""
        lock, self.lock = self.lock, None
        if lock is not None:
            os.close(lock)

    def policy(self, choice: IsolationChoice) -> JobPolicy:
        """Give how jobs run."""
        queued, initializing, grace = self.policy_settings
        # What runs the sandbox is what jobs find first: its Python, and the `pyflyte-execute` that
        # knows this perian-shim; an image named "python" must have one wherever it may be.
        places = dict.fromkeys(str(Path(each) / "bin") for each in (sys.prefix, sys.base_prefix))
        return JobPolicy(
            isolation=choice,
            images=self.images,
            queued_seconds=queued,
            initializing_seconds=initializing,
            grace_seconds=grace,
            rewrite_prefixes=self.rewrite_prefixes,
            extra_path=tuple(place for place in places if place not in DEFAULT_PATH),
        )

    def stop(self, *, cancel_jobs: bool = False) -> None:
        """Stop both servers. Repeatable.

        Args:
            cancel_jobs: also end every job, so that no process is left behind.

        Raises:
            SandboxError: jobs were to be cancelled and some did not end; all else is stopped.
        """
        server, self.server = self.server, None
        with ExitStack() as undo:
            undo.callback(self.release)
            undo.callback(self.storage.stop)
            if server is not None:
                undo.callback(server.stop)
            if cancel_jobs and self.store is not None:
                self.store.cancel_all()

    def serve_forever(
        self, announce: Callable[["Sandbox"], None] | None = None, *, cancel_jobs: bool = False
    ) -> None:
        """Serve until SIGINT or SIGTERM; to be called in the main thread.

        Args:
            announce: called once the servers are up.
            cancel_jobs: whether jobs end with the sandbox.
        """
        ended = threading.Event()

        def end(_number: int, _frame: FrameType | None) -> None:
            ended.set()

        before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            if self.server is None:
                self.start()
            if announce is not None:
                announce(self)
            ended.wait()
        finally:
            self.stop(cancel_jobs=cancel_jobs)
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def api_url(self) -> str:
        """Base URL of the API."""
        if self.server is None:
            raise SandboxError("the sandbox is not started")
        return self.server.url

    @property
    def s3_endpoint(self) -> str:
        """URL of the S3 endpoint."""
        if self.storage.process is None:
            raise SandboxError("the sandbox is not started")
        return self.storage.endpoint

    @property
    def isolation(self) -> IsolationChoice:
        """The isolation in use; its ``statement`` is a sentence for people."""
        if self.choice is None:
            raise SandboxError("the sandbox is not started")
        return self.choice

    def environment(self) -> dict[str, str]:
        """Give the variables with which flytekit, boto3 and we ourselves use this sandbox."""
        return {
            "PERIAN_API_URL": self.api_url,
            "PERIAN_ORGANIZATION": self.organization,
            "PERIAN_TOKEN": self.token,
            "FLYTE_AWS_ENDPOINT": self.s3_endpoint,
            "FLYTE_AWS_ACCESS_KEY_ID": self.storage.access_key_id,
            "FLYTE_AWS_SECRET_ACCESS_KEY": self.storage.secret_access_key,
            "AWS_ENDPOINT_URL_S3": self.s3_endpoint,
            "AWS_ACCESS_KEY_ID": self.storage.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.storage.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
        }

    def __enter__(self) -> "Sandbox":  # noqa: PYI034 - typing.Self needs Python 3.11
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop(cancel_jobs=True)


def read_credits(value: Decimal | int | str) -> Decimal:
    """Read an amount.

    Raises:
        ValueError: it is none, or below 0.
    """
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and amount >= 0):
        raise ValueError(f"start_credits: expected an amount >= 0, got {value!r}")
    return amount
