"""What is sent: every body is understood, field by field, by the official client's models."""

import base64
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perian.models.create_job_request import CreateJobRequest as OfficialRequest
from perian.models.operator import Operator

from perian_shim.api.job_request import (
    ContainerFile,
    CreateJobRequest,
    DockerRun,
    RegistryCredentials,
    Requirements,
)

# JSON can carry no lone surrogate, and an environment no NUL.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
words = texts.filter(lambda text: bool(text.strip()))
names = words.filter(lambda text: "=" not in text)
counts = st.none() | st.integers(1, 1000)
amounts = st.none() | st.decimals("0.01", "9999", places=2) | st.integers(1, 4096)
variables = st.dictionaries(names, texts, max_size=3)
requirements = st.builds(
    Requirements,
    cores=counts,
    memory_gb=amounts,
    accelerators=counts,
    accelerator_type=st.none() | words,
    country_code=st.none() | words,
    provider=st.none() | words,
    max_price_per_hour=amounts,
)
files = st.builds(
    ContainerFile,
    path=words.map(lambda text: "/" + text),
    content=st.binary(max_size=100),
    read_only=st.booleans(),
)
dockers = st.builds(
    DockerRun,
    image_name=words,
    image_tag=st.none() | words,
    command=st.none() | texts,
    env_variables=variables,
    secrets=variables,
    container_files=st.lists(files, max_size=3),
)
requests = st.builds(
    CreateJobRequest,
    docker=dockers,
    requirements=requirements,
    instance_type_id=st.none() | st.uuids().map(str),
    auto_failover_instance_type=st.booleans(),
    timeout_seconds=counts,
    os_storage_gb=counts,
    registry=st.none() | st.builds(RegistryCredentials, texts, texts, texts),
)


def parsed(request: CreateJobRequest) -> OfficialRequest:
    over_the_wire = json.loads(json.dumps(request.to_json()))
    official = OfficialRequest.from_dict(over_the_wire)
    assert official is not None
    return official


@given(requests)
def test_the_official_model_reads_the_job_as_it_was_meant(request: CreateJobRequest) -> None:
    official = parsed(request)
    storage = official.os_storage_config
    assert official.instance_type_id == request.instance_type_id
    assert official.auto_failover_instance_type == request.auto_failover_instance_type
    assert official.timeout_seconds == request.timeout_seconds
    assert (storage.size if storage else None) == request.os_storage_gb


@given(requests)
def test_the_official_model_reads_the_container_as_it_was_meant(request: CreateJobRequest) -> None:
    docker, official = request.docker, parsed(request).docker_run_parameters
    assert official is not None
    assert official.image_name == docker.image_name
    assert official.image_tag == docker.image_tag
    assert official.command == docker.command
    assert (official.env_variables or {}) == docker.env_variables
    assert (official.secrets or {}) == docker.secrets
    assert [
        (file.path, base64.b64decode(file.base64_content), file.read_only)
        for file in official.container_files or []
    ] == [(file.path, file.content, file.read_only) for file in docker.container_files]


@given(requests)
def test_the_official_model_reads_the_registry_as_it_was_meant(request: CreateJobRequest) -> None:
    registry, official = request.registry, parsed(request).docker_registry_credentials
    if registry is None:
        assert official is None
    else:
        assert official is not None
        assert (official.url, official.username, official.password) == (
            registry.url,
            registry.username,
            registry.password,
        )


@given(requests)
def test_the_official_model_reads_the_requirements_as_they_were_meant(
    request: CreateJobRequest,
) -> None:
    wanted, query = request.requirements, parsed(request).requirements
    assert wanted is not None
    assert query is not None
    memory = query.ram.size.actual_instance if query.ram and query.ram.size else None
    price = query.price.unit_price if query.price else None
    kind = query.accelerator.name if query.accelerator else None
    assert (query.cpu.cores if query.cpu else None) == wanted.cores
    assert (None if memory is None else Decimal(memory)) == wanted.memory_gb
    assert (query.accelerator.no if query.accelerator else None) == wanted.accelerators
    assert (kind.actual_instance if kind else None) == wanted.accelerator_type
    assert (query.region.location if query.region else None) == wanted.country_code
    assert (query.provider.name_short if query.provider else None) == wanted.provider
    assert (
        None if price is None else Decimal(price.actual_instance or 0)
    ) == wanted.max_price_per_hour


