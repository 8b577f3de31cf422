"""A task's template as one argument of its own pod's command: Flyte 2 hands a pod no template.

The argument is text without braces, since Flyte fills in whatever stands between two of them.
"""

import base64
import binascii
import zlib

from flyteidl.core.tasks_pb2 import TaskTemplate
from google.protobuf.message import DecodeError

from perian_shim.errors import InvalidTemplate

OPTION = "--perian-task"

MAX_TEMPLATE_BYTES = 64 * 1024**2
"""What a pod's arguments cannot hold anyway; so much is unpacked of one that is damaged."""

DAMAGED = "Deploy the task again, and leave the container's arguments as they are."


def encode(template: TaskTemplate) -> str:
    """Return a template as text; the same for the same template."""
    packed = zlib.compress(template.SerializeToString(deterministic=True), 9)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode(text: str) -> TaskTemplate:
    """Read what ``encode`` wrote.

    Raises:
        InvalidTemplate: it is something else.
    """
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unpacking = zlib.decompressobj()
        content = unpacking.decompress(packed, MAX_TEMPLATE_BYTES)
        if not unpacking.eof:
            message = "it is not whole"
            raise ValueError(message)
        return TaskTemplate.FromString(content)
    except (binascii.Error, ValueError, zlib.error, DecodeError) as error:
        message = f"The argument {OPTION} of the container holds no task: {error}."
        raise InvalidTemplate(message, remedy=DAMAGED) from error
