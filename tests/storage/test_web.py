"""How stores are reached: certificates, proxies, signals while one waits, AWS's many regions."""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from support.certificate import Certificate, make_certificate
from support.connect_proxy import connect_proxy
from support.s3 import new_bucket, s3_store
from support.storage_front import UNWELL, Answer, FaultyStorage, Seen, faulty_server, s3_error
from support.waiting import LONG_SECONDS

from perian_shim.api.errors import PerianError
from perian_shim.errors import StorageFailed
from perian_shim.storage import ObjectStore
from perian_shim.storage.s3 import S3Store

WHOLE = Answer(body=b"1234567890")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    names = ("*.s3.amazonaws.com", "*.s3.eu-west-1.amazonaws.com", "*.s3.eu-west-3.amazonaws.com")
    return make_certificate(tmp_path_factory.mktemp("certificate"), *names, "elsewhere.example.org")


@pytest.mark.parametrize(
    "variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]
)
def test_a_certificate_of_ones_own_authority_is_trusted(
    variable: str, certificate: Certificate
) -> None:
    with faulty_server(lambda _: WHOLE, tls=certificate.context) as server:
        store = s3_store(server.url, **{variable: str(certificate.file)})
        assert store.read("s3://bucket/key", 100) == WHOLE.body


def test_a_certificate_of_an_unknown_authority_is_refused_for_good(
    certificate: Certificate,
) -> None:
    with (
        faulty_server(lambda _: WHOLE, tls=certificate.context) as server,
        pytest.raises(StorageFailed, match=r"certificate of localhost:.* is not trusted") as raised,
    ):
        s3_store(server.url).read("s3://bucket/key", 100)
    assert not raised.value.passing


def test_certificates_that_cannot_be_read_are_named() -> None:
    with pytest.raises(
        StorageFailed, match=r"AWS_CA_BUNDLE=/no/such\.pem, cannot be read"
    ) as raised:
        s3_store("https://localhost:9", AWS_CA_BUNDLE="/no/such.pem").size("s3://bucket/key")
    assert not raised.value.passing


def test_a_store_behind_a_proxy_is_reached_through_it(certificate: Certificate) -> None:
    with (
        faulty_server(lambda _: WHOLE, tls=certificate.context) as server,
        connect_proxy(server.port) as (proxy, at),
    ):
        store = s3_store(
            "https://elsewhere.example.org",
            AWS_CA_BUNDLE=str(certificate.file),
            HTTPS_PROXY=f"http://user:p%40ss@{at}",
        )
        assert store.read("s3://bucket/key", 100) == WHOLE.body
    assert (proxy.asked, proxy.said) == (["elsewhere.example.org:443"], ["user:p@ss"])


def test_an_endpoint_without_tls_is_asked_of_its_proxy() -> None:
    with faulty_server(lambda _: WHOLE) as proxy:
        store = s3_store("http://elsewhere.example.org:9000", HTTP_PROXY=proxy.url)
        assert store.read("s3://bucket/a b", 100) == WHOLE.body
    assert proxy.seen[0].target == "http://elsewhere.example.org:9000/bucket/a%20b"


def test_no_proxy_is_used_where_none_is_wanted() -> None:
    variables = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1"}
    with faulty_server(lambda _: WHOLE) as server:
        assert s3_store(server.url, **variables).read("s3://bucket/key", 100) == WHOLE.body


def test_what_is_no_proxy_is_named_and_final() -> None:
    store = s3_store("http://elsewhere.example.org", HTTP_PROXY="socks5://user:secret@host:1")
    with pytest.raises(StorageFailed, match="HTTP_PROXY is no URL of an HTTP proxy") as raised:
        store.read("s3://bucket/key", 100)
    assert not raised.value.passing
    assert "secret" not in str(raised.value)


class Interrupted(BaseException):
    """A signal came."""


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


@pytest.fixture
def signalled() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("signalled")
@pytest.mark.parametrize("body", [b"", b"12345"], ids=["before the body", "within the body"])
def test_a_signal_ends_a_request_that_hangs_at_once(body: bytes) -> None:
    def hang(_: Seen) -> Answer:
        os.kill(os.getpid(), signal.SIGUSR1)
        return Answer(body=body, announced=10, hold=True)

    with faulty_server(hang) as server:
        store = s3_store(server.url)
        with pytest.raises(Interrupted):
            store.read("s3://bucket/key", 100)
        server.behind = WHOLE
        assert store.read("s3://bucket/key", 100) == WHOLE.body  # nothing is left of the other


class Aws:
    """AWS as far as a test needs it, behind a proxy."""

    def __init__(self, server: FaultyStorage, proxy: str, certificate: Certificate):
        self.server = server
        self.variables = {
            "AWS_CA_BUNDLE": str(certificate.file),
            "FLYTE_AWS_ENDPOINT": "",
            "HTTPS_PROXY": proxy,
        }

    def store(self, **variables: str) -> ObjectStore:
        return s3_store(**self.variables, **variables)


