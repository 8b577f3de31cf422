"""Every kind of value that Flyte 2 passes, through a function's job and through a container's."""

import datetime
import io
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from flyte.io import DataFrame, Dir, File
from support.flyte2 import Flyte2Harness, flyte2_harness
from support.flyte2_functions import values
from support.flyte2_functions.values import Color, Model, Point, Thing

pytestmark = pytest.mark.slow

NOON = datetime.datetime(2026, 11, 28, 12, 0, 30, 250000, tzinfo=datetime.timezone.utc)
GIVEN: dict[str, Any] = {
    "whole": 2**40,
    "real": 0.1,
    "text": "ä\n'\"$x",
    "flag": True,
    "moment": NOON,
    "span": datetime.timedelta(days=1, milliseconds=5),
    "color": Color.RED,
    "point": Point(1, "p"),
    "model": Model(rate=0.5, tags=["a"]),
    "items": [1, 2],
    "table": {"a": 0.5},
    "points": [Point(1, "p")],
    "maybe": 3,
    "nothing": None,
}


@pytest.fixture(scope="module")
def flyte2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flyte2Harness]:
    with flyte2_harness(tmp_path_factory.mktemp("flyte2")) as harness:
        yield harness


@pytest.fixture(scope="module")
def kept(flyte2: Flyte2Harness) -> dict[str, Any]:
    """Values that lie in the object store."""
    store, prefix = flyte2.harness.store, f"s3://{flyte2.harness.sandbox.bucket}/uploads/flyte2"
    table = io.BytesIO()
    pd.DataFrame({"n": [1, 2]}).to_parquet(table)
    for name, content in {
        "file.txt": b"words",
        "folder/a": b"1",
        "folder/b/c": b"2",
        "frame/0.parquet": table.getvalue(),
    }.items():
        store.write(f"{prefix}/{name}", content)
    return {
        "file": File(path=f"{prefix}/file.txt"),
        "folder": Dir(path=f"{prefix}/folder"),
        "frame": DataFrame(uri=f"{prefix}/frame", format="parquet"),
        "files": [File(path=f"{prefix}/file.txt"), File(path=f"{prefix}/folder/a")],
    }


def test_values_through_a_function(flyte2: Flyte2Harness) -> None:
    ran = flyte2.run(values.everything, **GIVEN)
    assert ran.attempt.outputs is not None, ran.attempt.log
    assert ran.value == (
        2**40 + 1,
        0.6,
        "ä\n'\"$x!",
        False,
        NOON + GIVEN["span"],
        2 * GIVEN["span"],
        Color.BLUE,
        Point(2, "p!"),
        Model(rate=1.5, tags=["a", "new"]),
        [1, 2, 9],
        {"a": 0.5, "new": 1.5},
        [Point(1, "p"), Point(9, "new")],
        3,
        None,
    )


def test_what_is_stored_through_a_function(flyte2: Flyte2Harness, kept: dict[str, Any]) -> None:
    ran = flyte2.run(values.stored, **kept)
    assert ran.attempt.outputs is not None, ran.attempt.log
    file, folder, table, files = ran.value
    store = flyte2.harness.store
    assert store.read(file.path) == b"WORDS"
    assert store.read(f"{folder.path.rstrip('/')}/b/c") == b"2"
    assert list(table["doubled"]) == [2, 4]
    assert [store.read(each.path) for each in files] == [b"words", b"1", b"WORDS"]


def test_what_is_pickled_through_a_function(flyte2: Flyte2Harness) -> None:
    ran = flyte2.run(values.pickled, thing=Thing(2))
    assert ran.attempt.outputs is not None, ran.attempt.log
    assert ran.value.size == 3


def test_values_through_a_container(flyte2: Flyte2Harness) -> None:
    ran = flyte2.run(values.scalars, **GIVEN)
    assert ran.attempt.outputs is not None, ran.attempt.log
    assert dict(zip(values.SCALARS, ran.value, strict=True)) == GIVEN


def test_what_is_stored_through_a_container(flyte2: Flyte2Harness, kept: dict[str, Any]) -> None:
    ran = flyte2.run(values.files, **kept)
    assert ran.attempt.outputs is not None, ran.attempt.log
    file, folder, frame, files = ran.value
    store = flyte2.harness.store
    assert store.read(file.path) == b"words"
    assert store.read(f"{folder.path.rstrip('/')}/b/c") == b"2"
    assert store.read(f"{frame.uri.rstrip('/')}/0.parquet")
    assert [store.read(each.path) for each in files] == [b"words", b"1"]
