"""Ids in paths and answers.

Ids are UUIDs today. What matters is that an id can never become another path.
"""

import re

from perian_shim.api.errors import InvalidRequest, MalformedResponse
from perian_shim.api.fields import Fields
from perian_shim.api.responses import Call

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def checked_id(value: str, what: str = "a job") -> str:
    """Return the id of ``what`` if it can be a part of a path.

    Raises:
        InvalidRequest: it cannot; nothing is sent.
    """
    if _SAFE_ID.fullmatch(value):
        return value
    message = f"Not {what} id: {value[:100]!r}."
    raise InvalidRequest(message, remedy="Give the id as Perian shows it.")


def read_job_id(fields: Fields, call: Call) -> str:
    """Return the id of a job just created."""
    job_id = fields.required_text("id")
    if not _SAFE_ID.fullmatch(job_id):
        message = f"The answer's field {fields.place('id')} is no job id."
        raise MalformedResponse(message, method=call.method, path=call.path)
    return job_id
