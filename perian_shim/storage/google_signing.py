"""What signs for Google Cloud Storage.

A service account's key signs by itself, for as long as the key lives: google-auth reads it, in a
process of its own that signs many texts at once and ends. Whoever has no key, but is a service
account or may act as one, has Google sign (``signBlob``), with a key that Google changes by itself:
such a signature is good for twelve hours, then perhaps no more. A person's login cannot sign.
"""

import base64
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from urllib.parse import quote

from perian_shim.errors import InvalidInput, StorageFailed
from perian_shim.storage.base import Signing
from perian_shim.storage.child import answer_of
from perian_shim.storage.failures import told
from perian_shim.storage.google_credentials import (
    FEDERATED,
    IMPERSONATED,
    KEY,
    GoogleCredentials,
    credentials_file,
    read_credentials,
    secret_key,
)
from perian_shim.storage.google_endpoints import GoogleEndpoints
from perian_shim.storage.google_metadata import account_of_metadata
from perian_shim.storage.google_token import (
    CLOUD_PLATFORM,
    Token,
    token_chain,
    token_of_google_auth,
)
from perian_shim.storage.renewal import Renewed
from perian_shim.storage.web import Answer, BrokenOff, NoAnswer, Web, is_busy

KEY_SECONDS = 7 * 24 * 3600
"""The longest life of what a key signs, by Google's rules."""

BLOB_SECONDS = 12 * 3600
"""For how long what Google signed is good for sure."""

AT_A_TIME = 8
"""So many texts are sent to be signed at a time."""

_OK = 200
_TOKEN_CREATOR = "roles/iam.serviceAccountTokenCreator"  # noqa: S105 - a role
_NO_LIBRARY = (
    "Use the executor image with flytekit, or no key: a pod with workload identity needs neither."
)
_INSTEAD = (
    "Let the pod be a service account (workload identity) that has"
    f" {_TOKEN_CREATOR} on itself, or give it credentials that impersonate one, or store a service"
    " account's key as the task's secret google_application_credentials."
)

_SOURCE = """
import base64, json, sys
sys.path[:] = json.loads(sys.stdin.readline())
asked = json.loads(sys.stdin.readline())
try:
    from google.auth import crypt
except ImportError:
    sys.exit(json.dump({"missing": True}, sys.stdout))
try:
    signer = crypt.RSASigner.from_service_account_info(asked["document"])
    made = [base64.b64encode(signer.sign(text.encode())).decode() for text in asked["texts"]]
except Exception as error:
    sys.exit(json.dump({"error": type(error).__name__}, sys.stdout))
json.dump({"signatures": made}, sys.stdout)
"""


class Signer(Protocol):
    """Signs texts for a service account, by RSA with SHA-256."""

    @property
    def longest(self) -> int:
        """For how many seconds what is signed may be good."""
        ...

    def account(self) -> str:
        """Return the service account's e-mail address.

        Raises:
            StorageFailed: it cannot be found out.
            InvalidInput: nothing can be signed.
        """
        ...

    def sign(self, texts: Sequence[str]) -> list[bytes]:
        """Return a signature for each text.

        Raises:
            StorageFailed: they could not be made.
        """
        ...

    def signing(self) -> Signing:
        """Return for how long signatures are good."""
        ...


class KeySigner:
    """Signs with a service account's key.

    Args:
        key: the key.
        environ: of the process that signs.
    """

    longest = KEY_SECONDS

    def __init__(self, key: GoogleCredentials, environ: Mapping[str, str]) -> None:
        self._key = key
        self._environ = environ

    def account(self) -> str:
        """Return the key's account."""
        return self._key.account

    def sign(self, texts: Sequence[str]) -> list[bytes]:
        """Return a signature for each text."""
        given = {"document": dict(self._key.content), "texts": list(texts)}
        found = answer_of(_SOURCE, self._environ, "Signing for Google Cloud Storage", given)
        if "missing" in found:
            why = "a service account's key signs by google-auth, which is not installed"
            raise unsigned(why, remedy=_NO_LIBRARY)
        if "error" in found:
            why = f"the private key in {self._key.origin} is of no use ({found['error']})"
            raise unsigned(why, remedy="Make a new key for the service account, and store that.")
        return [base64.b64decode(text) for text in found["signatures"]]

    def signing(self) -> Signing:
        """Return that a key has no end."""
        return Signing(None, renewed=True)


