"""Which node of its execution an attempt belongs to, told from where its outputs go: pure.

Flyte does not tell a container its node. The output prefix does: FlytePropeller puts a node at
``…/<project>-<domain>-<execution>/<node>/data/<attempt>``, what is inside of it (the nodes of a
subworkflow or of a dynamic, the items of a map task) at ``<name>/<attempt>`` below that.
"""

from perian_shim.work.idempotency import NodeIdentity


def node_path(node: NodeIdentity, output_prefix: str) -> str:
    """Return a node's path within its execution; "" if it cannot be told.

    Args:
        node: whose piece of work it is.
        output_prefix: ``{{.outputPrefix}}``, which ends in the attempt.

    Returns:
        For example ``n0``, ``n0/dn1`` for a node inside of another one, ``n0[3]`` for an item of a
        map task. Attempts of the nodes around it are left out.
    """
    own = f"/{node.project}-{node.domain}-{node.execution}/"
    _, found, rest = output_prefix.rstrip("/").partition(own)
    parts = rest.split("/")
    if not (found and node.execution and parts[1:2] == ["data"]):
        return ""
    steps = [part for part in parts if part != "data"]
    names, attempts = steps[::2], steps[1::2]
    if len(names) != len(attempts) or not all(map(str.isdecimal, attempts)) or not all(names):
        return ""
    inner = "".join(f"[{name}]" if name.isdecimal() else f"/{name}" for name in names[1:])
    return names[0] + inner


def sendable(text: str) -> str:
    """Return text that an environment can hold and a person can read: one line, no half letters."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", " ").split())
