"""What starts when, what is tried again, when a map task has failed, what is printed."""

import pytest
from flyteidl.core import literals_pb2, types_pb2, workflow_pb2
from hypothesis import given
from hypothesis import strategies as st

from perian_shim.sandbox.flyte.array import array_error, collected, failures_allowed, item_count
from perian_shim.sandbox.flyte.cluster import NodeError, may_retry
from perian_shim.sandbox.flyte.console import HIDDEN, hidden
from perian_shim.sandbox.flyte.failures import NodeFault, verdict
from perian_shim.sandbox.flyte.graph import dependencies, ready
from perian_shim.sandbox.flyte.places import Place

Node = workflow_pb2.Node


def bound_to(node: str) -> literals_pb2.Binding:
    reference = types_pb2.OutputReference(node_id=node, var="o0")
    return literals_pb2.Binding(var="x", binding=literals_pb2.BindingData(promise=reference))


def branch(node_id: str, *inner: Node) -> Node:
    first, *others = (workflow_pb2.IfBlock(then_node=node) for node in inner)
    block = workflow_pb2.IfElseBlock(case=first, other=others)
    return Node(id=node_id, branch_node=workflow_pb2.BranchNode(if_else=block))


def test_a_node_waits_for_what_it_is_bound_to_and_for_what_it_is_said_to_follow() -> None:
    node = Node(id="n3", inputs=[bound_to("n1"), bound_to("")], upstream_node_ids=["n0"])
    assert dependencies(node) == {"n0", "n1"}


def test_a_branch_waits_for_what_its_nodes_are_bound_to_even_if_ids_repeat() -> None:
    node = branch("n2", Node(id="n0", inputs=[bound_to("n0")]), Node(id="n1"))
    assert dependencies(node) == {"n0"}


@given(st.lists(st.sets(st.integers(0, 6), max_size=3), min_size=1, max_size=7))
def test_nodes_that_are_started_when_ready_run_each_once_and_after_what_they_need(
    needed: list[set[int]],
) -> None:
    waiting = {
        f"n{number}": Node(
            id=f"n{number}",
            upstream_node_ids=[f"n{other}" for other in sorted(others) if other < number],
        )
        for number, others in enumerate(needed)
    }
    nodes, done = dict(waiting), list[str]()
    while waiting:
        first = ready(waiting, done)[0]
        assert set(first.upstream_node_ids) <= set(done)
        del waiting[first.id]
        done.append(first.id)
    assert sorted(done) == sorted(nodes)


def error(kind: str = "USER", *, recoverable: bool = True) -> NodeError:
    return NodeError("CODE", "why", kind, recoverable)


@pytest.mark.parametrize(
    ("kinds", "retries", "again"),
    [
        (["USER"], 0, False),
        (["USER"], 1, True),
        (["UNKNOWN"], 1, True),
        (["USER", "USER"], 1, False),
        (["SYSTEM"], 0, True),
        (["SYSTEM"] * 3, 0, True),
        (["SYSTEM"] * 4, 0, False),
        (["SYSTEM", "USER"], 1, True),
        (["SYSTEM", "USER", "USER"], 1, False),
    ],
)
def test_users_and_system_errors_have_budgets_of_their_own(
    kinds: list[str], retries: int, again: bool
) -> None:
    assert may_retry([error(kind) for kind in kinds], retries) is again


def test_what_is_not_recoverable_is_not_tried_again() -> None:
    last = error(recoverable=False)
    assert not may_retry([last], 5)
    assert verdict([last], 5) == last


@pytest.mark.parametrize(
    ("kinds", "retries", "counted"),
    [(["USER"], 0, "1/1"), (["SYSTEM", "USER", "USER"], 1, "2/2"), (["SYSTEM"] * 4, 0, "3/3")],
)
def test_exhausted_retries_are_shown_as_flyte_shows_them(
    kinds: list[str], retries: int, counted: str
) -> None:
    shown = verdict([error(kind) for kind in kinds], retries)
    assert shown.code == "RetriesExhausted|CODE"
    assert shown.message == f"[{counted}] currentAttempt done. Last Error: {kinds[-1]}::why"
    assert (shown.kind, shown.recoverable) == ("USER", False)


def items(count: int) -> literals_pb2.Literal:
    single = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
    return literals_pb2.Literal(
        collection=literals_pb2.LiteralCollection(literals=[single] * count)
    )


def test_a_map_has_as_many_items_as_its_lists() -> None:
    assert item_count({"a": items(3), "shared": items(5)}, ["shared"]) == 3


@pytest.mark.parametrize("inputs", [{}, {"a": items(3), "b": items(2)}], ids=["none", "unequal"])
def test_a_map_over_nothing_or_over_unequal_lists_fails(
    inputs: dict[str, literals_pb2.Literal],
) -> None:
    with pytest.raises(NodeFault):
        item_count(inputs, [])


@pytest.mark.parametrize(
    ("node", "allowed"),
    [
        (workflow_pb2.ArrayNode(), 0),
        (workflow_pb2.ArrayNode(min_successes=7), 3),
        (workflow_pb2.ArrayNode(min_success_ratio=0.7), 3),
        (workflow_pb2.ArrayNode(min_success_ratio=0.65), 3),
        (workflow_pb2.ArrayNode(min_successes=20), 0),
    ],
)
def test_so_many_of_ten_items_may_fail(node: workflow_pb2.ArrayNode, allowed: int) -> None:
    assert failures_allowed(node, 10) == allowed


def test_a_failed_item_is_none_in_the_list() -> None:
    value = literals_pb2.Literal(
        scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(integer=1))
    )
    outputs = collected(["o0"], [{"o0": value}, None])
    first, second = outputs["o0"].collection.literals
    assert first == value
    assert second.scalar.HasField("none_type")


def test_a_failed_map_names_its_items() -> None:
    assert array_error({2: error(), 0: error()}).message == "[0]: why\n[2]: why"


def test_nested_nodes_have_the_paths_that_flyte_gives_them() -> None:
    place = Place("b", "e", "n0", "s3://b/metadata/propeller/p-d-e/n0/data")
    inner = place.inside("dn1", attempt=1)
    assert inner.attempt(2).output_prefix == f"{place.data_prefix}/1/dn1/2"
    assert inner.node == "n0-1-dn1"
    assert len(inner.inside("n" * 20).node) < 20
    item = place.item(3, 1)
    assert item.inputs_uri == f"{place.data_prefix}/inputs.pb"
    assert item.output_prefix == f"{place.data_prefix}/0/3/1"
    assert item.templates["tasktemplatepath"] == f"{place.data_prefix}/3/1/task.pb"
    assert item.name == "e-n0-0-n3-1"


@given(st.text(st.characters(blacklist_categories=["C", "Z"]), min_size=4), st.text(), st.text())
def test_no_secret_is_printed(secret: str, before: str, after: str) -> None:
    assert secret not in hidden(f"{before}{secret}{after}", [secret]).replace(HIDDEN, "")


def test_no_line_of_a_secret_is_printed() -> None:
    key = "-----BEGIN-----\nabcdef\n-----END-----"
    assert "abcdef" not in hidden('{"key": "abcdef"}', [key])
