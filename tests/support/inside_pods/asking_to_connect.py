"""In a pod: tell the test about each connection before it is made, and wait for its leave.

``CONNECTING`` names a Unix socket, ``CONNECTING_TO`` the port in question. What is told is the
call that the connection is for, as in ``POST /job``, so that the test can refuse exactly one kind
of call, really and not for a length of time.
"""

import os
import socket
import sys
from types import FrameType


def call_to_come() -> bytes:
    """Return method and path of the call that the API's client makes a connection for."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        call = frame.f_locals.get("call") if frame.f_code.co_name == "_connect" else None
        if call is not None:
            return str(call).encode()
        frame = frame.f_back
    return b"?"


def ask_before_connecting(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook."""
    if event != "socket.connect":
        return
    address = arguments[1]
    port = int(os.environ["CONNECTING_TO"])
    if isinstance(address, tuple) and address[1] == port:
        with socket.socket(socket.AF_UNIX) as teller:
            teller.settimeout(60)
            teller.connect(os.environ["CONNECTING"])
            teller.sendall(call_to_come() + b"\n")
            teller.recv(1)


def install() -> None:
    """Ask from now on."""
    sys.addaudithook(ask_before_connecting)
