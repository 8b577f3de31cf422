"""The idempotency key: one name for "this piece of work of this node of this execution".

Two submissions get the same key exactly when they mean the same work: the same node of the same
execution, the same task definition, the same inputs. Attempts share it. A relaunch, another item
of an array, another run of a dynamic task and a changed definition or input do not.

Flyte tells a container neither its node nor a key. What is stable across attempts and unique per
node is the output prefix without its last component, which is the attempt. Pod names are not
used: beyond 50 characters Flyte replaces them by 32 bits of hash.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flyteidl.core.literals_pb2 import Literal

from perian_shim.spec import JobSpec

KEY_LENGTH = 40
"""Hexadecimal digits of a key: 160 bits."""


@dataclass(frozen=True)
class NodeIdentity:
    """Where in Flyte a piece of work belongs.

    Attributes:
        project: Flyte project of the execution.
        domain: Flyte domain of the execution.
        execution: name of the execution.
        node_prefix: URI that is the node's own in that execution, the same for all attempts.
    """

    project: str
    domain: str
    execution: str
    node_prefix: str

    @classmethod
    def from_output_prefix(
        cls, project: str, domain: str, execution: str, output_prefix: str
    ) -> "NodeIdentity":
        """Derive the node's prefix from ``{{.outputPrefix}}``, which ends in the attempt."""
        return cls(project, domain, execution, output_prefix.rstrip("/").rpartition("/")[0])


def work_key(node: NodeIdentity, spec: JobSpec, inputs: Mapping[str, Literal]) -> str:
    """Return the key of a piece of work, ``KEY_LENGTH`` hexadecimal digits.

    What is shown of it in Flyte's console does not matter.
    """
    digest = hashlib.sha256()
    parts: list[bytes] = [
        json.dumps([node.project, node.domain, node.execution, node.node_prefix]).encode(),
        json.dumps(replace(spec, deck=False).to_custom(), sort_keys=True).encode(),
    ]
    for name in sorted(inputs):  # a protobuf map has no order of its own
        parts += [name.encode(), inputs[name].SerializeToString(deterministic=True)]
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:KEY_LENGTH]
