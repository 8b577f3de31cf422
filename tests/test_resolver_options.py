"""What the container's arguments tell the executor beside the template."""

import pytest
from flyteidl.core.literals_pb2 import Literal, LiteralCollection, Primitive, Scalar
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.errors import InvalidInput, InvalidTemplate, TemplateTooNew
from perian_shim.pod.inputs import map_item
from perian_shim.resolver_options import Distribution, LaunchOptions

INDEX = {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX", "FLYTE_K8S_ARRAY_INDEX": "1"}


def number(value: int) -> Literal:
    return Literal(scalar=Scalar(primitive=Primitive(integer=value)))


def numbers(*values: int) -> Literal:
    return Literal(collection=LiteralCollection(literals=map(number, values)))


def test_without_arguments_there_is_neither_code_nor_a_map() -> None:
    assert LaunchOptions.from_arguments([]) == LaunchOptions(None, None)


def test_the_code_has_a_location_and_a_destination() -> None:
    arguments = ["distribution", "s3://b/code.tar.gz", "destination", "/app"]
    options = LaunchOptions.from_arguments(arguments)
    assert options.distribution == Distribution("s3://b/code.tar.gz", "/app")


def test_the_code_is_unpacked_where_the_job_starts_unless_said_otherwise() -> None:
    options = LaunchOptions.from_arguments(["distribution", "s3://b/code.tar.gz"])
    assert options.distribution == Distribution("s3://b/code.tar.gz", ".")


def test_a_location_that_was_never_filled_in_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidTemplate, match="flytectl register files"):
        LaunchOptions.from_arguments(["distribution", "{{ .remote_package_path }}"])


@pytest.mark.parametrize(
    ("text", "bound"),
    [("", frozenset[str]()), ("a", frozenset({"a"})), ("a,b", frozenset({"a", "b"}))],
)
def test_a_map_task_names_what_its_items_share(text: str, bound: frozenset[str]) -> None:
    assert LaunchOptions.from_arguments(["mapped", text]).bound == bound


def test_options_of_a_newer_version_are_refused_by_name() -> None:
    with pytest.raises(TemplateTooNew, match="shiny"):
        LaunchOptions.from_arguments(["shiny", "x", "mapped", ""])


def test_an_item_gets_its_elements_and_what_all_share_whole() -> None:
    shared = numbers(7, 8, 9)
    inputs = {"a": numbers(1, 2), "b": numbers(3, 4), "shared": shared}
    item = map_item(inputs, frozenset({"shared"}), INDEX)
    assert item == {"a": number(2), "b": number(4), "shared": shared}


@given(values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), data=st.data())
def test_items_are_the_lists_elements(values: list[int], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    environ = {**INDEX, "FLYTE_K8S_ARRAY_INDEX": str(index)}
    item = map_item({"a": numbers(*values)}, frozenset(), environ)
    assert item["a"].scalar.primitive.integer == values[index]


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"BATCH_JOB_ARRAY_INDEX_VAR_NAME": "FLYTE_K8S_ARRAY_INDEX"},
        {**INDEX, "FLYTE_K8S_ARRAY_INDEX": ""},
        {**INDEX, "FLYTE_K8S_ARRAY_INDEX": "-1"},
        {**INDEX, "FLYTE_K8S_ARRAY_INDEX": "one"},
    ],
)
def test_an_environment_that_names_no_item_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="names none"):
        map_item({"a": numbers(1)}, frozenset(), environ)


def test_a_list_that_is_too_short_is_refused_by_name_and_length() -> None:
    with pytest.raises(InvalidInput, match="'a' of a map task has 1 items, item 1 is wanted"):
        map_item({"a": numbers(1)}, frozenset(), INDEX)


def test_an_input_that_is_no_list_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'a' of a map task has 0 items"):
        map_item({"a": number(1)}, frozenset(), INDEX)
