"""Whose certificates are trusted."""

import ssl
import sys
from pathlib import Path

import pytest
from support.answers import reply
from support.api_front import FaultyServer
from support.certificate import Certificate, make_certificate

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import TlsFailure
from perian_shim.wire.trust import built_in, named, tls_context

ONE_JOB = reply(body={"jobs": [{"id": "j1", "status": "Running"}]})
VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def look(certificate: Certificate) -> str:
    with (
        FaultyServer(ONE_JOB, tls=certificate.context) as server,
        PerianClient(server.url, "acme", "tok") as client,
    ):
        return str(client.get_job("j1").status)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_bundle_that_a_variable_names_is_trusted(
    name: str, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(certificate.file))
    assert look(certificate) == "Running"


def test_without_a_variable_a_company_of_nobody_is_not_trusted(certificate: Certificate) -> None:
    with pytest.raises(TlsFailure, match="certificate"):
        look(certificate)


def test_a_bundle_replaces_what_openssl_would_trust(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(make_certificate(tmp_path).file))
    with pytest.raises(TlsFailure):
        look(certificate)


def test_a_file_that_is_no_bundle_gets_no_request(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(empty))
    with pytest.raises(TlsFailure) as caught:
        look(certificate)
    assert not caught.value.sent


def test_a_certificate_for_another_host_is_not_trusted(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.file))
    with FaultyServer(ONE_JOB, tls=certificate.context) as server:
        url = server.url.replace("localhost", "127.0.0.1")
        with PerianClient(url, "acme", "tok") as client, pytest.raises(TlsFailure):
            client.get_job("j1")
    assert not server.requests


def test_a_folder_is_a_bundle_too(tmp_path: Path) -> None:
    assert named({"CURL_CA_BUNDLE": str(tmp_path)}) == (None, str(tmp_path))


def test_the_first_variable_that_is_not_empty_counts(tmp_path: Path) -> None:
    mine = tmp_path / "mine.pem"
    mine.touch()
    environ = {"REQUESTS_CA_BUNDLE": str(mine), "CURL_CA_BUNDLE": str(tmp_path)}
    assert named(environ) == (str(mine), None)
    assert named({**environ, "REQUESTS_CA_BUNDLE": ""}) == (None, str(tmp_path))


def paths(file: str | None, folder: str | None) -> ssl.DefaultVerifyPaths:
    return ssl.DefaultVerifyPaths(file, folder, "", "", "", "")  # type: ignore[arg-type]  # they may be None


def test_a_machine_with_certificates_of_its_own_needs_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.pem").touch()
    for places in (paths("/bundle.pem", None), paths(None, str(tmp_path))):
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda places=places: places)
        assert built_in() == (None, None)


def test_a_machine_without_certificates_gets_those_of_certifi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for places in (paths(None, None), paths(None, str(tmp_path))):
        monkeypatch.setattr(ssl, "get_default_verify_paths", lambda places=places: places)
        assert str(built_in()[0]).endswith("cacert.pem")
        assert tls_context({}).get_ca_certs()


def test_a_machine_with_no_certificates_at_all_trusts_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths(None, None))
    monkeypatch.setitem(sys.modules, "certifi", None)
    assert built_in() == (None, None)
    assert tls_context({}).verify_mode == ssl.CERT_REQUIRED
