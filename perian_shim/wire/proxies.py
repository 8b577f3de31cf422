"""Which HTTP proxy stands between here and a server, as the environment says.

``HTTPS_PROXY`` or ``HTTP_PROXY``, by the scheme of the URL, else ``ALL_PROXY``; ``NO_PROXY``
names the hosts that need none: ``*``, a host with all below it, ``host:port``, an address or a
network like ``10.0.0.0/8``. Names in small letters count before capitals. Proxies are spoken to
without TLS: what goes to an ``https`` URL is encrypted from here to there all the same.
"""

import binascii
import ipaddress
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

_DEFAULT_PORT = 80
_DEFAULT_PORTS = {"http": 80, "https": 443}


class UnusableProxy(ValueError):
    """A variable holds no URL of an HTTP proxy.

    The value is not shown: it may hold a password.

    Args:
        variable: its name.

    Attributes:
        variable: its name.
        remedy: a sentence: what to do.
    """

    def __init__(self, variable: str) -> None:
        super().__init__(f"{variable} is no URL of an HTTP proxy")
        self.variable = variable
        self.remedy = f"Set {variable} to a URL like http://user:password@proxy.example.org:3128."


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host: its name or address.
        port: its port.
        headers: what proves to it who asks.
    """

    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that leads to a URL; None for none.

    Args:
        url: ``http`` or ``https``.
        environ: the environment.

    Raises:
        UnusableProxy: the variable holds something else.
    """
    target = urllib.parse.urlsplit(url)
    for name in (f"{target.scheme}_proxy", "all_proxy"):
        spelled, value = variable(name, environ)
        if value:
            direct = goes_directly(target, variable("no_proxy", environ)[1])
            return None if direct else parsed(spelled, value)
    return None


def variable(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return a variable's name as the environment spells it, and its value."""
    spelled = name if name in environ else name.upper()
    return spelled, environ.get(spelled, "").strip()


def parsed(name: str, value: str) -> Proxy:
    """Return the proxy that a variable names."""
    try:
        parts = urllib.parse.urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "http" or not host.isprintable():
        raise UnusableProxy(name) from None  # the cause quotes the URL
    if parts.username is None:
        return Proxy(host, port)
    login = f"{parts.username}:{parts.password or ''}"
    basic = binascii.b2a_base64(urllib.parse.unquote(login).encode(), newline=False)
    return Proxy(host, port, {"Proxy-Authorization": f"Basic {basic.decode()}"})


def goes_directly(target: urllib.parse.SplitResult, exceptions: str) -> bool:
    """Whether ``NO_PROXY`` names a URL's host."""
    host = (target.hostname or "").rstrip(".")
    port = target.port or _DEFAULT_PORTS[target.scheme]
    for exception in filter(None, exceptions.replace(",", " ").lower().split()):
        if exception == "*" or is_in_network(host, exception):
            return True
        name = exception.removeprefix("*").removeprefix(".").removesuffix(f":{port}").rstrip(".")
        if name and f".{host}".endswith(f".{name}"):
            return True
    return False


def is_in_network(host: str, network: str) -> bool:
    """Whether a host is an address, and a network or an address holds it."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network.strip("[]"), strict=False)
    except ValueError:
        return False
