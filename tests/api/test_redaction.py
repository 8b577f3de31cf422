"""Confidential values in text: found as they are, in part, and in the forms they travel in."""

import base64
import html
import json
import time
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.api.redaction import Redactor, disguises, parts_of

TOKEN = "tok/EN+1=&<>\"'é"
REDACT = Redactor((TOKEN,))


@given(st.text(), st.text())
def test_no_disguise_of_a_secret_survives(before: str, after: str) -> None:
    for form in disguises(TOKEN):
        assert form not in REDACT(before + form + after)


FORMS: list[Callable[[str], str]] = [
    str,
    urllib.parse.quote,
    urllib.parse.quote_plus,
    lambda text: urllib.parse.quote(text, safe=""),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    html.escape,
    lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "secret", ["p@ss/w:rd x", "a?b>c~d\u00ff\u00ff\u00ff~~???>>>", 'q"uo\\te\nd']
)
def test_a_secret_is_found_in_any_form(form: Callable[[str], str], secret: str) -> None:
    shown = Redactor((), [secret])(f"<{form(secret)}>")
    assert shown.startswith("<[redacted]")
    assert len(shown) <= len("<[redacted]x>"), "at most a character that depends on what follows"


def test_percent_escapes_are_found_in_either_case() -> None:
    assert Redactor((), ["p@S/w rd"])("p%40S%2fw%20rd p%40S%2Fw+rd") == "[redacted] [redacted]"


@given(before=st.binary(max_size=7), after=st.binary(max_size=7), secret=st.text(min_size=12))
def test_a_secret_within_base64_is_found_wherever_it_begins(
    before: bytes, after: bytes, secret: str
) -> None:
    code = base64.b64encode(before + secret.encode() + after).decode()
    shown = Redactor([secret])(code)
    assert "[redacted]" in shown
    # A character at either end may depend on what surrounds the secret.
    around = base64.b64encode(before + after).decode()
    assert len(shown) - len("[redacted]") <= len(around) + 8


def test_basic_credentials_are_hidden_whoever_the_user_is() -> None:
    redact = Redactor(["token-value"])
    for user in ("", "u", "us", "user"):
        code = base64.b64encode(f"{user}:token-value".encode()).decode()
        assert "[redacted]" in redact(f"Authorization: Basic {code}")


def test_a_secret_in_broken_base64_is_hidden_in_each_line() -> None:
    secret = "".join(map(str, range(100)))
    redact = Redactor([secret])
    for line in base64.encodebytes(secret.encode()).decode().splitlines():
        assert redact(line) == "[redacted]"


def test_short_values_are_left_alone_unless_told_otherwise() -> None:
    assert Redactor((), ("no", ""))("no no") == "no no"
    assert Redactor(("no",))("no no") == "[redacted] [redacted]"


def test_a_short_value_in_base64_is_not_looked_for() -> None:
    assert all(len(form) >= 4 for form in disguises("abcd"))


def test_what_was_put_in_a_secrets_place_is_not_searched_again() -> None:
    assert Redactor((), ["a longer redacted", "redacted"])("a longer redacted") == "[redacted]"


def test_the_longest_value_is_taken_out_first() -> None:
    assert Redactor((), ["secret", "secret-and-more"])("secret-and-more") == "[redacted]"


def test_a_redactor_does_not_show_what_it_hides() -> None:
    assert TOKEN not in repr(REDACT)


def test_the_parts_of_a_value_are_its_lines_and_the_texts_in_its_json() -> None:
    value = json.dumps(
        {"user": "name", "key": "line number one\nend\n", "in": '{"x": "inner text"}'}
    )
    assert set(parts_of(value)) == {
        "line number one\nend\n",
        "line number one",
        '{"x": "inner text"}',
        "inner text",
    }


