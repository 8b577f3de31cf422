"""JobSpec: the record in ``TaskTemplate.custom`` that definition time and run time share.

It says everything about a job that does not depend on one execution, and holds no secret: of
secrets it has the names. ``to_custom`` and ``from_custom`` are each other's inverse across a
protobuf Struct, which turns every integer into a float. The record carries its version; one made
by a newer perian-shim is refused with ``TemplateTooNew``, fields that this version does not know
are ignored. Anything else that cannot be read is ``InvalidTemplate``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perian_shim.config import PerianConfig
from perian_shim.errors import ConfigError, InvalidTemplate, TemplateTooNew

VERSION = 1

DECK = "deck"
"""The record's field that is there, and true, if a task has ``enable_deck``."""

DEFAULT_INPUT_DIR = "/var/inputs"
DEFAULT_OUTPUT_DIR = "/var/outputs"


@dataclass(frozen=True)
class ForwardedSecret:
    """A Flyte secret of the user's that the job gets as well.

    Attributes:
        group: Flyte secret group.
        key: key in the group.
        env_var: the variable that the user named for it, if any.
        as_file: whether it was asked for as a file.
    """

    group: str
    key: str
    env_var: str | None = None
    as_file: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the names as JSON values."""
        values: dict[str, object] = {"group": self.group, "key": self.key}
        if self.env_var:
            values["env_var"] = self.env_var
        if self.as_file:
            values["as_file"] = True
        return values


@dataclass(frozen=True)
class ContainerWork:
    """A container task: a command in an image that has nothing of ours.

    Attributes:
        command: argv, templates not yet rendered.
        input_data_dir: absolute path below which the job finds its inputs.
        output_data_dir: absolute path below which the job leaves its outputs.
    """

    command: tuple[str, ...]
    input_data_dir: str = DEFAULT_INPUT_DIR
    output_data_dir: str = DEFAULT_OUTPUT_DIR

    KIND = "container"

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return {
            "command": list(self.command),
            "input_data_dir": self.input_data_dir,
            "output_data_dir": self.output_data_dir,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> "ContainerWork":
        """Read what ``to_json`` wrote."""
        return cls(
            command=_texts(record, "command"),
            input_data_dir=_text(record, "input_data_dir"),
            output_data_dir=_text(record, "output_data_dir"),
        )


@dataclass(frozen=True)
class FunctionWork:
    """A function task: flytekit's own entry point in an image that has the user's code.

    Attributes:
        resolver: location of the flytekit resolver that loads the function's task in the job.
        loader_args: what that resolver is to load.
    """

    resolver: str
    loader_args: tuple[str, ...]

    KIND = "function"

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return {"resolver": self.resolver, "loader_args": list(self.loader_args)}

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> "FunctionWork":
        """Read what ``to_json`` wrote."""
        return cls(_text(record, "resolver"), _texts(record, "loader_args"))


@dataclass(frozen=True)
class ActionWork:
    """A function task of Flyte 2: its entry point ``a0`` in an image that has the user's code.

    What is not the task's but its deployment's (version, code bundle, images) is in the arguments
    of the container.

    Attributes:
        resolver: location of the resolver that loads the task in the job, "" if it is pickled.
        loader_args: what that resolver is to load.
    """

    resolver: str = ""
    loader_args: tuple[str, ...] = ()

    KIND = "action"

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON values."""
        return {"resolver": self.resolver, "loader_args": list(self.loader_args)}

    @classmethod
    def from_json(cls, record: Mapping[str, object]) -> "ActionWork":
        """Read what ``to_json`` wrote."""
        return cls(_text(record, "resolver"), _texts(record, "loader_args"))


Work = ContainerWork | FunctionWork | ActionWork

_KINDS: dict[str, type[ContainerWork] | type[FunctionWork] | type[ActionWork]] = {
    kind.KIND: kind for kind in (ContainerWork, FunctionWork, ActionWork)
}


@dataclass(frozen=True)
class JobSpec:
    """One task's job, before any execution.

    Attributes:
        config: what to ask of Perian.
        image: image reference of the job's container.
        work: what runs in it.
        environment: variables of the job.
        secrets: the user's secrets that the job gets.
        deck: whether the pod shows in Flyte's console how the job fares. No part of the work.
        output_order: the outputs' names in the order in which they are declared, where that counts:
            a Flyte 2 before 2.1 reads them by their places.
    """

    config: PerianConfig
    image: str
    work: Work
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[ForwardedSecret, ...] = ()
    deck: bool = False
    output_order: tuple[str, ...] = ()

    def to_custom(self) -> dict[str, object]:
        """Return the record as JSON values, the same for the same spec."""
        return {
            "version": VERSION,
            "kind": self.work.KIND,
            "config": self.config.to_json(),
            "image": self.image,
            **self.work.to_json(),
            "environment": dict(sorted(self.environment.items())),
            "secrets": [secret.to_json() for secret in self.secrets],
            **({DECK: True} if self.deck else {}),
            **({"output_order": list(self.output_order)} if self.output_order else {}),
        }

    @classmethod
    def from_custom(cls, custom: Mapping[str, object] | None) -> "JobSpec":
        """Read a TaskTemplate's ``custom``.

        Raises:
            TemplateTooNew: a newer version wrote it.
            InvalidTemplate: it is missing, damaged, or another plugin's.
        """
        record = custom or {}
        version = record.get("version")
        if not isinstance(version, int | float) or isinstance(version, bool):
            message = "The task's template has no perian-shim record (custom.version is missing)."
            raise InvalidTemplate(message)
        if version > VERSION:
            message = (
                f"The task was registered by a newer perian-shim: its record has version"
                f" {version:g}, this executor reads up to version {VERSION}."
            )
            raise TemplateTooNew(message)
        kind = record.get("kind")
        work = _KINDS.get(str(kind))
        if work is None:
            message = f"custom.kind: expected one of {sorted(_KINDS)}, got {kind!r}."
            raise InvalidTemplate(message)
        try:
            config = PerianConfig.from_json(_object(record, "config"))
        except ConfigError as error:
            raise InvalidTemplate(f"custom.config: {error.message}") from error
        return cls(
            config=config,
            image=_text(record, "image"),
            work=work.from_json(record),
            environment={k: str(v) for k, v in _object(record, "environment").items()},
            secrets=tuple(_secret(value) for value in _array(record, "secrets")),
            deck=record.get(DECK) is True,
            output_order=_texts(record, "output_order"),
        )


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise _damaged(name, "text", value)
    return value


def _object(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = record.get(name, {})
    if not isinstance(value, Mapping):
        raise _damaged(name, "an object", value)
    return value


def _array(record: Mapping[str, object], name: str) -> Sequence[object]:
    value = record.get(name, [])
    if not isinstance(value, list | tuple):
        raise _damaged(name, "an array", value)
    return value


def _texts(record: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = _array(record, name)
    if not all(isinstance(value, str) for value in values):
        raise _damaged(name, "an array of texts", values)
    return tuple(str(value) for value in values)


def _secret(value: object) -> ForwardedSecret:
    if not isinstance(value, Mapping):
        raise _damaged("secrets", "an array of objects", value)
    env_var = value.get("env_var")
    return ForwardedSecret(
        group=_text(value, "group"),
        key=_text(value, "key"),
        env_var=str(env_var) if env_var else None,
        as_file=bool(value.get("as_file")),
    )


def _damaged(name: str, expected: str, value: object) -> InvalidTemplate:
    return InvalidTemplate(f"custom.{name}: expected {expected}, got {type(value).__name__}.")
