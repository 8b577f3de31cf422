"""A user's module: functions on files, directories and tables. pandas is needed to import it."""

# mypy: disable-error-code="type-arg"
# Users write FlyteFile and FlyteDirectory without a format, as flytekit's documentation does.

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import flytekit
import numpy as np
import pandas as pd
from flytekit import StructuredDataset, task
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import CSVFile, FlyteFile

from perian_shim import PerianConfig


@dataclass
class Labelled:
    """A record with a file in it."""

    label: str
    file: FlyteFile
    folder: FlyteDirectory


class Files(NamedTuple):
    made: FlyteFile
    same: FlyteFile
    table: CSVFile
    folder: FlyteDirectory
    labelled: Labelled
    listed: list[FlyteFile]
    by_name: dict[str, FlyteFile]
    absent: FlyteFile | None
    maybe: FlyteFile | None


def write(name: str, text: str) -> FlyteFile:
    """Make a file where the task may write."""
    path = Path(flytekit.current_context().working_directory) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return FlyteFile(str(path))


def read(file: FlyteFile) -> str:
    """Fetch a file and read it."""
    return Path(file.download()).read_text()


def tree(folder: FlyteDirectory) -> dict[str, str]:
    """Fetch a directory and read all of its files."""
    root = Path(folder.download())
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_text() for path in files}


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def changed(
    file: FlyteFile,
    folder: FlyteDirectory,
    labelled: Labelled,
    listed: list[FlyteFile],
    by_name: dict[str, FlyteFile],
    maybe: FlyteFile | None,
    absent: FlyteFile | None = None,
) -> Files:
    """Shout everything that is in files."""
    for name, text in tree(folder).items():
        write(f"shouted/{name}", text.upper())
    shouted = Path(flytekit.current_context().working_directory) / "shouted"
    assert maybe is not None
    return Files(
        made=write("made.txt", read(file).upper()),
        same=file,
        table=CSVFile(str(write("table.csv", "a,b\n1,2\n").path)),
        folder=FlyteDirectory(str(shouted)),
        labelled=Labelled(
            label=labelled.label.upper(),
            file=write("labelled.txt", read(labelled.file).upper()),
            folder=FlyteDirectory(str(shouted)),
        ),
        listed=[write(f"{at}.txt", read(one).upper()) for at, one in enumerate(listed)],
        by_name={key: write(f"{key}.txt", read(one).upper()) for key, one in by_name.items()},
        absent=absent,
        maybe=write("maybe.txt", read(maybe).upper()),
    )


class Tables(NamedTuple):
    set_of_rows: StructuredDataset
    frame: pd.DataFrame
    array: np.ndarray


@task(task_config=PerianConfig(cores=1), container_image="python:3.12")
def doubled(rows: StructuredDataset, frame: pd.DataFrame) -> Tables:
    """Double two tables."""
    first = rows.open(pd.DataFrame).all()
    return Tables(
        set_of_rows=StructuredDataset(dataframe=first * 2),
        frame=frame * 2,
        array=np.arange(6).reshape(2, 3) * 2,
    )
