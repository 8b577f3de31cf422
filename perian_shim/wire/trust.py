"""Which certificate authorities are trusted: those of the machine, or those that somebody names.

``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE`` (a file, or a folder as ``openssl rehash`` makes it)
replace all others. Without them it is OpenSSL's own choice, which follows ``SSL_CERT_FILE`` and
``SSL_CERT_DIR`` and on most Linux systems looks a certificate up when it is needed, instead of
loading all (1.3 MiB and 16 ms). A machine without any gets those of ``certifi``, if that is there.
"""

import functools
import os
import ssl
from collections.abc import Mapping, Sequence
from typing import TypeAlias

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

Authorities: TypeAlias = tuple[str | None, str | None]
"""A file and a folder; neither is OpenSSL's own choice."""


def tls_context(environ: Mapping[str, str], bundles: Sequence[str] = BUNDLES) -> ssl.SSLContext:
    """Return a context that trusts what the environment says; for the same, always the same one.

    Args:
        environ: the environment; of ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``, the process's own.
        bundles: variables that name authorities; the first that is set counts.

    Raises:
        OSError: what a variable names is not there or holds no certificate; the variable is named.
    """
    openssl = tuple(environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return _context(*(named(environ, bundles) or built_in()), openssl)


@functools.cache
def _context(
    file: str | None,
    folder: str | None,
    openssl: tuple[str | None, ...],  # noqa: ARG001 - what OpenSSL's choice hangs on
) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=file, capath=folder)
    context.set_alpn_protocols(["http/1.1"])
    return context


def named(environ: Mapping[str, str], bundles: Sequence[str] = BUNDLES) -> Authorities | None:
    """Return the authorities that a variable names."""
    for name in bundles:
        place = environ.get(name, "")
        if place:
            if not os.path.exists(place):  # noqa: PTH110 - OpenSSL takes text
                message = f"no CA bundle where {name} says: {place}"
                raise FileNotFoundError(message)
            return (None, place) if os.path.isdir(place) else (place, None)  # noqa: PTH112 - as well
    return None


def built_in() -> Authorities:
    """Return certifi's authorities if OpenSSL has none here."""
    places = ssl.get_default_verify_paths()
    if places.cafile or (places.capath and os.listdir(places.capath)) or os.name == "nt":  # noqa: PTH208 - no more is asked
        return None, None
    try:
        from certifi import where  # noqa: PLC0415 - seldom needed
    except ImportError:
        return None, None
    return where(), None
