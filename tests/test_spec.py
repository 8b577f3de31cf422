from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from perian_shim import PerianConfig
from perian_shim.errors import InvalidTemplate, TemplateTooNew
from perian_shim.spec import ContainerWork, ForwardedSecret, FunctionWork, JobSpec

SPEC = JobSpec(
    config=PerianConfig(cores=2, memory="64Gi", max_price_per_hour="1.20"),
    image="python:3.12",
    work=ContainerWork(("python", "-c", "print('{{.inputs.x}}')")),
    environment={"B": "2", "A": "1"},
    secrets=(ForwardedSecret("g", "k", "TOKEN"), ForwardedSecret("g", "f", as_file=True)),
)


def through_struct(custom: Any) -> dict[str, Any]:
    struct = Struct()
    struct.update(custom)
    return json_format.MessageToDict(struct)


FUNCTION = replace(SPEC, work=FunctionWork("a.resolver", ("task-module", "m", "task-name", "t")))


@pytest.mark.parametrize("spec", [SPEC, FUNCTION], ids=["container", "function"])
def test_a_spec_survives_a_protobuf_struct(spec: JobSpec) -> None:
    read = JobSpec.from_custom(through_struct(spec.to_custom()))
    assert read.to_custom() == spec.to_custom()
    assert (read.work, read.secrets) == (spec.work, spec.secrets)


def test_unknown_fields_are_ignored() -> None:
    custom = {**SPEC.to_custom(), "colour": "red"}
    assert JobSpec.from_custom(custom).image == "python:3.12"


def test_a_newer_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(TemplateTooNew) as caught:
        JobSpec.from_custom({**SPEC.to_custom(), "version": 2.0})
    assert "has version 2, this executor reads up to version 1" in str(caught.value)
    assert "PERIAN_SHIM_IMAGE" in str(caught.value)


@pytest.mark.parametrize(
    ("custom", "expected"),
    [
        (None, "custom.version is missing"),
        ({}, "custom.version is missing"),
        ({"version": "1"}, "custom.version is missing"),
        (
            {**SPEC.to_custom(), "kind": "sql"},
            "custom.kind: expected one of ['action', 'container', 'function'], got 'sql'",
        ),
        ({**SPEC.to_custom(), "image": 3.0}, "custom.image: expected text, got float"),
        ({**SPEC.to_custom(), "command": "x"}, "custom.command: expected an array, got str"),
        ({**SPEC.to_custom(), "command": [1.0]}, "custom.command: expected an array of texts"),
        ({**SPEC.to_custom(), "config": {"cores": -1}}, "PerianConfig.cores: expected"),
        ({**SPEC.to_custom(), "secrets": [{}]}, "custom.group: expected text"),
    ],
)
def test_a_damaged_record_is_refused_naming_the_field(
    custom: dict[str, object] | None, expected: str
) -> None:
    with pytest.raises(InvalidTemplate) as caught:
        JobSpec.from_custom(custom)
    assert expected in str(caught.value)


def test_whether_there_is_a_deck_is_recorded_only_if_there_is_one() -> None:
    assert "deck" not in SPEC.to_custom()
    shown = replace(SPEC, deck=True)
    assert JobSpec.from_custom(through_struct(shown.to_custom())).deck
    assert not JobSpec.from_custom(through_struct(SPEC.to_custom())).deck
