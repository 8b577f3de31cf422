"""Every type goes in as Flyte has it, through files of a job, and comes out the same."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flytekit import StructuredDataset
from flytekit.models.literals import Literal
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile
from support.file_values import CSV_FILE, FILE_TYPES
from support.flyte import Harness
from support.old_templates import template_of_0_1
from support.plain_values import COPY_ALL, PLAIN, Case, copying

from perian_shim import PerianConfig, PerianContainerTask

# What values are at both doors, down to the byte, is in test_both_doors.
pytestmark = pytest.mark.one_door


@pytest.fixture(scope="module", params=[None, "0.1"], ids=["registered-now", "registered-by-0.1"])
def copied(harness: Harness, request: pytest.FixtureRequest) -> dict[str, Literal]:
    """All plain values, copied by one job."""
    types = {case.name: case.python_type for case in PLAIN}
    task = copying("test.copy_plain", types)
    template = template_of_0_1("values") if request.param else None
    return harness.outputs(task, {case.name: case.value for case in PLAIN}, template=template)


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.name)
def test_a_value_comes_out_as_it_went_in(
    case: Case, copied: dict[str, Literal], harness: Harness
) -> None:
    assert harness.value(copied[case.name], case.python_type) == case.value


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "top level.txt").write_text("top")
    (folder / "deep" / "same.txt").write_text("deep")
    (folder / "deep" / "er" / "same.txt").write_text("deeper")
    (folder / "deep" / "er" / "empty").write_bytes(b"")
    return folder


FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", None]})


@pytest.fixture(scope="module", params=[None, "0.1"], ids=["registered-now", "registered-by-0.1"])
def returned(harness: Harness, tree: Path, request: pytest.FixtureRequest) -> dict[str, Literal]:
    """Files, directories and a dataset, copied by one job."""
    task = copying("test.copy_files", FILE_TYPES)
    top = str(tree / "top level.txt")
    deep = str(tree / "deep" / "same.txt")
    values = {
        "file": FlyteFile(top),
        "typed_file": CSV_FILE(deep),
        "directory": FlyteDirectory(str(tree)),
        "dataset": StructuredDataset(dataframe=FRAME),
        "files": [FlyteFile(top) for _ in range(10)] + [FlyteFile(deep)],
        "files_by_name": {"one": FlyteFile(top), "two": FlyteFile(deep)},
        "directories": [FlyteDirectory(str(tree)), FlyteDirectory(str(tree / "deep"))],
        "maybe_file": FlyteFile(deep),
        "no_file": None,
    }
    template = template_of_0_1("files") if request.param else None
    return harness.outputs(task, values, template=template)


def contents(folder: str) -> dict[str, bytes]:
    root = Path(folder)
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def read(file: object) -> str:
    assert isinstance(file, FlyteFile)
    return Path(file.download()).read_text()


def test_a_file_comes_out_as_it_went_in(harness: Harness, returned: dict[str, Literal]) -> None:
    assert read(harness.value(returned["file"], FlyteFile)) == "top"


def test_a_files_format_is_kept(returned: dict[str, Literal]) -> None:
    assert returned["typed_file"].scalar.blob.metadata.type.format == "csv"


def test_a_directory_keeps_its_nesting(
    harness: Harness, returned: dict[str, Literal], tree: Path
) -> None:
    directory = harness.value(returned["directory"], FlyteDirectory)
    assert isinstance(directory, FlyteDirectory)
    assert contents(directory.download()) == contents(str(tree))


def test_a_dataset_comes_out_as_it_went_in(harness: Harness, returned: dict[str, Literal]) -> None:
    dataset = harness.value(returned["dataset"], StructuredDataset)
    assert isinstance(dataset, StructuredDataset)
    pd.testing.assert_frame_equal(dataset.open(pd.DataFrame).all(), FRAME)


def test_a_list_of_files_keeps_its_order(harness: Harness, returned: dict[str, Literal]) -> None:
    files = harness.value(returned["files"], list[FlyteFile])
    assert isinstance(files, list)
    assert [read(file) for file in files] == ["top"] * 10 + ["deep"]


def test_a_map_of_files_keeps_its_keys(harness: Harness, returned: dict[str, Literal]) -> None:
    files = harness.value(returned["files_by_name"], dict[str, FlyteFile])
    assert isinstance(files, dict)
    assert {name: read(file) for name, file in files.items()} == {"one": "top", "two": "deep"}


def test_a_list_of_directories_is_kept(
    harness: Harness, returned: dict[str, Literal], tree: Path
) -> None:
    directories = harness.value(returned["directories"], list[FlyteDirectory])
    assert isinstance(directories, list)
    found = [contents(directory.download()) for directory in directories]
    assert found == [contents(str(tree)), contents(str(tree / "deep"))]


def test_an_optional_file_is_there_or_none(harness: Harness, returned: dict[str, Literal]) -> None:
    assert read(harness.value(returned["maybe_file"], FlyteFile | None)) == "deep"
    assert harness.value(returned["no_file"], FlyteFile | None) is None


def test_a_file_lies_in_the_raw_data_prefix_of_its_attempt(returned: dict[str, Literal]) -> None:
    uri = returned["file"].scalar.blob.uri
    assert uri.split("/")[4].endswith("-n0-0")
    assert uri.endswith("/outputs/file")


LIST_TYPES: dict[str, Any] = {
    "files": list[FlyteFile],
    "files_by_name": dict[str, FlyteFile],
    "maybe_files": list[FlyteFile] | None,
    "no_files": list[FlyteFile] | None,
    "nested": list[list[FlyteFile]],
    "nested_by_name": dict[str, list[FlyteFile]],
    "directories": list[FlyteDirectory],
    "directory": FlyteDirectory,
}


@pytest.fixture(scope="module")
def sparse(harness: Harness, tree: Path) -> dict[str, Literal]:
    """Lists, maps and directories with nothing in them, copied by two jobs, one after the other."""
    maker = PerianContainerTask(
        name="test.make_empty",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["/bin/sh", "-ec", "cd /var/outputs; mkdir -p ds/0 ds/1 ds/2 d; echo a >ds/1/f"],
        outputs={"ds": list[FlyteDirectory], "d": FlyteDirectory},
    )
    made = harness.outputs(maker)
    copier = PerianContainerTask(
        name="test.copy_empty",
        task_config=PerianConfig(cores=1),
        image="debian:12",
        command=["/bin/sh", "-ec", COPY_ALL],
        inputs=LIST_TYPES,
        outputs=LIST_TYPES,
    )
    top: FlyteFile = FlyteFile(str(tree / "top level.txt"))
    values: dict[str, object] = {
        "files": [],
        "files_by_name": {},
        "maybe_files": [],
        "no_files": None,
        "nested": [[], [top], []],
        "nested_by_name": {"empty": [], "full": [top, top]},
        "directories": [],
        "directory": FlyteDirectory("s3://unused/unused"),
    }
    literals = harness.literals(copier, values)
    literals.literals["directories"] = made["ds"]
    literals.literals["directory"] = made["d"]
    template = harness.cluster.serialize(copier)
    attempt = harness.cluster.start(template, literals, harness.execution()).wait()
    assert attempt.outputs is not None, f"{attempt.error}\n{attempt.log}"
    return dict(attempt.outputs.literals)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("files", []), ("files_by_name", {}), ("maybe_files", []), ("no_files", None)],
)
def test_a_list_or_map_without_files_is_empty_and_not_missing(
    harness: Harness, sparse: dict[str, Literal], name: str, expected: object
) -> None:
    assert harness.value(sparse[name], LIST_TYPES[name]) == expected


def test_nested_lists_of_files_keep_all_elements(
    harness: Harness, sparse: dict[str, Literal]
) -> None:
    lists = harness.value(sparse["nested"], LIST_TYPES["nested"])
    assert isinstance(lists, list)
    assert [[read(file) for file in files] for files in lists] == [[], ["top"], []]
    by_name = harness.value(sparse["nested_by_name"], LIST_TYPES["nested_by_name"])
    assert isinstance(by_name, dict)
    found = {name: [read(file) for file in files] for name, files in by_name.items()}
    assert found == {"empty": [], "full": ["top", "top"]}


def test_empty_directories_of_a_list_stay_in_it_and_can_be_downloaded(
    harness: Harness, sparse: dict[str, Literal]
) -> None:
    directories = harness.value(sparse["directories"], list[FlyteDirectory])
    assert isinstance(directories, list)
    found = [contents(directory.download()) for directory in directories]
    assert found == [{}, {"f": b"a\n"}, {}]


def test_an_empty_directory_can_be_downloaded(harness: Harness, sparse: dict[str, Literal]) -> None:
    directory = harness.value(sparse["directory"], FlyteDirectory)
    assert isinstance(directory, FlyteDirectory)
    assert contents(directory.download()) == {}
