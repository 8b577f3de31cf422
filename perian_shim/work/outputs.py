"""What a job left: its result record, error file and outputs, as literals or an error.

Files, directories and datasets become literals that point to where the job put them; of a dataset a
few bytes are read (``datasets``), of the others none. Simple values are read and parsed by the
declared type. Names and types are checked against the interface, so that a wrong output fails this
task and not the one after it. The elements of a list or map of files are those that the wrapper
saw, not those that were uploaded: what is neither file nor directory fails the task and is never
left out in silence.

Literals stay serialized: as messages, the elements of a long list take many times their size.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flyteidl.core.interface_pb2 import Variable

from perian_shim.errors import (
    JobFailed,
    JobUnsuitable,
    OutputInvalid,
    OutputMissing,
    OutputTooLarge,
    TransferFailed,
)
from perian_shim.storage import ObjectStore, join_uri
from perian_shim.values.parsing import parse_output
from perian_shim.values.serialized import SerializedLiteral
from perian_shim.values.shapes import (
    OutputKind,
    OutputShape,
    absent_output,
    blob_literal,
    dataset_format,
    dataset_literal,
    files_literal,
    order_entries,
    output_shape,
)
from perian_shim.values.types import describe_type
from perian_shim.work.datasets import Dataset, dataset_problem
from perian_shim.work.job_failure import job_failure
from perian_shim.work.staging import ERROR_NAME, OUTPUT_FOLDER, RECORD_FOLDER, RESULT_NAME

Outputs: TypeAlias = Mapping[str, SerializedLiteral]
"""A run's outputs by name."""

MAX_VALUE_BYTES = 64 * 1024 * 1024
"""Largest simple value; Flyte's own limits for inline values are far below."""

MAX_RECORD_BYTES = 256 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024

MISSING = "missing"
FILE = "file"
DIRECTORY = "directory"

PIECES_PREFIX = f"{RECORD_FOLDER}/pieces/"

UNUSABLE_EXIT_CODE = 64
"""With which the wrapper ends when image, plan or directories do not allow the job."""


@dataclass(frozen=True)
class Pieces:
    """One file that was uploaded in pieces.

    Attributes:
        key: where it belongs, relative to the job's prefix, as are all keys here.
        size: of the whole, in bytes.
        parts: keys of the pieces, in their order.
    """

    key: str
    size: int
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        for key in (self.key, *self.parts):
            if {"", ".", ".."} & set(key.split("/")):  # a rented machine wrote them
                message = f"a key leads elsewhere: {key!r}"
                raise ValueError(message)
        foreign = [part for part in self.parts if not part.startswith(PIECES_PREFIX)]
        if foreign or not self.key.startswith(f"{OUTPUT_FOLDER}/") or not self.parts:
            message = "pieces are not where they belong"
            raise ValueError(message)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Pieces":
        """Read one entry of the result record."""
        return cls(str(entry["key"]), int(entry["bytes"]), tuple(map(str, entry["parts"])))