class BlobSigner:
    """Has Google sign.

    Args:
        account: returns the account's e-mail address; may raise ``StorageFailed``.
        token: what may have it sign.
        web: makes the requests.
        url: of the IAM Credentials API.
        delegates: accounts that stand between us and the account.
    """

    longest = BLOB_SECONDS

    def __init__(
        self,
        account: Callable[[], str],
        token: Renewed[Token],
        web: Web,
        url: str,
        delegates: Sequence[str] = (),
    ) -> None:
        self._account = account
        self._token = token
        self._web = web
        self._url = url
        self._delegates = list(delegates)

    def account(self) -> str:
        """Return the account's e-mail address."""
        return self._account()

    def sign(self, texts: Sequence[str]) -> list[bytes]:
        """Return a signature for each text, several at a time."""
        account = self.account()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            return list(pool.map(lambda text: self._signed(account, text), texts))

    def signing(self) -> Signing:
        """Return for how long what Google signs is good."""
        return Signing(BLOB_SECONDS, renewed=True)

    def _signed(self, account: str, text: str) -> bytes:
        url = f"{self._url}/v1/projects/-/serviceAccounts/{quote(account, safe='@')}:signBlob"
        asked = {"payload": base64.b64encode(text.encode()).decode()}
        body = json.dumps({**asked, **({"delegates": d} if (d := self._delegates) else {})})

        def headers() -> Mapping[str, str]:
            token = self._token.current().text
            return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

        try:
            answer = self._web.ask("POST", url, headers, body.encode())
        except (NoAnswer, BrokenOff) as error:
            raise unsigned(str(error), passing=getattr(error, "passing", True)) from error
        if answer.status != _OK:
            raise refused(account, answer)
        try:
            return base64.b64decode(json.loads(answer.body)["signedBlob"])
        except (ValueError, KeyError, TypeError):
            raise unsigned("the answer holds no signature") from None


class NoSigner:
    """Says why nothing can be signed.

    Args:
        why: the reason, as the end of a sentence.
    """

    longest = KEY_SECONDS

    def __init__(self, why: str) -> None:
        self._why = why

    def account(self) -> str:
        """Refuse."""
        message = f"Nothing can be signed for Google Cloud Storage: {self._why}."
        raise InvalidInput(message, remedy=_INSTEAD)

    def sign(self, texts: Sequence[str]) -> list[bytes]:  # noqa: ARG002 - as a Signer
        """Refuse."""
        raise AssertionError(self.account())

    def signing(self) -> Signing:
        """Return that nothing ends: nothing is signed."""
        return Signing()


def signer_for(environ: Mapping[str, str], web: Web, secrets: Mapping[str, str]) -> Signer:
    """Return what lives longest of all that may sign: a key, then the pod's own identity.

    Args:
        environ: of the pod.
        web: makes requests.
        secrets: the task's.

    Raises:
        InvalidInput: the secret for it is no key.
        StorageFailed: the file of credentials cannot be read.
    """
    if (key := secret_key(secrets)) is not None:
        return KeySigner(key, environ)
    endpoints = GoogleEndpoints.read(environ)
    if (file := credentials_file(environ)) is not None:
        return signer_of(read_credentials(file), environ, web, endpoints.iam)
    if endpoints.emulated:
        return NoSigner("the storage is an emulator, and no service account's key is given")
    account = functools.cache(lambda: account_of_pod(environ, web))
    return BlobSigner(account, token_chain(environ, web, CLOUD_PLATFORM), web, endpoints.iam)


def signer_of(found: GoogleCredentials, environ: Mapping[str, str], web: Web, url: str) -> Signer:
    """Return what signs by a file of credentials."""
    if found.kind == KEY:
        return KeySigner(found, environ)
    if found.kind == IMPERSONATED and found.account:
        # Who may act as the account may have it sign; the account itself need not be allowed to.
        source = found.content.get("source_credentials")
        token = Renewed(lambda: token_of_google_auth(environ, CLOUD_PLATFORM, source))
        delegates = found.content.get("delegates") or ()
        return BlobSigner(lambda: found.account, token, web, url, delegates)
    if found.kind == FEDERATED and found.account:
        token = token_chain(environ, web, CLOUD_PLATFORM)
        return BlobSigner(lambda: found.account, token, web, url)
    return NoSigner(f"{found.origin} (type {found.kind!r}) makes nobody a service account")


def account_of_pod(environ: Mapping[str, str], web: Web) -> str:
    """Return the e-mail address of the pod's service account.

    Raises:
        StorageFailed: it cannot be found out.
        InvalidInput: the pod is none.
    """
    account = account_of_metadata(environ, web, unsigned)
    if "@" not in account:  # a pool of identities of Kubernetes, with no account behind it
        NoSigner(f"the pod is no service account of Google's, but {account!r}").account()
    return account


def refused(account: str, answer: Answer) -> StorageFailed:
    """Return the error for Google's refusal to sign."""
    try:
        said = str(json.loads(answer.body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        said = ""
    remedy = (
        f"Grant {_TOKEN_CREATOR} on {account} to the pod's identity (to the account itself, with"
        " workload identity), and enable the IAM Service Account Credentials API in its project."
    )
    busy = is_busy(answer)
    why = f"signing for {account} got {told(answer.status, said)}"
    return unsigned(why, passing=busy, remedy=None if busy else remedy)


def unsigned(why: str, *, passing: bool = False, remedy: str | None = None) -> StorageFailed:
    """Return the error for what could not be signed."""
    failure = StorageFailed(f"Signing for Google Cloud Storage failed: {why}.", remedy=remedy)
    failure.passing = passing
    return failure
