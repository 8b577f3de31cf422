"""Checks of a task's arguments, made when the task is defined; the same for every SDK.

Each method of ``Checks`` raises ``DefinitionError`` naming the task, the argument, what was
expected and what was given. The arguments come from people's code, so nothing is taken for granted
of their types.
"""

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from flyteidl.core.types_pb2 import LiteralType

from perian_shim import settings as env
from perian_shim.config import DETACH, REQUIREMENTS, PerianConfig
from perian_shim.definition import notices, official
from perian_shim.definition.programs import injections, wrong_program
from perian_shim.errors import DefinitionError
from perian_shim.image_reference import ImageReference
from perian_shim.spec import ForwardedSecret
from perian_shim.template import TemplateError, check_command
from perian_shim.template.scan import FLYTE_TEMPLATE
from perian_shim.values.embedded import embedded_files
from perian_shim.values.shapes import UnsupportedTypeError, output_shape
from perian_shim.values.types import parts_of

RESERVED_DIRECTORIES = ("/perian-shim", "/proc", "/sys", "/dev")
"""What is there is the wrapper's or the kernel's."""

OWN_PREFIX = "PERIAN_SHIM_"
"""Variables with such names steer the wrapper or mark a job."""

OWN_VARIABLES = frozenset({*env.MARKERS, *env.HANDED_ON})
"""Variables that every job has already: they say whose it is."""

PICKLE_FORMAT = "PythonPickle"

EXPANDED = ("PATH", "HOME", "PWD", "USER", "LD_LIBRARY_PATH", "PYTHONPATH")
"""Variables that a shell would expand and that an image has."""

