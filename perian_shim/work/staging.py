"""What a job is given: its input files, leave to fetch and to upload, and the command to run.

A job needs the wrapper when it must fetch something or leave something, or is told of the directory
of its outputs, where it may leave an error's text; the command is then
``/bin/sh /perian-shim/run.sh`` and the user's argv, and a *plan* says what to fetch, where outputs
are looked for and with which POST policy they are uploaded (its format is described in
``job/run.sh``). Otherwise the command is the user's argv alone.

Simple values are sent with the request as files; the wrapper, if there is one, puts them where the
image's user may write. Files, directories and datasets are fetched by the job itself, by presigned
URLs; so are values and plans too large for a request, which are first written below the attempt's
own prefix. Lists and maps of files are directories by their declared type, empty ones too.

``InvalidInput`` says which input cannot be handed over, and why: before anything is paid for, what
the job is to fetch is looked for.
"""

import json
import posixpath
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flyteidl.core.literals_pb2 import Literal
from flyteidl.core.types_pb2 import LiteralType

from perian_shim.api.job_request import ContainerFile
from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.job import ASSETS, read_asset
from perian_shim.spec import ContainerWork
from perian_shim.storage import ObjectStore, can_presign, is_well_formed, join_uri
from perian_shim.values.decoding import UnreadableLiteral, unwrapped
from perian_shim.values.literals import (
    BlobLeaf,
    blob_leaves,
    literal_to_json,
    literal_to_text,
)
from perian_shim.values.shapes import file_folders, holds_files, output_shape
from perian_shim.work.task_record import TaskRecord

WRAPPER_DIR = "/perian-shim"
WRAPPER_COMMAND = ("/bin/sh", f"{WRAPPER_DIR}/run.sh")

OUTPUT_FOLDER = "outputs"
RECORD_FOLDER = "_perian"
RESULT_NAME = "result.json"
ERROR_NAME = "error"
ERROR_FILE = "_ERROR"
"""In ``output_data_dir``: a program that leaves this file has failed, with its text as message."""

INPUTS_FILE = "inputs.json"

VALUES_FOLDER = "values"
"""Beside the wrapper: values for it to copy to the input directory."""

INLINE_BYTES = 64 * 1024
"""Values that together are larger than this are fetched by the job, not sent with the request."""

INLINE_PLAN_BYTES = 64 * 1024
"""A plan that is larger than this is fetched by the job."""

FETCHED_RECORDS = frozenset({"dir", "copy", "get"})
"""What of a plan that is too large is fetched: what is done before the command."""

MAX_LOOKED_FOR = 200
"""So many single files among the inputs are looked for before a job is paid for."""

LOOKING_THREADS = 8

Record = tuple[str, ...]


@dataclass(frozen=True)
class Staging:
    """What goes into the request.

    Attributes:
        command: the container's argv.
        files: files to put into the container.
        wrapped: whether the command is the wrapper, so that a result record is to be expected.
        variables: variables of the job, beside those of its ``JobSpec``.
        secrets: the same for values that must not be seen.
    """

    command: tuple[str, ...]
    files: tuple[ContainerFile, ...] = field(default=(), repr=False)
    wrapped: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass
