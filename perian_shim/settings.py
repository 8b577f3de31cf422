"""Every environment variable that perian-shim reads or sets: the only list of them.

Three kinds. *Settings* are read in the resolver container, by ``pyflyte run`` and by the CLI; an
empty value counts as not set. *Markers* are set by us in every job. *Flyte's* are set by Flyte's
backend in the resolver container and handed on to every job, which would see them as well if Flyte
ran its container itself.

Proxies and certificate bundles are the usual ones (``HTTPS_PROXY``, ``NO_PROXY``,
``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``, ``AWS_CA_BUNDLE``); S3 endpoints and keys those of
flytekit (``FLYTE_AWS_ENDPOINT``, ``FLYTE_AWS_ACCESS_KEY_ID``, ``FLYTE_AWS_SECRET_ACCESS_KEY``) and
of AWS's tools, Google's credentials those of its own (docs/storage.md).
"""

import math
import os
import re
from collections.abc import Mapping

from perian_shim.errors import ConfigError

# --- settings ------------------------------------------------------------------------------------

API_URL = "PERIAN_API_URL"
"""Base URL of the Perian REST API. Default: ``https://api.perian.cloud``."""

DEFAULT_API_URL = "https://api.perian.cloud"

ORGANIZATION = "PERIAN_ORGANIZATION"
"""The Perian organization, where no Flyte secret ``perian_organization`` can be had."""

TOKEN = "PERIAN_TOKEN"  # noqa: S105 - the name of a variable
"""The Perian API token, where no Flyte secret ``perian_token`` can be had."""

TOKEN_COMMAND = "PERIAN_TOKEN_COMMAND"  # noqa: S105 - the name of a variable
"""A program, with its arguments, that prints a Perian API token, for the command line and
``perian_shim.remote`` where no token is given: run when one is needed, and again when the API
refuses it."""

POLL_MIN_SECONDS = "PERIAN_POLL_MIN_SECONDS"
"""Shortest pause between two looks at a job, in seconds. Default 0.8."""

POLL_MAX_SECONDS = "PERIAN_POLL_MAX_SECONDS"
"""Longest pause between two looks at a job, in seconds. Default 20."""

READ_TIMEOUT_SECONDS = "PERIAN_READ_TIMEOUT_SECONDS"
"""How long one call of the API may be silent, in seconds; ten times that for all. Default 30."""

OUTAGE_SECONDS = "PERIAN_OUTAGE_SECONDS"
"""How long an outage of the API or the object store is ridden out, in seconds. Default 1800."""

GRACE_SECONDS = "PERIAN_GRACE_SECONDS"
"""How long the task's pod has between SIGTERM and SIGKILL, in seconds. Default 30, as in
Kubernetes: raise both together."""

LOCAL_TIMEOUT_SECONDS = "PERIAN_LOCAL_TIMEOUT_SECONDS"
"""How long a job of a local run may run whose task has no timeout, in seconds. Default 43200."""

MAX_OUTPUT_BYTES = "PERIAN_MAX_OUTPUT_BYTES"
"""How many bytes of a task's outputs Flyte's backend reads, all values together. Default 2097152,
as the backend's own ``storage.limits.maxDownloadMBs`` of 2: raise both together."""

OWNER = "PERIAN_OWNER"
"""Who answers for the jobs: a team, a person. Shown in each job's environment to everybody who may
see the organization's jobs. Default: nobody is named; for a run on one's own machine, its user."""

POLICY = "PERIAN_POLICY"
"""The platform's rules for what may be rented: a JSON object, or the path of a file that holds one.
Default: no rules (docs/guides/platform-rules.md)."""

FLYTE_CONSOLE = "PERIAN_FLYTE_CONSOLE_URL"
"""Address of Flyte's console, e.g. ``https://flyte.example.org/console``, for links from a deck and
from ``perian-shim job``, which else looks at pyflyte's configuration."""

EXECUTOR_IMAGE = "PERIAN_SHIM_IMAGE"
"""Image of the tasks' pods, read when tasks are registered."""

S3_PUBLIC_ENDPOINT = "PERIAN_S3_PUBLIC_ENDPOINT"
"""S3 endpoint as rented machines reach it, when the cluster reaches it under another name."""

S3_SSE = "PERIAN_S3_SSE"
"""How S3 is told to encrypt what is written, for buckets that demand it to be said: ``aws:kms``,
``aws:kms:dsse`` or ``AES256``. Default: nothing is said, S3 does as the bucket is set up."""

S3_SSE_KMS_KEY_ID = "PERIAN_S3_SSE_KMS_KEY_ID"
"""The key of AWS's key service for that. Default: the bucket's, or the account's own."""

S3_REQUEST_PAYER = "PERIAN_S3_REQUEST_PAYER"
"""``requester`` for buckets whose requests are paid by who makes them."""

SETTINGS = (
    API_URL,
    ORGANIZATION,
    TOKEN,
    TOKEN_COMMAND,
    POLL_MIN_SECONDS,
    POLL_MAX_SECONDS,
    READ_TIMEOUT_SECONDS,
    OUTAGE_SECONDS,
    GRACE_SECONDS,
    LOCAL_TIMEOUT_SECONDS,
    MAX_OUTPUT_BYTES,
    OWNER,
    POLICY,
    FLYTE_CONSOLE,
    EXECUTOR_IMAGE,
    S3_PUBLIC_ENDPOINT,
    S3_SSE,
    S3_SSE_KMS_KEY_ID,
    S3_REQUEST_PAYER,
)

