"""What is set on this machine: versions, the image, secrets, proxies and certificates."""

import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from perian_shim import settings
from perian_shim.checkup.findings import Finding, Findings, ok, problem, tried, warning
from perian_shim.errors import MissingSecret
from perian_shim.image_reference import ImageReference, ImageReferenceError
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.secret_keys import (
    ACCESS_KEYS,
    GOOGLE_KEY,
    ORGANIZATION_KEY,
    REGISTRY_KEYS,
    REQUIRED_KEYS,
    TOKEN_KEY,
)
from perian_shim.storage.google_credentials import secret_key
from perian_shim.version import __version__
from perian_shim.wire import UnusableProxy, proxy_for, tls_context

OLDEST_FLYTEKIT, NEXT_FLYTEKIT = (1, 14), (2, 0)

TOGETHER = (
    REQUIRED_KEYS,
    REGISTRY_KEYS,
    ("aws_access_key_id", "aws_secret_access_key"),
)
"""Secrets of which one without the others is a mistake."""

NO_IMAGE = (
    "Build the image (`make image` in a clone of perian-shim), push it to where your cluster pulls"
    f" from, and set {settings.EXECUTOR_IMAGE} where tasks are registered."
)

LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]"}

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


def versions(
    find: Callable[[str], str] = version, python: Sequence[str] = platform.python_version_tuple()
) -> Findings:
    """Look at what is installed.

    Args:
        find: returns the version of a package.
        python: the version of Python.
    """
    yield ok("perian-shim", f"version {__version__}")
    yield ok("python", f"version {'.'.join(python)}")
    oldest, newest = (".".join(map(str, each)) for each in (OLDEST_FLYTEKIT, NEXT_FLYTEKIT))
    wanted = f"Install a flytekit from {oldest} on and before {newest}."
    try:
        found = find("flytekit")
    except PackageNotFoundError:
        yield problem("flytekit", "is not installed", wanted)
        return
    numbers = tuple(int(number) for number in re.findall(r"\d+", found)[:2])
    if OLDEST_FLYTEKIT <= numbers < NEXT_FLYTEKIT:
        yield ok("flytekit", f"version {found}")
    else:
        yield problem("flytekit", f"version {found} is none that perian-shim knows", wanted)


def image(environ: Mapping[str, str]) -> Finding:
    """Look at the image that is named for the tasks' own pods."""
    named = settings.text(settings.EXECUTOR_IMAGE, environ=environ)
    if not named:
        text = (
            f"{settings.EXECUTOR_IMAGE} is not set: tasks are registered with"
            f" perian-shim-executor:{__version__}, which no registry has, unless they name an image"
        )
        return warning("image", text, NO_IMAGE)
    try:
        reference = ImageReference.parse(named)
    except ImageReferenceError as error:
        return problem("image", str(error), f"Correct {settings.EXECUTOR_IMAGE}.")
    host = reference.name.partition("/")[0]
    if host.rpartition(":")[0] in LOCAL_HOSTS or host in LOCAL_HOSTS:
        text = f"{named} is in a registry of this machine, which a cluster seldom reaches"
        return warning("image", text, "Push it to where your cluster pulls from.")
    if reference.digest is None and reference.tag in {None, "latest"}:
        text = f"{named} may be another image tomorrow: pods then run another version"
        return warning("image", text, "Name a tag for each version, or a digest.")
    return ok("image", named)


def secrets(environ: Mapping[str, str], group: str) -> Findings:
    """Look at the secrets of a group, as far as they are here; none of them is shown."""
    mounted = FlyteSecrets.of_container(environ)
    found: dict[str, str] = {}
    for key in (*REQUIRED_KEYS, *REGISTRY_KEYS, *ACCESS_KEYS):
        try:
            value = (mounted.get(group, key) or "").strip()
        except MissingSecret as error:
            yield problem("secrets", error.message, error.remedy)
            continue
        if value:
            found[key] = value
    if not found:
        where = f"it needs {ORGANIZATION_KEY} and {TOKEN_KEY}, in each project and domain"
        yield ok("secrets", f"the group {group!r} is not mounted here; in the cluster {where}")
        return
    yield ok("secrets", f"the group {group!r} has {', '.join(found)}")
    for keys in TOGETHER:
        missing = [key for key in keys if key not in found]
        if missing and (len(missing) < len(keys) or keys == REQUIRED_KEYS):
            text = f"the group {group!r} has no {' and no '.join(missing)}"
            yield problem("secrets", text, "Add what is missing to the secret.")
    if GOOGLE_KEY in found:
        checked = tried("secrets", lambda: google_key(found))
        if checked.remedy:
            yield checked


def google_key(found: Mapping[str, str]) -> Finding:
    """Look at the form of the key of a Google service account."""
    secret_key(found)
    return ok("secrets", GOOGLE_KEY)


def ways(environ: Mapping[str, str], urls: Sequence[str]) -> Findings:
    """Look at the proxies on the way to servers, and at the certificates that are trusted."""
    for url in urls:
        host = urlsplit(url).netloc.rpartition("@")[2]
        try:
            proxy = proxy_for(url, environ)
        except UnusableProxy as error:
            yield problem("proxy", f"{host}: {error}", error.remedy)
            continue
        yield ok("proxy", f"{host}: " + (f"by {proxy.host}:{proxy.port}" if proxy else "none"))
    yield from two_spellings(environ)
    try:
        tls_context(environ)
    except OSError as error:
        remedy = "Correct REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE."
        yield problem("certificates", error.strerror or str(error), remedy)


def two_spellings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Look for variables of which the small letters win over the capitals."""
    for name in (*PROXIES, "NO_PROXY"):
        small, large = environ.get(name.lower()), environ.get(name)
        if small is not None and large is not None and small != large:
            text = f"{name.lower()} and {name} differ; the first one counts"
            yield warning("proxy", text, "Set both to the same, or one of them alone.")


def address(environ: Mapping[str, str]) -> Findings:
    """Look at the API's address."""
    url = settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ)
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and host not in {"localhost", "127.0.0.1", "::1"}:
        text = f"{settings.API_URL} is http: the token travels unencrypted"
        yield warning("address", text, "Use https.")
