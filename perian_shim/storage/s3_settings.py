"""Endpoint and keys of S3, as flytekit finds them, and the region as botocore does.

flytekit reads ``FLYTE_AWS_ENDPOINT`` and its like from the environment, then from one config file:
flytectl's YAML, or its own older INI format. The AWS variables come after that.
"""

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perian_shim import settings
from perian_shim.errors import ConfigError
from perian_shim.storage.s3_address import is_aws

_KEYS = {
    "endpoint": "endpoint",
    "access_key_id": "access-key",
    "secret_access_key": "secret-key",
    "addressing_style": "addressing-style",
}
"""Names of flytekit's options: in the environment and INI files, and in YAML files."""


@dataclass(frozen=True)
class S3Settings:
    """What is set for S3; empty what is not.

    Attributes:
        endpoint: URL of the endpoint; empty for AWS.
        public_endpoint: URL of the endpoint as rented machines reach it.
        access_key_id: key, if it is given to flytekit.
        secret_access_key: its secret part.
        virtual_hosts: whether the endpoint takes the bucket's name in the host name.
        region: the default region.
        dual_stack: whether AWS's names that have IPv6 addresses are used.
        fips: whether AWS's FIPS endpoints are used.
    """

    endpoint: str = ""
    public_endpoint: str = ""
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    virtual_hosts: bool = False
    region: str = ""
    dual_stack: bool = False
    fips: bool = False

    def __post_init__(self) -> None:
        for name, url in (("endpoint", self.endpoint), ("public endpoint", self.public_endpoint)):
            if url and not re.fullmatch(r"https?://[^/]+(/.*)?", url):
                message = (
                    f"The S3 {name} is no URL: expected one like https://host:9000, got {url!r}."
                )
                raise ConfigError(message)

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> "S3Settings":
        """Read what is set.

        Raises:
            ConfigError: flytekit's config file cannot be read, or an endpoint is no URL.
        """
        found = dict.fromkeys(_KEYS, "") | of_flytekit(environ)
        aws_endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
        return cls(
            endpoint=found["endpoint"] or aws_endpoint.strip(),
            public_endpoint=settings.text(settings.S3_PUBLIC_ENDPOINT, environ=environ),
            access_key_id=found["access_key_id"],
            secret_access_key=found["secret_access_key"],
            virtual_hosts=found["addressing_style"] == "virtual",
            region=default_region(environ),
            dual_stack=environ.get("AWS_USE_DUALSTACK_ENDPOINT", "").lower() == "true",
            fips=environ.get("AWS_USE_FIPS_ENDPOINT", "").lower() == "true",
        )

    def are_of(self, endpoint: str) -> bool:
        """Whether an endpoint is that of the same store; so is none at all."""
        known = {url.rstrip("/") for url in (self.endpoint, self.public_endpoint)}
        given = endpoint.strip().rstrip("/")
        return not given or given in known or (is_aws(given) and is_aws(self.endpoint))


def of_flytekit(environ: Mapping[str, str]) -> dict[str, str]:
    """Return flytekit's options that are set."""
    said = {name: environ.get(f"FLYTE_AWS_{name.upper()}") for name in _KEYS}
    missing = [name for name, value in said.items() if value is None]
    file = config_file(environ) if missing else None
    in_file = {} if file is None else read_config(file)
    # A variable that is set to nothing hides the file, as with flytekit.
    return {name: in_file.get(name, "") if value is None else value for name, value in said.items()}


def config_file(environ: Mapping[str, str]) -> Path | None:
    """Return the config file that flytekit would read."""
    named = environ.get("_FLYTECTL_CONFIG_PYFLYTE_OVERRIDE", environ.get("FLYTECTL_CONFIG"))
    home = Path(environ.get("HOME") or Path.home(), ".flyte")
    places = (Path("flytekit.config"), home / "config", home / "config.yaml")
    candidates = ((Path(named),) if named else ()) + places
    return next((path for path in candidates if path.exists()), None)


def read_config(file: Path) -> dict[str, str]:
    """Return flytekit's options in a file."""
    try:
        if file.name.endswith(("yaml", "yml")):
            return in_yaml(file)
        parser = configparser.ConfigParser()
        parser.read(file)
        section = parser["aws"] if parser.has_section("aws") else {}
        return {name: section[name] for name in _KEYS if name in section}
    except ImportError as error:
        message = f"{file}: reading flytekit's YAML config file needs the package PyYAML."
        remedy = "Set FLYTE_AWS_ENDPOINT and its like instead, or use the image with flytekit."
        raise ConfigError(message, remedy=remedy) from error
    except (OSError, ValueError, configparser.Error) as error:
        message = f"{file}: flytekit's config file cannot be read: {type(error).__name__}"
        raise ConfigError(message) from error


def in_yaml(file: Path) -> dict[str, str]:
    """Return flytekit's options in flytectl's file; those of a file that is no YAML are none."""
    import yaml  # noqa: PLC0415 - few pods have such a file

    try:
        content: object = yaml.safe_load(file.read_text())
    except yaml.YAMLError:
        return {}
    for name in ("storage", "connection"):
        content = content.get(name) if isinstance(content, dict) else None
    if not isinstance(content, dict):
        return {}
    return {name: str(content[key]) for name, key in _KEYS.items() if content.get(key)}


def default_region(environ: Mapping[str, str]) -> str:
    """Return the region for what does not say its own."""
    region = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION")
    if region:
        return region
    profile = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    file = aws_file(environ, "AWS_CONFIG_FILE", "config")
    parser = configparser.RawConfigParser()
    try:
        parser.read(file)
    except (OSError, ValueError, configparser.Error):
        return ""
    section = "default" if profile == "default" else f"profile {profile}"
    return parser.get(section, "region", fallback="").strip()


def aws_file(environ: Mapping[str, str], variable: str, name: str) -> Path:
    """Return where one of the AWS tools' own files is."""
    given = environ.get(variable)
    if given:
        return Path(given).expanduser()
    return Path(environ.get("HOME") or Path.home(), ".aws", name)
