"""Tokens that are fetched, and fetched anew when the API refuses them.

A token that a person logs in for ends after some hours. ``CommandToken`` gets it from a program
that prints one, ``FileToken`` from a file that is kept fresh. Both keep what they got until it is
refused, and may be used from several threads and by several clients at once. Neither a token nor
anything else that a program prints or a file holds is in any message.

A pod never imports this: it reads its token where Flyte hands it over.
"""

import os
import select
import shlex
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, final

from perian_shim.api.errors import ClientConfigError
from perian_shim.api.server_text import MAX_FOREIGN_TEXT, tidy

LONGEST_TOKEN = 64 << 10
"""In bytes; what is longer is none, and no server would take it in a header."""


class TokenSource(Protocol):
    """Where a token comes from."""

    def current(self) -> str:
        """Return the token to send.

        Raises:
            ClientConfigError: there is none to be had.
        """

    def renewed(self, refused: str) -> str | None:
        """Return another token than the one that was refused; None if there is no other.

        Raises:
            ClientConfigError: there is none to be had.
        """


class KeptToken(ABC):
    """A token that is kept until it is refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token: str | None = None

    @abstractmethod
    def _fetched(self) -> str:
        """Get a token."""

    def current(self) -> str:
        """Return the token, fetched if it has not been.

        Raises:
            ClientConfigError: there is none to be had.
        """
        with self._lock:
            if self._token is None:
                self._token = self._fetched()
            return self._token

    def renewed(self, refused: str) -> str | None:
        """Return another token than the one that was refused; None if there is no other.

        One that somebody else has had renewed meanwhile is not fetched again.

        Raises:
            ClientConfigError: there is none to be had.
        """
        with self._lock:
            if self._token is None or self._token == refused:
                self._token = self._fetched()
            return None if self._token == refused else self._token


@final
class CommandToken(KeptToken):
    """A token that a program prints on its standard output, and nothing else.

    It is run without a shell and without standard input; what it prints on its standard error is
    not shown, for it may be the token.

    Args:
        command: program and arguments, or both as one string, quoted as for a shell.
        timeout: seconds that it may take.

    Raises:
        ClientConfigError: the command is empty, or its quotes do not match.
        ValueError: the timeout is not above 0.
    """

    def __init__(self, command: Sequence[str] | str, timeout: float = 30.0) -> None:
        super().__init__()
        if not timeout > 0:
            message = f"timeout: expected seconds above 0, got {timeout!r}"
            raise ValueError(message)
        try:
            words = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as fault:
            message = f"The command that gets the Perian token cannot be read: {fault}."
            raise ClientConfigError(message, remedy="Quote it as for a shell.") from None
        if not words or not words[0]:
            message = "The command that gets the Perian token is empty."
            raise ClientConfigError(message, remedy="Name a program that prints a token.")
        self._words = words
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"CommandToken({self.name!r})"

    @property
    def name(self) -> str:
        """The program; its arguments may be confidential."""
        return tidy(self._words[0], MAX_FOREIGN_TEXT)

    def _fetched(self) -> str:
        """Run the command."""
        try:
            code, content = output_of(self._words, self._timeout)
        except FileNotFoundError:
            raise self._fault("was not found", "Check its name and the PATH.") from None
        except subprocess.TimeoutExpired:
            raise self._fault(f"had not ended after {self._timeout:g} s") from None
        except (OSError, ValueError) as fault:
            reason = (fault.strerror if isinstance(fault, OSError) else "") or type(fault).__name__
            raise self._fault(f"cannot be run ({reason})", "Check the command.") from None
        token, instead = one_token(content)
        if code < 0 and len(content) <= LONGEST_TOKEN:
            raise self._fault(f"was ended by signal {-code}")
        if code > 0:
            raise self._fault(f"failed with exit code {code}")
        if instead:
            raise self._fault(f"printed {instead}")
        return token

    def _fault(self, what: str, remedy: str = "Run it to see what it says.") -> ClientConfigError:
        message = f"The command that gets the Perian token, {self.name!r}, {what}."
        return ClientConfigError(message, remedy=remedy)


def output_of(words: Sequence[str], seconds: float) -> tuple[int, bytes]:
    """Run a program; return its exit code and what it prints, as far as that may be a token.

    One that prints more is ended.

    Raises:
        subprocess.TimeoutExpired: it, or what it has started, prints on after so many seconds.
        OSError: it cannot be run.
        ValueError: its name or an argument cannot be handed over.
    """
    deadline = time.monotonic() + seconds
    content = bytearray()
    null = subprocess.DEVNULL
    with subprocess.Popen(words, stdin=null, stdout=subprocess.PIPE, stderr=null) as program:
        assert program.stdout is not None
        try:
            poller = select.poll()
            poller.register(program.stdout)
            while len(content) <= LONGEST_TOKEN:
                if not poller.poll(max(deadline - time.monotonic(), 0.0) * 1000):
                    raise subprocess.TimeoutExpired("", seconds)
                piece = os.read(program.stdout.fileno(), LONGEST_TOKEN)
                if not piece:
                    return program.wait(max(deadline - time.monotonic(), 0.0)), bytes(content)
                content += piece
            program.kill()
            return program.wait(), bytes(content)
        except BaseException:  # Ctrl-C too
            program.kill()
            raise


@final
class FileToken(KeptToken):
    """A token that a file holds, such as a secret that is mounted and replaced when it changes.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        self._path = Path(path)

    def __repr__(self) -> str:
        return f"FileToken({str(self._path)!r})"

    def _fetched(self) -> str:
        """Read the file."""
        try:
            with self._path.open("rb") as stream:
                content = stream.read(LONGEST_TOKEN + 1)
        except (OSError, ValueError) as fault:
            reason = (fault.strerror if isinstance(fault, OSError) else "") or type(fault).__name__
            raise self._fault(f"cannot be read ({reason})") from None
        token, instead = one_token(content)
        if instead:
            raise self._fault(f"holds {instead}")
        return token

    def _fault(self, what: str) -> ClientConfigError:
        shown = tidy(str(self._path), MAX_FOREIGN_TEXT)
        message = f"The file of the Perian token, {shown!r}, {what}."
        return ClientConfigError(message, remedy="Put the token into it, and nothing else.")


def one_token(content: bytes) -> tuple[str, str]:
    """Return the token that is all of some bytes, or what they are instead."""
    text = content.strip()
    if not text:
        return "", "nothing"
    if len(text) > LONGEST_TOKEN:
        return "", "more than a token"
    if len(text.splitlines()) > 1:
        return "", "several lines instead of one token"
    if not all(0x20 < byte < 0x7F for byte in text):  # noqa: PLR2004 - visible ASCII
        return "", "what is no token: characters that an HTTP header cannot carry, or spaces"
    return text.decode("ascii"), ""
