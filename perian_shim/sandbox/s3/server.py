"""The storage process: ``storage_server {"host": …, "port": …, "bucket": …, "tolerance": …}``.

The first line of standard input is a JSON array of the access key and the secret key: arguments of
a process can be read by everybody. One JSON line on standard output tells how it went:
``{"port": …}`` once it serves, ``{"missing": package}`` or ``{"error": reason}``. It ends when its
standard input does.
"""

import json
import logging
import os
import socket
import sys
import threading
from typing import TYPE_CHECKING

from perian_shim.sandbox.errors import address_problem
from perian_shim.sandbox.s3.guard import Guard
from perian_shim.sandbox.s3.signatures import Keyring

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer


def main(arguments: list[str]) -> int:
    """Serve until standard input ends.

    Args:
        arguments: the settings as one JSON object.
    """
    settings = json.loads(arguments[0])
    access_key, secret_key = json.loads(sys.stdin.buffer.readline())
    keys = Keyring(access_key, secret_key, settings["tolerance"])
    try:
        server = make_storage(settings["host"], settings["port"], settings["bucket"], keys)
    except ImportError as error:
        return tell({"missing": error.name or str(error)})
    except OSError as error:
        return tell({"error": address_problem(error)})
    except ValueError as error:
        return tell({"error": str(error)})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tell({"port": server.port})
    sys.stdin.buffer.read()
    # Requests under way have nobody to answer to.
    os._exit(0)


def make_storage(host: str, port: int, bucket: str, keys: Keyring) -> "BaseWSGIServer":
    """Return an S3 that asks for its keys, with one bucket, ready to serve.

    Raises:
        ImportError: a package of the sandbox extra is missing.
        OSError: the address cannot be used.
        ValueError: the bucket's name is not accepted.
    """
    # The service's own application: moto's dispatcher would guess the service from each body.
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - the sandbox extra
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415 - the sandbox extra
    from werkzeug.test import Client  # noqa: PLC0415 - the sandbox extra

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = create_backend_app("s3")
    with Client(application).put(f"/{bucket}") as made:
        if made.status_code != 200:  # noqa: PLR2004 - HTTP's OK
            said = made.get_data(as_text=True)[:300]
            raise ValueError(f"bucket {bucket!r}: status {made.status_code}: {said}")
    # Given an address, werkzeug would end the process where it is in use.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as listening:
        return make_server(
            host,
            port,
            Guard(application, keys),
            threaded=True,
            request_handler=MotoRequestHandler,
            fd=listening.fileno(),
        )


def tell(outcome: dict[str, object]) -> int:
    """Write the one line; give the exit code that fits it."""
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()
    return 0 if "port" in outcome else 1
