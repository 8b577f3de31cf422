"""What the container's arguments tell the executor beside the template.

They are pairs of a name and a value after the executor's own name: where the user's code is
(``distribution``, ``destination``), and what a map task binds for all its items (``mapped``). A
name that this version does not know is refused: a newer version would not send it for nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from perian_shim.errors import InvalidTemplate, TemplateTooNew

DISTRIBUTION = "distribution"
DESTINATION = "destination"
MAPPED = "mapped"


@dataclass(frozen=True)
class Distribution:
    """The user's code, when it was registered apart from the image.

    Attributes:
        location: URI of the archive.
        destination: folder in the container to unpack it into.
    """

    location: str
    destination: str

    def __post_init__(self) -> None:
        if "{{" in self.location:
            message = (
                "The task was packaged without its code's location: the archive's address was to be"
                f" filled in for {self.location!r} when the package was registered."
            )
            remedy = "Register the package with `flytectl register files`, or use pyflyte register."
            raise InvalidTemplate(message, remedy=remedy)


CODE_OPTIONS = ("--tgz", "--pkl")


@dataclass(frozen=True)
class ActionCall:
    """What a pod of Flyte 2 was told that its job's ``a0`` has to know as well.

    Attributes:
        options: options of ``a0`` by name: the version, the run's names, the code bundle, the
            images of other tasks; not where inputs and outputs are, nor what to load.
        context: what the document of inputs holds beside them, as serialized fields: the run's
            custom context.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    context: bytes = b""

    @property
    def code(self) -> str | None:
        """URI of the code bundle, None when the image has the code."""
        found = [self.options[name] for name in CODE_OPTIONS if self.options.get(name)]
        return found[0] if found else None


@dataclass(frozen=True)
class LaunchOptions:
    """The arguments, read.

    Attributes:
        distribution: the user's code, None when the image has it.
        bound: inputs that all items of a map task share, None when this is no item of one.
        call: what Flyte 2 has told the pod.
    """

    distribution: Distribution | None = None
    bound: frozenset[str] | None = None
    call: ActionCall = field(default_factory=ActionCall)

    @property
    def code(self) -> str:
        """URI of the user's code, "" when the image has it."""
        return self.distribution.location if self.distribution else self.call.code or ""

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> "LaunchOptions":
        """Read pairs of name and value.

        Raises:
            TemplateTooNew: a name is unknown.
            InvalidTemplate: the code's location was never filled in.
        """
        options = dict(zip(arguments[::2], arguments[1::2], strict=False))
        unknown = set(options) - {DISTRIBUTION, DESTINATION, MAPPED}
        if unknown:
            message = f"The container's arguments have options that are unknown: {sorted(unknown)}."
            raise TemplateTooNew(message)
        distribution = None
        if DISTRIBUTION in options:
            distribution = Distribution(options[DISTRIBUTION], options.get(DESTINATION, "."))
        bound = None
        if MAPPED in options:
            bound = frozenset(filter(None, options[MAPPED].split(",")))
        return cls(distribution, bound)
