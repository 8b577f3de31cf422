"""A connection that is kept: may it be used again?"""

import socket

from support.waiting import LONG_SECONDS, wait_until

from perian_shim.wire import Connection


def test_what_comes_unasked_makes_a_connection_unfit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connection = Connection(url, None, None, 5.0)
        listener.settimeout(LONG_SECONDS)
        there, _ = listener.accept()
        with there:
            assert connection.is_quiet()
            there.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            wait_until(lambda: not connection.is_quiet(), LONG_SECONDS, "what came")
        connection.close()
        assert not connection.is_quiet()
