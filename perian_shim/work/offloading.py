"""``outputs.pb``, and the literals that are too large for it: as flytekit's entry point has them.

Where the backend offloads large literals (it then says from which size on), such an output is an
object of its own beside ``outputs.pb``, which refers to it. Pure.
"""

import base64
import hashlib
import json
from collections.abc import Mapping

from flyteidl.core.interface_pb2 import Variable
from flyteidl.core.literals_pb2 import Literal
from google.protobuf import json_format

from perian_shim import settings
from perian_shim.errors import OutputInvalid
from perian_shim.storage import join_uri
from perian_shim.values.serialized import SerializedLiteral, literal_map, serialize
from perian_shim.work.outputs import Outputs

OUTPUTS_NAME = "outputs.pb"
OFFLOADED_NAME = "{}_offloaded_metadata.pb"

MEBIBYTE = 1024**2
DEFAULT_MAX_MEBIBYTES = "1000"


def output_documents(
    outputs: Outputs, declared: Mapping[str, Variable], prefix: str, environ: Mapping[str, str]
) -> dict[str, bytes]:
    """Return what Flyte is to find below an attempt's output prefix, ``outputs.pb`` as the last.

    Args:
        outputs: the outputs.
        declared: the task's outputs.
        prefix: ``{{.outputPrefix}}``.
        environ: the container's environment, in which the backend says what it offloads.

    Returns:
        Content by file name, in the order in which it is to be written.

    Raises:
        OutputInvalid: an output is larger than the backend takes.
    """
    least, most = (environ.get(name) for name in settings.OFFLOADING)
    if least is None:
        return {OUTPUTS_NAME: literal_map(outputs)}
    documents: dict[str, bytes] = {}
    kept = dict(outputs)
    limit = int(most or DEFAULT_MAX_MEBIBYTES) * MEBIBYTE
    for name, literal in outputs.items():
        if len(literal) >= limit:
            message = (
                f"Output {name!r} has {len(literal)} bytes; Flyte takes less than {limit}"
                f" ({settings.OFFLOADING[1]})."
            )
            raise OutputInvalid(message, remedy="Return large data as a file.")
        if len(literal) >= int(least) * MEBIBYTE:
            file = OFFLOADED_NAME.format(name)
            documents[file] = literal
            kept[name] = reference(literal, declared[name], join_uri(prefix, file))
    return {**documents, OUTPUTS_NAME: literal_map(kept)}


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
