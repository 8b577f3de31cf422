"""What a job is given: its input files, what it is to fetch and to leave, the command to run.

A job needs the wrapper when it must fetch or leave something, is given a secret as a file, or is
told of the directory of its outputs, where it may leave an error's text; the command is then
``/bin/sh /perian-shim/run.sh`` and the user's argv, and a *plan* says which places there are (its
format is described in ``job/run.sh``). Otherwise the command is the user's argv alone. How the data
is reached is no part of the plan, which others may read: see ``grants`` and ``container_access``.

Simple values are sent with the request as files; the wrapper, if there is one, puts them where the
image's user may write. Files, directories and datasets are fetched by the job itself; so are values
too large for a request, which are first written to a folder that the job cannot write to. Lists and
maps of files are directories by their declared type, empty ones too.

``InvalidInput`` says which input cannot be handed over, and why: before anything is paid for, what
the job is to fetch is looked for.
"""

import json
import posixpath
import shlex
from collections.abc import Callable, Mapping, Sequence
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
from perian_shim.work.records import Record, record, text_of
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

MAX_LOOKED_FOR = 200
"""So many single files among the inputs are looked for before a job is paid for."""

LOOKING_THREADS = 8

SECRET_VARIABLE = "PERIAN_SHIM_SECRET_{}"  # noqa: S105 - the name of a variable
"""A secret that is to be a file travels in a variable, which nobody can read back from the API."""

MAX_SECRET_BYTES = 96 * 1024
"""Linux takes 128 KiB in one variable, its name among them."""


@dataclass(frozen=True)
class Staging:
    """What goes into the request.

    Attributes:
        command: the container's argv.
        files: files to put into the container.
        wrapped: whether the command is the wrapper.
        variables: variables of the job, beside those of its ``JobSpec``.
        secrets: the same for values that must not be seen.
        gets: what the job fetches: path in the job, and URI or URL.
        leaves: whether it leaves a result, and perhaps outputs.
    """

    command: tuple[str, ...]
    files: tuple[ContainerFile, ...] = field(default=(), repr=False)
    wrapped: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    gets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    leaves: bool = False

    @property
    def needs_access(self) -> bool:
        """Whether the job has to reach an object store."""
        return bool(self.gets) or self.leaves


@dataclass
class Stager:
    """Collects what one job is given.

    Attributes:
        work: what the task does.
        store_of: returns the object store that holds a URI.
        folder: URI of a folder for what is written for the job, where the job cannot write.
        secret_files: secrets that are to be files: path and content.
    """

    work: ContainerWork
    store_of: Callable[[str], ObjectStore]
    folder: str
    secret_files: Mapping[str, str] = field(default_factory=dict, repr=False)
    values: dict[str, bytes] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    gets: list[tuple[str, str]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
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
        told = self.is_told_of_outputs([*argv, *task.spec.environment.values()])
        leaves = bool(self.gets or self.records or outputs or told)
        if leaves:
            self.add_outputs(outputs)
            self.records.append(("grant",))
        self.add_secrets()
        if not self.records:
            values = (ContainerFile(path, content) for path, content in self.values.items())
            return Staging(tuple(argv), tuple(values), wrapped=False)
        files = self.carried_values()
        files += [
            ContainerFile(f"{WRAPPER_DIR}/{name}", read_asset(name), read_only=True)
            for name in ASSETS
        ]
        plan = text_of(self.records)
        files.append(ContainerFile(f"{WRAPPER_DIR}/plan", plan, read_only=True))
        return Staging(
            (*WRAPPER_COMMAND, *argv),
            tuple(files),
            wrapped=True,
            secrets=self.secrets,
            gets=tuple(self.gets),
            leaves=leaves,
        )

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
            record(name, "get", path, uri)
            self.gets.append((path, uri))
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
            return self.store_of(uri).size(uri)
        except StorageFailed as error:
            remedy = "Check the permissions of the task's pod for this input's place."
            raise StorageFailed(f"Input {name!r}: {error.message}", remedy=remedy) from error

    def add_object(self, name: str, path: str, uri: str) -> None:
        """Let the job fetch one object."""
        record(name, "get", path)
        self.gets.append((path, uri))

    def add_tree(self, name: str, path: str, uri: str) -> None:
        """Let the job fetch everything below a folder, nesting kept.

        A folder without objects is there only when a marker says so; S3 has no others.
        """
        folder = uri.rstrip("/") + "/"
        self.records.append(record(name, "dir", path))
        objects = list(self.store_of(folder).iter_objects(folder))
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
            uri = join_uri(self.folder, posixpath.basename(path))
            self.store_of(uri).write(uri, content)
            self.add_object(posixpath.basename(path), path, uri)

    def add_outputs(self, outputs: Mapping[str, LiteralType]) -> None:
        """Let the job leave its outputs, or its error's text."""
        directory = self.work.output_data_dir
        for name, literal_type in outputs.items():
            levels = output_shape(literal_type).levels
            place = ("output", name, f"{directory}/{name}")
            self.records.append((*place, str(levels)) if levels else place)
        self.records.append(("error", f"{directory}/{ERROR_FILE}"))

    def add_secrets(self) -> None:
        """Let the wrapper write the secrets that are to be files."""
        self.secrets, places = carried_secrets(self.secret_files)
        self.records += [("secret", variable, path) for variable, path in places.items()]


def carried_secrets(files: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables in which secrets travel, and the path of each one's file.

    Args:
        files: path and content.

    Raises:
        InvalidInput: one does not fit into a variable.
    """
    variables, places = {}, {}
    for number, (path, content) in enumerate(files.items()):
        length = len(content.encode())
        if length > MAX_SECRET_BYTES or "\0" in content:
            message = (
                f"The secret for {path} cannot be given to the job: it has {length} bytes, at most"
                f" {MAX_SECRET_BYTES} without NUL fit."
            )
            raise InvalidInput(message, remedy="Split it, or fetch it from a place of your own.")
        variable = SECRET_VARIABLE.format(number)
        variables[variable], places[variable] = content, path
    return variables, places


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
