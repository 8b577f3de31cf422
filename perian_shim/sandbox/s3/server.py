"""The storage process: ``storage_server {"host": …, "port": …, "bucket": …}``.

One JSON line on standard output tells how it went: ``{"port": …}`` once it serves, ``{"missing":
package}`` or ``{"error": reason}``. It ends when its standard input does.
"""

import http.client
import json
import logging
import os
import sys
import threading

BUCKET_SECONDS = 30.0


def main(arguments: list[str]) -> int:
    """Serve until standard input ends.

    Args:
        arguments: the settings as one JSON object.
    """
    settings = json.loads(arguments[0])
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        # The service's own application: moto's dispatcher would guess the service from each body.
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - the sandbox extra
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415 - the sandbox extra
    except ImportError as error:
        return tell({"missing": error.name or str(error)})
    try:
        server = make_server(
            settings["host"],
            settings["port"],
            create_backend_app("s3"),
            threaded=True,
            request_handler=MotoRequestHandler,
        )
    except (OSError, SystemExit) as error:
        return tell({"error": f"the address cannot be used ({error})"})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        make_bucket(settings["host"], server.port, settings["bucket"])
    except (OSError, ValueError, http.client.HTTPException) as error:
        return tell({"error": str(error)})
    tell({"port": server.port})
    sys.stdin.buffer.read()
    # Requests under way have nobody to answer to.
    os._exit(0)


def make_bucket(host: str, port: int, bucket: str) -> None:
    """Create the bucket through the server itself.

    Raises:
        ValueError: the server does not accept its name.
    """
    connection = http.client.HTTPConnection(host, port, timeout=BUCKET_SECONDS)
    try:
        connection.request("PUT", f"/{bucket}")
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise ValueError(
            f"bucket {bucket!r}: status {response.status}: {body[:300].decode('utf-8', 'replace')}"
        )


def tell(outcome: dict[str, object]) -> int:
    """Write the one line; give the exit code that fits it."""
    sys.stdout.write(json.dumps(outcome) + "\n")
    sys.stdout.flush()
    return 0 if "port" in outcome else 1