KEY_FILE = {
    "type": "service_account",
    "project_id": "my-project",
    "private_key_id": "0123456789abcdef0123",
    "private_key": "-----BEGIN PRIVATE KEY-----\nMIIabcdefghijkl\n-----END PRIVATE KEY-----\n",
    "client_email": "trainer@my-project.iam.gserviceaccount.com",
    "client_id": "123456789012345678901",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
    "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
    "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/trainer",
    "universe_domain": "googleapis.com",
}
LOGIN = {
    "type": "authorized_user",
    "client_id": "764086051850-abc.apps.googleusercontent.com",
    "client_secret": "d-secretsecret",
    "refresh_token": "1//refreshrefresh",
    "quota_project_id": "my-project",
    "universe_domain": "googleapis.com",
}
IMPERSONATING = {
    "type": "impersonated_service_account",
    "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/x:generate",
    "source_credentials": LOGIN,
}


@pytest.mark.parametrize(
    ("document", "secret"),
    [
        (KEY_FILE, {"private_key", "private_key_id"}),
        (LOGIN, {"client_secret", "refresh_token"}),
        ({"keys": [KEY_FILE]}, {"private_key", "private_key_id"}),
    ],
    ids=["key", "login", "within another document"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_of_googles_credentials_only_what_is_secret_is_hidden(
    document: dict[str, object], secret: set[str], indent: int | None
) -> None:
    value = json.dumps(document, indent=indent)
    redact = Redactor([], [value, *parts_of(value)])
    members = KEY_FILE if "client_secret" not in document else LOGIN
    shown = {name for name, text in members.items() if redact(f"so: {text}") == f"so: {text}"}
    assert shown == set(members) - secret
    assert redact("POST https://storage.googleapis.com/upload as service_account").endswith(
        "https://storage.googleapis.com/upload as service_account"
    )
    assert redact(value) == "[redacted]"


def test_credentials_within_googles_credentials_are_hidden() -> None:
    parts = set(parts_of(json.dumps(IMPERSONATING)))
    assert parts == {LOGIN["client_secret"], LOGIN["refresh_token"]}


def test_a_document_of_anybody_elses_has_no_public_members() -> None:
    parts = set(parts_of(json.dumps({"type": "password", "client_id": "correct horse"})))
    assert parts == {"password", "correct horse"}


@given(st.text() | st.recursive(st.text(), st.lists).map(json.dumps))
def test_parts_of_any_value_can_be_told(value: str) -> None:
    assert all(len(part) >= 8 for part in parts_of(value))


def test_a_document_that_is_nested_too_deeply_has_no_parts() -> None:
    assert list(parts_of("[" * 100_000)) == []


def test_a_long_log_is_searched_fast() -> None:
    key = "\n".join(f"{number:064d}" for number in range(30))
    values = [json.dumps({"private_key": key, "id": "0123456789"})]
    redact = Redactor(["token-value"], [*values, *parts_of(values[0])])
    log = "epoch 12345 loss 0.12345 ok\n" * 300_000 + "token-value"
    began = time.process_time()
    assert redact(log).endswith("\n[redacted]")
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    "shown",
    [
        "https://b.s3.example/k?X-Amz-Date=1&X-Amz-Signature=canary&x=1",
        "https://storage.example/b/k?X-Goog-Signature=canary",
        "https%3A%2F%2Fb%2Fk%3FX-Amz-Signature%3Dcanary%26",
        "field\tx-amz-signature\tcanary",
        "field\tx-goog-signature\tcanary",
        '{"x-amz-signature": "canary", "x-amz-security-token": "canary"}',
        "?X-Amz-Security-Token=canary%2F%2F&y",
    ],
)
def test_signatures_of_object_stores_are_hidden_by_their_form(shown: str) -> None:
    hidden = Redactor(())(shown)
    assert "canary" not in hidden
    assert "[redacted]" in hidden


@pytest.mark.parametrize(
    "text", ["x-amz-date: 1", "the x-amz-signature is missing", "X-Amz-Algorithm=AWS4"]
)
def test_what_is_said_of_a_signature_is_shown_as_far_as_it_tells_none(text: str) -> None:
    assert Redactor(())(text).startswith(text.split(" is ", maxsplit=1)[0])
