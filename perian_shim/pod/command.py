"""What the commands of both doors have in common: their options, and an attempt's paths."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from perian_shim.storage import needs_flytekit

_NOTHING = {"", '""'}
"""What a backend puts where there is no previous checkpoint."""


@dataclass(frozen=True, kw_only=True)
class AttemptPaths:
    """One attempt's paths. All are URIs, as the backend fills them in.

    Attributes:
        inputs: ``inputs.pb``.
        output_prefix: where the attempt leaves ``outputs.pb`` or ``error.pb``.
        raw_prefix: where its data go.
        checkpoint: where it saves checkpoints.
        previous_checkpoint: where the attempt before did.
    """

    inputs: str
    output_prefix: str
    raw_prefix: str
    checkpoint: str | None = None
    previous_checkpoint: str | None = None

    @property
    def read_or_written(self) -> tuple[str, ...]:
        """What we read or write ourselves."""
        return (self.inputs, self.output_prefix, self.raw_prefix)

    @property
    def foreign(self) -> list[str]:
        """URIs of stores that we cannot reach without flytekit."""
        return [uri for uri in self.read_or_written if needs_flytekit(uri)]


def pairs(
    arguments: Sequence[str], short: Mapping[str, str] | None = None, last: str | None = None
) -> Iterator[tuple[str, str]]:
    """Yield options and their values: ``--name value`` or ``--name=value``, in any order.

    Args:
        arguments: the command's.
        short: long names of short options.
        last: the option after which what follows is not ours to read.

    Raises:
        ValueError: there is anything else among them.
    """
    rest = iter(arguments)
    for argument in rest:
        name, assigned, value = argument.partition("=")
        name = (short or {}).get(name, name)
        if not name.startswith("--"):
            raise ValueError(argument)
        if not assigned:
            following = next(rest, None)
            if following is None:
                raise ValueError(argument)
            value = following
        yield name, value
        if name == last:
            return


def given(value: str | None) -> str | None:
    """Return an option's value, None if it stands for nothing."""
    return None if value is None or value in _NOTHING else value
