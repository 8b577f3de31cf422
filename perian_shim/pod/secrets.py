"""Flyte secrets where the backend puts them: a variable, else a file; where flytekit looks as well.

Kubernetes secrets arrive as ``_FSEC_<GROUP>_<KEY>`` or as files below ``/etc/secrets``. The
``FLYTE_SECRETS_*`` variables, which Flyte's webhook sets, say otherwise if they are there. A value
is what is stored, to the last byte: an OpenSSH key without the newline at its end is none.
(flytekit strips what it reads.)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from perian_shim import settings
from perian_shim.errors import MissingSecret

ENV_PREFIX = "FLYTE_SECRETS_ENV_PREFIX"
DEFAULT_DIR = "FLYTE_SECRETS_DEFAULT_DIR"
FILE_PREFIX = "FLYTE_SECRETS_FILE_PREFIX"

NO_TEXT = "Store it as text, for example in base64: Perian hands a job text only."


@dataclass(frozen=True)
class FlyteSecrets:
    """Reads the secrets that a process is given.

    Attributes:
        environ: the process's environment.
        prefixes: what the names of the variables begin with, in the order in which they are tried.
        folder: below which files are looked for.
        file_prefix: what the names of the files begin with.
    """

    environ: Mapping[str, str] = field(repr=False)
    prefixes: tuple[str, ...] = ("_FSEC_",)
    folder: str = "/etc/secrets"
    file_prefix: str = ""

    @classmethod
    def of_container(cls, environ: Mapping[str, str]) -> "FlyteSecrets":
        """Return what reads the secrets of a container.

        Args:
            environ: the container's environment.
        """
        return cls(
            environ,
            (settings.text(ENV_PREFIX, "_FSEC_", environ),),
            settings.text(DEFAULT_DIR, "/etc/secrets", environ),
            settings.text(FILE_PREFIX, "", environ),
        )

    @classmethod
    def of_action(cls, environ: Mapping[str, str]) -> "FlyteSecrets":
        """Return what reads the secrets of a container of Flyte 2.

        There a secret is a variable named for its group and key, with or without the prefix.

        Args:
            environ: the container's environment.
        """
        return cls(
            environ,
            (settings.text(ENV_PREFIX, "_FSEC_", environ), ""),
            settings.text(DEFAULT_DIR, "/etc/flyte/secrets", environ),
            settings.text(FILE_PREFIX, "", environ),
        )

    def get(self, group: str, key: str) -> str | None:
        """Return a secret's value, None if there is none.

        Raises:
            MissingSecret: it is in a file that holds no text.
        """
        for variable in self.variables(group, key):
            if variable in self.environ:
                return self.environ[variable]
        return content_of(self.file(group, key))

    def places(self, group: str, key: str) -> Iterator[str]:
        """Say where a secret is looked for."""
        for variable in self.variables(group, key):
            yield f"variable {variable}"
        yield f"file {self.file(group, key)}"

    def variables(self, group: str, key: str) -> Iterator[str]:
        """Yield the names of the variables that may hold a secret."""
        for prefix in self.prefixes:
            name = prefix + "_".join(part for part in (group, key) if part).upper()
            yield name
            if not prefix and "-" in name:  # as flyte names it: a shell's names have no hyphens
                yield name.replace("-", "_")

    def file(self, group: str, key: str) -> Path:
        """Return the file that may hold a secret."""
        *folders, name = (part.lower() for part in (group, key) if part)
        return Path(self.folder, *folders, self.file_prefix + name)


def content_of(path: Path) -> str | None:
    """Return the text in a file, None if there is no such file that can be read.

    Raises:
        MissingSecret: it holds no text.
    """
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise MissingSecret(f"The secret in {path} is no text.", remedy=NO_TEXT) from None
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
