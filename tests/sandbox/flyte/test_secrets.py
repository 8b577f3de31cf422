"""Secrets of a run: this machine's, but the sandbox's where a task takes its credentials."""

import pytest

from perian_shim.sandbox.flyte.secrets import RunSecrets

OURS = {
    "PERIAN_ORGANIZATION": "org",
    "PERIAN_TOKEN": "token-of-the-sandbox",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-sandbox",
    "AWS_DEFAULT_REGION": "somewhere",
}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> RunSecrets:
    for name in ("PERIAN_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(f"_FSEC_PERIAN_{name}", "a real one")
        monkeypatch.setenv(f"_FSEC_MINE_{name}", "a real one")
    monkeypatch.setenv("_FSEC_TEAM_KEY", "the team's")
    return RunSecrets(OURS)


def test_a_secret_is_found_where_local_flytekit_looks(secrets: RunSecrets) -> None:
    assert secrets.get(("team", "key")) == "the team's"
    assert secrets.get(("team", "absent")) is None
    assert "the team's" in secrets.given


@pytest.mark.parametrize("group", ["perian", "mine"])
def test_a_task_gets_the_sandboxs_credentials_whatever_its_group(
    group: str, secrets: RunSecrets
) -> None:
    assert secrets.get((group, "perian_token")) == "token-of-the-sandbox"
    assert secrets.get((group, "aws_secret_access_key")) == "secret-of-the-sandbox"
    assert secrets.get((group, "aws_session_token")) is None
    assert {"token-of-the-sandbox", "secret-of-the-sandbox"} <= secrets.given
