"""What temporary keys of AWS are cut down to: the text of a session policy for a ``Reach``. Pure.

A session policy never adds to what the identity may do. STS takes 2,048 characters of it, so that a
long list of inputs is shortened: files that lie close together become their longest common prefix,
the closest first. What may be written never becomes more than was asked for.

Keys may hold what a policy cannot say. ``*``, ``?`` and ``$`` are escaped; in place of what is not
printable ASCII, STS takes no more than Latin-1, there is a ``?``, which is any one character.

AWS says "forbidden" of an object that is not there, unless all of its bucket may be listed.
"""

import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os.path import commonprefix

from perian_shim.errors import InvalidInput
from perian_shim.storage.base import split_uri
from perian_shim.storage.reach import Reach

MAX_CHARACTERS = 2048
"""What STS takes."""

_READ = ["s3:GetObject"]
_WRITE = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
_SHORTEST_RESOURCE = len('"arn:aws:s3:::abc/a",')
_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eusc-": "aws-eusc",
}
_ESCAPED = {"*": "${*}", "?": "${?}", "$": "${$}"}
_ACCESS_POINT = re.compile(r"(arn:[^:]+:s3:[^:]+:[0-9]+:accesspoint)[:/](.+)")
_LAST_OF_ONE_UNIT = "\uffff"


@dataclass(frozen=True, order=True)
class Place:
    """One object, or all whose keys begin so.

    Attributes:
        bucket: its bucket.
        key: of the object, or the beginning.
        below: whether it is a beginning.
        listed: whether what is there may be listed.
    """

    bucket: str
    key: str
    below: bool = False
    listed: bool = False

    def holds(self, other: "Place") -> bool:
        """Whether another place is part of this one."""
        within = other.key.startswith(self.key) if self.below else other.key == self.key
        return (
            self.bucket == other.bucket
            and within
            and self.below >= other.below
            and self.listed >= other.listed
        )


def session_policy(reach: Reach, region: str = "", limit: int = MAX_CHARACTERS) -> str:
    """Return the policy for keys that reach so far and no further.

    Args:
        reach: what may be read and written.
        region: tells AWS proper from AWS in China and from the others.
        limit: at most so many characters.

    Raises:
        InvalidInput: it is too much to be said, or lies in another kind of store.
    """
    partition = partition_of(region)
    write = apart(placed(uri, below=True) for uri in reach.write)
    single = (placed(uri, below=False) for uri in reach.objects)
    folders = (placed(uri, below=True) for uri in reach.read)
    read = apart([*single, *folders], write)
    while True:
        text = rendered(read, write, partition, limit)
        if text is not None:
            return text
        fewer = merged(read)
        if fewer is None:
            raise too_much(reach)
        read = apart(fewer, write)


def partition_of(region: str) -> str:
    """Return the part of AWS that a region belongs to, as its ARNs name it."""
    found = (name for start, name in _PARTITIONS.items() if region.startswith(start))
    return next(found, "aws")


def placed(uri: str, *, below: bool) -> Place:
    """Return what a URI names.

    Raises:
        InvalidInput: it is not on S3, or all of a bucket.
    """
    if not uri.startswith("s3://"):
        message = f"The job's keys for S3 cannot reach {uri!r}."
        raise InvalidInput(message, remedy="Keep the task's inputs and outputs in one store.")
    bucket, key = split_uri(uri)
    if not key.strip("/"):
        message = f"A job is not given all of a bucket: {uri!r}."
        raise InvalidInput(message, remedy="Pass a folder of it, or use a raw data prefix in it.")
    return Place(bucket, key, below, below)


def apart(places: Iterable[Place], others: Iterable[Place] = ()) -> list[Place]:
    """Return places in order, without those that are part of another one or of ``others``."""
    kept: list[Place] = []
    above: list[Place] = []  # beginnings that the place looked at may be part of
    # What begins another's key comes before it; of the same key the widest first.
    for place in sorted(set(places), key=lambda it: (it.bucket, it.key, -it.below, -it.listed)):
        above = [it for it in above if it.bucket == place.bucket and place.key.startswith(it.key)]
        if any(it.holds(place) for it in (*above, *others)):
            continue
        kept.append(place)
        if place.below:
            above.append(place)
    return kept


def merged(places: list[Place]) -> list[Place] | None:
    """Return fewer places that hold all of these, None if only whole buckets would.

    Those that have most in common are merged, and all others that have so much in common.
    """
    pairs = list(itertools.pairwise(places))
    shared = [common(first, second) for first, second in pairs]
    most = max(map(len, shared), default=0)
    if not most:
        return None
    groups: list[list[Place]] = [[places[0]]]
    for (_, second), beginning in zip(pairs, shared, strict=True):
        if len(beginning) == most:
            groups[-1].append(second)
        else:
            groups.append([second])
    return [one_of(group) for group in groups]


