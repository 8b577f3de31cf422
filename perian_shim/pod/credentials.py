"""Credentials: read once, in this room, into one record.

It says what the API gets, what the job gets and what must be hidden. A secret is read as Flyte
hands it over, else from an environment variable where one is named. Only the API's own credentials
are read again: mounted secrets rotate while a job runs.

What perian-shim uses itself (credentials of the API, of a registry, of the object store) is taken
without the line break that many editors and tools leave at the end of a file. A secret that the job
is given is handed on as it is, with whatever it ends in, and may be empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from perian_shim import settings
from perian_shim.api.client import PerianClient
from perian_shim.api.job_request import RegistryCredentials
from perian_shim.api.redaction import Redactor
from perian_shim.config import SCOPED
from perian_shim.errors import MissingSecret
from perian_shim.lifecycle.console import confidential_forms
from perian_shim.pod.secrets import FlyteSecrets, content_of
from perian_shim.secret_keys import (
    ACCESS_KEYS,
    GOOGLE_KEY,
    ORGANIZATION_KEY,
    REGISTRY_KEYS,
    REQUIRED_KEYS,
    TOKEN_KEY,
    create_command,
)
from perian_shim.spec import ContainerWork, ForwardedSecret, JobSpec
from perian_shim.storage.aws_keys import given_keys
from perian_shim.storage.aws_scoped import AwsScoper
from perian_shim.storage.google_scoped import GoogleScoper
from perian_shim.storage.s3_settings import S3Settings
from perian_shim.storage.web import Web
from perian_shim.work.job_credentials import CONFIDENTIAL, Scoper, StorageAccess, storage_access
from perian_shim.work.request import Private
from perian_shim.work.scoped_access import GOOGLE, S3, AwsAccess, GoogleAccess

_VARIABLES = {ORGANIZATION_KEY: settings.ORGANIZATION, TOKEN_KEY: settings.TOKEN}


@dataclass(frozen=True)
class SecretReader:
    """Reads the secrets of one group, and others' by name.

    Attributes:
        mounted: reads what Flyte hands over.
        environ: the process's environment, whose variables stand in for Perian's own credentials.
    """

    mounted: FlyteSecrets = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    def read(self, group: str, key: str) -> str | None:
        """Return a credential of our own, or None if it is nowhere or empty."""
        value = self.mounted.get(group, key)
        if value is None and key in _VARIABLES:
            value = settings.text(_VARIABLES[key], environ=self.environ)
        return (value or "").strip() or None

    def require(self, group: str, key: str) -> str:
        """Return a credential of our own.

        Raises:
            MissingSecret: it is nowhere; the message says where it was looked for.
        """
        value = self.read(group, key)
        if value is None:
            raise self.missing(group, key, _VARIABLES.get(key))
        return value

    def forwarded(self, secret: ForwardedSecret) -> str:
        """Return the value of a secret that the job is given, to the last byte.

        It may also be in the variable that the task names for it: where Flyte has mounted a file,
        that holds the file's path, and on somebody's own machine perhaps the value.

        Raises:
            MissingSecret: it is nowhere; the message says where it was looked for.
        """
        value = self.mounted.get(secret.group, secret.key)
        if value is None and secret.env_var:
            value = self.environ.get(secret.env_var)
            in_file = content_of(Path(value)) if value and secret.as_file else None
            value = value if in_file is None else in_file
        if value is None:
            raise self.missing(secret.group, secret.key, secret.env_var)
        return value

    def missing(self, group: str, key: str, variable: str | None) -> MissingSecret:
        """Return the error for a secret that is nowhere."""
        places = [*self.mounted.places(group, key)]
        places += [f"variable {variable}"] if variable else []
        message = (
            f"Not found: Flyte secret {key!r} of group {group!r}. It was looked for in"
            f" {', '.join(places)}."
        )
        remedy = MissingSecret.remedy
        if variable:
            remedy = f"{remedy[:-1]}, or set the variable {variable}."
        if key in REQUIRED_KEYS:
            message += self.without_group(key)
            remedy += f" To create it: {create_command(group)}"
        return MissingSecret(message, remedy=remedy)

    def without_group(self, key: str) -> str:
        """Say that a secret of ours is there, but without a group; the value is not shown.

        The connector of flytekitplugins-perian-job reads its secrets so. Here they are not used:
        whose account is charged is said by the task's group.
        """
        for place in self.mounted.places("", key):
            kind, _, name = place.partition(" ")
            there = self.mounted.environ.get(name) if kind == "variable" else Path(name).is_file()
            if there:
                return (
                    f" There is one without a group, the {place}, as the connector of"
                    " flytekitplugins-perian-job reads it; perian-shim reads groups only."
                )
        return ""

    def registry(self, group: str) -> RegistryCredentials | None:
        """Return how Perian may pull the image, None if the group has no such secrets."""
        found = {key: (self.mounted.get(group, key) or "").strip("\r\n") for key in REGISTRY_KEYS}
        return RegistryCredentials(*found.values()) if any(found.values()) else None


@dataclass(frozen=True)
class Credentials:
    """Everything confidential that a run needs.

    Attributes:
        organization: the Perian organization.
        token: its API token.
        private: what every job is given.
        access: how a function task's job reaches the object store.
        signing: keys of the object store that sign for a job, and are not given to it.
    """

    organization: str
    token: str = field(repr=False)
    private: Private = field(default_factory=Private, repr=False)
    access: StorageAccess = field(default_factory=StorageAccess, repr=False)
    signing: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(
        cls, spec: JobSpec, secrets: SecretReader, raw_prefix: str, *, local: bool = False
    ) -> "Credentials":
        """Read what a job's record asks for.

        Args:
            spec: the record.
            secrets: reads them.
            raw_prefix: URI of the attempt's prefix: says in which cloud the job's data are.
            local: whether this is a run on the user's own machine. The job then gets the keys of
                the object store that are set there, if the group has none. A pod's own keys are
                the cluster's and are never handed on.

        Raises:
            MissingSecret: something is nowhere; the message says where it was looked for.
            StorageFailed: of the keys set here one half is missing.
        """
        group = spec.config.secret_group
        organization = secrets.require(group, ORGANIZATION_KEY)
        token = secrets.require(group, TOKEN_KEY)
        forwarded = {each: secrets.forwarded(each) for each in spec.secrets}
        own = own_keys(secrets.environ) if local else None
        signing = {key: value for key in ACCESS_KEYS if (value := secrets.read(group, key))}
        access = StorageAccess()
        if not isinstance(spec.work, ContainerWork):
            access = storage_access(
                signing.get,
                group,
                secrets.environ,
                own,
                scopers(raw_prefix, {**(own or {}), **signing}, secrets.environ),
                scoped_only=spec.config.storage_access == SCOPED,
            )
        private = Private(forwarded, secrets.registry(group))
        return cls(organization, token, private, access, signing)

    def redactor(self) -> Redactor:
        """Return what takes all of it out of text."""
        hidden = [*self.private.confidential(), *self.access.confidential()]
        hidden += [value for key, value in self.signing.items() if key in CONFIDENTIAL]
        return Redactor([self.token], confidential_forms(hidden))


LIFE_SECONDS = 3600
"""The life of the keys that a job is given: like all that it holds, an hour at most."""


def scopers(raw_prefix: str, keys: Mapping[str, str], environ: Mapping[str, str]) -> list[Scoper]:
    """Return what hands out temporary credentials for a job whose data are there.

    Inputs may lie in the other cloud too, if the secrets say how they are reached there.
    """
    scheme = urlsplit(raw_prefix).scheme
    found: list[Scoper] = []
    if scheme in S3 or (scheme in GOOGLE and {"aws_access_key_id", "aws_role_arn"} & set(keys)):
        aws = AwsScoper.find(keys, environ, Web(environ), seconds=LIFE_SECONDS)
        found += [] if aws is None else [AwsAccess(aws)]
    if scheme in GOOGLE or (scheme in S3 and GOOGLE_KEY in keys):
        google = GoogleScoper.find(keys, environ, Web(environ))
        found += [] if google is None else [GoogleAccess(google)]
    own = AwsAccess if scheme in S3 else GoogleAccess
    return found if any(isinstance(each, own) for each in found) else []


def own_keys(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the keys of S3 that are set on the user's machine, as a secret group would name them.

    Raises:
        StorageFailed: one half is missing.
        ConfigError: flytekit's config file cannot be read.
    """
    s3 = S3Settings.read(environ)
    keys = given_keys(s3, environ)
    if keys is None:
        return {}
    named = {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token,
        "aws_region": s3.region,
        "aws_endpoint_url": s3.public_endpoint or s3.endpoint,
    }
    return {key: value for key, value in named.items() if value}


def connector(group: str, secrets: SecretReader) -> Callable[..., PerianClient]:
    """Return what makes a client of the API, with the credentials as they are when it is called.

    Args:
        group: the secret group that holds them.
        secrets: reads them.
    """
    environ = secrets.environ
    url = settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ)
    patience = settings.seconds(settings.READ_TIMEOUT_SECONDS, 30.0, environ)

    def connect(connect_timeout: float = 10.0, read_timeout: float = patience) -> PerianClient:
        return PerianClient(
            url,
            secrets.require(group, ORGANIZATION_KEY),
            secrets.require(group, TOKEN_KEY),
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
        )

    return connect
