"""Whether a dataset that a job left is of its format, told by a few bytes of a few files.

Formats that have marks at their beginning and end are known by them: a text file that is declared
parquet fails the task that left it, and not the one that reads it. The cost is bounded: of many
files the first and the last are looked at, two short reads each.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from perian_shim.storage import ObjectInfo, ObjectStore
from perian_shim.values.build import DEFAULT_DATASET_FORMAT

MAX_LOOKED_AT = 20
"""So many files of one output, and so many datasets of a list, are looked at."""

LOOKING_THREADS = 8
LONGEST_MARK = 8
SHOWN_BYTES = 20

HIDDEN = ("_", ".")
"""Readers of datasets leave out what begins so: ``_SUCCESS``, ``_metadata``, ``.crc`` files."""

Marks = tuple[bytes, bytes]
"""What a file begins and ends with."""

MARKS: Mapping[str, tuple[Marks, ...]] = {
    "parquet": ((b"PAR1", b"PAR1"), (b"PARE", b"PARE")),  # the second one is encrypted
    "arrow": ((b"ARROW1", b"ARROW1"),),
    "feather": ((b"ARROW1", b"ARROW1"), (b"FEA1", b"FEA1")),
    "orc": ((b"ORC", b""),),
    "avro": ((b"Obj\x01", b""),),
}
"""Of a format that is not here, as csv, a file is only expected not to have the marks of one of
these at both of its ends."""

T = TypeVar("T")


@dataclass(frozen=True)
class Dataset:
    """A dataset that a job left.

    Attributes:
        place: where it was in the job, for messages.
        uri: where it is now.
        is_directory: whether it is a directory of files rather than one.
        format: the declared format, empty for parquet.
    """

    place: str
    uri: str
    is_directory: bool
    format: str


def dataset_problem(store: ObjectStore, datasets: Sequence[Dataset]) -> str | None:
    """Say what is wrong with the first dataset that is not of its format; None if all seem right.

    Args:
        store: the object store.
        datasets: those of one output.

    Raises:
        StorageFailed: one could not be read.
    """
    files: list[tuple[Dataset, ObjectInfo]] = []
    for dataset in some(datasets):
        found = list(data_files(store, dataset))
        if not found:
            return f"{dataset.place} has no {format_of(dataset)} file in it"
        files += ((dataset, file) for file in found)
    with ThreadPoolExecutor(LOOKING_THREADS) as pool:
        problems = pool.map(lambda each: file_problem(store, *each), some(files))
        return next((problem for problem in problems if problem is not None), None)


def some(things: Sequence[T]) -> list[T]:
    """Return all of a few, the first and the last of many."""
    if len(things) <= MAX_LOOKED_AT:
        return list(things)
    half = MAX_LOOKED_AT // 2
    return [*things[:half], *things[-half:]]


def data_files(store: ObjectStore, dataset: Dataset) -> Iterator[ObjectInfo]:
    """Yield the files of a dataset that its readers would read."""
    if not dataset.is_directory:
        yield ObjectInfo(dataset.uri, LONGEST_MARK)
        return
    folder = dataset.uri.rstrip("/") + "/"
    for file in store.iter_objects(folder):
        if file.uri.endswith("/"):
            continue
        if not any(part.startswith(HIDDEN) for part in file.uri.removeprefix(folder).split("/")):
            yield file


def file_problem(store: ObjectStore, dataset: Dataset, file: ObjectInfo) -> str | None:
    """Say why a file is not of its dataset's format; None if it seems to be."""
    place = dataset.place + file.uri.removeprefix(dataset.uri)
    begin = store.read(file.uri, LONGEST_MARK if file.size else 0)
    if begin is None:
        return f"{place} is gone"
    end = store.read_end(file.uri, LONGEST_MARK) if begin else b""
    wanted = MARKS.get(format_of(dataset))
    if wanted is None:
        other = next((name for name in MARKS if fits(begin, end or b"", framed(name))), None)
        return None if other is None else f"{place} is {other} and not {format_of(dataset)}"
    if fits(begin, end, wanted) and len(begin) == LONGEST_MARK:
        return None
    if not begin:
        return f"{place} is empty and no {format_of(dataset)} file"
    if fits(begin, None, wanted) and len(begin) == LONGEST_MARK:
        return f"{place} is a {format_of(dataset)} file without its end"
    return f"{place} is no {format_of(dataset)} file, it begins with {begin[:SHOWN_BYTES]!r}"


def fits(begin: bytes, end: bytes | None, marks: tuple[Marks, ...]) -> bool:
    """Whether a file begins, and where the end is known ends, as one of a format does."""
    return any(
        begin.startswith(first) and (end is None or end.endswith(last)) for first, last in marks
    )


def framed(name: str) -> tuple[Marks, ...]:
    """Return the marks of a format at both ends: a text may begin as a file of another does."""
    return tuple((first, last) for first, last in MARKS[name] if last)


def format_of(dataset: Dataset) -> str:
    """Return the format that a dataset is to have."""
    return dataset.format.lower() or DEFAULT_DATASET_FORMAT
