"""A task's own pod, the small one that waits for the job: its image, its size, its secrets.

The same for the tasks of every SDK. Its image has perian-shim and nothing of the user's.
"""

import re
from collections.abc import Mapping

from perian_shim import settings as env
from perian_shim.config import PerianConfig
from perian_shim.definition import notices
from perian_shim.secret_keys import ACCESS_KEYS, REGISTRY_KEYS, REQUIRED_KEYS
from perian_shim.version import __version__

TASK_TYPE = "perian_shim"
"""No plugin claims it, so Flyte hands it to the default one, which runs a pod."""

DEFAULT_EXECUTOR_IMAGE = f"perian-shim-executor:{__version__}"
"""Without a registry, so that it can be loaded into a cluster's nodes."""

CPU, CPU_LIMIT = "100m", "1"
MEMORY, MEMORY_LIMIT = "200Mi", "500Mi"

SECRET_KEYS = (*REQUIRED_KEYS, *REGISTRY_KEYS, *ACCESS_KEYS)
"""What the pod reads of the secret group: credentials of Perian and of the image's registry, and
keys of object stores, which sign what a container task's job is given, and hand out what a function
task's job holds."""

HIDDEN = re.compile(
    r"(FLYTE_|_F|AWS_|GOOGLE_|AZURE_|PERIAN_|SSL_CERT).*|.*(_PROXY|CA_BUNDLE.*)", re.DOTALL
)
"""Names, in capitals, of the pod's variables that no job gets."""


def named_image(config: PerianConfig, *named: str | None) -> str:
    """Return the image that is named for the pod, "" if none is.

    The first that is named counts: the config, what is given here, the variable.

    Args:
        config: the task's config.
        named: other places that may name one.
    """
    given = (config.executor_image, *named, env.text(env.EXECUTOR_IMAGE))
    return next((image for image in given if image), "")


def warn_of_default_image(task: str) -> None:
    """Warn once that pods will run the image without a registry."""
    notices.warn_once(
        "executor image",
        f"{task}: no executor image is named, so that its pod will run"
        f" {DEFAULT_EXECUTOR_IMAGE}, which the cluster's nodes must have. Build it (`make"
        f" image` in a clone of perian-shim) and set {env.EXECUTOR_IMAGE} when registering, or"
        " PerianConfig(executor_image=…)",
    )


def job_environment(shared: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a function task's job: those of the registration, then its own.

    What is meant for the pod is left out of the former: keys of the bucket, proxies, certificates
    and endpoints are the cluster's and would reach, or break, a machine elsewhere.
    """
    kept = {name: each for name, each in shared.items() if not HIDDEN.fullmatch(name.upper())}
    return {**kept, **own}