@dataclass(frozen=True)
class Result:
    """The wrapper's record of how a job ended.

    Attributes:
        exit_code: of the user's command.
        problem: what the wrapper itself could not do, "" if all went well.
        kinds: for each declared output ``"file"``, ``"directory"`` or ``"missing"``.
        entries: for each list or map of files, what lies in its directory: path in it, and
            ``"file"``, ``"directory"`` or ``"other"``.
        error: text of the error file, None if there is none.
        pieces: files that were uploaded in pieces.
    """

    exit_code: int
    problem: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    error: str | None = None
    pieces: tuple[Pieces, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What the job left at one place.

    Attributes:
        name: path relative to the output directory.
        uri: where it is now.
        kind: ``"file"``, ``"directory"`` or ``"other"``.
        inside: what lies in it, if it is a list or map: path in it, and kind; else None.
    """

    name: str
    uri: str
    kind: str
    inside: Mapping[str, str] | None = None

    def children(self) -> "dict[str, Entry]":
        """Return what lies directly in a directory, by name."""
        assert self.inside is not None  # the wrapper lists what its plan declares as list or map
        below: dict[str, dict[str, str]] = {}
        for path, kind in self.inside.items():
            first, slash, rest = path.partition("/")
            within = below.setdefault(first, {})
            if slash:
                within[rest] = kind
        return {
            name: Entry(
                f"{self.name}/{name}",
                f"{self.uri}/{name}",
                self.inside.get(name, DIRECTORY),
                within,
            )
            for name, within in below.items()
        }


_FOUND = {
    FILE: "a file",
    DIRECTORY: "a directory",
    "other": "what is neither (a dangling link, a socket or the like)",
}
_DIRECTORIES = {OutputKind.DIRECTORY, OutputKind.LIST, OutputKind.MAP}


@dataclass(frozen=True)
class Harvest:
    """Reads what one job left. Every method may raise ``StorageFailed``.

    Attributes:
        store: the object store.
        prefix: URI of the job's prefix.
        output_dir: where in the container the outputs were, for messages.
        job_id: for messages.
    """

    store: ObjectStore
    prefix: str
    output_dir: str
    job_id: str

    def result(self) -> Result | None:
        """Return the result record, None if the job left none that can be read."""
        content = self.store.read(self.record_uri(RESULT_NAME), MAX_RECORD_BYTES)
        try:
            record = json.loads(content or b"")
            outputs = record["outputs"].items()
            kinds = {str(name): str(entry["kind"]) for name, entry in outputs}
            entries = {name: dict(e["entries"]) for name, e in outputs if "entries" in e}
            exit_code = int(record["exit_code"])
            has_error = bool(record["error"])
            pieces = tuple(map(Pieces.from_json, record.get("pieces", ())))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return None
        text = self.error_text() if has_error else None
        problem = str(record.get("problem", ""))
        return Result(exit_code, problem, kinds, entries, text, pieces)

    def error_text(self) -> str:
        """Return what the program said in its error file."""
        content = self.store.read(self.record_uri(ERROR_NAME), MAX_ERROR_BYTES)
        return (content or b"").decode(errors="replace").strip()

    def check(self, result: Result) -> None:
        """Raise what a result says went wrong.

        Raises:
            JobFailed: the program left an error file, or exited with another code than 0.
            JobUnsuitable: image or directories do not allow the job.
            TransferFailed: inputs or outputs could not be transferred.
        """
        if result.error is not None:
            message = f"The program in job {self.job_id} left an error: {result.error}"
            raise JobFailed(message, job_id=self.job_id)
        if result.problem and result.exit_code == UNUSABLE_EXIT_CODE:
            message = f"Job {self.job_id} cannot be run: {result.problem}."
            raise JobUnsuitable(message, job_id=self.job_id)
        if result.problem:
            message = f"Job {self.job_id} could not transfer its data: {result.problem}."
            raise TransferFailed(message, job_id=self.job_id)
        if result.exit_code != 0:
            reason = f"it exited with code {result.exit_code}."
            raise job_failure(self.job_id, reason, result.exit_code)

    def join(self, result: Result) -> None:
        """Make each file whole that was too large for one upload, and delete its pieces.

        A pod that ended in between may have deleted some: then the file is whole already.
        """
        for piece in result.pieces:
            uri = join_uri(self.prefix, piece.key)
            parts = [join_uri(self.prefix, part) for part in piece.parts]
            if self.store.size(uri) != piece.size:
                self.store.join(parts, uri)
            for part in parts:
                self.store.delete(part)

    def collect(self, result: Result, declared: Mapping[str, Variable]) -> Outputs:
        """Return the declared outputs.

        Args:
            result: how the job ended.
            declared: the task's outputs.

        Raises:
            OutputMissing: one was not produced and is not Optional.
            OutputInvalid: one does not hold what the task declares.
        """
        return {
            name: self.output(
                variable,
                Entry(
                    name,
                    join_uri(self.prefix, OUTPUT_FOLDER, name),
                    result.kinds.get(name, MISSING),
                    result.entries.get(name),
                ),
            )
            for name, variable in sorted(declared.items())
        }

    def output(self, variable: Variable, entry: Entry) -> SerializedLiteral:
        """Return one output."""
        if entry.kind == MISSING:
            absent = absent_output(variable.type)
            if absent is None:
                message = (
                    f"Output {entry.name!r} ({describe_type(variable.type)}): job {self.job_id}"
                    f" left nothing at {self.output_dir}/{entry.name}."
                )
                raise OutputMissing(message, job_id=self.job_id)
            return absent
        shape = output_shape(variable.type)
        literal = self.literal(shape, entry)
        problem = dataset_problem(self.store, list(self.datasets(shape, entry)))
        if problem is not None:
            message = (
                f"Output {entry.name!r} ({describe_type(variable.type)}): {problem} (job"
                f" {self.job_id})."
            )
            raise OutputInvalid(message, job_id=self.job_id)
        return literal

    def datasets(self, shape: OutputShape, entry: Entry) -> Iterator[Dataset]:
        """Yield the datasets that lie at one place."""
        if shape.kind is OutputKind.DATASET:
            place = f"{self.output_dir}/{entry.name}"
            declared = dataset_format(shape.literal_type)
            yield Dataset(place, entry.uri, entry.kind == DIRECTORY, declared)
        elif shape.element is not None:
            for inner in entry.children().values():
                yield from self.datasets(shape.element, inner)

    def literal(self, shape: OutputShape, entry: Entry) -> SerializedLiteral:
        """Return the literal for what lies at one place, laid out as ``shape`` says."""
        expected = {DIRECTORY} if shape.kind in _DIRECTORIES else {FILE}
        if shape.kind is OutputKind.DATASET:
            expected = {FILE, DIRECTORY}
        if entry.kind not in expected:
            message = (
                f"Output {entry.name!r} ({describe_type(shape.literal_type)}): expected a"
                f" {' or '.join(sorted(expected))} at {self.output_dir}/{entry.name}, job"
                f" {self.job_id} left {_FOUND.get(entry.kind, entry.kind)}."
            )
            raise OutputInvalid(message, job_id=self.job_id)
        match shape.kind:
            case OutputKind.VALUE:
                return self.value(shape, entry)
            case OutputKind.DATASET:
                return dataset_literal(entry.uri, shape.literal_type)
            case OutputKind.FILE | OutputKind.DIRECTORY:
                return blob_literal(entry.uri, shape.literal_type)
        assert shape.element is not None
        self.check_names(entry)
        found = entry.children()
        literals = {name: self.literal(shape.element, found[name]) for name in order_entries(found)}
        if shape.kind is OutputKind.MAP:
            return files_literal(literals, shape.literal_type)
        return files_literal(list(literals.values()), shape.literal_type)

    def check_names(self, entry: Entry) -> None:
        """Expect paths that stay in the output: a rented machine wrote them.

        Raises:
            OutputInvalid: one is empty or absolute, leads out, or holds a control character.
        """
        for path in entry.inside or {}:
            control = any(ord(character) < ord(" ") for character in path)
            if control or {"", ".", ".."} & set(path.split("/")):
                message = f"Output {entry.name!r}: job {self.job_id} recorded an entry {path!r}."
                raise OutputInvalid(message, job_id=self.job_id)

    def value(self, shape: OutputShape, entry: Entry) -> SerializedLiteral:
        """Return a simple value, read and parsed."""
        content = self.store.read(entry.uri, MAX_VALUE_BYTES + 1)
        if content is None:
            message = f"Output {entry.name!r}: job {self.job_id} left it, but {entry.uri} is gone."
            raise OutputMissing(message, job_id=self.job_id)
        if len(content) > MAX_VALUE_BYTES:
            message = (
                f"Output {entry.name!r} (file {self.output_dir}/{entry.name} of job {self.job_id})"
                f" is larger than {MAX_VALUE_BYTES} bytes."
            )
            raise OutputTooLarge(message, job_id=self.job_id)
        try:
            return parse_output(content.decode(), shape.literal_type, entry.name)
        except ValueError as error:  # not UTF-8, or of another type
            message = f"{error} (file {self.output_dir}/{entry.name} of job {self.job_id})."
            raise OutputInvalid(message, job_id=self.job_id) from error

    def record_uri(self, name: str) -> str:
        """Return the URI of one of the wrapper's records."""
        return join_uri(self.prefix, RECORD_FOLDER, name)
