"""A task's template as one argument of a command."""

import base64
import zlib

import pytest
from flyteidl.core.tasks_pb2 import TaskTemplate
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.errors import InvalidTemplate
from perian_shim.task_argument import decode, encode


@given(st.text(), st.text())
def test_a_template_survives_as_an_argument(name: str, version: str) -> None:
    template = TaskTemplate(type="perian_shim")
    template.id.name, template.id.version = name, version
    template.custom.update({"command": ["echo", "{{.inputs.x}}"]})
    text = encode(template)
    assert decode(text) == template
    assert encode(decode(text)) == text


def test_flyte_finds_nothing_to_fill_in() -> None:
    template = TaskTemplate()
    template.custom.update({"command": ["{{.inputs.x}}"] * 50})
    assert not set(encode(template)) & set("{}.$ ")


CUT = base64.urlsafe_b64encode(zlib.compress(b"x" * 900)[:-6]).decode()
NO_TEMPLATE = base64.urlsafe_b64encode(zlib.compress(b"no protobuf at all")).decode()


@pytest.mark.parametrize("text", ["", "a", "ä", "{{.x}}", "AAAA", CUT, NO_TEMPLATE])
def test_what_is_no_task_is_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate, match="--perian-task of the container holds no task"):
        decode(text)
