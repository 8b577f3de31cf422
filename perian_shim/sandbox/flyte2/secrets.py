"""The secrets of a run: this machine's variables, and the sandbox's own for the pods themselves."""

import threading
from collections.abc import Iterator, Mapping

from flyteidl.core import security_pb2, tasks_pb2

from perian_shim.sandbox.flyte.secrets import FOREIGN, KEYS, OWN


class ActionSecrets(Mapping[tuple[str, str], str]):
    """What tasks have asked for, by group and key; they may ask from several threads.

    Args:
        own: the sandbox's variables: what pods read themselves is never this machine's own.
        environ: this machine's variables.
    """

    def __init__(self, own: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._own = own
        self._environ = environ
        self._values: dict[tuple[str, str], str] = {}
        self._turn = threading.Lock()
        self._given = {own[name] for name in ("PERIAN_TOKEN", "AWS_SECRET_ACCESS_KEY")}

    @property
    def given(self) -> tuple[str, ...]:
        """The values that must not be shown."""
        with self._turn:
            return tuple(self._given)

    def ask(self, template: tasks_pb2.TaskTemplate) -> None:
        """Let a task have the secrets that it asks for, as far as they are there."""
        asked = list(template.security_context.secrets)
        groups = {secret.group for secret in asked if secret.key in OWN}
        with self._turn:
            for secret in asked:
                ours = secret.group in groups and secret.key in (*KEYS, *FOREIGN)
                value = self._of_sandbox(secret.key) if ours else self._of_machine(secret)
                if value is None:
                    continue
                self._values[secret.group, secret.key] = value
                if not ours:
                    self._given.add(value)

    def _of_sandbox(self, key: str) -> str | None:
        return self._own.get(KEYS[key]) if key in KEYS else None

    def _of_machine(self, secret: security_pb2.Secret) -> str | None:
        name = "_".join(filter(None, (secret.group, secret.key))).replace("-", "_").upper()
        return self._environ.get(secret.env_var or name)

    def __getitem__(self, wanted: tuple[str, str]) -> str:
        with self._turn:
            return self._values[wanted]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        with self._turn:
            return iter(tuple(self._values))

    def __len__(self) -> int:
        return len(self._values)