# --- markers: set in every job -------------------------------------------------------------------

JOB_KEY = "PERIAN_SHIM_KEY"
"""The idempotency key: equal for all submissions that mean the same piece of work."""

JOB_OUTPUT = "PERIAN_SHIM_OUTPUT"
"""URI of the prefix below which this job leaves what it produced."""

JOB_GRANT = "PERIAN_SHIM_GRANT"
"""URL where the job reads what it may use to reach its data; programs do not see it."""

JOB_ACCESS = "PERIAN_SHIM_ACCESS"
"""For how many seconds after its submission that URL is good; not set if for days."""

JOB_FILES = "PERIAN_SHIM_FILES"
"""Which variables of a function task's job hold secrets for files: JSON, name to path."""

JOB_NODE = "PERIAN_SHIM_NODE"
"""The node's path within the execution, e.g. ``n0``, ``n0/dn1`` in a subworkflow or a dynamic,
``n0[3]`` for an item of a map task; not set if it cannot be told."""

JOB_OWNER = "PERIAN_SHIM_OWNER"
"""Who answers for the job (``PERIAN_OWNER``); not set if nobody is named."""

JOB_POD = "PERIAN_SHIM_POD"
"""Name of the pod that submitted the job; not set for a run on somebody's own machine."""

JOB_RECORDS = "PERIAN_SHIM_RECORDS"
"""URI of the folder of launch records of this piece of work: they tell whether a pod follows it."""

JOB_RULES = "PERIAN_SHIM_RULES"
"""The platform's rules that the job was submitted under, as JSON; not set if there were none."""

MARKERS = (
    JOB_KEY,
    JOB_OUTPUT,
    JOB_GRANT,
    JOB_ACCESS,
    JOB_FILES,
    JOB_NODE,
    JOB_OWNER,
    JOB_POD,
    JOB_RECORDS,
    JOB_RULES,
)


# --- Flyte's: set by the backend, handed on ------------------------------------------------------

EXECUTION_PROJECT = "FLYTE_INTERNAL_EXECUTION_PROJECT"
EXECUTION_DOMAIN = "FLYTE_INTERNAL_EXECUTION_DOMAIN"
EXECUTION_ID = "FLYTE_INTERNAL_EXECUTION_ID"
RUN_NAME = "RUN_NAME"
ACTION_NAME = "ACTION_NAME"
"""Flyte 2's names of an execution and of a node in it."""
TASK_NAME = "FLYTE_INTERNAL_TASK_NAME"
TASK_VERSION = "FLYTE_INTERNAL_TASK_VERSION"
ATTEMPT_NUMBER = "FLYTE_ATTEMPT_NUMBER"

HANDED_ON = (
    EXECUTION_PROJECT,
    EXECUTION_DOMAIN,
    EXECUTION_ID,
    "FLYTE_INTERNAL_EXECUTION_WORKFLOW",
    "FLYTE_INTERNAL_TASK_PROJECT",
    "FLYTE_INTERNAL_TASK_DOMAIN",
    TASK_NAME,
    TASK_VERSION,
    ATTEMPT_NUMBER,
)

POD_NAME = "HOSTNAME"
"""Set by Kubernetes in every container."""

OFFLOADING = ("_F_L_MIN_SIZE_MB", "_F_L_MAX_SIZE_MB")
"""From which size on flytekit stores an output literal apart, in mebibytes."""

ARRAY_INDEX_NAME = "BATCH_JOB_ARRAY_INDEX_VAR_NAME"
"""Name of the variable that holds an array item's index."""

RUNTIME_PACKAGES = "_F_RUNTIME_PACKAGES"
"""What flytekit's entry point installs before it runs a task, for an ``ImageSpec`` that asks."""

SERIALIZED_CONTEXT = "_F_SS_C"
"""flytekit's own serialized settings: large, of use to dynamic tasks only, not for jobs."""


def text(name: str, default: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """Return a setting's value, or ``default`` when it is unset or empty."""
    return environ.get(name, "").strip() or default


def seconds(name: str, default: float, environ: Mapping[str, str] = os.environ) -> float:
    """Return a setting as a number of seconds.

    Raises:
        ConfigError: the value is no finite number above zero.
    """
    value = text(name, environ=environ)
    if not value:
        return default
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (number > 0 and math.isfinite(number)):
        message = f"{name}: expected a number of seconds above 0, got {value!r}"
        raise ConfigError(message)
    return number


def whole_number(name: str, default: int, environ: Mapping[str, str] = os.environ) -> int:
    """Return a setting as a whole number above zero.

    Raises:
        ConfigError: the value is no such number.
    """
    value = text(name, str(default), environ)
    if not re.fullmatch("[0-9]{1,18}", value) or not int(value):
        message = f"{name}: expected a whole number above 0, got {value!r}"
        raise ConfigError(message)
    return int(value)
