"""What a function returns on Perian is what it returns when it is called, for every type."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flytekit import StructuredDataset
from flytekit.core.base_task import PythonTask
from flytekit.models.literals import Literal
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from support.flyte import ABSENT
from support.function_harness import FunctionHarness, in_image
from support.functions import files, values
from support.old_templates import template_of_0_1
from support.waiting import LONG_SECONDS

# What values are at both doors, down to the byte, is in test_both_doors.
pytestmark = pytest.mark.one_door


def returned_types() -> dict[str, Any]:
    return dict(values.returned.python_interface.outputs)


TYPES = returned_types()


@pytest.fixture(scope="module", params=[None, "0.1"], ids=["registered-now", "registered-by-0.1"])
def passed_through(
    functions: FunctionHarness, request: pytest.FixtureRequest
) -> dict[str, Literal]:
    template = in_image(template_of_0_1("function")) if request.param else None
    inputs = values.made_values(3)._asdict()
    return functions.run(values.returned, inputs, template=template).literals


@pytest.fixture(scope="module")
def made_in_the_job(functions: FunctionHarness) -> dict[str, Literal]:
    return functions.run(values.made, {"seed": 3}).literals


@pytest.mark.parametrize("name", TYPES)
def test_a_value_comes_back_as_it_went_in(
    name: str, passed_through: dict[str, Literal], functions: FunctionHarness
) -> None:
    inputs = values.made_values(3)._asdict()
    expected = values.returned.task_function(**inputs)._asdict()[name]
    assert functions.harness.value(passed_through[name], TYPES[name]) == expected


@pytest.mark.parametrize("name", TYPES)
def test_a_value_made_in_the_job_is_the_one_made_here(
    name: str, made_in_the_job: dict[str, Literal], functions: FunctionHarness
) -> None:
    expected = values.made.task_function(3)._asdict()[name]
    assert functions.harness.value(made_in_the_job[name], TYPES[name]) == expected


def outputs_of(
    functions: FunctionHarness, task: PythonTask[Any], **inputs: object
) -> tuple[object, ...]:
    literals = functions.run(task, inputs).literals
    types = task.python_interface.outputs
    assert set(literals) == set(types)
    return tuple(functions.harness.value(literals[name], kind) for name, kind in types.items())


def test_several_unnamed_outputs_keep_their_order(functions: FunctionHarness) -> None:
    assert outputs_of(functions, values.unnamed, count=3) == values.unnamed.task_function(3)


def test_a_function_may_take_nothing_and_yield_its_values(functions: FunctionHarness) -> None:
    (yielded,) = outputs_of(functions, values.counted)
    assert isinstance(yielded, Iterator)
    assert list(yielded) == list(values.counted.task_function())


def test_a_function_may_return_nothing(functions: FunctionHarness) -> None:
    ran = functions.run(values.silent, {"text": "a word"})
    assert ran.literals == {}
    assert "heard a word" in ran.attempt.log


@dataclass(frozen=True)
class Shouted:
    """The same function's outputs: run on Perian, and called here."""

    functions: FunctionHarness
    literals: dict[str, Literal]
    local: files.Files

    def get(self, name: str) -> Any:
        return self.functions.harness.value(
            self.literals[name], files.changed.python_interface.outputs[name]
        )


@pytest.fixture(scope="module")
def shouted(functions: FunctionHarness, tmp_path_factory: pytest.TempPathFactory) -> Shouted:
    inputs = local_files(tmp_path_factory.mktemp("files"))
    literals = functions.run(files.changed, inputs).literals
    return Shouted(functions, literals, files.changed.task_function(**inputs, absent=None))


def local_files(folder: Path) -> dict[str, Any]:
    tree = folder / "tree"
    for name in ("top one.txt", "deep/er/ünï.txt"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"in {name}")

    def one(name: str) -> FlyteFile:
        (folder / name).write_text(f"text of {name}")
        return FlyteFile(str(folder / name))

    return {
        "file": one("file.txt"),
        "folder": FlyteDirectory(str(tree)),
        "labelled": files.Labelled("label", one("inner.txt"), FlyteDirectory(str(tree))),
        "listed": [one("first"), one("second")],
        "by_name": {"k": one("third")},
        "maybe": one("maybe"),
    }


