"""Which certificate authorities the agent trusts: those that the image's own libraries do.

Many an image with flytekit has no ca-certificates: requests and botocore bring authorities of their
own, and nobody misses those of the system. And who has a store with a certificate of their own
names its authority in one of these libraries' variables.
"""

import os
import ssl
import subprocess
import sys

NAMED = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

ASKED = "import certifi; print(certifi.where())"

ANSWER_SECONDS = 30


def trusting(environment: "dict[str, str]") -> ssl.SSLContext:
    """Return what a connection is verified with. To be called by the only thread.

    Args:
        environment: the command's.
    """
    context = ssl.create_default_context()
    for path in filter(None, (environment.get(name) for name in NAMED)):
        load(context, path)
    if not has_authorities() and not context.cert_store_stats()["x509_ca"]:
        load(context, installed(environment))
    return context


def load(context: ssl.SSLContext, path: str) -> None:
    """Trust what is in a file or a folder, if there is something."""
    try:
        if os.path.isdir(path):  # noqa: PTH112 - plain text, as the others
            context.load_verify_locations(capath=path)
        elif path:
            context.load_verify_locations(path)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        return


def has_authorities() -> bool:
    """Whether the system has any, as far as OpenSSL looks for them."""
    paths = ssl.get_default_verify_paths()
    try:
        return bool(paths.cafile or (paths.capath and os.listdir(paths.capath)))  # noqa: PTH208
    except OSError:
        return False


def installed(environment: "dict[str, str]") -> str:
    """Where the authorities are that are installed for Python; "" if there are none.

    This Python has been told to see nothing that is installed; another one is asked.
    """
    try:
        told = subprocess.run(
            [sys.executable, "-c", ASKED],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ANSWER_SECONDS,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return os.fsdecode(told.stdout).strip()
