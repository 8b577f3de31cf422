"""Checks of a task's arguments, made when the task is defined.

Each method of ``Checker`` raises ``DefinitionError`` naming the task, the argument, what was
expected and what was given. The arguments come from people's code, so nothing is taken for granted
of their types.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence

from flytekit import ImageSpec, Secret
from flytekit.models.interface import Variable

from perian_shim import environment as env
from perian_shim.config import REQUIREMENTS, PerianConfig
from perian_shim.errors import DefinitionError
from perian_shim.image_reference import ImageReference
from perian_shim.spec import ForwardedSecret
from perian_shim.template import TemplateError, check_command
from perian_shim.values.shapes import UnsupportedTypeError, output_shape

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class Checker:
    """Checks the arguments of one task; every method raises ``DefinitionError``."""

    def __init__(self, task: str, kind: str = "PerianContainerTask") -> None:
        self._task = task
        self._kind = kind

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
        if not isinstance(config, PerianConfig):
            kind = f"{type(config).__module__}.{type(config).__qualname__}"
            message = f"task_config: expected a perian_shim.PerianConfig, got {kind}"
            raise self.wrong(message)

    def requirements(self, config: PerianConfig) -> None:
        """Expect at least one requirement, as Perian does."""
        if config.asks_for_nothing:
            expected = ", ".join(REQUIREMENTS)
            raise self.wrong(f"task_config: expected at least one of {expected}, got none")

    def image(self, image: object) -> None:
        """Expect an image reference or an ``ImageSpec``."""
        if isinstance(image, ImageSpec):
            return
        if not isinstance(image, str) or not image:
            raise self.wrong(f"image: expected an image reference or an ImageSpec, got {image!r}")
        if "{{" in image:  # flytekit's {{.image.default.fqn}}, filled when registered
            return
        try:
            ImageReference.parse(image)
        except ValueError as error:
            raise self.wrong(f"image: {error}") from error

    def names(self, argument: str, types: Mapping[str, object]) -> None:
        """Expect names that can be names of files."""
        for name in types:
            if not _NAME.fullmatch(name):
                message = f"{argument}: {name!r} cannot be a file name; use letters, digits and _"
                raise self.wrong(message)

    def directories(self, input_dir: object, output_dir: object) -> None:
        """Expect two absolute paths, neither within the other."""
        for argument, path in (("input_data_dir", input_dir), ("output_data_dir", output_dir)):
            plain = isinstance(path, str) and re.fullmatch(r"(/[^\s:/]+)+", path)
            if not plain or path != posixpath.normpath(str(path)):
                message = f'{argument}: expected an absolute path like "/var/data", got {path!r}'
                raise self.wrong(message)
        if f"{input_dir}/".startswith(f"{output_dir}/") or f"{output_dir}/".startswith(
            f"{input_dir}/"
        ):
            message = f"input_data_dir {input_dir!r} and output_data_dir {output_dir!r} overlap"
            raise self.wrong(message)

    def environment(self, variables: Mapping[str, object]) -> None:
        """Expect texts, and no name that is ours."""
        for name, value in variables.items():
            if not isinstance(value, str):
                message = f"environment: expected texts, got {type(value).__name__} for {name!r}"
                raise self.wrong(message)
            if name in {env.JOB_KEY, env.JOB_OUTPUT}:
                raise self.wrong(f"environment: {name} is set by perian-shim itself")

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
        return argv

    def texts(self, argument: str, value: object) -> tuple[str, ...]:
        """Expect a sequence of texts that is no text itself."""
        if isinstance(value, Sequence) and not isinstance(value, str):
            texts = tuple(element for element in value if isinstance(element, str))
            if len(texts) == len(value):
                return texts
        message = f'{argument}: expected a list of texts like ["python", "train.py"], got {value!r}'
        raise self.wrong(message)

    def secrets(self, requested: Sequence[object]) -> tuple[ForwardedSecret, ...]:
        """Expect secrets with group and key."""
        return tuple(self.secret(secret) for secret in requested)

    def secret(self, secret: object) -> ForwardedSecret:
        """Expect one secret with group and key."""
        if not isinstance(secret, Secret) or not secret.group or not secret.key:
            message = f"secret_requests: expected Secret(group=…, key=…), got {secret!r}"
            raise self.wrong(message)
        as_file = secret.mount_requirement == Secret.MountType.FILE
        return ForwardedSecret(secret.group, secret.key, secret.env_var, as_file)

    def output_types(self, outputs: Mapping[str, Variable]) -> None:
        """Refuse outputs that no file can hold, or only a pickle."""
        for name, variable in outputs.items():
            try:
                output_shape(variable.type)
            except UnsupportedTypeError as error:
                raise self.wrong(f"outputs: {name!r}: {error}") from error
            blob = variable.type.blob
            if blob is not None and blob.format == "PythonPickle":
                message = (
                    f"outputs: {name!r} has a type that Flyte would pickle; a container leaves"
                    " files: use int, float, bool, str, datetime, timedelta, Enum, Optional,"
                    " list, dict, dataclass, FlyteFile, FlyteDirectory or StructuredDataset"
                )
                raise self.wrong(message)
