"""Google's identities: accounts, their keys and tokens, and the services that hand these out."""

import base64
import functools
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from support.front import Received
from support.gcs_boundaries import Boundary, Malformed, parsed_boundary
from support.gcs_signatures import Refused, verify

from perian_shim.sandbox.server.application import Response

CLOUD = "https://www.googleapis.com/auth/cloud-platform"
IAM = "https://www.googleapis.com/auth/iam"
READ_WRITE = "https://www.googleapis.com/auth/devstorage.read_write"
FULL_CONTROL = "https://www.googleapis.com/auth/devstorage.full_control"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
OAUTH = "https://oauth2.googleapis.com/token"
"""What google-auth's assertions are for, wherever they are sent."""
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"

ACCOUNTS = "/computeMetadata/v1/instance/service-accounts/"
"""Where the metadata server tells of the machine's accounts."""

TOKEN_SECONDS = 3600.0
"""How long a token is good."""


@functools.cache
def new_key(name: str) -> rsa.RSAPrivateKey:  # noqa: ARG001 - one for each name
    """A private key; making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Issued:
    """A token that was handed out."""

    text: str = field(repr=False)
    account: str
    scopes: frozenset[str]
    expires: float
    boundary: Boundary | None = None


class Identities:
    """All accounts and tokens that there are.

    Args:
        now: the time since the epoch.
        url: returns where all of this is.

    Attributes:
        pod: the account of whoever asks the metadata server; None for a machine without one.
        scopes: what its tokens are good for if it asks for nothing else.
        signers: who may have whom sign: pairs of accounts.
        tokens: that were handed out, by their text.
        life: of tokens, in seconds.
    """

    def __init__(self, now: Callable[[], float], url: Callable[[], str]) -> None:
        self.now = now
        self.url = url
        self.pod: str | None = None
        self.scopes = frozenset({READ_WRITE})
        self.signers: set[tuple[str, str]] = set()
        self.accounts: dict[str, list[rsa.RSAPrivateKey]] = {}
        self.tokens: dict[str, Issued] = {}
        self.life = TOKEN_SECONDS
        self.numbers = itertools.count(1)

    def add(self, account: str) -> None:
        """Make an account; it has a key of Google's own and may have one that people hold."""
        self.accounts[account] = [new_key(f"google's of {account}")]

    def key_document(self, account: str) -> str:
        """A key of an account, as the JSON that people store."""
        key = new_key(f"people's of {account}")
        if key not in self.accounts[account]:
            self.accounts[account].append(key)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return json.dumps(
            {
                "type": "service_account",
                "client_email": account,
                "private_key": secret.decode(),
                "private_key_id": "1",
                "token_uri": f"{self.url()}/token",
            }
        )

    def keys_of(self, account: str) -> list[rsa.RSAPublicKey]:
        """The public keys of an account."""
        return [key.public_key() for key in self.accounts.get(account, ())]

    def issue(
        self,
        account: str,
        scopes: frozenset[str],
        expires: float | None = None,
        boundary: Boundary | None = None,
    ) -> Issued:
        """Hand out a token."""
        ends = self.now() + self.life if expires is None else expires
        token = Issued(f"ya29.{next(self.numbers)}", account, scopes, ends, boundary)
        self.tokens[token.text] = token
        return token

    def bearer(self, request: Received) -> Issued:
        """The token of a request.

        Raises:
            Refused: it has none that is good.
        """
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(text)
        if kind != "Bearer" or token is None or self.now() >= token.expires:
            raise Refused(401, "AuthenticationRequired", "Invalid Credentials")
        return token

    def metadata(self, request: Received) -> Response:
        """The metadata server."""
        flavor = {"Metadata-Flavor": "Google"}
        if request.headers.get("metadata-flavor") != "Google":
            return Response(403, b"Missing Metadata-Flavor:Google header.", flavor)
        if request.path in {"/", "/computeMetadata/v1/"}:
            return Response(200, b"computeMetadata/\n", flavor)
        whose, _, what = request.path.removeprefix(ACCOUNTS).partition("/")
        if self.pod is None or whose not in {"default", self.pod}:
            return Response(404, b"", flavor)
        told: dict[str, Callable[[], Response]] = {
            "": lambda: said(self.described(), {**flavor, "Content-Type": "application/json"}),
            "email": lambda: Response(200, str(self.pod).encode(), flavor),
            "token": lambda: said(self.pods_token(request), flavor),
        }
        return told.get(what, lambda: Response(404, b"", flavor))()

    def described(self) -> dict[str, object]:
        """What the metadata server tells of the machine's account."""
        return {"aliases": ["default"], "email": self.pod, "scopes": sorted(self.scopes)}

    def pods_token(self, request: Received) -> dict[str, object]:
        """A token of the machine's account."""
        assert self.pod is not None
        wanted = request.query.get("scopes")
        token = self.issue(self.pod, frozenset(wanted.split(",")) if wanted else self.scopes)
        return token_answer(token, self.now())

    def sign(self, request: Received) -> Response:
        """``signBlob`` of the IAM Credentials API."""
        token = self.bearer(request)
        account = unquote(request.path).rpartition("/")[2].removesuffix(":signBlob")
        if token.boundary is not None or not token.scopes & {CLOUD, IAM}:
            raise Refused(403, "Forbidden", "Request had insufficient authentication scopes.")
        if account not in self.accounts or (token.account, account) not in self.signers:
            message = "Permission 'iam.serviceAccounts.signBlob' denied on resource"
            raise Refused(403, "Forbidden", f"{message} (or it may not exist).")
        payload = base64.b64decode(json.loads(request.body)["payload"], validate=True)
        key = self.accounts[account][0]
        signature = key.sign(payload, padding.PKCS1v15(), hashes.SHA256())
        return said({"keyId": "google", "signedBlob": base64.b64encode(signature).decode()})

    def exchange(self, request: Received) -> Response:
        """The Security Token Service: a token for less, of a token for more."""
        form = form_of(request)
        wide = self.tokens.get(form.get("subject_token", ""))
        kinds = {form.get("subject_token_type"), form.get("requested_token_type")}
        if form.get("grant_type") != EXCHANGE or kinds != {ACCESS_TOKEN}:
            return oauth_error("unsupported_grant_type", "Bad request")
        if wide is None or self.now() >= wide.expires or wide.boundary is not None:
            return oauth_error("invalid_grant", "The subject token is not good.")
        if CLOUD not in wide.scopes:
            return oauth_error("invalid_request", "The subject token lacks cloud-platform.")
        try:
            boundary = parsed_boundary(json.loads(unquote(form.get("options", ""))))
        except (ValueError, Malformed) as error:
            return oauth_error("invalid_request", f"Invalid access boundary: {error}")
        token = self.issue(wide.account, wide.scopes, wide.expires, boundary)
        return said({**token_answer(token, self.now()), "issued_token_type": ACCESS_TOKEN})

    def oauth(self, request: Received) -> Response:
        """A token for whoever proves to have an account's key."""
        form = form_of(request)
        if form.get("grant_type") != JWT_BEARER:
            return oauth_error("unsupported_grant_type", "Bad request")
        head, _, signature = form["assertion"].rpartition(".")
        claims = json.loads(of_base64(head.partition(".")[2]))
        account = claims["iss"]
        try:
            verify(head, of_base64(signature).hex(), self.keys_of(account))
        except Refused:
            return oauth_error("invalid_grant", "Invalid JWT Signature.")
        if claims["aud"] not in {OAUTH, f"{self.url()}/token"}:
            return oauth_error("invalid_grant", "Invalid audience.")
        token = self.issue(account, frozenset(claims["scope"].split()))
        return said(token_answer(token, self.now()))


def token_answer(token: Issued, now: float) -> dict[str, object]:
    """How a token is handed out."""
    lives = int(token.expires - now)
    return {"access_token": token.text, "expires_in": lives, "token_type": "Bearer"}


def form_of(request: Received) -> dict[str, str]:
    """The fields of a form in a request's body."""
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def of_base64(text: str) -> bytes:
    """Bytes of base64 for URLs, which is not filled up."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def said(content: object, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(200, json.dumps(content).encode(), headers or {})


def oauth_error(error: str, description: str) -> Response:
    """A refusal to hand out a token."""
    content = {"error": error, "error_description": description}
    return Response(400, json.dumps(content).encode(), {})
