"""Types of files, directories and datasets, by the name of an input and of an output."""

from typing import Any

from flytekit import StructuredDataset
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile

CSV_FILE: Any = FlyteFile.__class_getitem__("csv")

FILE_TYPES: dict[str, Any] = {
    "file": FlyteFile,
    "typed_file": CSV_FILE,
    "directory": FlyteDirectory,
    "dataset": StructuredDataset,
    "files": list[FlyteFile],
    "files_by_name": dict[str, FlyteFile],
    "directories": list[FlyteDirectory],
    "maybe_file": FlyteFile | None,
    "no_file": FlyteFile | None,
}
