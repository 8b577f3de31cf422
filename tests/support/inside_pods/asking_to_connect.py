"""In a pod: tell the test about each connection before it is made, and wait for its leave.

``CONNECTING`` names a Unix socket, ``CONNECTING_TO`` the port in question. What is told is the
first line of the HTTP request that the connection is for, so that the test can refuse exactly one
kind of call, really and not for a length of time.
"""

import os
import socket
import sys
from types import FrameType


def request_line() -> bytes:
    """Return the first line that waits to be sent: ``http.client`` connects when it has one."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        data = frame.f_locals.get("data") if frame.f_code.co_name == "send" else None
        if isinstance(data, bytes):
            return data.partition(b"\r\n")[0]
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
            teller.sendall(request_line() + b"\n")
            teller.recv(1)


def install() -> None:
    """Ask from now on."""
    sys.addaudithook(ask_before_connecting)
