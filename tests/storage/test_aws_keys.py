"""Where the keys of S3 come from, over real HTTP, and when they are fetched again."""

import datetime
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.storage_front import UNWELL, Answer, FaultyStorage, faulty_server, in_turn, s3_error

from perian_shim.errors import StorageFailed
from perian_shim.storage.aws_keys import key_chain
from perian_shim.storage.renewal import AGAIN_SECONDS, Renewed
from perian_shim.storage.s3_keys import Keys
from perian_shim.storage.s3_settings import S3Settings
from perian_shim.storage.web import Web

EXPIRES = datetime.datetime(2036, 11, 27, 14, 5, 59, tzinfo=datetime.timezone.utc)
HANDED_OUT = Keys("ASIAEXAMPLE", "secret/+", "token==", EXPIRES)

STS = Answer(
    body=b'<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    b"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>"
    b"<SecretAccessKey>secret/+</SecretAccessKey><SessionToken>token==</SessionToken>"
    b"<Expiration>2036-11-27T14:05:59Z</Expiration></Credentials>"
    b"</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
)
AGENT = Answer(
    body=json.dumps(
        {
            "AccessKeyId": "ASIAEXAMPLE",
            "SecretAccessKey": "secret/+",
            "Token": "token==",
            "Expiration": "2036-11-27T14:05:59Z",
        }
    ).encode()
)


def keys_of(environ: Mapping[str, str], home: Path) -> Keys:
    """What a process with such an environment signs with."""
    whole = {"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", **environ}
    web = Web(whole, sleep=lambda _: None)
    return key_chain(S3Settings.read(whole), whole, web).current()


def irsa(server: FaultyStorage, home: Path) -> dict[str, str]:
    """The environment of a pod on EKS whose service account has a role."""
    (home / "token").write_text("the pod's token\n")
    return {
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/pod",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(home / "token"),
        "AWS_ENDPOINT_URL_STS": server.url,
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_keys_given_to_flytekit_come_first(tmp_path: Path) -> None:
    environ = {
        "FLYTE_AWS_ACCESS_KEY_ID": "flyte",
        "FLYTE_AWS_SECRET_ACCESS_KEY": "flyte's",
        "AWS_ACCESS_KEY_ID": "aws",
        "AWS_SECRET_ACCESS_KEY": "aws's",
        "AWS_SESSION_TOKEN": "token",
    }
    assert keys_of(environ, tmp_path) == Keys("flyte", "flyte's")


def test_keys_of_the_environment_may_have_a_token_and_an_end(tmp_path: Path) -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "aws",
        "AWS_SECRET_ACCESS_KEY": "aws's",
        "AWS_SESSION_TOKEN": "token",
        "AWS_CREDENTIAL_EXPIRATION": "2036-11-27T14:05:59Z",
    }
    assert keys_of(environ, tmp_path) == Keys("aws", "aws's", "token", EXPIRES)


@pytest.mark.parametrize(
    "name", ["FLYTE_AWS_ACCESS_KEY_ID", "FLYTE_AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"]
)
def test_half_a_key_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="one half"):
        keys_of({name: "half"}, tmp_path)


def test_an_end_that_is_no_time_is_an_error(tmp_path: Path) -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_CREDENTIAL_EXPIRATION": "soon",
    }
    with pytest.raises(StorageFailed, match="AWS_CREDENTIAL_EXPIRATION: expected a time"):
        keys_of(environ, tmp_path)


def test_a_line_break_around_a_key_is_no_part_of_it(tmp_path: Path) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "a\n", "AWS_SECRET_ACCESS_KEY": " b\n"}
    assert keys_of(environ, tmp_path) == Keys("a", "b")


def test_a_web_identity_is_traded_for_keys(tmp_path: Path) -> None:
    with faulty_server(lambda _: STS) as server:
        assert keys_of(irsa(server, tmp_path), tmp_path) == HANDED_OUT
    asked = server.seen[0].body.decode()
    assert "Action=AssumeRoleWithWebIdentity" in asked
    assert "WebIdentityToken=the+pod%27s+token&" in asked + "&"


def test_a_role_that_is_refused_is_named_and_final_and_the_token_is_not_told(
    tmp_path: Path,
) -> None:
    refusal = Answer(403, s3_error("AccessDenied", "Not authorized to assume"))
    with faulty_server(lambda _: refusal) as server, pytest.raises(StorageFailed) as raised:
        keys_of(irsa(server, tmp_path), tmp_path)
    assert raised.value.message == (
        "Assuming arn:aws:iam::123456789012:role/pod failed: HTTP 403 Not authorized to assume."
    )
    assert not raised.value.passing


