"""Grants: what a job may use to reach its data now, and where it reads the next one.

Nothing that is signed outlives the credentials behind it, and Perian cannot change a job once it is
submitted. So a job holds one URL, that of a small object which the pod writes anew in good time
while it follows the job; each grant names the URL of the next read, signed anew. The object lies
with the pod's own files of the node, where no job can write. When it is deleted, at the job's end,
every URL of it is dead, and what the last grant gave ends within ``LONGEST_SECONDS``.

No clock of the job's is compared with the pod's: a grant says after how many seconds the next one
is to be read, and for how many from its writing it is good.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from perian_shim.errors import AccessTooShort
from perian_shim.storage import ObjectStore, Signing, join_uri
from perian_shim.storage.sigv4 import MAX_EXPIRY_SECONDS
from perian_shim.work.records import Record, text_of

LONGEST_SECONDS = 3600.0
"""How long a grant is good at most, and so what a job was given after its end."""

READS = 8
"""How often a job reads its grant within the life of one."""

ADVICE = (
    "Give the pod credentials that last or are renewed: web identity or pod identity of its service"
    " account, or keys of an IAM user; or bound the task with a shorter `timeout` and"
    " `max_queued_time`; or accept it: PerianConfig(allow_short_access=True)."
)


@dataclass(frozen=True)
class Access:
    """What a grant gives.

    Attributes:
        records: as the job reads them.
        seconds: for how long it is good.
    """

    records: tuple[Record, ...] = field(repr=False)
    seconds: float


AccessFor = Callable[[float], Access]
"""Returns access that is good for so many seconds, or for fewer."""


@dataclass(frozen=True)
class Given:
    """What a job is given at first.

    Attributes:
        url: where it reads its grant.
        seconds: for how long the URL is good if a later one could be good for longer; None if
            none could, or if it is good for days.
    """

    url: str = field(repr=False)
    seconds: float | None


@dataclass
class Grants:
    """The grants of one run's jobs, each known by the prefix below which its job writes.

    Attributes:
        store: the store that holds them, whose outages are ridden out.
        at_once: the same for what must not be waited for.
        folder: URI of the folder for them.
        now: seconds since some moment.
        due: when each is to be written again.
    """

    store: ObjectStore
    at_once: ObjectStore
    folder: str
    now: Callable[[], float] = time.monotonic
    due: dict[str, float] = field(default_factory=dict, init=False)

    def uri(self, output: str) -> str:
        """Return where the grant of a job is."""
        return join_uri(self.folder, hashlib.sha256(output.encode()).hexdigest()[:40])

    def give(self, output: str, access_for: AccessFor) -> Given:
        """Write a grant, and return what a new job needs to read it.

        Args:
            output: URI of the job's prefix.
            access_for: makes what it gives.

        Raises:
            StorageFailed: nothing could be signed or written.
        """
        return self.write(self.store, output, access_for)

    def write(self, store: ObjectStore, output: str, access_for: AccessFor) -> Given:
        """Write a grant to a store, and note when it is due again."""
        began = self.now()
        signing = store.signing()
        life = LONGEST_SECONDS if not signing.seconds else min(LONGEST_SECONDS, signing.seconds)
        access = access_for(life)
        lives = max(min(access.seconds, life), 1.0)
        lasts = signing.seconds or MAX_EXPIRY_SECONDS
        (url,) = store.presign([self.uri(output)], int(min(lasts, MAX_EXPIRY_SECONDS)))
        records = [
            ("renew", str(max(int(lives / READS), 1))),
            ("lives", str(int(lives))),
            ("next", url),
            *access.records,
            ("end",),
        ]
        store.write(self.uri(output), text_of(records))
        self.due[output] = began + lives / 2
        return Given(url, signing.seconds if signing.renewed else None)

    def keep(self, output: str, access_for: AccessFor) -> None:
        """Write a grant anew if half of its life has passed, or if it is not known when it was.

        Raises:
            StorageFailed: it could not be written.
        """
        due = self.due.get(output)
        if due is None or self.now() >= due:
            self.write(self.at_once, output, access_for)

    def revoke(self, output: str) -> None:
        """Delete the grant of a job that has ended.

        Raises:
            StorageFailed: it could not be deleted.
        """
        self.due.pop(output, None)
        self.at_once.delete(self.uri(output))


def check_life(signing: Signing, needed: float | None, *, accepted: bool) -> None:
    """Expect access that can last as long as the job, before a machine is paid for.

    Args:
        signing: how long what is signed stays good.
        needed: how long the job may take, in seconds; None if nothing bounds it.
        accepted: whether access that may end before the job is accepted.

    Raises:
        AccessTooShort: it may end before the job.
    """
    if accepted or signing.renewed or signing.seconds is None:
        return
    if needed is not None and signing.seconds >= needed:
        return
    ends = f"in {signing.seconds:.0f} s" if signing.seconds else "at a time that nobody knows"
    takes = "nothing bounds the job" if needed is None else f"the job may take {needed:.0f} s"
    message = (
        f"The job's access to the object store would end {ends}, with the temporary credentials"
        f" behind it, which nothing renews; {takes}."
    )
    raise AccessTooShort(message, remedy=ADVICE)
