"""Hands out a job's access on the loopback interface, in two published protocols.

AWS: the credentials of a container, which every AWS library asks for at the address in its
environment, with a token that is there too. Google: the metadata server of a machine on Compute
Engine. What is asked of either is taken from the current grant, with the moment of its end, at
which libraries ask again.
"""

import hmac
import http.server
import json
import os
import socketserver
import tempfile
import threading
import time
import urllib.parse

from perian_shim.job.agent_child import can_read
from perian_shim.job.agent_grants import Access, Grant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

AWS_PATH = "/aws"

AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "FLYTE_AWS_ACCESS_KEY_ID",
    "FLYTE_AWS_SECRET_ACCESS_KEY",
)
"""Would win over the credentials of a container, or be mixed up with them."""

GOOGLE_VARIABLES = ("GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK")
"""Would win over the metadata server, or hide it."""

PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")

FLAVOR = "Metadata-Flavor"

ACCOUNT = "job@perian-shim.invalid"
"""Not of gserviceaccount.com: of such an account google-auth would ask Google for more."""

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""What a machine usually has. What its token really allows, Google knows."""

EXPIRED = "access to the object store has expired because the pod that renews it is gone"

OK, FORBIDDEN, NOT_FOUND, UNAVAILABLE = 200, 403, 404, 503


def project_of(environment: "dict[str, str]") -> str:
    """The Google project that the environment names, else a name for one that nobody asks of."""
    named = environment.get("GOOGLE_CLOUD_PROJECT") or environment.get("GCLOUD_PROJECT")
    return named or "perian-shim"


class Server:
    """Serves a job's access; made it is bound to its port, started it answers.

    Args:
        access: the job's.
        environment: the command's, as it would be without.
    """

    def __init__(self, access: Access, environment: "dict[str, str]") -> None:
        self.access = access
        self.environment = environment
        self.token = os.urandom(32).hex()
        self.token_file = lent_file(self.token)
        self.metadata = metadata(project_of(environment))
        self.listener = Listener(self)
        self.address = f"127.0.0.1:{self.listener.server_address[1]}"

    def start(self) -> None:
        """Answer from now on, in threads. What has asked before is answered now."""
        serve = self.listener.serve_forever
        threading.Thread(target=serve, name="serve", daemon=True).start()

    def changes(self) -> "tuple[dict[str, str], set[str]]":
        """What the command's environment is to have, and what it has and is not to have."""
        change: dict[str, str] = {}
        removed: set[str] = set()
        if self.access.grant.aws:
            removed.update(AWS_VARIABLES)
            change["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"http://{self.address}{AWS_PATH}"
            change["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = self.token
            if self.token_file:
                change["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = path_of(self.token_file)
            change["AWS_EC2_METADATA_DISABLED"] = "true"  # a rented machine has no role
        if self.access.grant.google:
            removed.update(GOOGLE_VARIABLES)
            change["GCE_METADATA_HOST"] = self.address
            change["GCE_METADATA_ROOT"] = self.address  # its name in older libraries
            change["GCE_METADATA_IP"] = self.address
            change["GCE_METADATA_MTLS_MODE"] = "none"  # this one has no certificate
        change.update(self.unproxied())
        return change, removed & set(self.environment)

    def unproxied(self) -> "dict[str, str]":
        """What keeps requests to this server away from a proxy: google-auth would use one."""
        if not any(self.environment.get(name) for name in PROXIES):
            return {}
        spared = self.environment.get("no_proxy") or self.environment.get("NO_PROXY") or ""
        if spared.strip() != "*":
            spared = ",".join([*([spared] if spared else []), "127.0.0.1"])
        return {"no_proxy": spared, "NO_PROXY": spared}


def lent_file(content: str) -> "BinaryIO | None":
    """A file that the command can read as long as the agent lives; None if that cannot be had.

    Libraries that are written in Rust (object_store, in polars and delta-rs) read the token from a
    file only. It has no name, so that nobody who tidies up can remove it, and nothing is left.
    """
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the agent lives
        file.write(content.encode())
        file.flush()
    except OSError:  # nothing can be written anywhere
        return None
    return file if can_read(path_of(file)) else None


def path_of(file: "BinaryIO") -> str:
    """Where other processes find a file of this one's."""
    return f"/proc/{os.getpid()}/fd/{file.fileno()}"


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread for each connection. Not http.server's: that one asks the DNS for its own name."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: Server) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients may go as they like, and a traceback is no use to anyone."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a request."""
        assert isinstance(self.server, Listener)
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        if path == AWS_PATH:
            self.aws(self.server.owner)
        elif self.headers.get(FLAVOR) != "Google" or "X-Forwarded-For" in self.headers:
            self.send(FORBIDDEN, {"message": f"requests have the header {FLAVOR}: Google"})
        elif path.endswith("/token"):
            self.google(self.server.owner, path)
        else:
            query = urllib.parse.parse_qs(url.query)
            self.describe(self.server.owner, path, query.get("recursive") == ["true"])

    def aws(self, owner: Server) -> None:
        """Answer with AWS's keys."""
        given = self.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, owner.token.encode()):
            self.send(FORBIDDEN, {"code": "Forbidden", "message": "the token is wrong or missing"})
            return
        grant = owner.access.current()
        if grant is None:
            self.send(UNAVAILABLE, {"code": "ExpiredAccess", "message": EXPIRED})
        elif not grant.aws:
            self.send(NOT_FOUND, {"code": "NotFound", "message": "the job has no keys of AWS"})
        else:
            self.send(OK, aws_answer(grant))

    def google(self, owner: Server, path: str) -> None:
        """Answer with Google's token."""
        if path not in {f"{account}token" for account in ACCOUNT_PATHS}:
            self.send(NOT_FOUND, "not found\n")
            return
        grant = owner.access.current()
        if grant is None:
            self.send(UNAVAILABLE, {"error": "unavailable", "error_description": EXPIRED})
        elif not grant.google:
            self.send(NOT_FOUND, "the job has no token of Google\n")
        else:
            lives = int(grant.left(time.monotonic()))
            answer = {"access_token": grant.google, "expires_in": lives, "token_type": "Bearer"}
            self.send(OK, answer)

    def describe(self, owner: Server, path: str, recursive: bool) -> None:
        """Answer with what else there is of a machine's metadata."""
        found = owner.metadata.get(path.rstrip("/"))
        if found is None:
            self.send(NOT_FOUND, "not found\n")
        elif isinstance(found, str) or recursive:
            self.send(OK, found)
        else:
            self.send(OK, "".join(f"{name}\n" for name in found))

    def send(self, status: int, content: object) -> None:
        """Send an answer: a text as it is, anything else as JSON."""
        is_text = isinstance(content, str)
        body = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(status)
        self.send_header(FLAVOR, "Google")
        self.send_header("Content-Type", "application/text" if is_text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def aws_answer(grant: Grant) -> "dict[str, str]":
    """Keys as the protocol has them. The moment of their end is one of this machine's clock."""
    key, secret, token = grant.aws
    end = time.gmtime(time.time() + grant.left(time.monotonic()))
    return {
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "Token": token,
        "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", end),
    }


ROOT = "/computeMetadata/v1"
ACCOUNTS = f"{ROOT}/instance/service-accounts"
ACCOUNT_PATHS = (f"{ACCOUNTS}/default/", f"{ACCOUNTS}/{ACCOUNT}/")


def metadata(project: str) -> "dict[str, str | dict[str, object]]":
    """What is at which path, without a slash at the end; a dict is a folder."""
    account = {"aliases": ["default"], "email": ACCOUNT, "scopes": list(SCOPES)}
    found: dict[str, str | dict[str, object]] = {
        "": {"computeMetadata/": {}},
        "/computeMetadata": {"v1/": {}},
        ROOT: {"instance/": {}, "project/": {}, "universe/": {}},
        f"{ROOT}/instance": {"service-accounts/": {"default": account}},
        f"{ROOT}/project": {"project-id": project},
        f"{ROOT}/project/project-id": project,
        f"{ROOT}/universe": {"universe-domain": "googleapis.com"},
        f"{ROOT}/universe/universe-domain": "googleapis.com",
        ACCOUNTS: {"default": account, ACCOUNT: account},
    }
    for path in ACCOUNT_PATHS:
        found[path.rstrip("/")] = dict(account)
        found[f"{path}email"] = ACCOUNT
        found[f"{path}aliases"] = "default\n"
        found[f"{path}scopes"] = "".join(f"{scope}\n" for scope in SCOPES)
    return found
