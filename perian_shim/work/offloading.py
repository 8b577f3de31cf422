"""``outputs.pb``, and the literals that are too large for it: as flytekit's entry point has them.

Where the backend offloads large literals (it then says from which size on), such an output is an
object of its own beside ``outputs.pb``, which refers to it. Of ``outputs.pb`` itself the backend
reads no more than ``storage.limits.maxDownloadMBs``, of which a pod is told nothing. Pure.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence

from flyteidl.core.interface_pb2 import Variable
from flyteidl.core.literals_pb2 import Literal
from google.protobuf import json_format

from perian_shim import settings
from perian_shim.errors import OutputTooLarge
from perian_shim.storage import join_uri
from perian_shim.values.serialized import SerializedLiteral, literal_map, serialize
from perian_shim.work.backend import FLYTE_PROPELLER, MEBIBYTE
from perian_shim.work.entry_points import OUTPUTS_NAME
from perian_shim.work.outputs import Outputs

OFFLOADED_NAME = "{}_offloaded_metadata.pb"

DEFAULT_MAX_MEBIBYTES = "1000"

MAX_LISTED = 5
"""So many outputs are named with their sizes."""


def output_documents(
    outputs: Outputs,
    declared: Mapping[str, Variable],
    prefix: str,
    environ: Mapping[str, str],
    order: Sequence[str] = (),
) -> dict[str, bytes]:
    """Return what Flyte is to find below an attempt's output prefix, ``outputs.pb`` as the last.

    Args:
        outputs: the outputs, of which ``check_sizes`` has nothing to say.
        declared: the task's outputs.
        prefix: ``{{.outputPrefix}}``.
        environ: the container's environment, in which the backend says what it offloads.
        order: the outputs' names in the order in which they are to be, if that counts.

    Returns:
        Content by file name, in the order in which it is to be written.
    """
    documents: dict[str, bytes] = {}
    kept = dict(outputs)
    for name in offloaded(outputs, environ):
        file = OFFLOADED_NAME.format(name)
        documents[file] = outputs[name]
        kept[name] = reference(outputs[name], declared[name], join_uri(prefix, file))
    return {**documents, OUTPUTS_NAME: literal_map(kept, order)}


def offloaded(outputs: Outputs, environ: Mapping[str, str]) -> list[str]:
    """Return the names of the outputs that are kept apart."""
    least = environ.get(settings.OFFLOADING[0])
    if least is None:
        return []
    return [name for name in outputs if len(outputs[name]) >= int(least) * MEBIBYTE]


def check_sizes(
    outputs: Outputs,
    environ: Mapping[str, str],
    job_id: str,
    usual: int = FLYTE_PROPELLER.max_output_bytes,
) -> None:
    """Expect outputs that the backend will take.

    Args:
        outputs: the outputs.
        environ: the container's environment.
        job_id: for messages.
        usual: how large ``outputs.pb`` may be, if no setting says otherwise.

    Raises:
        OutputTooLarge: an output, or all of them together, are larger than the backend takes.
        ConfigError: the setting for that is no number.
    """
    apart = offloaded(outputs, environ)
    most = int(environ.get(settings.OFFLOADING[1]) or DEFAULT_MAX_MEBIBYTES) * MEBIBYTE
    for name in apart:
        if len(outputs[name]) >= most:
            message = (
                f"Output {name!r} of job {job_id} has {len(outputs[name])} bytes; Flyte takes less"
                f" than {most} ({settings.OFFLOADING[1]})."
            )
            raise OutputTooLarge(message, job_id=job_id)
    sizes = {name: len(literal) for name, literal in outputs.items() if name not in apart}
    total, limit = sum(sizes.values()), max_output_bytes(environ, usual)
    if total <= limit:
        return
    largest = sorted(sizes, key=lambda name: -sizes[name])
    listed = ", ".join(f"{name!r} has {sizes[name]}" for name in largest[:MAX_LISTED])
    left_out = "" if len(largest) <= MAX_LISTED else f" and {len(largest) - MAX_LISTED} others"
    message = (
        f"The outputs of job {job_id} have {total} bytes together, Flyte takes {limit}:"
        f" {listed}{left_out}."
    )
    remedy = (
        f"{OutputTooLarge.remedy} If your Flyte takes more (storage.limits.maxDownloadMBs), set"
        f" {settings.MAX_OUTPUT_BYTES} for the tasks' pods."
    )
    raise OutputTooLarge(message, job_id=job_id, remedy=remedy)


def max_output_bytes(
    environ: Mapping[str, str], usual: int = FLYTE_PROPELLER.max_output_bytes
) -> int:
    """Return how large ``outputs.pb`` may be.

    Raises:
        ConfigError: the setting for that is no number.
    """
    return settings.whole_number(settings.MAX_OUTPUT_BYTES, usual, environ)


def reference(literal: SerializedLiteral, variable: Variable, uri: str) -> SerializedLiteral:
    """Return the literal that stands for one that is kept elsewhere.

    Args:
        literal: the one that is kept elsewhere.
        variable: its declaration.
        uri: where it is.
    """
    message = Literal.FromString(literal)
    standing_in = Literal(hash=message.hash or hash_of(message))
    standing_in.offloaded_metadata.uri = uri
    standing_in.offloaded_metadata.size_bytes = len(literal)
    standing_in.offloaded_metadata.inferred_type.CopyFrom(variable.type)
    return serialize(standing_in)


def hash_of(literal: Literal) -> str:
    """Return the hash by which Flyte's cache knows a literal that it does not read.

    The same as flytekit's and flyteidl's Go code (``pbhash``): SHA-256 of the JSON form.
    """
    stable = json.dumps(json_format.MessageToDict(literal), sort_keys=True, separators=(",", ":"))
    return base64.b64encode(hashlib.sha256(stable.encode()).digest()).decode()
