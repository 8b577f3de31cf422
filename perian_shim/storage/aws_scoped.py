"""Temporary keys of AWS for a job: they end by themselves, and reach what the job needs.

AWS cuts down keys that it hands out to what a session policy says. Three identities can ask for
such keys: whoever may assume a role that the task's secrets name (``AssumeRole``), a pod whose
service account has a role (``AssumeRoleWithWebIdentity``), and a user whose static keys are in the
task's secrets (``GetFederationToken``). Other stores that speak S3 are asked only where their own
token service is named: no key for one store is ever shown to another's service.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from perian_shim.storage.aws_keys import (
    given_keys,
    has_web_identity,
    key_chain,
    keys_in_secrets,
    web_identity_fields,
)
from perian_shim.storage.key_requests import OK, code_of, refused
from perian_shim.storage.reach import Reach
from perian_shim.storage.s3_address import is_aws
from perian_shim.storage.s3_keys import Keys
from perian_shim.storage.s3_settings import S3Settings
from perian_shim.storage.session_policy import MAX_CHARACTERS, session_policy
from perian_shim.storage.sts import Sts, aws_sts_url, keys_in
from perian_shim.storage.web import Answer, Web

LONGEST_SECONDS = 43200
"""The longest life asked for: what a role allows at most, and enough between two renewals."""

USUAL_SECONDS = 3600
"""The life that every role allows, and the longest of keys that were asked for with such keys."""

_TOO_LONG = re.compile(rb"DurationSeconds exceeds")
_TOO_LARGE = "PackedPolicyTooLarge"
_SHRINKS = 0.75
"""How much shorter a policy is made that AWS cannot pack."""

_KEYS_UNUSABLE = {
    *("InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"),
    *("ExpiredToken", "ExpiredTokenException", "InvalidIdentityToken", "IncompleteSignature"),
}


@dataclass(frozen=True)
class _Way:
    """How keys are asked for.

    Attributes:
        method: AWS's operation.
        source: whose identity asks, as a phrase for messages.
        what: names what is done, for errors.
        fields: returns the parameters, besides policy and life.
        allow: what an administrator has to allow.
        keys: returns what the request is signed with; None if it is not signed.
    """

    method: str
    source: str
    what: str
    fields: Callable[[], Mapping[str, str]]
    allow: str
    keys: Callable[[], Keys] | None = None


class AwsScoper:
    """Asks AWS for keys that reach so far and no further.

    Args:
        way: how they are asked for.
        sts: the service that is asked.
        region: tells which part of AWS the store is in.
        seconds: the life to ask for; None for the longest that is useful and allowed.
    """

    def __init__(self, way: _Way, sts: Sts, region: str, seconds: int | None = None) -> None:
        self._way = way
        self._sts = sts
        self._region = region
        self._seconds = seconds

    @classmethod
    def find(
        cls,
        secrets: Mapping[str, str],
        environ: Mapping[str, str],
        web: Web,
        now: Callable[[], float] = time.time,
        seconds: int | None = None,
    ) -> "AwsScoper | None":
        """Return what asks for a job's keys, None if nobody can.

        Args:
            secrets: the task's, by the names of their keys.
            environ: the pod's.
            web: makes the requests.
            now: the time, in seconds since the epoch.
            seconds: the life to ask for.

        Raises:
            ConfigError: what is set for S3 cannot be used.
            StorageFailed: only one half of a key is set.
        """
        settings = S3Settings.read(environ)
        named = secrets.get("aws_sts_endpoint_url", "")
        endpoint = secrets.get("aws_endpoint_url", "")
        if settings.are_of(endpoint):
            endpoint = settings.endpoint
            named = named or environ.get("AWS_ENDPOINT_URL_STS", "")
        if not named and not is_aws(endpoint):
            return None
        way = way_of(secrets, settings, environ, web, now)
        if way is None:
            return None
        region = secrets.get("aws_region") or settings.region
        url = named.rstrip("/") + "/" if named else aws_sts_url(region, environ)
        return cls(way, Sts(web, url, region, now), region, seconds)

    def __repr__(self) -> str:
        return f"AwsScoper({self.method!r}, {self.source!r})"

    @property
    def method(self) -> str:
        """AWS's name of the operation that hands out the keys."""
        return self._way.method

    @property
    def source(self) -> str:
        """Whose identity asks for them, as a phrase."""
        return self._way.source

    def keys(self, reach: Reach) -> Keys:
        """Return new keys for what a job may reach; they have an end.

        Raises:
            InvalidInput: it is more than keys can be given for.
            StorageFailed: the service refuses, or does not answer (``passing``).
        """
        limit = MAX_CHARACTERS
        while True:
            policy = session_policy(reach, self._region, limit)
            answer = self._asked(policy)
            if answer.status == OK:
                return keys_in(answer, self._way.what)
            if code_of(answer) != _TOO_LARGE:
                raise refused(self._way.what, answer, remedy_of(answer, self._way))
            limit = int(len(policy) * _SHRINKS)

    def _asked(self, policy: str) -> Answer:
        """Return the answer, for keys of the usual life where longer ones are not allowed."""
        way = self._way
        chained = way.method == "AssumeRole" and way.keys is not None and bool(way.keys().token)
        seconds = self._seconds or (USUAL_SECONDS if chained else LONGEST_SECONDS)
        while True:
            fields = {**way.fields(), "Policy": policy, "DurationSeconds": str(seconds)}
            answer = self._sts.ask(way.what, way.method, fields, way.keys)
            too_long = answer.status != OK and _TOO_LONG.search(answer.body)
            if not too_long or seconds <= USUAL_SECONDS:
                return answer
            self._seconds = seconds = USUAL_SECONDS