_REFERENCE = re.compile(
    r"\$(?P<brace>\{)?(?P<name>[A-Za-z_]\w*)(?(brace)[^}]*\})|(?:\A|(?<=:))~(?=/|\Z)", re.ASCII
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class WrongType(DefinitionError, TypeError):
    """An argument of a task has another type than it may have."""


class Checks:
    """Checks the arguments of one task; every method raises ``DefinitionError``.

    It remembers the names of the job's variables: ``secrets`` are checked against the
    ``environment`` that was checked before.
    """

    CONFIG, VARIABLES, SECRETS = "task_config", "environment", "secret_requests"
    """What the SDK calls the arguments."""

    FILE_TYPES = "FlyteFile, FlyteDirectory or StructuredDataset"

    SECRET = "Secret(group=…, key=…)"  # noqa: S105 - how one is written

    def __init__(self, task: str, kind: str = "PerianContainerTask") -> None:
        self._task = task
        self._kind = kind
        self._variables: frozenset[str] = frozenset()

    def wrong(self, what: str) -> DefinitionError:
        """Return the error that names the task."""
        return DefinitionError(f"{self._kind} {self._task!r}: {what}")

    def refused(self, **reasons: str | bool) -> None:
        """Refuse arguments for which a reason is given."""
        for argument, reason in reasons.items():
            if reason:
                raise self.wrong(f"{argument}: cannot be honoured: {reason}")

    def config(self, config: object) -> None:
        """Expect a ``PerianConfig`` of ours."""
        self.not_official(config, "perian_shim")
        if not isinstance(config, PerianConfig):
            kind = f"{type(config).__module__}.{type(config).__qualname__}"
            message = f"{self.CONFIG}: expected a perian_shim.PerianConfig, got {kind}"
            raise self.wrong(message)

    def not_official(self, config: object, module: str) -> None:
        """Expect no ``PerianConfig`` of flytekitplugins-perian-job.

        Args:
            config: what was given.
            module: where ours is to be imported from.

        Raises:
            WrongType: it is one.
        """
        told = official.wrong_config(config, module)
        if told:
            raise WrongType(f"{self._kind} {self._task!r}: {self.CONFIG}: {told}")

    def requirements(self, config: PerianConfig) -> None:
        """Expect at least one requirement, as Perian does."""
        if config.asks_for_nothing:
            expected = ", ".join(REQUIREMENTS)
            raise self.wrong(f"{self.CONFIG}: expected at least one of {expected}, got none")

    def reference(self, image: str) -> None:
        """Expect an image reference."""
        try:
            ImageReference.parse(image)
        except ValueError as error:
            raise self.wrong(f"image: {error}") from error

    def names(self, argument: str, types: object) -> None:
        """Expect a dict of types, whose names can be names of files."""
        if not isinstance(types, Mapping):
            message = f'{argument}: expected names and types like {{"rows": int}}, got {types!r}'
            raise self.wrong(message)
        for name in types:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                message = f"{argument}: {name!r} cannot be a file name; use letters, digits and _"
                raise self.wrong(message)

    def directories(self, input_dir: object, output_dir: object) -> None:
        """Expect two absolute paths, neither within the other."""
        for argument, path in (("input_data_dir", input_dir), ("output_data_dir", output_dir)):
            plain = isinstance(path, str) and re.fullmatch(r"(/[^\s:/]+)+", path)
            if not plain or path != posixpath.normpath(str(path)):
                message = f'{argument}: expected an absolute path like "/var/data", got {path!r}'
                raise self.wrong(message)
            for reserved in RESERVED_DIRECTORIES:
                if is_within(str(path), reserved):
                    raise self.wrong(f"{argument}: {path!r} is within {reserved}, choose another")
        if is_within(str(input_dir), str(output_dir)) or is_within(str(output_dir), str(input_dir)):
            message = f"input_data_dir {input_dir!r} and output_data_dir {output_dir!r} overlap"
            raise self.wrong(message)

    def environment(self, variables: Mapping[str, object]) -> None:
        """Expect names and values that an environment can hold, and no name that is ours."""
        for name, value in variables.items():
            if not isinstance(name, str) or not name or "=" in name or not is_sendable(name):
                message = f"{self.VARIABLES}: expected a name without '=' and NUL, got {name!r}"
                raise self.wrong(message)
            if not isinstance(value, str):
                message = (
                    f"{self.VARIABLES}: expected texts, got {type(value).__name__} for {name!r}"
                )
                raise self.wrong(message)
            if not is_sendable(value):
                message = (
                    f"{self.VARIABLES}: {name} has a NUL or half a surrogate pair in its value"
                )
                raise self.wrong(message)
            if name in OWN_VARIABLES:
                raise self.wrong(f"{self.VARIABLES}: {name} is set by perian-shim itself")
            self.expansion(name, value, variables)
        self._variables = frozenset(variables)

    def expansion(self, name: str, value: str, others: Collection[str]) -> None:
        """Warn of a value that looks as if somebody were to expand it. The value is not shown."""
        meant = {*EXPANDED, *others, name}
        for match in _REFERENCE.finditer(value):
            if match["name"] in meant or name.upper().endswith("PATH"):
                self.warn(
                    f"{self.VARIABLES}: {name} holds {match[0]}, which nobody expands: the job gets"
                    " it letter by letter. Give the full value, such as"
                    f" {self.VARIABLES}="
                    '{"PATH": "/opt/conda/bin:/usr/local/bin:/usr/bin:/bin"}'
                )
                return
        if FLYTE_TEMPLATE.search(value):
            self.warn(
                f"{self.VARIABLES}: {name} holds a template, which is filled in command= and"
                ' arguments= only: start the program by command=["env", "NAME={{.inputs.x}}", …]'
            )

    def warn(self, what: str) -> None:
        """Warn, naming the task."""
        notices.warn(f"{self._kind} {self._task!r}: {what}")

    def alone(self, argument: str, **others: bool) -> None:
        """Refuse other arguments beside one that says everything."""
        given = [name for name, is_given in others.items() if is_given]
        if given:
            raise self.wrong(f"{argument}: it says everything at once, so leave out {given}")

    def timeout(self, timeout: object) -> None:
        """Expect none, whole seconds or a timedelta, above zero."""
        if timeout is None:
            return
        if isinstance(timeout, int) and not isinstance(timeout, bool) and timeout > 0:
            return
        if isinstance(timeout, timedelta) and timeout > timedelta(0):
            return
        message = f"timeout: expected whole seconds or a timedelta, above 0, got {timeout!r}"
        raise self.wrong(message)

    def detaching(self, config: PerianConfig, timeout: object) -> None:
        """Expect a timeout where jobs outlive their pods: nobody may come to rejoin them.

        A pod cannot tell the loss of its node, after which a next attempt comes, from an abort.
        """
        if config.on_terminate == DETACH and not timeout:
            message = (
                "on_terminate='detach': expected a timeout= beside it, which bounds a job that no"
                " next attempt rejoins"
            )
            raise self.wrong(message)

    def command(
        self, command: object, arguments: object, inputs: Mapping[str, object]
    ) -> tuple[str, ...]:
        """Expect texts whose templates name known inputs; return the whole argv."""
        argv = (*self.texts("command", command), *self.texts("arguments", arguments))
        if not argv:
            raise self.wrong("command: expected at least one text, got none")
        try:
            check_command(argv, inputs)
        except TemplateError as error:
            raise self.wrong(f"command: {error}") from error
        reason = wrong_program(argv)
        if reason:
            raise self.wrong(f"command: {reason}")
        return argv

    def injections(self, argv: Sequence[str], types: Mapping[str, LiteralType]) -> None:
        """Warn where the value of an input can become code."""
        for text in injections(argv, types):
            self.warn(f"command: {text}")

    def texts(self, argument: str, value: object) -> tuple[str, ...]:
        """Expect a sequence of texts that is no text itself."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            texts = tuple(element for element in value if isinstance(element, str))
            if len(texts) == len(value):
                return texts
        message = f'{argument}: expected a list of texts like ["python", "train.py"], got {value!r}'
        raise self.wrong(message)

    def secrets(self, requested: Sequence[object]) -> tuple[ForwardedSecret, ...]:
        """Expect secrets with group and key, and variables for them that nothing else sets."""
        secrets = tuple(self.secret(secret) for secret in requested)
        owners: dict[str, ForwardedSecret] = {}
        for secret in secrets:
            name = secret.env_var
            if not name:
                continue
            where = f"{self.SECRETS}: env_var {name!r} of {secret.group}/{secret.key}"
            if name.startswith(OWN_PREFIX):
                raise self.wrong(f"{where}: names with {OWN_PREFIX} are perian-shim's own")
            if name in OWN_VARIABLES:
                raise self.wrong(f"{where}: {name} is set by perian-shim itself")
            if name in self._variables:
                raise self.wrong(f"{where}: {self.VARIABLES}= sets the same variable")
            other = owners.setdefault(name, secret)
            if other != secret:
                raise self.wrong(f"{where}: {other.group}/{other.key} has the same variable")
        return secrets

    def secret(self, secret: object) -> ForwardedSecret:
        """Expect one secret of the SDK's."""
        message = f"{self.SECRETS}: expected {self.SECRET}, got {secret!r}"
        raise self.wrong(message)

    def input_types(self, inputs: Mapping[str, LiteralType]) -> None:
        """Refuse inputs that would not reach the program."""
        for name, literal_type in inputs.items():
            self.no_embedded_files(f"inputs: {name!r}", literal_type)

    def no_embedded_files(self, where: str, literal_type: LiteralType) -> None:
        """Refuse a dataclass with a file inside: nobody would carry that file."""
        for place, kind in embedded_files(literal_type):
            message = (
                f"{where} has a {kind} inside a dataclass, at {place}; a container gets and leaves"
                " files only by inputs and outputs of their own: take the file out of the"
                f" dataclass and declare it, or a list or dict of {kind}, beside it"
            )
            raise self.wrong(message)

    def output_types(self, outputs: Mapping[str, LiteralType]) -> None:
        """Refuse outputs that no file can hold, or only a pickle."""
        for name, literal_type in outputs.items():
            if holds_pickle(literal_type):
                message = (
                    f"outputs: {name!r} has a type that Flyte would pickle; a container leaves"
                    " files: use int, float, bool, str, datetime, timedelta, Enum, Optional,"
                    f" list, dict, dataclass, {self.FILE_TYPES}"
                )
                raise self.wrong(message)
            try:
                output_shape(literal_type)
            except UnsupportedTypeError as error:
                raise self.wrong(f"outputs: {name!r}: {error}") from error
            self.no_embedded_files(f"outputs: {name!r}", literal_type)


def holds_pickle(literal_type: LiteralType) -> bool:
    """Whether a type is, or contains, one that the SDK pickles."""
    parts = parts_of(literal_type)
    if parts.blob is not None:
        return parts.blob.format == PICKLE_FORMAT
    inner = (parts.element, parts.map_value, *(parts.variants or ()))
    return any(holds_pickle(part) for part in inner if part is not None)


def is_within(path: str, directory: str) -> bool:
    """Whether a normal path is a directory or below it."""
    return f"{path}/".startswith(f"{directory}/")


def is_sendable(text: str) -> bool:
    """Whether a text can be in an environment: no NUL, nothing that UTF-8 cannot say."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False