@given(requests)
def test_nothing_is_sent_that_the_official_model_does_not_know(request: CreateJobRequest) -> None:
    body = request.to_json()
    # The official model adds its own defaults; what is ours must come back unchanged.
    assert covers(parsed(request).to_dict(), body)


def covers(whole: object, part: object) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and covers(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return isinstance(whole, list) and all(map(covers, whole, part))
    return whole == part


def test_what_is_none_is_left_out() -> None:
    request = CreateJobRequest(DockerRun("busybox"), Requirements())
    assert request.to_json() == {
        "auto_failover_instance_type": True,
        "requirements": {},
        "docker_run_parameters": {"image_name": "busybox"},
    }


def test_a_price_limit_says_at_most() -> None:
    query = Requirements(max_price_per_hour=1.5).to_json()
    assert query == {"price": {"operator": "LESS_THAN_OR_EQUAL", "unit_price": "1.5"}}
    assert Operator("LESS_THAN_OR_EQUAL")


@pytest.mark.parametrize(
    ("number", "text"), [(64, "64"), (Decimal("0.50"), "0.5"), (1e3, "1000"), (100, "100")]
)
def test_memory_is_sent_as_plain_text(number: float, text: str) -> None:
    assert Requirements(memory_gb=number).to_json() == {"ram": {"size": text}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cores", 0),
        ("cores", True),
        ("cores", 1.5),
        ("accelerators", -1),
        ("memory_gb", 0),
        ("memory_gb", float("nan")),
        ("max_price_per_hour", float("inf")),
        ("max_price_per_hour", "1"),
        ("provider", " "),
        ("country_code", ""),
    ],
)
def test_a_wrong_requirement_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected .* got"):
        Requirements(**{field: value})  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize(("field", "value"), [("timeout_seconds", 0), ("os_storage_gb", 1.5)])
def test_a_wrong_limit_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        CreateJobRequest(DockerRun("a"), Requirements(), **{field: value})  # type: ignore[arg-type]  # wrong on purpose


def test_neither_machine_nor_requirements_is_refused_as_the_api_would() -> None:
    with pytest.raises(ValueError, match="requirements or an instance_type_id"):
        CreateJobRequest(DockerRun("a"))


def test_a_relative_file_is_refused() -> None:
    with pytest.raises(ValueError, match="absolute path"):
        ContainerFile("run.sh", b"")


@pytest.mark.parametrize("variables", [{"": "x"}, {"A=B": "x"}, {"A": "SECRET\0"}])
def test_impossible_variables_are_refused_without_their_value(variables: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="env_variables") as caught:
        DockerRun("a", env_variables=variables)
    assert "SECRET" not in str(caught.value)


def test_a_request_does_not_change_with_the_mapping_it_was_made_from() -> None:
    variables = {"A": "1"}
    docker = DockerRun("a", env_variables=variables)
    variables["A"] = "2"
    assert docker.env_variables == {"A": "1"}


def test_repr_shows_no_secret() -> None:
    request = CreateJobRequest(
        DockerRun(
            "busybox",
            env_variables={"A": "HIDDEN-env"},
            secrets={"B": "HIDDEN-secret"},
            container_files=(ContainerFile("/f", b"HIDDEN-content"),),
        ),
        Requirements(),
        registry=RegistryCredentials("reg", "HIDDEN-user", "HIDDEN-password"),
    )
    assert "HIDDEN" not in repr(request)
    assert "busybox" in repr(request)


def test_secrets_that_are_files_are_confidential_as_text_and_as_sent() -> None:
    files = (
        ContainerFile("/etc/flyte/secrets/g/k", b"file-secret"),
        ContainerFile("/keys/google.json", b"google-secret"),
        ContainerFile("/var/inputs/x", b"an input"),
        ContainerFile("/keys/google.json.md", b"a text"),
    )
    secrets = {"DIR": "/etc/flyte/secrets", "GOOGLE": "/keys/google.json", "ROOT": "/", "PW": "pw"}
    docker = DockerRun("debian", secrets=secrets, container_files=files)
    confidential = CreateJobRequest(docker, Requirements()).confidential()
    hidden = [base64.b64encode(text).decode() for text in (b"file-secret", b"google-secret")]
    expected = {*secrets.values(), "file-secret", "google-secret", *hidden}
    assert set(confidential) == expected