def test_a_token_service_in_trouble_may_recover(tmp_path: Path) -> None:
    with faulty_server(lambda _: UNWELL) as server, pytest.raises(StorageFailed) as raised:
        keys_of(irsa(server, tmp_path), tmp_path)
    assert raised.value.passing


def test_an_identity_provider_that_is_not_reached_may_be_later(tmp_path: Path) -> None:
    answer = Answer(400, s3_error("IDPCommunicationError", "Timeout"))
    with faulty_server(lambda _: answer) as server, pytest.raises(StorageFailed) as raised:
        keys_of(irsa(server, tmp_path), tmp_path)
    assert raised.value.passing


def test_a_token_service_is_asked_again(tmp_path: Path) -> None:
    with faulty_server(in_turn(UNWELL, STS)) as server:
        assert keys_of(irsa(server, tmp_path), tmp_path) == HANDED_OUT


def test_a_container_gets_its_keys_from_the_node(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("the pod's token")
    with faulty_server(lambda _: AGENT) as server:
        environ = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
        }
        assert keys_of(environ, tmp_path) == HANDED_OUT
    assert server.seen[0].headers["authorization"] == "the pod's token"


def test_no_proxy_gets_to_see_a_containers_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with faulty_server(lambda _: AGENT) as server:
        environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server.url}/v1/credentials"}
        assert keys_of(environ, tmp_path) == HANDED_OUT


def test_a_containers_token_is_sent_to_its_node_only(tmp_path: Path) -> None:
    environ = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.org/v1/credentials"}
    with pytest.raises(StorageFailed, match="neither https nor on this node"):
        keys_of(environ, tmp_path)


def test_a_profile_is_botocores_to_read(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(
        "[profile mine]\ncredential_process = "
        f"{sys.executable} -c \"print('''{credential_process()}''')\"\n"
    )
    environ = {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "mine"}
    assert keys_of(environ, tmp_path) == HANDED_OUT


def credential_process() -> str:
    answer = {
        "Version": 1,
        "AccessKeyId": HANDED_OUT.access_key,
        "SecretAccessKey": HANDED_OUT.secret_key,
        "SessionToken": HANDED_OUT.token,
        "Expiration": "2036-11-27T14:05:59Z",
    }
    return json.dumps(answer).replace('"', '\\"')


def test_without_any_keys_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="service account a role") as raised:
        keys_of({}, tmp_path)
    assert not raised.value.passing


def test_nothing_of_a_key_is_in_its_repr() -> None:
    assert repr(HANDED_OUT) == f"Keys(expires={EXPIRES!r})"


class Source:
    """Hands out keys that are good for an hour, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fetched = 0
        self.life = 3600.0
        self.broken = False

    def __call__(self) -> Keys:
        if self.broken:
            message = "no"
            raise StorageFailed(message)
        self.fetched += 1
        end = datetime.datetime.fromtimestamp(self.now + self.life, datetime.timezone.utc)
        return Keys("a", "b", "c", end)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def chain(source: Source) -> Renewed[Keys]:
    return Renewed(source, lambda: source.now)


def test_keys_are_fetched_once_in_the_first_half_of_their_life(
    source: Source, chain: Renewed[Keys]
) -> None:
    chain.current()
    source.now += source.life / 2 - 1
    chain.current()
    assert source.fetched == 1


def test_keys_are_fetched_again_at_half_of_their_life(source: Source, chain: Renewed[Keys]) -> None:
    chain.current()
    source.now += source.life / 2
    assert chain.seconds_left() == source.life
    assert source.fetched == 2


@pytest.mark.parametrize(("life", "fetched_after"), [(100.0, 50.0), (30.0, 15.0)])
def test_short_lived_keys_are_fetched_anew_at_half_of_their_life_too(
    source: Source, chain: Renewed[Keys], life: float, fetched_after: float
) -> None:
    source.life = life
    chain.current()
    source.now += fetched_after - 1
    chain.current()
    assert source.fetched == 1
    source.now += 1
    chain.current()
    assert source.fetched == 2


def test_keys_that_are_still_good_are_kept_when_no_new_ones_can_be_had(
    source: Source, chain: Renewed[Keys]
) -> None:
    first = chain.current()
    source.now += source.life / 2
    source.broken = True
    assert chain.current() is first
    source.broken = False
    source.now += AGAIN_SECONDS
    assert chain.current() is not first


def test_keys_that_have_expired_are_not_used(source: Source, chain: Renewed[Keys]) -> None:
    chain.current()
    source.now += source.life
    source.broken = True
    with pytest.raises(StorageFailed):
        chain.current()


def test_static_keys_do_not_expire() -> None:
    assert Renewed(lambda: Keys("a", "b")).seconds_left() is None
