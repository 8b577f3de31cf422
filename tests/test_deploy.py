"""The files for Kubernetes are such, are safe, and say what the code says."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from kubernetes_validate.utils import all_versions
from support.doors import BIN
from support.waiting import LONG_SECONDS

from perian_shim import settings
from perian_shim.cli.app import program
from perian_shim.config import DEFAULT_SECRET_GROUP
from perian_shim.definition import task_pod
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.secret_keys import (
    ACCESS_KEYS,
    FLYTE_FILE_DIR,
    REGISTRY_KEYS,
    REQUIRED_KEYS,
)

Document: TypeAlias = Mapping[str, Any]

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
PAGE = (DEPLOY / "README.md").read_text()
PREREQUISITES = (ROOT / "docs/prerequisites.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
FILES = sorted(DEPLOY.rglob("*.yaml"))
VERSIONS = sorted({".".join(each.split(".")[:2]) for each in all_versions()}, key=lambda v: v[2:])


def documents(path: Path) -> list[Document]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def one(name: str) -> Any:
    (document,) = documents(DEPLOY / name)
    return document


def of_kind(name: str, kind: str) -> list[Document]:
    return [each for each in documents(DEPLOY / name) if each["kind"] == kind]


TEMPLATE = one("pod-template.yaml")["template"]
DOCTOR = one("check/doctor.yaml")["spec"]["template"]
PODS = {"pod-template": TEMPLATE, "doctor": DOCTOR}
POLICY = one("network-policy.yaml")["spec"]
SECRET = DEPLOY / "secrets/perian.yaml"


# --- form ---


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_fits_the_schemas_of_kubernetes(path: Path, version: str) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, version, strict=True)


def test_a_misspelt_field_does_not_fit() -> None:
    wrong = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "stringDate": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_versions_that_the_page_names_are_those_tried() -> None:
    assert f"Kubernetes {VERSIONS[0]} to {VERSIONS[-1]}," in PAGE


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_file_names_a_namespace(path: Path) -> None:
    for document in documents(path):
        assert "namespace" not in document["metadata"]


def test_the_page_has_every_file_and_no_other() -> None:
    told = re.findall(r"^\| \[([^\]]+)\]\(\1\) \|", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(str(path.relative_to(DEPLOY)) for path in FILES)


def test_applying_the_folder_writes_over_no_secret_and_starts_nothing() -> None:
    """`kubectl apply -f deploy/` does not look into folders."""
    kinds = {each["kind"] for path in DEPLOY.glob("*.yaml") for each in documents(path)}
    assert not kinds & {"Secret", "Job", "Pod"}


# --- secrets ---


def test_the_secret_has_the_keys_that_must_be_there_and_they_cannot_work() -> None:
    secret = one("secrets/perian.yaml")
    assert secret["metadata"]["name"] == DEFAULT_SECRET_GROUP
    assert secret["stringData"] == dict.fromkeys(REQUIRED_KEYS, "")


def test_the_secret_names_every_other_key_that_is_read() -> None:
    """As comments: a key that is there with a wrong value would be used."""
    named = re.findall(r"^  # (\w+): \S", SECRET.read_text(), re.MULTILINE)
    assert tuple(named) == (*REGISTRY_KEYS, *ACCESS_KEYS)
    assert {*REQUIRED_KEYS, *named} == set(task_pod.SECRET_KEYS)


def test_the_secret_is_one_with_all_keys_too() -> None:
    text = re.sub(r"^  # (?=\w+: \S)", "  ", SECRET.read_text(), flags=re.MULTILINE)
    whole = yaml.safe_load(text)
    assert set(whole["stringData"]) == set(task_pod.SECRET_KEYS)
    kubernetes_validate.validate(whole, VERSIONS[-1], strict=True)


def test_the_prerequisites_have_every_key_and_no_other() -> None:
    table = PREREQUISITES.split("## Secrets")[1].split("\n\n")[2]
    rows = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    told = {key for row in rows for key in re.findall(r"`(\w+)`", row)}
    assert told == set(task_pod.SECRET_KEYS)


def test_the_doctor_finds_the_secret_where_flyte_would_mount_it() -> None:
    (container,), volumes = DOCTOR["spec"]["containers"], DOCTOR["spec"]["volumes"]
    environ = {each["name"]: each["value"] for each in container["env"]}
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "perian")
    (volume,) = (each for each in volumes if each["name"] == "perian")
    assert volume["secret"]["secretName"] == DEFAULT_SECRET_GROUP
    found = FlyteSecrets.of_container(environ).file(DEFAULT_SECRET_GROUP, REQUIRED_KEYS[0])
    assert found == Path(mount["mountPath"], REQUIRED_KEYS[0])
    assert mount["mountPath"].startswith(FLYTE_FILE_DIR)


# --- pods ---


def containers(pod: Document) -> Iterator[Any]:
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        yield from pod["spec"].get(kind, ())


def every(look: Callable[[Any], bool]) -> Callable[[Document], bool]:
    """A rule for each container."""
    return lambda pod: all(look(each) for each in containers(pod))


def secured(container: Document, name: str) -> Any:
    return container.get("securityContext", {}).get(name)


SAFE_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}

RESTRICTED: Mapping[str, Callable[[Document], bool]] = {
    "host namespaces": lambda pod: (
        not any(pod["spec"].get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    ),
    "privileged": every(lambda each: not secured(each, "privileged")),
    "capabilities": every(lambda each: secured(each, "capabilities") == {"drop": ["ALL"]}),
    "volume types": lambda pod: all(
        set(each) - {"name"} <= SAFE_VOLUMES for each in pod["spec"].get("volumes", ())
    ),
    "host ports": every(lambda each: not each.get("ports")),
    "privilege escalation": every(lambda each: secured(each, "allowPrivilegeEscalation") is False),
    "running as non-root": lambda pod: pod["spec"]["securityContext"]["runAsNonRoot"] is True,
    "non-root user": lambda pod: pod["spec"]["securityContext"]["runAsUser"] != 0,
    "seccomp": lambda pod: (
        pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    ),
    "nothing weakened in a container": every(
        lambda each: (
            not {"runAsUser", "runAsNonRoot", "seccompProfile", "procMount", "seLinuxOptions"}
            & set(each["securityContext"])
        )
    ),
    "AppArmor, SELinux and sysctls": lambda pod: (
        not {"appArmorProfile", "seLinuxOptions", "sysctls"} & set(pod["spec"]["securityContext"])
    ),
}
"""The Pod Security Standard "restricted", and no weaker than it: each control with what it asks."""


@pytest.mark.parametrize("control", RESTRICTED)
@pytest.mark.parametrize("pod", PODS)
def test_pods_meet_the_restricted_pod_security_standard(pod: str, control: str) -> None:
    assert RESTRICTED[control](PODS[pod])


@pytest.mark.parametrize(
    ("control", "weakness"),
    [
        ("host namespaces", {"hostNetwork": True}),
        ("volume types", {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}),
        ("capabilities", {"initContainers": [{"name": "x"}]}),
        ("privilege escalation", {"initContainers": [{"name": "x"}]}),
        ("running as non-root", {"securityContext": {"runAsNonRoot": False}}),
    ],
)
def test_a_weaker_pod_does_not_meet_it(control: str, weakness: Document) -> None:
    assert not RESTRICTED[control]({"spec": {**TEMPLATE["spec"], **weakness}})


@pytest.mark.parametrize("pod", PODS)
def test_pods_write_to_nothing_but_tmp(pod: str) -> None:
    for container in containers(PODS[pod]):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounts = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
        assert mounts == ["/tmp"]


@pytest.mark.parametrize("pod", PODS)
def test_pods_have_no_token_of_kubernetes(pod: str) -> None:
    spec = PODS[pod]["spec"]
    (account,) = of_kind("role.yaml", "ServiceAccount")
    assert spec["automountServiceAccountToken"] is False
    assert account["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == account["metadata"]["name"]


def test_pods_run_as_the_images_own_user() -> None:
    recipe = (ROOT / "images/executor.Dockerfile").read_text()
    context = TEMPLATE["spec"]["securityContext"]
    users = set(re.findall(r"^USER (\S+)$", recipe, re.MULTILINE))
    assert users == {f"{context['runAsUser']}:{context['runAsGroup']}"}
    assert f"user {context['runAsUser']} or any other" in PREREQUISITES


def test_the_container_is_one_that_flyte_merges_and_its_image_is_never_pulled() -> None:
    """FlytePropeller knows the names `default` and `primary`, and drops others."""
    (container,) = TEMPLATE["spec"]["containers"]
    assert container["name"] == "default"
    assert container["image"].partition("/")[0].endswith(".invalid")
    assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("pod", PODS)
def test_pods_request_what_tasks_are_registered_with(pod: str) -> None:
    (container,) = PODS[pod]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": task_pod.CPU, "memory": task_pod.MEMORY},
        "limits": {"cpu": task_pod.CPU_LIMIT, "memory": task_pod.MEMORY_LIMIT},
    }


def test_pods_are_told_how_long_they_have_to_end() -> None:
    (container,) = TEMPLATE["spec"]["containers"]
    environ = {each["name"]: each["value"] for each in container["env"]}
    seconds = settings.whole_number(settings.GRACE_SECONDS, 1, environ)
    assert seconds == TEMPLATE["spec"]["terminationGracePeriodSeconds"]


def test_every_variable_that_a_file_names_exists() -> None:
    named = {name for path in FILES for name in re.findall(r"\bPERIAN_[A-Z_]+\b", path.read_text())}
    assert named
    assert named <= set(settings.SETTINGS)


# --- quota ---


def quantity(text: str) -> float:
    """A quantity of Kubernetes as a number."""
    units = {"m": 0.001, "": 1, "Mi": 2**20, "Gi": 2**30}
    number, unit = re.fullmatch(r"(\d+)([a-zA-Z]*)", text).groups()  # type: ignore[union-attr]
    return int(number) * units[unit]


def test_the_quota_has_room_for_what_its_pods_request() -> None:
    hard = one("resource-quota.yaml")["spec"]["hard"]
    number = int(hard["pods"])
    assert number == 100
    assert f"room for {number} waiting pods" in PAGE
    assert quantity(hard["requests.cpu"]) == pytest.approx(number * quantity(task_pod.CPU))
    assert quantity(hard["requests.memory"]) == number * quantity(task_pod.MEMORY)


def test_what_waiting_pods_use_is_what_operations_tell() -> None:
    said = " ".join((DEPLOY / "resource-quota.yaml").read_text().replace("#", "").split())
    told = re.search(r"(\d+) MiB, and one CPU for about (\d+) of them", OPERATIONS)
    assert told is not None
    memory, per_cpu = map(int, told.groups())
    assert per_cpu / 100 == 8
    assert f"{memory * 100} MiB of memory and an eighth of a CPU" in said
    assert f"A waiting pod uses {memory} MiB" in (DEPLOY / "pod-template.yaml").read_text()


# --- network ---


def test_the_policy_is_for_the_pods_that_the_template_labels() -> None:
    selector = POLICY["podSelector"]["matchLabels"]
    assert selector
    for pod in PODS.values():
        assert selector.items() <= pod["metadata"]["labels"].items()


def test_nothing_may_come_in() -> None:
    assert POLICY["policyTypes"] == ["Ingress", "Egress"]
    assert POLICY["ingress"] == []


def ways() -> Iterator[tuple[str, str, int]]:
    """What may be reached: where, and by which protocol and port."""
    for rule in POLICY["egress"]:
        assert rule["to"], "a rule without an end reaches everything"
        for peer in rule["to"]:
            where = peer.get("ipBlock", {}).get("cidr", "cluster")
            yield from ((where, port["protocol"], port["port"]) for port in rule["ports"])


def test_names_perian_and_the_store_may_be_reached_and_nothing_else() -> None:
    """By addresses of documentation (RFC 5737), which nobody has."""
    assert list(ways()) == [
        ("cluster", "UDP", 53),
        ("cluster", "TCP", 53),
        ("192.0.2.0/24", "TCP", 443),
        ("198.51.100.0/24", "TCP", 443),
    ]


def test_the_other_ways_out_fit_the_schemas_too() -> None:
    text = (DEPLOY / "network-policy.yaml").read_text()
    head, rules = text.split("  egress:\n")
    others = re.sub(r"^(    )# (?=- |  )", r"\1", rules, flags=re.MULTILINE)
    whole = yaml.safe_load(f"{head}  egress:\n{others}")
    assert len(whole["spec"]["egress"]) == 7
    kubernetes_validate.validate(whole, VERSIONS[-1], strict=True)


# --- rights ---


def test_the_pods_service_account_has_no_role() -> None:
    bindings = of_kind("role.yaml", "RoleBinding")
    subjects = [each for binding in bindings for each in binding["subjects"]]
    assert {each["kind"] for each in subjects} == {"Group"}
    assert all(each["name"].startswith("change-me-") for each in subjects)


def test_every_role_is_bound_and_no_other() -> None:
    roles = {each["metadata"]["name"] for each in of_kind("role.yaml", "Role")}
    assert {each["roleRef"]["name"] for each in of_kind("role.yaml", "RoleBinding")} == roles


def rules() -> list[Any]:
    return [rule for role in of_kind("role.yaml", "Role") for rule in role["rules"]]


def test_roles_name_what_they_allow() -> None:
    for rule in rules():
        assert "*" not in json.dumps(rule)
        assert set(rule["resources"]) <= {"pods", "pods/log", "events", "secrets"}


def test_secrets_can_be_read_by_name_only() -> None:
    for rule in rules():
        if "secrets" in rule["resources"] and rule["verbs"] != ["create"]:
            assert rule["resourceNames"] == [DEFAULT_SECRET_GROUP]


# --- the page ---


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE))
def test_every_link_of_the_page_leads_to_a_file(target: str) -> None:
    assert (DEPLOY / target).is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_page_that_a_file_names_exists(path: Path) -> None:
    for page in re.findall(r"docs/[\w/-]+\.md", path.read_text()):
        assert (ROOT / page).is_file()


def test_every_command_of_the_page_is_shell_and_names_files_that_are_there() -> None:
    for text in blocks("bash"):
        read = subprocess.run(  # bounded: a shell that only reads
            ["/bin/bash", "-n"], input=text, capture_output=True, text=True, check=False
        )
        assert read.stderr == ""
        for path in re.findall(r"-f (deploy/\S*)", text):
            assert (ROOT / path).exists()


@pytest.mark.slow
def test_the_task_of_the_page_names_the_template(tmp_path: Path) -> None:
    (text,) = blocks("python")
    code = f"{text}\nprint(count.metadata.pod_template_name)"
    ended = subprocess.run(
        [BIN / "python", "-W", "ignore", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=LONG_SECONDS,
    )
    assert ended.stdout.split() == [one("pod-template.yaml")["metadata"]["name"]]


def test_the_doctors_command_is_one() -> None:
    (container,) = DOCTOR["spec"]["containers"]
    name, command, *options = container["command"]
    assert name == "perian-shim"
    told = CliRunner().invoke(program, [command, "--help"]).output
    assert {each for each in options if each.startswith("--")} == {"--raw-data-prefix"}
    assert "--raw-data-prefix" in told