class Stager:
    """Collects what one job is given.

    Attributes:
        work: what the task does.
        store: the object store of the raw data prefix.
        prefix: URI below which this attempt's job may write.
        expires_in: how long presigned URLs and the policy have to live, in seconds.
    """

    work: ContainerWork
    store: ObjectStore
    prefix: str
    expires_in: int
    values: dict[str, bytes] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    singles: list[tuple[str, str]] = field(default_factory=list)

    def stage(
        self, argv: Sequence[str], inputs: Mapping[str, Literal], task: TaskRecord
    ) -> Staging:
        """Return what the job is given.

        Args:
            argv: the rendered command.
            inputs: the input literals.
            task: declares inputs and outputs.

        Raises:
            InvalidInput: an input cannot be handed to a job.
            StorageFailed: the object store refused us.
        """
        self.add_inputs(inputs, {name: v.type for name, v in task.inputs.items()})
        self.look_for_singles()
        self.move_large_values()
        outputs = {name: v.type for name, v in sorted(task.outputs.items())}
        if (
            self.records
            or outputs
            or self.is_told_of_outputs([*argv, *task.spec.environment.values()])
        ):
            self.add_outputs(outputs)
        if not self.records:
            values = (ContainerFile(path, content) for path, content in self.values.items())
            return Staging(tuple(argv), tuple(values), wrapped=False)
        files = self.carried_values()
        files += [
            ContainerFile(f"{WRAPPER_DIR}/{name}", read_asset(name), read_only=True)
            for name in ASSETS
        ]
        files.append(ContainerFile(f"{WRAPPER_DIR}/plan", self.plan(), read_only=True))
        command = (*WRAPPER_COMMAND, *argv)
        return Staging(command, tuple(files), wrapped=True)

    def is_told_of_outputs(self, texts: Sequence[str]) -> bool:
        """Whether a program is told where outputs go: then it may want to leave an error there."""
        return any(self.work.output_data_dir in text for text in texts)

    def carried_values(self) -> list[ContainerFile]:
        """Send the values beside the wrapper, for it to copy them to where they belong.

        The platform would make their directory itself, as root, and then an image's user who is not
        could put nothing beside them.
        """
        files = []
        for number, (path, content) in enumerate(self.values.items()):
            name = f"{VALUES_FOLDER}/{number}"
            self.records.append(("copy", name, path))
            files.append(ContainerFile(f"{WRAPPER_DIR}/{name}", content, read_only=True))
        return files

    def add_inputs(self, inputs: Mapping[str, Literal], types: Mapping[str, LiteralType]) -> None:
        """Give the job each input as a file or a tree, and all of them as ``inputs.json``."""
        if not inputs:
            return
        document: dict[str, bytes] = {}
        for name in sorted(inputs):
            literal = inputs[name]
            path = f"{self.work.input_data_dir}/{name}"
            has_files = name not in types or holds_files(types[name])
            folders = (
                list(file_folders(literal, types[name])) if has_files and name in types else []
            )
            try:
                leaves = list(blob_leaves(literal)) if has_files else []
                # literal_to_json meets the leaves in the order in which blob_leaves found them.
                places = iter([posixpath.join(path, *leaf.path) for leaf in leaves])
                document[name] = literal_to_json(literal, lambda _, places=places: next(places))  # type: ignore[misc]  # mypy cannot infer a lambda's default
                if not leaves and not folders:
                    self.add_text(path, literal, document[name])
            except UnreadableLiteral as error:
                raise InvalidInput(f"Input {name!r}: {error}.") from error
            for folder in folders:
                self.records.append(record(name, "dir", inner_path(name, path, folder)))
            for leaf in leaves:
                self.add_leaf(name, inner_path(name, path, leaf.path), leaf)
        self.values[f"{self.work.input_data_dir}/{INPUTS_FILE}"] = json_object(document)

    def add_text(self, path: str, literal: Literal, as_json: bytes) -> None:
        """Give the job one value as a file, None as none."""
        inner = unwrapped(literal)
        if inner.HasField("collection") or inner.HasField("map"):
            self.values[path] = as_json
        elif (text := literal_to_text(inner)) is not None:
            self.values[path] = text.encode()

    def add_leaf(self, name: str, path: str, leaf: BlobLeaf) -> None:
        """Let the job fetch one file, directory or dataset to ``path``."""
        uri = leaf.uri
        if urlsplit(uri).scheme in {"http", "https"} and not leaf.multipart:
            self.records.append(record(name, "get", path, uri))
            return
        if not can_presign(uri):
            message = f"Input {name!r} is at {shown(uri)!r}, where no Perian job can fetch it."
            remedy = "Use data in the object store."
            raise InvalidInput(message, remedy=remedy)
        if not is_well_formed(uri, folder=leaf.multipart):
            message = f"Input {name!r} is at {uri!r}: expected a URI like s3://bucket/key."
            raise InvalidInput(message)
        if not leaf.multipart:
            self.singles.append((name, uri))
            self.add_object(name, path, uri)
        elif leaf.is_dataset and is_well_formed(uri) and self.size(name, uri) is not None:
            self.add_object(name, path, uri)
        else:
            self.add_tree(name, path, uri)

    def look_for_singles(self) -> None:
        """Expect the single files to be there, before a job is paid for that cannot fetch them."""
        some = self.singles[:MAX_LOOKED_FOR]
        with ThreadPoolExecutor(LOOKING_THREADS) as pool:
            sizes = pool.map(lambda single: self.size(*single), some)
            for (name, uri), size in zip(some, sizes, strict=True):
                if size is None:
                    raise InvalidInput(f"Input {name!r}: there is no object {uri!r}.")

    def size(self, name: str, uri: str) -> int | None:
        """Return the size of an input's object, None if there is none."""
        try:
            return self.store.size(uri)
        except StorageFailed as error:
            remedy = "Check the resolver container's permissions for this input's place."
            raise StorageFailed(f"Input {name!r}: {error.message}", remedy=remedy) from error

    def add_object(self, name: str, path: str, uri: str) -> None:
        """Let the job fetch one object."""
        (url,) = self.store.presign([uri], self.expires_in)
        self.records.append(record(name, "get", path, url))

    def add_tree(self, name: str, path: str, uri: str) -> None:
        """Let the job fetch everything below a folder, nesting kept.

        A folder without objects is there only when a marker says so; S3 has no others.
        """
        folder = uri.rstrip("/") + "/"
        self.records.append(record(name, "dir", path))
        objects = list(self.store.iter_objects(folder))
        if not objects and not (is_well_formed(folder) and self.size(name, folder) is not None):
            raise InvalidInput(f"Input {name!r}: there is nothing below {folder!r}.")
        for found in objects:
            inner = found.uri.removeprefix(folder).removesuffix("/")
            if posixpath.normpath(inner) != inner or inner.startswith("../"):
                message = f"Input {name!r}: object {found.uri!r} has no place in a directory."
                raise InvalidInput(message)
            if found.uri.endswith("/"):
                self.records.append(record(name, "dir", f"{path}/{inner}"))
            else:
                self.add_object(name, f"{path}/{inner}", found.uri)

    def move_large_values(self) -> None:
        """Let the job fetch the largest values when all of them are too much for a request."""
        total = sum(map(len, self.values.values()))
        for path in sorted(self.values, key=lambda key: -len(self.values[key])):
            if total <= INLINE_BYTES:
                return
            content = self.values.pop(path)
            total -= len(content)
            uri = join_uri(self.prefix, RECORD_FOLDER, "inputs", posixpath.basename(path))
            self.store.write(uri, content)
            self.add_object(posixpath.basename(path), path, uri)

    def add_outputs(self, outputs: Mapping[str, LiteralType]) -> None:
        """Let the job leave its outputs, or its error's text, below the attempt's prefix."""
        directory = self.work.output_data_dir
        for name, literal_type in outputs.items():
            levels = output_shape(literal_type).levels
            place = ("output", name, f"{directory}/{name}")
            self.records.append((*place, str(levels)) if levels else place)
        self.records.append(("error", f"{directory}/{ERROR_FILE}"))
        policy = self.store.upload_policy(self.prefix, self.expires_in)
        self.records += [
            ("post", policy.url),
            ("prefix", policy.key_prefix),
            ("max_bytes", str(policy.max_bytes)),
            *(("field", name, value) for name, value in policy.fields.items()),
        ]

    def plan(self) -> bytes:
        """Return the plan, or one that refers to the plan in the object store."""
        plan = plan_text(self.records)
        if len(plan) <= INLINE_PLAN_BYTES:
            return plan
        # What is needed after the command is never fetched: by then the URL may have expired.
        fetched = [each for each in self.records if each[0] in FETCHED_RECORDS]
        kept = [each for each in self.records if each[0] not in FETCHED_RECORDS]
        uri = join_uri(self.prefix, RECORD_FOLDER, "plan")
        self.store.write(uri, plan_text(fetched))
        (url,) = self.store.presign([uri], self.expires_in)
        return plan_text([("include", url), *kept])


