"""Which way a call takes to the API, and who proves what to whom on it."""

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest
from support.answers import reply
from support.api_front import FaultyServer
from support.certificate import make_certificate
from support.front import Exchange

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import ApiTimeout, ClientConfigError, TransportError
from perian_shim.sandbox.server.application import Response
from perian_shim.wire import Proxy, UnusableProxy, proxy_for

HTTPS, HTTP = "https://api.example", "http://api.example"
HERE = Proxy("p.example", 3128)
ONE_JOB = reply(body={"jobs": [{"id": "j1", "status": "Running"}]})


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        (HTTPS, {}, None),
        (HTTPS, {"HTTPS_PROXY": "http://p.example:3128"}, HERE),
        (HTTPS, {"https_proxy": "http://p.example:3128", "HTTPS_PROXY": "http://other"}, HERE),
        (HTTPS, {"https_proxy": "", "HTTPS_PROXY": "http://other"}, None),
        (HTTPS, {"HTTP_PROXY": "http://p.example:3128"}, None),
        (HTTP, {"HTTP_PROXY": "http://p.example:3128"}, HERE),
        (HTTP, {"HTTPS_PROXY": "http://p.example:3128"}, None),
        (HTTPS, {"ALL_PROXY": "http://p.example:3128"}, HERE),
        (HTTPS, {"ALL_PROXY": "http://other", "HTTPS_PROXY": "http://p.example:3128"}, HERE),
        (HTTPS, {"HTTPS_PROXY": "p.example:3128"}, HERE),
        (HTTPS, {"HTTPS_PROXY": " HTTP://P.example:3128/ "}, HERE),
        (HTTPS, {"HTTPS_PROXY": "http://p.example"}, Proxy("p.example", 80)),
        (HTTPS, {"HTTPS_PROXY": "http://[::1]:3128"}, Proxy("::1", 3128)),
    ],
)
def test_the_proxy_is_the_one_for_the_scheme(
    url: str, environ: dict[str, str], proxy: Proxy | None
) -> None:
    assert proxy_for(url, environ) == proxy


@pytest.mark.parametrize(
    ("host", "exceptions", "direct"),
    [
        ("api.example", "*", True),
        ("api.example", "api.example", True),
        ("api.example", "API.Example", True),
        ("api.example", "other, api.example", True),
        ("api.example", "other api.example", True),
        ("api.example", "example", True),
        ("api.example", ".example", True),
        ("api.example", "*.example", True),
        ("api.example", "api.example:443", True),
        ("api.example", "api.example:80", False),
        ("api.example:8443", "api.example:8443", True),
        ("api.example:8443", "api.example", True),
        ("api.example", "pi.example", False),
        ("api.example", "api.example.org", False),
        ("api.example", "", False),
        ("api.example", ",", False),
        ("api.example", ".", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.0.0.1/8", True),
        ("10.1.2.3", "11.0.0.0/8", False),
        ("10.1.2.3", "10.1.2", False),
        ("[::1]", "::1", True),
        ("[::1]", "[::1]", True),
        ("[fd00::1]", "fd00::/8", True),
        ("[fd00::1]", "10.0.0.0/8", False),
    ],
)
def test_hosts_that_need_no_proxy_are_named(host: str, exceptions: str, *, direct: bool) -> None:
    environ = {"HTTPS_PROXY": "http://p.example:3128", "NO_PROXY": exceptions}
    assert proxy_for(f"https://{host}", environ) == (None if direct else HERE)


@pytest.mark.parametrize(
    "value",
    [
        "http://user:HIDDEN@[bad",
        "http://user:HIDDEN@",
        "http://user:HIDDEN@p.example:port",
        "http://user:HIDDEN@p.example:99999",
        "https://user:HIDDEN@p.example",
        "socks5://user:HIDDEN@p.example",
        "http://user:HIDDEN@p\x01.example",
    ],
)
def test_what_is_no_http_proxy_is_refused_unseen(value: str) -> None:
    with pytest.raises(UnusableProxy, match="HTTPS_PROXY") as caught:
        proxy_for(HTTPS, {"HTTPS_PROXY": value})
    assert "HIDDEN" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_proxy_shows_no_password() -> None:
    proxy = proxy_for(HTTPS, {"HTTPS_PROXY": "http://user:HIDDEN@p.example"})
    assert "HIDDEN" not in repr(proxy)
    assert "user" not in repr(proxy)


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultyServer(ONE_JOB) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with PerianClient("http://api.example", "acme", "tok") as client:
            client.get_job("j1")
    assert proxy.requests[0].target == "http://api.example/job/j1"


def test_a_proxy_that_is_no_url_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:HIDDEN@[bad")
    with (
        PerianClient("http://api.example", "acme", "tok") as client,
        pytest.raises(ClientConfigError, match="proxy") as caught,
    ):
        client.get_job("j1")
    assert "HIDDEN" not in str(caught.value)
    assert caught.value.__cause__ is None


class Tunnels(FaultyServer):
    """A proxy that connects to one server, whatever it is asked for."""

    def __init__(self, port: int, status: int = 200) -> None:
        super().__init__(self.tunnel)
        self.to, self.status = port, status

    def tunnel(self, exchange: Exchange) -> Response | None:
        """Answer a CONNECT and hand bytes on until both sides are done."""
        exchange.connection.sendall(f"HTTP/1.1 {self.status} Status\r\n\r\n".encode())
        if self.status == 200:
            with socket.create_connection(("127.0.0.1", self.to)) as there:
                back = threading.Thread(target=hand_on, args=(there, exchange.connection))
                back.start()
                hand_on(exchange.connection, there)
                back.join(timeout=10)
        return None


def hand_on(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until there are no more."""
    source.settimeout(10)
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_a_tunnel_leads_through_a_proxy_that_sees_its_own_password_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.file))
    with FaultyServer(ONE_JOB, tls=certificate.context) as server, Tunnels(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//us%40er:p%3Ass@"))
        with PerianClient(server.url, "acme", "token-123") as client:
            for _ in range(2):
                assert client.get_job("j1").status == "Running"
        [asked] = proxy.requests
        assert asked.line == f"CONNECT localhost:{server.port}"
    assert asked.headers["proxy-authorization"] == "Basic dXNAZXI6cDpzcw=="
    assert "token-123" not in str(asked)
    assert "proxy-authorization" not in server.requests[0].headers
    assert server.requests[0].headers["authorization"] == "Bearer token-123"
    assert [request.target for request in server.requests] == ["/job/j1", "/job/j1"]


def test_a_proxy_for_what_is_not_encrypted_gets_its_password_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyServer(ONE_JOB) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:pass@"))
        with PerianClient("http://api.example:8080/v1", "acme", "tok") as client:
            client.get_job("j1")
    [asked] = proxy.requests
    assert asked.target == "http://api.example:8080/v1/job/j1"
    assert asked.headers["host"] == "api.example:8080"
    assert asked.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"


def test_a_proxy_that_refuses_has_let_nothing_through(monkeypatch: pytest.MonkeyPatch) -> None:
    with Tunnels(1, status=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with (
            PerianClient(HTTPS, "acme", "tok") as client,
            pytest.raises(TransportError, match="407") as caught,
        ):
            client.cancel_job("j1")
    assert not caught.value.sent
    assert not caught.value.outcome_unknown


def test_a_proxy_that_says_nothing_has_let_nothing_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with (
            PerianClient(HTTPS, "acme", "tok", connect_timeout=0.2) as client,
            pytest.raises(ApiTimeout, match="no connection") as caught,
        ):
            client.cancel_job("j1")
    assert not caught.value.sent
