"""What a job left: its result record, error file and outputs, as a ``LiteralMap`` or an error.

Files, directories and datasets become literals that point to where the job put them; their bytes
are never read here. Simple values are read and parsed by the declared type. Names and types are
checked against the interface, so that a wrong output fails this task and not the one after it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from flytekit.models.interface import Variable
from flytekit.models.literals import Literal, LiteralMap

from perian_shim.errors import (
    JobFailed,
    OutputInvalid,
    OutputMissing,
    TransferFailed,
    job_failure,
)
from perian_shim.staging import ERROR_NAME, OUTPUT_FOLDER, RECORD_FOLDER, RESULT_NAME
from perian_shim.storage import ObjectStore, join_uri
from perian_shim.values.parsing import parse_output
from perian_shim.values.shapes import (
    OutputKind,
    OutputShape,
    absent_output,
    blob_literal,
    dataset_literal,
    files_literal,
    order_entries,
    output_shape,
)
from perian_shim.values.types import describe_type

MAX_VALUE_BYTES = 64 * 1024 * 1024
"""Largest simple value; Flyte's own limits for inline values are far below."""

MAX_RECORD_BYTES = 4 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024

MISSING = "missing"
FILE = "file"
DIRECTORY = "directory"


@dataclass(frozen=True)
class Result:
    """The wrapper's record of how a job ended.

    Attributes:
        exit_code: of the user's command.
        problem: what the wrapper itself could not do, "" if all went well.
        kinds: for each declared output ``"file"``, ``"directory"`` or ``"missing"``.
        error: text of the error file, None if there is none.
    """

    exit_code: int
    problem: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class Entry:
    """What the job left at one place.

    Attributes:
        name: path relative to the output directory.
        uri: where it is now.
        kind: ``"file"`` or ``"directory"``.
    """

    name: str
    uri: str
    kind: str


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
            kinds = {str(name): str(entry["kind"]) for name, entry in record["outputs"].items()}
            exit_code = int(record["exit_code"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        error = self.store.read(self.record_uri(ERROR_NAME), MAX_ERROR_BYTES)
        text = None if error is None else error.decode(errors="replace").strip()
        return Result(exit_code, str(record.get("problem", "")), kinds, text)

    def check(self, result: Result) -> None:
        """Raise what a result says went wrong.

        Raises:
            JobFailed: the program left an error file, or exited with another code than 0.
            TransferFailed: inputs or outputs could not be transferred.
        """
        if result.error is not None:
            message = f"The program in job {self.job_id} left an error: {result.error}"
            raise JobFailed(message, job_id=self.job_id)
        if result.problem:
            message = f"Job {self.job_id} could not transfer its data: {result.problem}."
            raise TransferFailed(message, job_id=self.job_id)
        if result.exit_code != 0:
            reason = f"it exited with code {result.exit_code}."
            raise job_failure(self.job_id, reason, result.exit_code)

    def collect(self, result: Result, interface: Mapping[str, Variable]) -> LiteralMap:
        """Return the declared outputs.

        Raises:
            OutputMissing: one was not produced and is not Optional.
            OutputInvalid: one does not hold what the task declares.
        """
        return LiteralMap(
            literals={
                name: self.output(name, variable, result.kinds.get(name, MISSING))
                for name, variable in interface.items()
            }
        )

    def output(self, name: str, variable: Variable, kind: str) -> Literal:
        """Return one output."""
        if kind == MISSING:
            absent = absent_output(variable.type)
            if absent is None:
                message = (
                    f"Output {name!r} ({describe_type(variable.type)}): job {self.job_id} left"
                    f" nothing at {self.output_dir}/{name}."
                )
                raise OutputMissing(message, job_id=self.job_id)
            return absent
        uri = join_uri(self.prefix, OUTPUT_FOLDER, name)
        return self.literal(output_shape(variable.type), Entry(name, uri, kind))

    def literal(self, shape: OutputShape, entry: Entry) -> Literal:
        """Return the literal for what lies at one place, laid out as ``shape`` says."""
        expected = {DIRECTORY} if shape.kind in _DIRECTORIES else {FILE}
        if shape.kind is OutputKind.DATASET:
            expected = {FILE, DIRECTORY}
        if entry.kind not in expected:
            message = (
                f"Output {entry.name!r} ({describe_type(shape.literal_type)}): expected a"
                f" {' or '.join(sorted(expected))} at {self.output_dir}/{entry.name}, job"
                f" {self.job_id} left a {entry.kind}."
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
        found = {child.uri.rpartition("/")[2]: child for child in self.children(entry)}
        literals = {name: self.literal(shape.element, found[name]) for name in order_entries(found)}
        if shape.kind is OutputKind.MAP:
            return files_literal(literals, shape.literal_type)
        return files_literal(list(literals.values()), shape.literal_type)

    def children(self, entry: Entry) -> list[Entry]:
        """Return what lies directly in a directory."""
        folder = entry.uri + "/"
        kinds: dict[str, str] = {}
        for found in self.store.iter_objects(folder):
            first, slash, _ = found.uri.removeprefix(folder).partition("/")
            kinds[first] = DIRECTORY if slash else FILE
        return [Entry(f"{entry.name}/{name}", folder + name, kind) for name, kind in kinds.items()]

    def value(self, shape: OutputShape, entry: Entry) -> Literal:
        """Return a simple value, read and parsed."""
        content = self.store.read(entry.uri, MAX_VALUE_BYTES + 1) or b""
        try:
            if len(content) > MAX_VALUE_BYTES:
                message = f"it is larger than {MAX_VALUE_BYTES} bytes; declare a FlyteFile"
                raise ValueError(message)
            return parse_output(content.decode(), shape.literal_type, entry.name)
        except ValueError as error:  # not UTF-8, too large, or of another type
            message = f"{error} (file {self.output_dir}/{entry.name} of job {self.job_id})."
            raise OutputInvalid(message, job_id=self.job_id) from error

    def record_uri(self, name: str) -> str:
        """Return the URI of one of the wrapper's records."""
        return join_uri(self.prefix, RECORD_FOLDER, name)
