"""Flyte secrets are found where flytekit finds them."""

import os
from pathlib import Path

import pytest
from flytekit.configuration import SecretsConfig
from flytekit.core.context_manager import (
    ExecutionState,
    FlyteContextManager,
    SecretsManager,
)
from support.variables import variables_set

from perian_shim.pod.secrets import mounted_secrets


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
        assert mounted_secrets(os.environ)(group, "KEY") == flytekits(group, "KEY")


def test_what_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "perian/key").mkdir(parents=True)
    assert mounted_secrets({"FLYTE_SECRETS_DEFAULT_DIR": str(tmp_path)})("perian", "key") is None
