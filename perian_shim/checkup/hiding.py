"""What must not be shown of a set-up, whatever the texts say that others have made."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from perian_shim import settings
from perian_shim.api.redaction import Redactor
from perian_shim.checkup.findings import Finding
from perian_shim.errors import MissingSecret
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.secret_keys import REGISTRY_KEYS, TOKEN_KEY
from perian_shim.work.job_credentials import CONFIDENTIAL

VARIABLES = (
    *(settings.TOKEN, "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
    *("FLYTE_AWS_SECRET_ACCESS_KEY", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
)

KEYS = (TOKEN_KEY, REGISTRY_KEYS[-1], *sorted(CONFIDENTIAL))


def confidential(environ: Mapping[str, str], group: str) -> Iterator[str]:
    """Yield what must not be shown: values of variables, and of the secret group."""
    yield from (environ.get(name, "") for name in VARIABLES)
    mounted = FlyteSecrets.of_container(environ)
    for key in KEYS:
        try:
            yield mounted.get(group, key) or ""
        except MissingSecret:  # what is no text is not shown as one
            continue


def redactor(environ: Mapping[str, str], group: str) -> Redactor:
    """Return what takes all of it out of texts."""
    return Redactor([], confidential(environ, group))


def redacted(finding: Finding, hide: Redactor) -> Finding:
    """Return a finding without what is confidential."""
    return replace(finding, text=hide(finding.text), remedy=hide(finding.remedy))
