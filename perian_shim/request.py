"""The body of ``POST /job``: a ``JobSpec``, what is staged for it, and this attempt's names.

Pure. Secrets go into the request's ``secrets`` and container files only, never into
``env_variables`` or the command.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from perian_shim import environment
from perian_shim.api import ContainerFile, CreateJobRequest, DockerRun, Requirements
from perian_shim.config import PerianConfig
from perian_shim.image_reference import ImageReference
from perian_shim.secrets import forwarded_path, forwarded_variable
from perian_shim.spec import ForwardedSecret, JobSpec
from perian_shim.staging import Staging


@dataclass(frozen=True)
class Labels:
    """What tells this submission from others.

    Attributes:
        key: the idempotency key.
        output: URI of the prefix below which the job leaves what it produced.
        handed_on: Flyte's variables for the job.
    """

    key: str
    output: str
    handed_on: Mapping[str, str] = field(default_factory=dict)


def build_request(
    spec: JobSpec,
    staging: Staging,
    labels: Labels,
    secrets: Mapping[ForwardedSecret, str],
    timeout_seconds: int | None,
) -> CreateJobRequest:
    """Return the request for one submission.

    Args:
        spec: the task's job.
        staging: command and files.
        labels: this submission's names.
        secrets: the user's secrets and their values.
        timeout_seconds: limit of the run, None for no limit.
    """
    image_name, image_tag = ImageReference.parse(spec.image).perian_name_and_tag()
    variables, files = place_secrets(secrets)
    return CreateJobRequest(
        docker=DockerRun(
            image_name=image_name,
            image_tag=image_tag,
            command=shlex.join(staging.command),
            env_variables={
                **labels.handed_on,
                **spec.environment,
                environment.JOB_KEY: labels.key,
                environment.JOB_OUTPUT: labels.output,
            },
            secrets=variables,
            container_files=(*staging.files, *files),
        ),
        requirements=requirements_of(spec.config),
        instance_type_id=spec.config.instance_type_id,
        # Who names one machine wants that one; who names none wants any that fits.
        auto_failover_instance_type=spec.config.instance_type_id is None,
        timeout_seconds=timeout_seconds,
        os_storage_gb=spec.config.os_storage_size,
    )


def requirements_of(config: PerianConfig) -> Requirements:
    """Return what the machine must have."""
    return Requirements(
        cores=config.cores,
        memory_gb=config.memory_gb,
        accelerators=config.accelerators,
        accelerator_type=config.accelerator_type,
        country_code=config.country_code,
        provider=config.provider,
        max_price_per_hour=config.price_limit,
    )


def place_secrets(
    secrets: Mapping[ForwardedSecret, str],
) -> tuple[dict[str, str], list[ContainerFile]]:
    """Return the variables and files in which a program of the user's finds its secrets.

    As in a Flyte pod: a secret asked for as a file is one, and its variable, if it was given one,
    holds the path; any other is a variable that holds the value.
    """
    variables: dict[str, str] = {}
    files: list[ContainerFile] = []
    for secret, value in secrets.items():
        if not secret.as_file:
            variables[forwarded_variable(secret)] = value
            continue
        path = forwarded_path(secret)
        files.append(ContainerFile(path, value.encode(), read_only=True))
        if secret.env_var:
            variables[secret.env_var] = path
    return variables, files