@pytest.mark.parametrize("name", ["made", "same", "table", "maybe"])
def test_a_file_has_the_content_that_it_has_locally(name: str, shouted: Shouted) -> None:
    assert files.read(shouted.get(name)) == files.read(getattr(shouted.local, name))


def test_a_file_keeps_its_format(shouted: Shouted) -> None:
    blob = shouted.literals["table"].scalar.blob
    assert blob.metadata.type.format == "csv"


def test_an_unchanged_file_keeps_its_address(shouted: Shouted) -> None:
    assert "/uploads/" in shouted.literals["same"].scalar.blob.uri


def test_a_directory_has_the_files_that_it_has_locally(shouted: Shouted) -> None:
    assert files.tree(shouted.get("folder")) == files.tree(shouted.local.folder)


def test_a_record_has_its_files(shouted: Shouted) -> None:
    here, there = shouted.local.labelled, shouted.get("labelled")
    assert there.label == here.label
    assert files.read(there.file) == files.read(here.file)
    assert files.tree(there.folder) == files.tree(here.folder)


def test_lists_and_dicts_of_files_keep_order_and_keys(shouted: Shouted) -> None:
    assert [files.read(one) for one in shouted.get("listed")] == [
        files.read(one) for one in shouted.local.listed
    ]
    assert {key: files.read(one) for key, one in shouted.get("by_name").items()} == {
        key: files.read(one) for key, one in shouted.local.by_name.items()
    }


def test_a_file_may_be_none(shouted: Shouted) -> None:
    assert shouted.get("absent") is None
    assert shouted.local.absent is None


@pytest.fixture(scope="module")
def tables(functions: FunctionHarness) -> tuple[dict[str, Literal], files.Tables]:
    def inputs() -> dict[str, object]:
        return {"rows": StructuredDataset(dataframe=frame("a")), "frame": frame("b")}

    # Called as a task, not as its bare function: a dataset can only be opened once it is stored.
    here: Any = files.doubled(**inputs())
    return functions.run(files.doubled, inputs()).literals, here


def frame(column: str) -> pd.DataFrame:
    return pd.DataFrame({column: [1, 2, 3]})


def test_a_dataset_has_the_rows_that_it_has_locally(
    tables: tuple[dict[str, Literal], files.Tables], functions: FunctionHarness
) -> None:
    there = functions.harness.value(tables[0]["set_of_rows"], StructuredDataset)
    assert isinstance(there, StructuredDataset)
    here = tables[1].set_of_rows.open(pd.DataFrame).all()
    pd.testing.assert_frame_equal(there.open(pd.DataFrame).all(), here)


def test_a_data_frame_is_the_one_made_locally(
    tables: tuple[dict[str, Literal], files.Tables], functions: FunctionHarness
) -> None:
    there = functions.harness.value(tables[0]["frame"], pd.DataFrame)
    pd.testing.assert_frame_equal(there, tables[1].frame)


def test_an_array_is_the_one_made_locally(
    tables: tuple[dict[str, Literal], files.Tables], functions: FunctionHarness
) -> None:
    np.testing.assert_array_equal(
        functions.harness.value(tables[0]["array"], np.ndarray), tables[1].array
    )


@pytest.mark.parametrize("name", ABSENT)
def test_the_resolver_container_cannot_import_what_the_job_can(
    name: str, functions: FunctionHarness
) -> None:
    environment = functions.of({}, {}).cluster.environment
    found = subprocess.run(
        [sys.executable, "-c", f"import {name}"],
        env={"PYTHONPATH": environment["PYTHONPATH"]},
        capture_output=True,
        timeout=LONG_SECONDS,
        text=True,
        check=False,
    )
    assert f"the executor image has no {name}" in found.stderr
