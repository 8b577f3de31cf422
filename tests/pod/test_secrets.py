"""Flyte secrets are found where flytekit finds them, and are what is stored, to the last byte."""

import os
from pathlib import Path

import pytest
from flytekit.configuration import SecretsConfig
from flytekit.core.context_manager import (
    ExecutionState,
    FlyteContextManager,
    SecretsManager,
)

from perian_shim.config import PerianConfig
from perian_shim.errors import MissingSecret
from perian_shim.executor import secrets_of
from perian_shim.pod.credentials import Credentials, SecretReader
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.sandbox.flyte.surroundings import variables_set
from perian_shim.spec import ContainerWork, ForwardedSecret, JobSpec
from perian_shim.work.request import Private, secret_variables

OPENSSH_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\r\nb3BlbnNzaC1r\n-----END-----\n"
MINE = ForwardedSecret("mine", "key", "MY_SECRET")
MY_FILE = ForwardedSecret("mine", "key", "MY_SECRET", as_file=True)


def flytekits(group: str, key: str) -> str | None:
    """Ask flytekit, as a pod of a task would."""
    context = FlyteContextManager.current_context()
    state = context.new_execution_state().with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    with FlyteContextManager.with_context(context.with_execution_state(state)):
        try:
            return str(SecretsManager(SecretsConfig.auto()).get(group, key))
        except ValueError:
            return None


@pytest.mark.parametrize("group", ["perian", "My-Group", "arn:aws:secretsmanager:x"])
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"_FSEC_PERIAN_KEY": " by variable\n"},
        {"_FSEC_MY-GROUP_KEY": "by variable", "_FSEC_ARN:AWS:SECRETSMANAGER:X_KEY": "x"},
        {"_FSEC_PERIAN_KEY": ""},
        {"FLYTE_SECRETS_ENV_PREFIX": "OTHER_", "OTHER_PERIAN_KEY": "by another variable"},
        {"FLYTE_SECRETS_DEFAULT_DIR": "FOLDER"},
        {"FLYTE_SECRETS_DEFAULT_DIR": "FOLDER", "FLYTE_SECRETS_FILE_PREFIX": "pre-"},
        {"FLYTE_SECRETS_DEFAULT_DIR": "", "FLYTE_SECRETS_ENV_PREFIX": ""},
    ],
    ids=lambda variables: " ".join(variables) or "nothing",
)
def test_a_secret_is_what_flytekit_finds(
    variables: dict[str, str], group: str, tmp_path: Path
) -> None:
    (tmp_path / "perian").mkdir()
    (tmp_path / "my-group").mkdir()
    (tmp_path / "perian/key").write_text(" in a file\n")
    (tmp_path / "perian/pre-key").write_text("in another")
    (tmp_path / "my-group/key").write_text("of another group")
    filled = {name: value.replace("FOLDER", str(tmp_path)) for name, value in variables.items()}
    with variables_set(filled):
        found = FlyteSecrets.of_container(os.environ).get(group, "KEY")
        assert (found if found is None else found.strip()) == flytekits(group, "KEY")


def in_folder(folder: Path, content: bytes) -> FlyteSecrets:
    (folder / "mine").mkdir()
    (folder / "mine/key").write_bytes(content)
    return FlyteSecrets({}, folder=str(folder))


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "mine/key").mkdir(parents=True)
    assert FlyteSecrets({}, folder=str(tmp_path)).get("mine", "key") is None
    assert FlyteSecrets({}, folder=str(tmp_path)).get("mine", "no\0name") is None


def test_what_is_no_text_is_named_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(MissingSecret, match=r"secret in .*/mine/key is no text") as refusal:
        in_folder(tmp_path, b"canary\xff").get("mine", "key")
    assert "canary" not in str(refusal.value)


VALUES = [OPENSSH_KEY, " spaced \n\n", "", "\n"]


@pytest.mark.parametrize("value", VALUES)
def test_a_secret_reaches_the_job_byte_for_byte(value: str, tmp_path: Path) -> None:
    by_variable = SecretReader(FlyteSecrets({"_FSEC_MINE_KEY": value}), {})
    by_file = SecretReader(in_folder(tmp_path, value.encode()), {})
    for reader in (by_variable, by_file):
        variables = secret_variables({MINE: reader.forwarded(MINE)})
        assert variables == {"_FSEC_MINE_KEY": value, "MY_SECRET": value}
        files = Private({MY_FILE: reader.forwarded(MY_FILE)}).secret_files
        assert list(files.values()) == [value]