def json_object(entries: Mapping[str, bytes]) -> bytes:
    """Write an object, an entry a line, of values that are JSON already."""
    written = bytearray(b"{")
    separator = b"\n "
    for name, value in entries.items():
        written += separator + json.dumps(name, ensure_ascii=False).encode() + b": " + value
        separator = b",\n "
    written += b"\n}"
    return bytes(written)


def is_wrapped(command: str) -> bool:
    """Whether a job's command string starts the wrapper."""
    return command.startswith(shlex.join(WRAPPER_COMMAND))


def inner_path(name: str, path: str, parts: tuple[str, ...]) -> str:
    """Return the path of what is inside an input, refusing keys that would lead elsewhere."""
    for part in parts:
        if part in {"", ".", ".."} or "/" in part:
            raise InvalidInput(f"Input {name!r}: key {part!r} cannot be a file name.")
    return posixpath.join(path, *parts)


def shown(uri: str) -> str:
    """Return a URI as a message may show it: the query of a URL may be a signature."""
    return uri.partition("?")[0] if urlsplit(uri).scheme in {"http", "https"} else uri


def record(name: str, *fields: str) -> Record:
    """Return a record of the plan, refusing what would break its lines."""
    for value in fields:
        if any(ord(character) < ord(" ") for character in value):
            message = f"Input {name!r}: the name {value!r} holds control characters."
            raise InvalidInput(message)
    return fields


def plan_text(records: Sequence[Record]) -> bytes:
    """Write records as a plan."""
    return "".join("\t".join(fields) + "\n" for fields in [("version", "1"), *records]).encode()
