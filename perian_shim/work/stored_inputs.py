"""The inputs of a run for as long as it lasts: as bytes; as messages they take ten times as much.

A pod waits for hours with its inputs in memory, and reads its outputs beside them.
"""

from collections.abc import Callable, Iterator, Mapping

from flyteidl.core.literals_pb2 import Literal
from google.protobuf.message import DecodeError

from perian_shim.values.serialized import SerializedLiteral, serialize, split_literal_map


class StoredInputs(Mapping[str, Literal]):
    """Literals by name, each a message only for as long as it is looked at.

    Args:
        serialized: their bytes.
    """

    def __init__(self, serialized: Mapping[str, SerializedLiteral]) -> None:
        self._serialized = dict(serialized)

    @classmethod
    def of(cls, literals: Mapping[str, Literal]) -> "StoredInputs":
        """Return the same inputs, stored one after the other."""
        return cls({name: serialize(literals[name]) for name in literals})

    @classmethod
    def read(
        cls, inputs: Mapping[str, Literal], fetched: Callable[[str, Literal], Literal]
    ) -> "StoredInputs":
        """Return inputs with the values of those that Flyte keeps apart.

        Args:
            inputs: the inputs as they are in ``inputs.pb``.
            fetched: returns an input with its value.
        """
        return cls({name: serialize(fetched(name, inputs[name])) for name in inputs})

    @classmethod
    def of_document(cls, document: bytes) -> "StoredInputs":
        """Read a ``flyteidl.core.LiteralMap``.

        Raises:
            ValueError: it is none, or what is in it is no literal.
        """
        stored = cls(split_literal_map(document))
        try:
            for name in stored:
                stored[name]  # one at a time
        except DecodeError as error:
            message = "there is something in it that is not a flyteidl.core.Literal"
            raise ValueError(message) from error
        return stored

    def __getitem__(self, name: str) -> Literal:
        return Literal.FromString(self._serialized[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._serialized)

    def __len__(self) -> int:
        return len(self._serialized)