def way_of(
    secrets: Mapping[str, str],
    settings: S3Settings,
    environ: Mapping[str, str],
    web: Web,
    now: Callable[[], float],
) -> _Way | None:
    """Return how keys for a job can be asked for, None if they cannot."""
    own = keys_in_secrets(secrets)
    role = secrets.get("aws_role_arn", "")

    def session() -> str:
        return f"perian-shim-{int(now()):x}"

    if role:
        whose = "the keys in the task's secrets" if own else "the pod's own identity"
        return _Way(
            "AssumeRole",
            f"the role {role}, assumed with {whose}",
            f"Assuming {role}",
            lambda: {"RoleArn": role, "RoleSessionName": session()},
            f"Let the role's trust policy name {whose}, and allow them sts:AssumeRole on the role.",
            (lambda: own) if own else key_chain(settings, environ, web).current,
        )
    if own is None and has_web_identity(environ) and given_keys(settings, environ) is None:
        role = environ["AWS_ROLE_ARN"]
        return _Way(
            "AssumeRoleWithWebIdentity",
            f"the pod's own role {role}",
            f"Assuming {role}",
            lambda: {**web_identity_fields(environ), "RoleSessionName": session()},
            "Let the role's trust policy name the pod's service account.",
        )
    if own is not None and not own.token:
        return _Way(
            "GetFederationToken",
            "the user whose keys are in the task's secrets",
            "Asking for temporary keys of the user whose keys are in the task's secrets",
            lambda: {"Name": session()},
            "Allow the user sts:GetFederationToken, or name a role in the secret aws_role_arn.",
            lambda: own,
        )
    return None


def remedy_of(answer: Answer, way: _Way) -> str | None:
    """Return what can be done about a refusal."""
    code = code_of(answer)
    if code in {"AccessDenied", "AccessDeniedException"}:
        return way.allow
    if code in _KEYS_UNUSABLE:
        return f"Correct or renew what asks for the keys: {way.source}."
    if code == "RegionDisabledException":
        return "Activate AWS's token service in that region, or name another aws_region."
    if code == "MalformedPolicyDocument":
        return "Give the task's inputs plainer names."
    return None
