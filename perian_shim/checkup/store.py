"""An object store, tried as a pod and a job use it: with a small object that is deleted again.

The pod's part is done with the credentials of this machine: whether those of the tasks' pods will
do is known only in a pod. A job's part is done as a job does it: with a signed URL, with an upload
form, and, for function tasks, with temporary credentials, which are asked for and not used.
"""

import ipaddress
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from perian_shim import settings
from perian_shim.api.errors import PerianError
from perian_shim.checkup.clocks import clock
from perian_shim.checkup.findings import Finding, Findings, Status, ok, problem, tried, warning
from perian_shim.checkup.here import ways
from perian_shim.errors import MissingSecret, StorageFailed
from perian_shim.job.transfer import Body
from perian_shim.pod.credentials import SecretReader, own_keys, scopers
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.secret_keys import ACCESS_KEYS
from perian_shim.storage import (
    ObjectStore,
    Signing,
    can_presign,
    is_well_formed,
    join_uri,
    needs_flytekit,
    open_store,
    signing_store,
)
from perian_shim.storage.base import UploadPolicy
from perian_shim.storage.reach import Reach
from perian_shim.storage.s3_answers import OK, reason
from perian_shim.storage.web import BrokenOff, NoAnswer, Web
from perian_shim.work.grants import ADVICE
from perian_shim.work.job_credentials import WAYS, StorageAccess, storage_access

CONTENT = b"perian-shim doctor: may be deleted\n"

SIGNED_SECONDS = 300

CLUSTERS = (".svc", ".local", ".internal")
"""Ends of host names that only a cluster knows."""


