"""What the guide to data access shows can be pasted, is enough, and is no more than is needed."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.forms import fetched, posted
from support.ministack import ACCOUNT, REGION, Ministack, ministack

from perian_shim import PerianConfig, errors, settings
from perian_shim.errors import StorageFailed
from perian_shim.lifecycle.upkeep import AGAIN_SECONDS, WAITING_SHARE
from perian_shim.secret_keys import ACCESS_KEYS
from perian_shim.storage.aws_scoped import AwsScoper
from perian_shim.storage.base import MAX_OBJECT_BYTES
from perian_shim.storage.google_boundary import MOST_RULES
from perian_shim.storage.google_signing import BLOB_SECONDS, KEY_SECONDS
from perian_shim.storage.reach import Reach
from perian_shim.storage.s3 import S3Store
from perian_shim.storage.s3_keys import Keys
from perian_shim.storage.session_policy import MAX_CHARACTERS
from perian_shim.storage.web import Web
from perian_shim.work.container_access import PIECE_BYTES
from perian_shim.work.grants import LONGEST_SECONDS, READS

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/guides/data-access.md").read_text()
PACKAGE = ROOT / "perian_shim"

POLICIES = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]
POD, FUNCTIONS, ASSUMING, TRUST, FEDERATION, WEB_IDENTITY = POLICIES

MIB = 1024**2
JOBS_ROLE = "arn:aws:iam::123456789012:role/perian-jobs"
PODS_ROLE = "arn:aws:iam::123456789012:role/flyte-tasks"
ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"


# --- form ---


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_shown_is_one(policy: Mapping[str, Any]) -> None:
    assert set(policy) == {"Version", "Statement"}
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert ("Resource" in statement) != ("Principal" in statement)
        assert actions_of(policy)


def test_what_the_pod_does_with_each_action_is_told() -> None:
    told = re.findall(r"^\| `(s3:\w+)` \|", GUIDE, re.MULTILINE)
    assert sorted(told) == sorted(actions_of(POD))


# --- names and numbers ---


def test_every_variable_named_exists() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    named = set(re.findall(r"\b(?:PERIAN|AWS|GOOGLE|FLYTE)_[A-Z0-9_]+\b", GUIDE))
    assert len(named) > 8
    assert {name for name in named if not re.search(rf"\b{name}\b", source)} == set()
    assert {name for name in named if name.startswith("PERIAN_S3")} <= set(settings.SETTINGS)


def test_every_field_of_the_config_that_concerns_access_is_explained() -> None:
    fields = {"reads", "writes", "storage_access", "allow_short_access"}
    assert fields <= set(PerianConfig.__dataclass_fields__)
    assert fields | {"max_queued_time", "secret_group"} <= set(re.findall(r"`(\w+)`", GUIDE))


def test_every_config_shown_can_be_made() -> None:
    shown = re.findall(r"`(PerianConfig\([^`]*\))`", GUIDE)
    assert len(shown) >= 4
    for expression in shown:
        eval(expression, {"PerianConfig": PerianConfig})


def test_the_secrets_listed_are_those_that_are_read() -> None:
    named = set(re.findall(r"`((?:aws|google)_[a-z_]+)`", GUIDE))
    assert named == set(ACCESS_KEYS)


def test_every_code_named_is_one_of_ours() -> None:
    codes = {getattr(leaf, "code", "") for leaf in vars(errors).values()}
    named = set(re.findall(r"`(PERIAN:\w+)`", GUIDE))
    assert named
    assert named <= codes


def test_the_numbers_are_those_of_the_code() -> None:
    hour = 3600
    assert f"{MAX_CHARACTERS:,} characters" in GUIDE
    assert f"has {MOST_RULES} rules" in GUIDE
    assert f"may have {MAX_OBJECT_BYTES // 1024**3} GiB" in GUIDE
    assert f"pieces of {PIECE_BYTES // 1024**3} GiB" in GUIDE
    assert f"every {AGAIN_SECONDS:.0f} seconds" in GUIDE
    in_words = (LONGEST_SECONDS, READS, WAITING_SHARE, KEY_SECONDS, BLOB_SECONDS)
    assert in_words == (hour, 8, 0.75, 7 * 24 * hour, 12 * hour)


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", GUIDE))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / "docs/guides" / target).exists()


# --- what the policies allow ---


@pytest.fixture
def aws() -> Ministack:
    return ministack()


class Buckets:
    """The two buckets of the guide, of their own names."""

    def __init__(self, aws: Ministack) -> None:
        self.aws = aws
        self.raw, self.metadata = aws.bucket(), aws.bucket()

    def statements(self, policy: Mapping[str, Any], **names: str) -> list[dict[str, Any]]:
        """A policy's statements for these buckets, and with other names replaced."""
        text = json.dumps(policy["Statement"])
        text = text.replace("my-raw-data", self.raw).replace("my-flyte-metadata", self.metadata)
        for here, there in names.items():
            text = text.replace(NAMES[here], there)
        found: list[dict[str, Any]] = json.loads(text)
        return found

    def without(self, policy: Mapping[str, Any], action: str) -> list[dict[str, Any]]:
        """A policy's statements that do not name an action."""
        found = self.statements(policy)
        for statement in found:
            statement["Action"] = [name for name in listed(statement["Action"]) if name != action]
        return [statement for statement in found if statement["Action"]]


