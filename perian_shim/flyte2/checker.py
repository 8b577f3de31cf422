"""Checks of the arguments of Flyte 2's tasks: what only its SDK has, the rest is ``Checks``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import flyte

from perian_shim.config import PerianConfig
from perian_shim.definition import notices
from perian_shim.definition.checks import Checks, WrongType
from perian_shim.definition.gpus import OTHERWISE, Gpus, parse_gpu
from perian_shim.definition.quantities import GIGABYTE, in_units, parse_quantity
from perian_shim.definition.reasons import NO_DEADLINE, NO_RANGE, NO_SHM
from perian_shim.definition.records import seconds
from perian_shim.flyte2 import sdk
from perian_shim.spec import ForwardedSecret

FLYTES_IMAGE = "ghcr.io/flyteorg/flyte:"

POD_IMAGE = (
    "it names an image for the pod, which runs perian-shim's; name that with"
    " PerianConfig(executor_image=…), and the job's with image="
)


class Checker(Checks):
    """Checks the arguments of one task of Flyte 2."""

    CONFIG, VARIABLES, SECRETS = "plugin_config", "env_vars", "secrets"
    FILE_TYPES = "flyte.io.File, Dir or DataFrame"
    SECRET = "flyte.Secret(key=…)"  # noqa: S105 - how one is written

    def config(self, config: object) -> None:
        """Expect a ``PerianConfig`` of ours."""
        self.not_official(config, "perian_shim.flyte2")
        if not isinstance(config, PerianConfig):
            raise self.wrong_type(self.CONFIG, "a perian_shim.flyte2.PerianConfig", config)

    def wrong_type(self, argument: str, expected: str, given: object) -> WrongType:
        """Return the error for an argument of a wrong type."""
        got = type(given).__name__
        return WrongType(f"{self._kind} {self._task!r}: {argument}: expected {expected}, got {got}")

    def variables(self, given: object) -> dict[str, str]:
        """Expect variables."""
        if given is not None and not isinstance(given, Mapping):
            raise self.wrong_type(self.VARIABLES, "a dict of texts", given)
        variables = dict(given or {})
        self.environment(variables)
        return variables

    def requested_secrets(self, given: object) -> tuple[ForwardedSecret, ...]:
        """Expect secrets as Flyte takes them: a key, a ``Secret``, or a list of either."""
        if given is None:
            return ()
        several = [given] if isinstance(given, str | flyte.Secret) else given
        if not isinstance(several, Sequence):
            raise self.wrong_type(self.SECRETS, f"{self.SECRET} or a list of them", given)
        return self.secrets(several)

    def secret(self, secret: object) -> ForwardedSecret:
        """Expect one secret, or the key of one."""
        if isinstance(secret, str) and secret:
            secret = flyte.Secret(key=secret)
        if not isinstance(secret, flyte.Secret):
            raise self.wrong_type(self.SECRETS, f"{self.SECRET} or a list of them", secret)
        if not secret.key:
            return super().secret(secret)
        as_file = secret.mount is not None
        return ForwardedSecret(secret.group or "", secret.key, secret.as_env_var, as_file)

    def job_image(self, image: object) -> None:
        """Expect an image, and of one that nobody builds a reference."""
        if not isinstance(image, flyte.Image):
            raise self.wrong_type("image", "an image reference or a flyte.Image", image)
        reference = sdk.plain_reference(image)
        if reference is not None:
            self.reference(reference)

    def shim_in_image(self, reference: str) -> None:
        """Warn of Flyte's own image: a job that has no perian-shim cannot load its task."""
        if reference.startswith(FLYTES_IMAGE):
            notices.warn_once(
                "image",
                f"{self._kind} {self._task!r}: image: {reference} is Flyte's own, without"
                " perian-shim, which loads the task in its job: add it, as by"
                ' flyte.Image.from_debian_base().with_pip_packages("perian-shim[flyte2]")',
            )

    def pod_template(self, template: object) -> None:
        """Refuse a template that has the pod run another image than ours."""
        if template is None or isinstance(template, str):
            return
        primary = getattr(template, "primary_container_name", None)
        containers = getattr(getattr(template, "pod_spec", None), "containers", None) or ()
        for container in containers:
            if container.name == primary and container.image:
                raise self.refusal("pod_template", POD_IMAGE)

    def completed(self, config: PerianConfig, resources: object) -> PerianConfig:
        """Return the config with its open points taken from the task's resources.

        Raises:
            DefinitionError: they cannot be honoured.
        """
        if resources is None:
            return config
        if not isinstance(resources, flyte.Resources):
            raise self.wrong_type("resources", "a flyte.Resources", resources)
        for name in ("cpu", "memory"):
            if isinstance(getattr(resources, name), tuple):
                raise self.refusal(f"resources: {name}", NO_RANGE)
        if resources.shm is not None:
            raise self.refusal("resources: shm", NO_SHM)
        try:
            gpus = gpus_of(resources.gpu)
            asked: dict[str, Any] = {
                "cores": whole("cpu", resources.cpu, 1),
                "memory": whole("memory", resources.memory, GIGABYTE),
                "os_storage_size": whole("disk", resources.disk, GIGABYTE),
                "accelerators": gpus.count if gpus else None,
                "accelerator_type": gpus.kind if gpus else None,
            }
        except (TypeError, ValueError) as error:
            raise self.wrong(f"resources: {error}") from error
        fill = {k: v for k, v in asked.items() if v is not None and getattr(config, k) is None}
        return replace(config, **fill)

    def refusal(self, argument: str, reason: str) -> Exception:
        """Return the error for what cannot be honoured."""
        return self.wrong(f"{argument}: cannot be honoured: {reason}")

    def limits(self, config: PerianConfig, timeout: object) -> tuple[PerianConfig, int | None]:
        """Return the config with the limit of the queue, and the limit of a run in seconds.

        Raises:
            DefinitionError: the limits are none, or contradict each other.
        """
        expected = "seconds, a timedelta or a flyte.Timeout"
        if isinstance(timeout, bool) or not isinstance(
            timeout, int | timedelta | flyte.Timeout | None
        ):
            raise self.wrong_type("timeout", expected, timeout)
        if not isinstance(timeout, flyte.Timeout):
            return config, self.seconds("timeout", timeout)
        if getattr(timeout, "deadline", None):  # flyte 2.0 has none
            raise self.refusal("timeout: deadline", NO_DEADLINE)
        queued = self.seconds("timeout: max_queued_time", timeout.max_queued_time)
        other = config.max_queued_seconds
        if queued and other and queued != other:
            raise self.wrong(
                f"timeout: max_queued_time is {queued} s, that of {self.CONFIG} {other} s; give one"
            )
        if queued:
            config = replace(config, max_queued_time=queued)
        return config, self.seconds("timeout: max_runtime", timeout.max_runtime)

    def seconds(self, argument: str, value: object) -> int | None:
        """Return a time in whole seconds, rounded up; None for no limit, which 0 is as well."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | timedelta):
            raise self.wrong_type(argument, "seconds or a timedelta", value)
        if seconds(value) < 0:
            raise self.wrong(f"{argument}: expected a time above 0, got {seconds(value)} s")
        return seconds(value) or None


def whole(name: str, value: object, unit: int) -> int | None:
    """Return a quantity in whole units, rounded up; None if there is none."""
    if value is None:
        return None
    units = in_units(parse_quantity(name, value), unit)
    if not units:
        raise ValueError(f"{name}: expected more than nothing, got {value!r}")
    return units


def gpus_of(gpu: object) -> Gpus | None:
    """Return the GPUs that a task's resources name, None if none.

    Raises:
        TypeError: it names none.
        ValueError: they cannot be rented.
    """
    if gpu is None or gpu == 0:
        return None
    if isinstance(gpu, str | int):
        return parse_gpu(gpu)
    kind = str(getattr(gpu, "device_class", "GPU")).rpartition("_")[2]
    if kind not in {"GPU", ""}:
        raise ValueError(f"gpu: Perian rents no {kind}s, got {gpu!r}; {OTHERWISE}")
    partition = getattr(gpu, "partition", None)
    if partition:
        raise ValueError(f"gpu: Perian rents whole GPUs, not {partition!r}")
    device, count = getattr(gpu, "device", None), getattr(gpu, "quantity", None)
    return parse_gpu(f"{device}:{count}" if device else count)