def common(first: Place, second: Place) -> str:
    """Return how the keys of two places begin, empty if less than a folder is the same."""
    if first.bucket != second.bucket:
        return ""
    beginning = beginning_of([first, second])
    return beginning if re.match(r"/*[^/]+/", beginning) else ""


def beginning_of(places: Iterable[Place]) -> str:
    """Return the characters with which the keys of all places begin."""
    return commonprefix([place.key for place in places])  # noqa: RUF071 - characters are meant


def one_of(group: list[Place]) -> Place:
    """Return the one place that holds all of a group."""
    if len(group) == 1:
        return group[0]
    return Place(group[0].bucket, beginning_of(group), below=True, listed=True)


def rendered(read: list[Place], write: list[Place], partition: str, limit: int) -> str | None:
    """Return the policy's text, None if it is too long."""
    if (len(read) + len(write)) * _SHORTEST_RESOURCE > limit:
        return None
    statements = [
        statement(actions, [it for place in places for it in resources(place, partition)])
        for actions, places in ((_READ, read), (_WRITE, write))
        if places
    ]
    buckets = {place.bucket: arn(place.bucket, partition) for place in (*read, *write)}
    if buckets:
        # Without it s3fs takes the bucket for missing, and tries to create it.
        statements.append(statement(["s3:GetBucketLocation"], sorted(buckets.values())))
        statements.append(
            # For buckets that encrypt with a key of AWS's key service.
            statement(["kms:Decrypt", "kms:GenerateDataKey"], ["*"], "kms:ViaService", ["s3.*"])
        )
    listed: dict[str, set[str]] = defaultdict(set)
    for place in (*read, *write):
        # s3fs looks whether an object is a folder before it reads it.
        ends = "*" if place.listed else "/*"
        listed[place.bucket].update(f"{key}{ends}" for key in patterns(place.key))
    statements += [
        statement(["s3:ListBucket"], [buckets[bucket]], "s3:prefix", sorted(prefixes))
        for bucket, prefixes in sorted(listed.items())
    ]
    if not statements:  # a policy that says nothing is refused
        statements = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    document = {"Version": "2012-10-17", "Statement": statements}
    text = json.dumps(document, separators=(",", ":"))
    return text if len(text) <= limit else None


def statement(
    actions: list[str], on: list[str], key: str = "", values: Iterable[str] = ()
) -> dict[str, object]:
    """Return what allows actions on resources, if a condition key has one of some values."""
    condition = {"Condition": {"StringLike": {key: brief(list(values))}}} if key else {}
    return {"Effect": "Allow", "Action": brief(actions), "Resource": brief(on), **condition}


def brief(values: list[str]) -> str | list[str]:
    """Return a list of one as that one."""
    return values[0] if len(values) == 1 else values


def resources(place: Place, partition: str) -> Iterator[str]:
    """Yield the ARNs of what is at a place."""
    bucket = arn(place.bucket, partition)
    between = "/object/" if _ACCESS_POINT.fullmatch(place.bucket) else "/"
    for key in patterns(place.key):
        yield f"{bucket}{between}{key}{'*' * place.below}"


def arn(bucket: str, partition: str) -> str:
    """Return a bucket's ARN, or an access point's."""
    point = _ACCESS_POINT.fullmatch(bucket)
    return f"{point[1]}/{point[2]}" if point else f"arn:{partition}:s3:::{bucket}"


def patterns(key: str) -> Iterator[str]:
    """Yield what a key looks like in a policy.

    It is not said whether AWS takes a character beyond U+FFFF for one or for two.
    """
    yield pattern(key, "?")
    if max(key, default="") > _LAST_OF_ONE_UNIT:
        yield pattern(key, "??")


def pattern(key: str, beyond: str) -> str:
    """Return a key with escapes, and ``beyond`` for each character beyond U+FFFF."""

    def told(character: str) -> str:
        if character > _LAST_OF_ONE_UNIT:
            return beyond
        if not (character.isascii() and character.isprintable()):
            return "?"
        return _ESCAPED.get(character, character)

    return "".join(map(told, key))


def too_much(reach: Reach) -> InvalidInput:
    """Return the error for what no policy can say."""
    places = len({*reach.objects, *reach.read, *reach.write})
    message = (
        f"The job would need keys for {places} different places in object stores, more than"
        " temporary keys of AWS can name."
    )
    remedy = "Pass fewer files, or put them into one folder (a FlyteDirectory)."
    return InvalidInput(message, remedy=remedy)
