"""The secrets of a run: this machine's, where local flytekit looks, and the sandbox's own."""

from collections.abc import Iterator, Mapping

from flytekit.core.context_manager import SecretsManager

KEYS = {
    "perian_organization": "PERIAN_ORGANIZATION",
    "perian_token": "PERIAN_TOKEN",
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
    "aws_region": "AWS_DEFAULT_REGION",
}
"""Keys of the secret group of a task of perian-shim, and the sandbox's variables for them."""

OWN = ("perian_organization", "perian_token")
"""Whoever asks for these is a task of perian-shim; they are asked for before the bucket's keys."""

FOREIGN = ("aws_endpoint_url", "google_application_credentials")
"""Keys of that group which belong to another object store than the sandbox's."""


class RunSecrets(Mapping[tuple[str, str], str]):
    """Gives secrets by group and key.

    Args:
        variables: the sandbox's.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.groups: set[str] = set()
        self.given: set[str] = {
            variables[name] for name in ("PERIAN_TOKEN", "AWS_SECRET_ACCESS_KEY")
        }

    def __getitem__(self, wanted: tuple[str, str]) -> str:
        group, key = wanted
        if key in OWN:
            # A task of perian-shim: it takes its credentials from this group, and they are the
            # sandbox's, never the user's own, whatever this machine has under these names.
            self.groups.add(group)
        if group in self.groups and key in KEYS:
            return self.variables[KEYS[key]]  # or none, whatever this machine has
        if group in self.groups and key in FOREIGN:
            raise KeyError(wanted)
        try:
            value = str(SecretsManager().get(group, key))
        except ValueError:
            raise KeyError(wanted) from None
        self.given.add(value)
        return value

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(())

    def __len__(self) -> int:
        return 0
