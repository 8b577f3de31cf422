"""The body of ``POST /job``: a ``JobSpec``, what is staged for it, and this attempt's names.

Pure. What is confidential goes into the request's ``secrets`` only, never into ``env_variables``,
the command or a file: these can be read back by everybody with the organization's token.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from perian_shim import settings
from perian_shim.api.job_request import (
    CreateJobRequest,
    DockerRun,
    RegistryCredentials,
    Requirements,
)
from perian_shim.config import PerianConfig
from perian_shim.image_reference import ImageReference
from perian_shim.secret_keys import FLYTE_FILE_DIR, flytekit_variable, forwarded_path
from perian_shim.spec import ForwardedSecret, JobSpec
from perian_shim.work.staging import Staging


@dataclass(frozen=True)
class Labels:
    """What tells this submission from others.

    Attributes:
        key: the idempotency key.
        output: URI of the prefix below which the job leaves what it produced.
        origin: variables that say whose the job is.
    """

    key: str
    output: str
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Private:
    """What the request carries and nobody may see.

    Attributes:
        secrets: the user's secrets and their values.
        registry: how Perian may pull the image.
    """

    secrets: Mapping[ForwardedSecret, str] = field(default_factory=dict, repr=False)
    registry: RegistryCredentials | None = None

    @property
    def secret_files(self) -> dict[str, str]:
        """Content of the secrets that are to be files, by path: the job has to write them."""
        return {forwarded_path(s): value for s, value in self.secrets.items() if s.as_file}

    def confidential(self) -> list[str]:
        """Return the values."""
        password = [] if self.registry is None else [self.registry.password]
        return [*self.secrets.values(), *password]


def build_request(
    spec: JobSpec,
    staging: Staging,
    labels: Labels,
    private: Private,
    timeout_seconds: int | None,
) -> CreateJobRequest:
    """Return the request for one submission.

    Args:
        spec: the task's job.
        staging: command and files.
        labels: this submission's names.
        private: what must not be seen.
        timeout_seconds: limit of the run, None for no limit.
    """
    image_name, image_tag = ImageReference.parse(spec.image).perian_name_and_tag()
    return CreateJobRequest(
        docker=DockerRun(
            image_name=image_name,
            image_tag=image_tag,
            command=shlex.join(staging.command),
            env_variables={
                **staging.variables,
                **spec.environment,
                **labels.origin,
                settings.JOB_KEY: labels.key,
                settings.JOB_OUTPUT: labels.output,
            },
            secrets={**secret_variables(private.secrets), **staging.secrets},
            container_files=staging.files,
        ),
        requirements=requirements_of(spec.config),
        instance_type_id=spec.config.instance_type_id,
        # Who names one machine wants that one; who names none wants any that fits.
        auto_failover_instance_type=spec.config.instance_type_id is None,
        timeout_seconds=timeout_seconds,
        os_storage_gb=spec.config.os_storage_size,
        registry=private.registry,
    )


def requirements_of(config: PerianConfig) -> Requirements:
    """Return what the machine must have."""
    return config.requirements


def secret_variables(secrets: Mapping[ForwardedSecret, str]) -> dict[str, str]:
    """Return the variables in which a program of the user's finds its secrets.

    As in a Flyte pod, flytekit's secret manager finds them under group and key. A secret asked for
    as a file is one, and the variable named for it, if any, holds the path; any other is a
    variable, and the one named for it holds the value too.
    """
    variables: dict[str, str] = {}
    for secret, value in secrets.items():
        shown = value
        if secret.as_file:
            shown = forwarded_path(secret)
            variables |= {"FLYTE_SECRETS_DEFAULT_DIR": FLYTE_FILE_DIR}
            variables |= {"FLYTE_SECRETS_FILE_PREFIX": ""}
        else:
            variables[flytekit_variable(secret)] = value
        if secret.env_var:
            variables[secret.env_var] = shown
    return variables