NAMES = {"role": JOBS_ROLE, "pod": PODS_ROLE, "account": "123456789012"}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def actions_of(policy: Mapping[str, Any]) -> list[str]:
    return [name for statement in policy["Statement"] for name in listed(statement["Action"])]


@pytest.fixture
def buckets(aws: Ministack) -> Buckets:
    return Buckets(aws)


def pods_store(aws: Ministack, keys: Keys) -> S3Store:
    """The store of a pod that has such keys."""
    environ = {
        "HOME": "/no/such/home",
        "FLYTE_AWS_ENDPOINT": aws.url,
        "FLYTE_AWS_ACCESS_KEY_ID": keys.access_key,
        "FLYTE_AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_DEFAULT_REGION": REGION,
    }
    return S3Store.from_environment(environ, lambda _: None)


def all_of_the_pods_work(store: S3Store, buckets: Buckets) -> None:
    """Do, in both buckets, what a pod does for the jobs of all tasks; raise what is refused."""
    for bucket in (buckets.raw, buckets.metadata):
        uri = f"s3://{bucket}/run/_perian/grants/0"
        store.write(uri, b"grant")
        assert (store.read(uri, 100), store.size(uri)) == (b"grant", 5)
        assert store.read_end(uri, 3) == b"ant"
        assert store.read(f"s3://{bucket}/run/absent", 100) is None
        assert fetched(store.presign([uri], 60)[0]) == (200, b"grant")
        assert [item.uri for item in store.iter_objects(f"s3://{bucket}/run")] == [uri]
        status, said = posted(store.upload_policy(f"s3://{bucket}/run", 60), "output")
        assert status == 201, said
        parts = [f"s3://{bucket}/run/{number}" for number in range(2)]
        for part in parts:
            store.write(part, bytes(5 * MIB))
        store.join(parts, f"s3://{bucket}/run/joined")
        for name in (*parts, uri):
            store.delete(name)
            assert store.size(name) is None
        leaves_nothing_half_done(store, buckets, bucket)


def leaves_nothing_half_done(store: S3Store, buckets: Buckets, bucket: str) -> None:
    """Fail to join pieces, and expect that nothing of it is left to be paid for."""
    with pytest.raises(StorageFailed):
        store.join([f"s3://{bucket}/run/absent"], f"s3://{bucket}/run/half")
    assert "Uploads" not in buckets.aws.s3().list_multipart_uploads(Bucket=bucket)


def test_the_pods_policy_is_enough(aws: Ministack, buckets: Buckets) -> None:
    pod = aws.user(*buckets.statements(POD))
    all_of_the_pods_work(pods_store(aws, pod), buckets)


@pytest.mark.parametrize("action", actions_of(POD))
def test_each_action_of_the_pods_policy_is_needed(
    aws: Ministack, buckets: Buckets, action: str
) -> None:
    pod = aws.user(*buckets.without(POD, action))
    with pytest.raises((StorageFailed, AssertionError)):
        all_of_the_pods_work(pods_store(aws, pod), buckets)


def test_the_pods_policy_reaches_no_other_bucket(aws: Ministack, buckets: Buckets) -> None:
    store = pods_store(aws, aws.user(*buckets.statements(POD)))
    with pytest.raises(StorageFailed, match="AccessDenied"):
        store.write(f"s3://{aws.bucket()}/x", b"")


def job_of_a_function(keys: Keys, buckets: Buckets) -> None:
    """Do what flytekit does in a job; raise what is refused."""
    s3: Any = buckets.aws.s3(keys)
    s3.get_bucket_location(Bucket=buckets.raw)
    with s3.get_object(Bucket=buckets.metadata, Key="given/inputs.pb")["Body"] as body:
        assert body.read() == b"inputs"
    s3.put_object(Bucket=buckets.raw, Key="run/outputs.pb", Body=b"x")
    found = s3.list_objects_v2(Bucket=buckets.raw, Prefix="run/")["Contents"]
    assert [entry["Key"] for entry in found] == ["run/outputs.pb"]
    begun = s3.create_multipart_upload(Bucket=buckets.raw, Key="run/large")
    s3.abort_multipart_upload(Bucket=buckets.raw, Key="run/large", UploadId=begun["UploadId"])


