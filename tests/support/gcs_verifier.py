"""A Google Cloud for tests, over real HTTP, that believes nothing: all it is shown it verifies.

``with GoogleCloud("bucket") as google:`` serves, at ``google.url``, what a pod and a job ask of
Google: Cloud Storage (JSON and XML API), the metadata server, ``signBlob``, the Security Token
Service and the token endpoint of keys. Signatures of URLs and forms are computed anew from what
came over the wire; a narrowed token is good for just what its boundary allows.
``google.pass_time`` makes things end without waiting.

A pod finds it by ``google.environ``; its account is ``POD``, which may sign for itself and may do
anything with the buckets. ``google.key()`` is a key of the account ``SIGNER`` for the secret
``google_application_credentials``. With ``emulates=True`` it is as an emulator is: the JSON API
asks for no token, and the pod has no identity; signatures are verified all the same.
"""

import threading
import time
from types import TracebackType

from support.front import Exchange, Front, Received
from support.gcs_identities import CLOUD, FULL_CONTROL, READ_WRITE, Identities, Issued
from support.gcs_objects import Gate, Objects, http_date, json_refusal, xml_name, xml_refusal
from support.gcs_signatures import Refused, check_form, check_url, is_signed, parsed_form

from perian_shim.sandbox.server.application import Response

POD = "pod@project.iam.gserviceaccount.com"
SIGNER = "signer@project.iam.gserviceaccount.com"
STRANGER = "stranger@elsewhere.iam.gserviceaccount.com"
"""An account that Google knows, but that may do nothing with the buckets."""


class GoogleCloud:
    """All of it.

    Args:
        *buckets: names of the empty buckets that there are.
        emulates: whether it is as an emulator is.

    Attributes:
        identities: accounts and tokens; ``identities.pod`` is whose the machine is.
        objects: the buckets.
        welcome: accounts that may do anything with them.
    """

    def __init__(self, *buckets: str, emulates: bool = False) -> None:
        self.ahead = 0.0
        self.front = Front(behind=self.answer)
        self.lock = threading.RLock()
        self.identities = Identities(self.now, lambda: self.url)
        self.objects = Objects(self.now, lambda: self.url)
        self.objects.buckets = {name: {} for name in buckets}
        for account in (POD, SIGNER, STRANGER):
            self.identities.add(account)
        self.identities.pod = None if emulates else POD
        self.identities.signers = {(POD, POD)}
        self.welcome = {POD, SIGNER}
        self.emulates = emulates

    def __enter__(self) -> "GoogleCloud":  # noqa: PYI034 - Self needs Python 3.11
        self.front.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.front.__exit__(kind, error, traceback)

    def now(self) -> float:
        """The time since the epoch, as it is here."""
        return time.time() + self.ahead

    def pass_time(self, seconds: float) -> None:
        """Let it be later, here."""
        self.ahead += seconds

    @property
    def url(self) -> str:
        """Where all of it is."""
        return self.front.url

    @property
    def requests(self) -> list[Received]:
        """What has been asked."""
        return self.front.requests

    @property
    def environ(self) -> dict[str, str]:
        """What a pod has in its environment."""
        common = {
            "HOME": "/no/such/home",
            "NO_PROXY": "127.0.0.1",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS": self.url,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_STS": self.url,
        }
        if self.emulates:
            return {**common, "STORAGE_EMULATOR_HOST": self.url}
        storage = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": self.url}
        return {**common, **storage, "GCE_METADATA_HOST": self.url.partition("://")[2]}

    def key(self, account: str = SIGNER) -> str:
        """A key of an account, as the JSON that people store."""
        return self.identities.key_document(account)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Create an object."""
        with self.lock:
            self.objects.put(bucket, key, content)

    def contents(self, bucket: str) -> dict[str, bytes]:
        """What is in a bucket."""
        with self.lock:
            return {key: found.content for key, found in self.objects.buckets[bucket].items()}

    def answer(self, exchange: Exchange) -> Response:
        """Answer one request."""
        request = exchange.request
        with self.lock:
            response = self.answered(request)
        dated = {"Date": http_date(self.now()), **response.headers}
        return Response(response.status, response.body, dated)

    def answered(self, request: Received) -> Response:
        """Answer one request: of which service, the path tells."""
        services = {
            "/computeMetadata/": self.identities.metadata,
            "/v1/projects/-/serviceAccounts/": self.identities.sign,
            "/v1/token": self.identities.exchange,
            "/token": self.identities.oauth,
            "/storage/v1/": self.json_api,
            "/upload/storage/v1/": self.json_api,
            "/download/storage/v1/": self.json_api,
        }
        if request.path == "/":
            return self.identities.metadata(request)
        service = next((s for at, s in services.items() if request.path.startswith(at)), None)
        try:
            return self.xml_api(request) if service is None else service(request)
        except Refused as error:
            return xml_refusal(error) if service is None else json_refusal(error)

    def json_api(self, request: Received) -> Response:
        """The JSON API."""
        if self.emulates and "authorization" not in request.headers:
            return self.objects.json_api(request, lambda *_: None)
        return self.objects.json_api(request, self.by_token(request))

    def xml_api(self, request: Received) -> Response:
        """The XML API: signed URLs and forms, and tokens."""
        if request.method == "POST":
            bucket, rest = xml_name(request)
            if rest:
                raise Refused(400, "InvalidArgument", "A form is sent to a bucket.")
            form = parsed_form(request)
            account = check_form(form, bucket, self.identities.keys_of, self.now())
            return self.objects.xml_post(form, bucket, self.by_account(account))
        gate = (
            self.by_account(check_url(request, self.identities.keys_of, self.now()))
            if is_signed(request)
            else self.by_token(request)
        )
        if request.method in {"GET", "HEAD"}:
            return self.objects.xml_get(request, gate)
        return self.objects.xml_change(request, gate)

    def by_account(self, account: str) -> Gate:
        """What an account may do."""

        def gate(permission: str, bucket: str, key: str | None, listed: str) -> None:
            del listed
            if account not in self.welcome:
                message = f"{account} does not have {permission} access to {bucket}/{key or ''}."
                raise Refused(403, "AccessDenied", message)

        return gate

    def by_token(self, request: Received) -> Gate:
        """What the token of a request is good for."""
        token = self.identities.bearer(request)
        own = self.by_account(token.account)

        def gate(permission: str, bucket: str, key: str | None, listed: str) -> None:
            own(permission, bucket, key, listed)
            expect_within(token, permission, bucket, key, listed)

        return gate


def expect_within(
    token: Issued, permission: str, bucket: str, key: str | None, listed: str
) -> None:
    """Expect that a token is good for something."""
    narrow = token.boundary
    good = token.scopes & {CLOUD, FULL_CONTROL, READ_WRITE}
    if good and (narrow is None or narrow.allows(permission, bucket, key, listed)):
        return
    message = f"The credentials do not have {permission} access to {bucket}/{key or ''}."
    raise Refused(403, "AccessDenied", message)