@pytest.mark.parametrize("value", VALUES)
def test_a_secret_may_be_in_the_variable_that_the_task_names(value: str, tmp_path: Path) -> None:
    mounted = FlyteSecrets({}, folder=str(tmp_path))
    assert SecretReader(mounted, {"MY_SECRET": value}).forwarded(MINE) == value
    assert SecretReader(mounted, {"MY_SECRET": value}).forwarded(MY_FILE) == value
    file = tmp_path / "key"
    file.write_bytes(value.encode())
    assert SecretReader(mounted, {"MY_SECRET": str(file)}).forwarded(MY_FILE) == value


def test_what_flyte_mounts_comes_before_the_variable() -> None:
    environ = {"_FSEC_MINE_KEY": "mounted", "MY_SECRET": "other"}
    assert SecretReader(FlyteSecrets(environ), environ).forwarded(MINE) == "mounted"


def test_the_error_for_a_missing_secret_names_every_place(tmp_path: Path) -> None:
    reader = SecretReader(FlyteSecrets({}, ("_FSEC_", ""), str(tmp_path)), {})
    with pytest.raises(MissingSecret) as refusal:
        reader.forwarded(MINE)
    assert "Flyte secret 'key' of group 'mine'" in str(refusal.value)
    for place in (
        "variable _FSEC_MINE_KEY",
        "variable MINE_KEY",
        f"file {tmp_path}/mine/key",
        "variable MY_SECRET",
    ):
        assert place in str(refusal.value)
    with pytest.raises(MissingSecret, match="variable PERIAN_TOKEN"):
        reader.require("mine", "perian_token")


def test_flytekits_door_reads_where_flytekit_does_on_ones_own_machine_too(tmp_path: Path) -> None:
    context = FlyteContextManager.current_context()
    state = context.new_execution_state().with_params(
        mode=ExecutionState.Mode.LOCAL_WORKFLOW_EXECUTION
    )
    with variables_set({"FLYTE_SECRETS_DEFAULT_DIR": str(tmp_path)}):
        local = context.with_execution_state(state).build()
        reader = secrets_of(local, {"MINE_KEY": OPENSSH_KEY})
    assert list(reader.places("mine", "key")) == [
        "variable _FSEC_MINE_KEY",
        "variable MINE_KEY",
        f"file {tmp_path}/mine/key",
    ]
    assert reader.get("mine", "key") == OPENSSH_KEY


def spec(*secrets: ForwardedSecret) -> JobSpec:
    work = ContainerWork(("true",), "/var/inputs", "/var/outputs")
    return JobSpec(PerianConfig(cores=1), "debian:12", work, secrets=secrets)


OWN = {
    "_FSEC_PERIAN_PERIAN_ORGANIZATION": "org\n",
    "_FSEC_PERIAN_PERIAN_TOKEN": " token\n",
    "_FSEC_PERIAN_DOCKER_REGISTRY_URL": "registry.example\n",
    "_FSEC_PERIAN_DOCKER_REGISTRY_USERNAME": "me\r\n",
    "_FSEC_PERIAN_DOCKER_REGISTRY_PASSWORD": " pass word \n",
}


def test_our_own_credentials_are_read_without_the_line_break_at_their_end() -> None:
    credentials = Credentials.read(spec(), SecretReader(FlyteSecrets(OWN), OWN), "s3://b/x")
    assert (credentials.organization, credentials.token) == ("org", "token")
    registry = credentials.private.registry
    assert registry is not None
    assert (registry.username, registry.password) == ("me", " pass word ")


def test_an_empty_token_is_missing() -> None:
    environ = {**OWN, "_FSEC_PERIAN_PERIAN_TOKEN": "\n"}
    with pytest.raises(MissingSecret, match="perian_token"):
        Credentials.read(spec(), SecretReader(FlyteSecrets(environ), environ), "s3://b/x")


def test_a_secret_is_hidden_without_its_line_break_too_and_an_empty_one_hides_nothing() -> None:
    environ = {**OWN, "_FSEC_MINE_KEY": "short\n", "_FSEC_MINE_EMPTY": ""}
    forwarded = (ForwardedSecret("mine", "key"), ForwardedSecret("mine", "empty"))
    reader = SecretReader(FlyteSecrets(environ), environ)
    redact = Credentials.read(spec(*forwarded), reader, "s3://b/x").redactor()
    assert redact("it is short and plain") == "it is [redacted] and plain"
