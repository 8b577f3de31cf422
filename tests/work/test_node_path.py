"""Which node an attempt belongs to, told from where its outputs go."""

import pytest

from perian_shim.sandbox.flyte.places import Place, Pod
from perian_shim.work.idempotency import NodeIdentity
from perian_shim.work.node_path import node_path, sendable

ROOT = "s3://flyte/metadata/propeller/shop-prod-a1b2"
NODE = Place("flyte", "a1b2", "n0", f"{ROOT}/n0/data")


def path_of(output_prefix: str, execution: str = "a1b2") -> str:
    identity = NodeIdentity.from_output_prefix("shop", "prod", execution, output_prefix)
    return node_path(identity, output_prefix)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (NODE.attempt(0), "n0"),
        (NODE.attempt(3), "n0"),
        (NODE.inside("dn1", attempt=2).attempt(0), "n0/dn1"),
        (NODE.inside("n1").inside("n7").attempt(1), "n0/n1/n7"),
        (NODE.item(3, 0), "n0[3]"),
        (NODE.inside("n1").item(12, 2), "n0/n1[12]"),
    ],
)
def test_a_node_is_told_wherever_the_backend_puts_it(pod: Pod, expected: str) -> None:
    assert path_of(pod.output_prefix) == expected


def test_folders_named_data_between_nodes_do_not_matter() -> None:
    assert path_of(f"{ROOT}/n0/data/0/n1/data/4/") == "n0/n1"


@pytest.mark.parametrize(
    "output_prefix",
    [
        "s3://flyte/elsewhere/n0/data/0",
        "s3://flyte/metadata/propeller/shop-prod-other/n0/data/0",
        f"{ROOT}/n0/0",
        f"{ROOT}/n0/data",
        f"{ROOT}/n0/data/zero",
        f"{ROOT}/n0/data/0/n1",
        f"{ROOT}",
        "",
    ],
)
def test_a_place_of_another_kind_tells_nothing(output_prefix: str) -> None:
    assert path_of(output_prefix) == ""


def test_without_an_execution_nothing_is_told() -> None:
    assert path_of("s3://flyte/shop-prod-/n0/data/0", execution="") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("team a", "team a"), (" a\n b\0c ", "a b c"), ("half \ud800", "half ?"), ("\n", "")],
)
def test_what_is_shown_is_one_line_that_an_environment_can_hold(text: str, expected: str) -> None:
    assert sendable(text) == expected
