"""Where the secrets of a run for Flyte 2 come from."""

from flyteidl.core import security_pb2, tasks_pb2

from perian_shim.sandbox.flyte2.secrets import ActionSecrets

OWN = {
    "PERIAN_ORGANIZATION": "sandbox",
    "PERIAN_TOKEN": "sandbox-token",
    "AWS_ACCESS_KEY_ID": "sandbox-id",
    "AWS_SECRET_ACCESS_KEY": "sandbox-key",
}


def template(*asked: tuple[str, str, str]) -> tasks_pb2.TaskTemplate:
    """A task that asks for secrets: group, key, variable."""
    made = tasks_pb2.TaskTemplate()
    for group, key, variable in asked:
        secret = security_pb2.Secret(group=group, key=key, env_var=variable)
        made.security_context.secrets.append(secret)
    return made


POD = (("perian", "perian_organization", ""), ("perian", "perian_token", "PERIAN_PERIAN_TOKEN"))


def secrets(*asked: tuple[str, str, str], **environ: str) -> ActionSecrets:
    given = ActionSecrets(OWN, environ)
    given.ask(template(*asked))
    return given


def test_a_user_s_secret_is_in_the_variable_that_it_names() -> None:
    assert dict(secrets(("", "key", "MY_KEY"), MY_KEY="sesame")) == {("", "key"): "sesame"}


def test_one_without_a_variable_is_in_that_of_its_group_and_key() -> None:
    given = secrets(("my-team", "key", ""), MY_TEAM_KEY="sesame")
    assert given["my-team", "key"] == "sesame"


def test_one_that_is_not_there_is_left_out() -> None:
    assert dict(secrets(("", "key", "MY_KEY"))) == {}


def test_a_pod_has_the_sandbox_s_own_and_never_this_machine_s() -> None:
    mine = {"PERIAN_PERIAN_TOKEN": "mine", "PERIAN_AWS_ENDPOINT_URL": "https://mine.example.org"}
    keys = (("perian", "aws_access_key_id", ""), ("perian", "aws_endpoint_url", ""))
    assert dict(secrets(*POD, *keys, **mine)) == {
        ("perian", "perian_organization"): "sandbox",
        ("perian", "perian_token"): "sandbox-token",
        ("perian", "aws_access_key_id"): "sandbox-id",
    }


def test_a_user_s_keys_of_another_group_are_the_user_s() -> None:
    given = secrets(*POD, ("mine", "aws_access_key_id", "ID"), ID="mine")
    assert given["mine", "aws_access_key_id"] == "mine"


def test_what_one_task_has_asked_for_stays_when_another_asks() -> None:
    given = secrets(("", "a", "A"), A="1", B="2")
    given.ask(template(("", "b", "B")))
    assert sorted(given.values()) == ["1", "2"]


def test_what_a_user_s_task_is_given_is_not_to_be_shown_nor_are_the_sandbox_s_keys() -> None:
    given = secrets(("", "key", "MY_KEY"), MY_KEY="sesame")
    assert set(given.given) == {"sesame", "sandbox-token", "sandbox-key"}