@dataclass(frozen=True)
class Trial:
    """A store that is tried.

    Attributes:
        prefix: URI of a folder, as tasks are given it for their raw data.
        group: the secret group whose keys sign, and are given to jobs.
        environ: says where the store is, and with which keys it is reached.
        seconds: how long one answer may take.
    """

    prefix: str
    group: str
    environ: Mapping[str, str] = field(repr=False)
    seconds: float = 10.0

    def findings(self) -> Findings:
        """Try the store."""
        unfit = self.unfit()
        if unfit is not None:
            yield unfit
            return
        store = open_store(self.prefix, self.environ)
        signer = signing_store(store, self.prefix, self.environ, self.keys())
        written = tried("store", lambda: self.written(store))
        yield written
        if written.status is not Status.PROBLEM:
            with self.cleaned_up(store):
                yield tried("signed URL", lambda: self.read_by_url(signer))
                yield tried("upload form", lambda: self.posted(store, signer))
        yield tried("access", lambda: lasts(signer.signing()))
        yield tried("function tasks", self.scoped)
        yield from self.place(signer)

    def unfit(self) -> Finding | None:
        """Return why there is nothing to try; None if there is."""
        if needs_flytekit(self.prefix):
            text = f"{self.prefix} is reached by flytekit alone: container tasks cannot use it"
            return warning("store", text, "Use s3:// or gs:// for container tasks.")
        if not can_presign(self.prefix) or not is_well_formed(self.prefix, folder=True):
            text = f"{self.prefix!r} is no folder in an object store"
            return problem("store", text, "Name one like s3://bucket/folder.")
        return None

    @property
    def uri(self) -> str:
        """Where a small object is written."""
        return join_uri(self.folder, "written")

    @property
    def folder(self) -> str:
        """A folder that nobody else uses."""
        return join_uri(self.prefix, f"perian-shim-doctor-{NAME}")

    def keys(self) -> dict[str, str]:
        """Return the keys of the store in the secret group."""
        reader = SecretReader(FlyteSecrets.of_container(self.environ), self.environ)
        return {key: value for key in ACCESS_KEYS if (value := reader.read(self.group, key))}

    def written(self, store: ObjectStore) -> Finding:
        """Write and read as a pod does."""
        store.write(self.uri, CONTENT)
        if store.read(self.uri, len(CONTENT)) != CONTENT:
            return problem("store", f"{self.uri} does not hold what was written to it")
        return ok("store", f"{self.prefix} can be written and read")

    @contextmanager
    def cleaned_up(self, store: ObjectStore) -> Iterator[None]:
        """Delete what has been written, whatever happens; what cannot be is harmless."""
        try:
            yield
        finally:
            for name in ("written", "posted"):
                tried("store", lambda name=name: self.deleted(store, name))  # type: ignore[misc]

    def deleted(self, store: ObjectStore, name: str) -> Finding:
        """Delete an object."""
        store.delete(join_uri(self.folder, name))
        return ok("store", name)

    def read_by_url(self, signer: ObjectStore) -> Finding:
        """Read as a container task's job does."""
        (url,) = signer.presign([self.uri], SIGNED_SECONDS)
        refused = self.asked("GET", url)
        if refused is not None:
            return self.refusal("signed URL", "a signed URL does not read", refused)
        return ok("signed URL", "a job's signed URL reads what the pod has written")

    def posted(self, store: ObjectStore, signer: ObjectStore) -> Finding:
        """Write as a container task's job does."""
        policy = signer.upload_policy(self.folder, SIGNED_SECONDS)
        headers, body = form(policy, "posted", CONTENT)
        refused = self.asked("POST", policy.url, headers, body)
        if refused is not None:
            return self.refusal("upload form", "a job's upload form is refused", refused)
        uri = join_uri(self.folder, "posted")
        if store.read(uri, len(CONTENT)) != CONTENT:
            return problem("upload form", f"{uri} does not hold what was uploaded")
        return ok("upload form", "a job's upload form writes")

    def asked(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> str | None:
        """Make a request with no credentials but those in it; return why it failed."""
        web = Web(self.environ)
        try:
            answer = web.ask(method, url, lambda: headers or {}, body, limit=4096)
        except (NoAnswer, BrokenOff) as error:
            return str(error)
        return None if answer.status in OK else reason(answer)

    def refusal(self, check: str, what: str, why: str) -> Finding:
        """Return the finding for what a job could not do. From here another name may not work."""
        public = settings.text(settings.S3_PUBLIC_ENDPOINT, environ=self.environ)
        if public and urlsplit(self.prefix).scheme == "s3":
            text = f"{what} by {public}, at least not from here: {why}"
            remedy = "See whether that name can be reached from outside the cluster."
            return warning(check, text, remedy)
        return problem(check, f"{what}: {why}", "Check endpoint, region, keys and bucket policy.")

    def scoped(self) -> Finding:
        """Ask for what a function task's job would be given."""
        keys = self.keys()
        in_pod = bool(settings.text(settings.EXECUTION_ID, environ=self.environ))
        own = None if in_pod else own_keys(self.environ)
        found = scopers(self.prefix, {**(own or {}), **keys}, self.environ)
        try:
            access = storage_access(keys.get, self.group, self.environ, own, found)
        except MissingSecret as error:
            return warning("function tasks", error.message, error.remedy)
        return given(access, join_uri(self.folder, "job") + "/")

    def place(self, signer: ObjectStore) -> Findings:
        """Look at where the store is, as jobs see it."""
        try:
            (url,) = signer.presign([self.uri], SIGNED_SECONDS)
        except PerianError:
            return
        parts = urlsplit(url)
        if is_inside(parts.hostname or ""):
            yield warning(
                "store",
                f"jobs on rented machines can hardly reach {parts.hostname}",
                f"Name the store as it is known outside in {settings.S3_PUBLIC_ENDPOINT}.",
            )
        yield from ways(self.environ, [f"{parts.scheme}://{parts.netloc}"])
        yield clock("store", f"{parts.scheme}://{parts.netloc}", self.environ, self.seconds)


NAME = uuid.uuid4().hex[:12]
"""Of the folder, another one for each process."""


def given(access: StorageAccess, folder: str) -> Finding:
    """Return what becomes of asking for temporary credentials."""
    check = "function tasks"
    for scoper in access.scopers:
        try:
            seconds = scoper(Reach(write=(folder,))).seconds
        except StorageFailed as error:
            make = warning if access.fallback else problem
            then = " Jobs are given the keys of the secret group instead." * access.fallback
            return make(check, f"no temporary credentials: {error.message}{then}", error.remedy)
        if seconds != float("inf"):
            text = f"jobs get temporary credentials of {scoper.source}, for {span(seconds)}"
            return ok(check, text)
    return warning(check, access.warning.partition(". ")[0] + ".", f"{WAYS}.")


def lasts(signing: Signing) -> Finding:
    """Say for how long what is signed is good."""
    if signing.seconds is None:
        return ok("access", "what signs for jobs does not end by itself")
    if signing.renewed:
        return ok("access", f"what signs for jobs ends in {span(signing.seconds)}, and is renewed")
    ends = f"in {span(signing.seconds)}" if signing.seconds else "at a time that nobody knows"
    return warning("access", f"what signs for jobs ends {ends}, and nothing renews it", ADVICE)


def span(seconds: float) -> str:
    """Return a time in words."""
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def is_inside(host: str) -> bool:
    """Whether only this machine or network knows a host."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(CLUSTERS)


def form(policy: UploadPolicy, name: str, content: bytes) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an upload, made as a job makes them."""
    fields = {**policy.fields, "key": policy.key_prefix + name}
    pairs = [(key.encode(), value.encode()) for key, value in fields.items()]
    body = Body(pairs, content, threading.Event())
    kind = f"multipart/form-data; boundary={body.boundary.decode()}"
    return {"Content-Type": kind}, b"".join(body)