def bucket_elsewhere(seen: Seen) -> Answer:
    """What AWS answers for a bucket in Ireland, wherever it is asked."""
    if "eu-west-1" in seen.headers["host"] and "authorization" in seen.headers:
        return WHOLE
    moved = s3_error("PermanentRedirect", "elsewhere")
    return Answer(301, moved, headers={"x-amz-bucket-region": "eu-west-1"})


@pytest.fixture
def aws(certificate: Certificate) -> Iterator[Aws]:
    with (
        faulty_server(bucket_elsewhere, tls=certificate.context) as server,
        connect_proxy(server.port) as (_, at),
    ):
        yield Aws(server, f"http://{at}", certificate)


def test_a_bucket_of_aws_is_asked_for_its_region_once(aws: Aws) -> None:
    store = aws.store(AWS_DEFAULT_REGION="eu-west-3")
    assert store.read("s3://bucket/key", 100) == WHOLE.body
    assert store.read("s3://bucket/key", 100) == WHOLE.body
    assert store.presign(["s3://bucket/key"], 60)[0].startswith(
        "https://bucket.s3.eu-west-1.amazonaws.com/key?"
    )
    assert [seen.method for seen in aws.server.seen] == ["HEAD", "GET", "GET"]
    assert "authorization" not in aws.server.seen[0].headers


def test_a_refusal_tells_the_region_as_well(aws: Aws) -> None:
    aws.server.behind = Answer(403, headers={"x-amz-bucket-region": "eu-west-1"})
    url = aws.store().upload_policy("s3://bucket/run", 60).url
    assert url == "https://bucket.s3.eu-west-1.amazonaws.com"


def test_a_bucket_that_does_not_tell_its_region_is_in_the_default_one(aws: Aws) -> None:
    aws.server.behind = Answer(404)
    url = aws.store(AWS_DEFAULT_REGION="eu-west-3").upload_policy("s3://bucket/run", 60).url
    assert url == "https://bucket.s3.eu-west-3.amazonaws.com"


def test_a_region_that_cannot_be_had_now_may_be_later(aws: Aws) -> None:
    aws.server.behind = UNWELL
    with pytest.raises(StorageFailed) as raised:
        aws.store().presign(["s3://bucket/key"], 60)[0]
    assert raised.value.passing


def test_jobs_may_reach_the_store_under_another_name() -> None:
    bucket = new_bucket()
    store = s3_store(PERIAN_S3_PUBLIC_ENDPOINT="https://public.example.org")
    url = store.presign(["s3://bucket/key"], 60)[0]
    policy = store.upload_policy(f"s3://{bucket.name}/run", 60)
    assert url.startswith("https://public.example.org/bucket/key?")
    assert policy.url == f"https://public.example.org/{bucket.name}"


def test_a_public_name_of_aws_is_not_asked_for_the_region(tmp_path: Path) -> None:
    store = S3Store.from_environment(
        {
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "PERIAN_S3_PUBLIC_ENDPOINT": "https://public.example.org",
        }
    )
    assert "%2Feu-west-1%2Fs3%2F" in store.presign(["s3://bucket/key"], 60)[0]


@contextmanager
def served(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections one after the other by hand; gives the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LONG_SECONDS)

        def accept() -> None:
            with contextlib.suppress(OSError):  # the listener has been closed
                while True:
                    connection, _ = listener.accept()
                    connection.settimeout(LONG_SECONDS)
                    with connection, contextlib.suppress(OSError):
                        serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_refusal_that_comes_before_all_is_sent_is_final() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)  # bounded: all that are served have a timeout
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with served(refuse) as url, pytest.raises(StorageFailed, match="HTTP 403") as raised:
        s3_store(url).write("s3://bucket/key", b"x" * (16 << 20))
    assert not raised.value.passing


def test_a_connection_that_is_closed_just_when_it_is_used_again_is_no_failure() -> None:
    pauses: list[float] = []

    def serve_one(connection: socket.socket) -> None:
        connection.recv(65536)  # bounded: all that are served have a timeout
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.recv(65536)  # bounded: as above

    with served(serve_one) as url:
        store = s3_store(url, pauses.append)
        assert [store.read("s3://bucket/key", 9) for _ in range(3)] == [b"ok"] * 3
    assert pauses == []


@pytest.mark.parametrize("host", ["127.0.0.1:port", "a..b.example.org", f"{'a' * 70}.example.org"])
def test_an_address_that_cannot_be_is_named_and_final(host: str) -> None:
    with pytest.raises(PerianError) as raised:
        s3_store(f"http://{host}").read("s3://bucket/key", 100)
    assert host in str(raised.value)
    assert not getattr(raised.value, "passing", False)
