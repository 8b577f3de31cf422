"""A secret is in the job what it is in Flyte: the same bytes, through both doors."""

from dataclasses import replace

from flytekit import Secret
from support.flyte import Harness
from support.shell_task import shell

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----\n"


def holding(harness: Harness, **values: str) -> Harness:
    secrets = {("mine", key): value for key, value in values.items()}
    cluster = replace(harness.cluster, secrets={**harness.cluster.secrets, **secrets})
    return replace(harness, cluster=cluster)


def asking(key: str, kind: Secret.MountType = Secret.MountType.ENV_VAR) -> Secret:
    return Secret(group="mine", key=key, mount_requirement=kind, env_var=f"MY_{key.upper()}")


def test_a_secret_keeps_its_line_breaks_and_may_be_empty(harness: Harness) -> None:
    task = shell(
        'printf %s "$MY_KEY" >/var/outputs/key; printf %s "[$MY_EMPTY]" >/var/outputs/empty',
        outputs={"key": str, "empty": str},
        secret_requests=[asking("key"), asking("empty")],
    )
    outputs = holding(harness, key=KEY, empty="").outputs(task)
    assert harness.value(outputs["key"], str) == KEY
    assert harness.value(outputs["empty"], str) == "[]"


def test_a_secret_that_is_nowhere_is_named_with_every_place(harness: Harness) -> None:
    error = harness.error(shell(secret_requests=[asking("key")]))
    assert (error.code, error.recoverable) == ("PERIAN:MissingSecret", False)
    for place in ("variable _FSEC_MINE_KEY", "/mine/key", "variable MY_KEY"):
        assert place in error.message