def reach(buckets: Buckets) -> Reach:
    buckets.aws.s3().put_object(Bucket=buckets.metadata, Key="given/inputs.pb", Body=b"inputs")
    return Reach((f"s3://{buckets.metadata}/given/inputs.pb",), (), (f"s3://{buckets.raw}/run/",))


def keys_for(secrets: Mapping[str, str], environ: Mapping[str, str], buckets: Buckets) -> Keys:
    """The keys that a job of a function gets."""
    whole = {"HOME": "/no/such/home", "AWS_ENDPOINT_URL_STS": buckets.aws.url, **environ}
    scoper = AwsScoper.find(secrets, whole, Web(whole, lambda _: None))
    assert scoper is not None
    return scoper.keys(reach(buckets))


def secrets_of(keys: Keys, **more: str) -> dict[str, str]:
    return {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        **more,
    }


def keys_by_role(buckets: Buckets, statements: list[dict[str, Any]]) -> Keys:
    """Keys of the role that the guide sets up, assumed by a user in the place of the pod."""
    aws = buckets.aws
    pod = aws.user()
    who = aws.client("sts", pod).get_caller_identity()["Arn"]
    (trusts,) = buckets.statements(TRUST, pod=who)
    role = aws.role(*statements, trusts=trusts)
    aws.client("iam").put_user_policy(
        UserName=who.rpartition("/")[2],
        PolicyName="assuming",
        PolicyDocument=json.dumps(
            {**ASSUMING, "Statement": buckets.statements(ASSUMING, role=role)}
        ),
    )
    return keys_for(secrets_of(pod, aws_role_arn=role), {}, buckets)


def test_a_role_with_the_policy_for_functions_is_enough(buckets: Buckets) -> None:
    job_of_a_function(keys_by_role(buckets, buckets.statements(FUNCTIONS)), buckets)


@pytest.mark.parametrize("action", actions_of(FUNCTIONS))
def test_each_action_of_the_policy_for_functions_is_needed(buckets: Buckets, action: str) -> None:
    keys = keys_by_role(buckets, buckets.without(FUNCTIONS, action))
    with pytest.raises(ClientError, match="AccessDenied"):
        job_of_a_function(keys, buckets)


def test_who_is_not_trusted_cannot_assume_the_role(buckets: Buckets) -> None:
    aws = buckets.aws
    (trusts,) = buckets.statements(TRUST, pod=f"arn:aws:iam::{ACCOUNT}:user/somebody-else")
    role = aws.role(*buckets.statements(FUNCTIONS), trusts=trusts)
    user = aws.user(*buckets.statements(ASSUMING, role=role))
    with pytest.raises(StorageFailed, match="not authorized to perform: sts:AssumeRole"):
        keys_for(secrets_of(user, aws_role_arn=role), {}, buckets)


def test_a_user_with_the_policies_shown_gets_keys_for_a_job(buckets: Buckets) -> None:
    statements = [*buckets.statements(FUNCTIONS), *buckets.statements(FEDERATION)]
    user = buckets.aws.user(*statements)
    job_of_a_function(keys_for(secrets_of(user), {}, buckets), buckets)


def test_without_leave_to_ask_a_user_gets_no_keys_for_a_job(buckets: Buckets) -> None:
    user = buckets.aws.user(*buckets.statements(FUNCTIONS))
    with pytest.raises(StorageFailed, match="not authorized to perform: sts:GetFederationToken"):
        keys_for(secrets_of(user), {}, buckets)


def test_a_service_account_gets_keys_by_the_trust_policy_shown(
    buckets: Buckets, tmp_path: Path
) -> None:
    (trusts,) = buckets.statements(WEB_IDENTITY, account=ACCOUNT)
    claims = {
        "iss": f"https://{ISSUER}",
        "sub": trusts["Condition"]["StringEquals"][f"{ISSUER}:sub"],
        "aud": trusts["Condition"]["StringEquals"][f"{ISSUER}:aud"],
    }
    parts = (b"{}", json.dumps(claims).encode(), b"x")
    token = tmp_path / "token"
    token.write_text(".".join(base64.urlsafe_b64encode(part).decode() for part in parts))
    environ = {
        "AWS_ROLE_ARN": buckets.aws.role(*buckets.statements(FUNCTIONS), trusts=trusts),
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
    }
    job_of_a_function(keys_for({}, environ, buckets), buckets)
