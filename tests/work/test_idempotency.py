from dataclasses import replace

import pytest
from flyteidl.core.literals_pb2 import Literal, Primitive, Scalar

from perian_shim import PerianConfig
from perian_shim.spec import ContainerWork, JobSpec
from perian_shim.work.idempotency import NodeIdentity, work_key

PREFIX = "s3://b/metadata/propeller/p-d-fab12/n0/data"
SPEC = JobSpec(PerianConfig(cores=1), "python:3.12", ContainerWork(("true",)))


def literal(value: int) -> Literal:
    return Literal(scalar=Scalar(primitive=Primitive(integer=value)))


INPUTS = {"a": literal(1), "b": literal(2)}


def node(prefix: str = f"{PREFIX}/0", execution: str = "fab12") -> NodeIdentity:
    return NodeIdentity.from_output_prefix("p", "d", execution, prefix)


KEY = work_key(node(), SPEC, INPUTS)


def test_all_attempts_of_a_node_share_a_key() -> None:
    assert work_key(node(f"{PREFIX}/1"), SPEC, INPUTS) == KEY


def test_the_order_of_inputs_does_not_matter() -> None:
    inputs = {"b": literal(2), "a": literal(1)}
    assert work_key(node(), SPEC, inputs) == KEY


@pytest.mark.parametrize(
    ("where", "spec", "inputs"),
    [
        (node(execution="fab13"), SPEC, INPUTS),
        (node("s3://b/metadata/propeller/p-d-fab12/n1/data/0"), SPEC, INPUTS),
        (node(f"{PREFIX}/0/7/0"), SPEC, INPUTS),
        (node(), replace(SPEC, work=ContainerWork(("false",))), INPUTS),
        (node(), replace(SPEC, config=PerianConfig(cores=2)), INPUTS),
        (node(), SPEC, {"a": literal(1), "b": literal(3)}),
        (node(), SPEC, {"a": literal(1)}),
    ],
    ids=["relaunch", "other node", "array item", "command", "config", "input", "fewer inputs"],
)
def test_other_work_has_another_key(
    where: NodeIdentity, spec: JobSpec, inputs: dict[str, Literal]
) -> None:
    assert work_key(where, spec, inputs) != KEY


def test_a_deck_is_no_other_work() -> None:
    assert work_key(node(), replace(SPEC, deck=True), INPUTS) == KEY


def test_a_key_is_forty_hexadecimal_digits() -> None:
    assert len(KEY) == 40
    assert int(KEY, 16)
