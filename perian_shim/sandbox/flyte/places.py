"""Where FlytePropeller puts what: the paths, names and templates of a node and its attempts.

All of it is that of Flyte 1.16, so that what depends on a path, as a job's key does, depends on it
here as well.
"""

import hashlib
import re
from dataclasses import dataclass, replace

MAX_POD_NAME = 50
"""Characters of a pod's name; a longer one is replaced by its hash."""

MAX_NODE_ID = 20
"""Characters of a nested node's id within an execution; a longer one is replaced by its hash."""

_SHARD = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE32 = "abcdefghijklmnopqrstuvwxyz123456"


def short_hash(text: str) -> str:
    """Return FlytePropeller's short form of a long name: base 32 of FNV-1a, 32 bits."""
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    bits = f"{value:032b}000"
    return "".join(_BASE32[int(bits[at : at + 5], 2)] for at in range(0, 35, 5))


@dataclass(frozen=True)
class Place:
    """Where a node of an execution is.

    Attributes:
        bucket: bucket of metadata and raw data.
        execution: name of the execution.
        node: the node's id, unique within the execution.
        data_prefix: its metadata folder (URI).
    """

    bucket: str
    execution: str
    node: str
    data_prefix: str

    def attempt(self, number: int) -> "Pod":
        """Return the paths of an attempt."""
        return Pod(self.execution, self.node, number, self.bucket, self.data_prefix)

    def inside(self, node: str, attempt: int = 0) -> "Place":
        """Return the place of a node of this node's workflow: a subworkflow's, a dynamic's."""
        unique = f"{self.node}-{attempt}-{node}"
        if len(unique) > MAX_NODE_ID:
            unique = "f" + short_hash(unique)
        folder = f"{self.data_prefix}/{attempt}/{node}"
        return Place(self.bucket, self.execution, unique, folder)

    def item(self, index: int, number: int) -> "Pod":
        """Return the paths of an attempt at one item of a map task."""
        return Pod(
            self.execution,
            self.inside(f"n{index}").node,
            number,
            self.bucket,
            data_prefix=f"{self.data_prefix}/{index}/{number}",
            inputs_prefix=self.data_prefix,
            outputs_base=f"{self.data_prefix}/0/{index}",
            item=index,
        )


@dataclass(frozen=True)
class Pod:
    """One started attempt: the paths that FlytePropeller would give it.

    Attributes:
        execution: name of the execution.
        node: node id.
        number: attempt, 0-based.
        bucket: bucket of metadata and raw data.
        data_prefix: the node's metadata folder (URI).
        inputs_prefix: the folder of ``inputs.pb``, if that is another one.
        outputs_base: the folder that holds the attempts' outputs, if that is another one.
        item: index of an item of a map task.
    """

    execution: str
    node: str
    number: int
    bucket: str
    data_prefix: str
    inputs_prefix: str | None = None
    outputs_base: str | None = None
    item: int | None = None

    @property
    def name(self) -> str:
        """The pod's name, as unique as Flyte makes it."""
        name = f"{self.execution}-{self.node}-{self.number}"
        return name if len(name) <= MAX_POD_NAME else "f" + short_hash(name)

    @property
    def output_prefix(self) -> str:
        """``{{.outputPrefix}}``."""
        return f"{self.outputs_base or self.data_prefix}/{self.number}"

    @property
    def inputs_uri(self) -> str:
        """``{{.input}}``."""
        return f"{self.inputs_prefix or self.data_prefix}/inputs.pb"

    @property
    def raw_prefix(self) -> str:
        """``{{.rawOutputDataPrefix}}``."""
        digest = hashlib.sha256(self.name.encode()).digest()
        shard = _SHARD[digest[0] % 36] + _SHARD[digest[1] % 36]
        scheme = self.data_prefix.partition("://")[0]
        return f"{scheme}://{self.bucket}/{shard}/{self.name}"

    @property
    def templates(self) -> dict[str, str]:
        """Every template variable of the backend and its value, names in lower case."""
        previous = '""'
        if self.number:
            previous = f"{replace(self, number=self.number - 1).raw_prefix}/_flytecheckpoints"
        return {
            "input": self.inputs_uri,
            "inputprefix": self.inputs_prefix or self.data_prefix,
            "outputprefix": self.output_prefix,
            "tasktemplatepath": f"{self.data_prefix}/task.pb",
            "rawoutputdataprefix": self.raw_prefix,
            "checkpointoutputprefix": f"{self.raw_prefix}/_flytecheckpoints",
            "prevcheckpointprefix": previous,
            "perretryuniquekey": re.sub(r"[^a-zA-Z0-9_]+", "_", self.name),
        }

    def fill(self, argument: str) -> str:
        """Replace template variables; what is none of them stays as it is."""
        values = self.templates
        return re.sub(
            r"\{\{\s*[.$](\w+)\s*\}\}",
            lambda match: values.get(match[1].lower(), match[0]),
            argument,
        )
