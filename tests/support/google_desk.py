"""Runs tasks on Google Cloud Storage, and tries out what their jobs hold while they run."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import requests
from flytekit.models.literals import Literal
from support.doors import Door
from support.flyte import Harness
from support.function_harness import in_image
from support.gcs_verifier import GoogleCloud
from support.google_pods import BUCKET, GoogleCluster, flytekits
from support.job_gate import JobGate
from support.waiting import LONG_SECONDS

from perian_shim.job.grant import Grant
from perian_shim.sandbox.flyte.cluster import AnyTask, Attempt, RunningPod
from perian_shim.sandbox.server.store import JobSnapshot
from perian_shim.spec import FunctionWork, JobSpec

KEY, WORKLOAD_IDENTITY = "key", "workload identity"

Tried: TypeAlias = dict[str, int]
"""HTTP status of what was tried, by what that was."""


@dataclass(frozen=True)
class Ran:
    """A job that was looked at while it ran, and has ended.

    Attributes:
        attempt: what the cluster made of it.
        raw_prefix: of the attempt.
        job: as it was while it ran.
        shown: what the API showed of it then, the files in its container as text.
        grant: what it might use.
        tried: with what it held.
        after: what was in the bucket when everything had been tried, and the job had ended.
        grants_left: statuses of the URLs of its grant then.
    """

    attempt: Attempt
    raw_prefix: str
    job: JobSnapshot
    shown: str
    grant: Grant
    tried: Tried
    after: Mapping[str, bytes]
    grants_left: list[int]

    @property
    def literals(self) -> dict[str, Literal]:
        """The outputs of an attempt that is expected to have succeeded."""
        assert self.attempt.outputs is not None, f"{self.attempt.error}\n{self.attempt.log}"
        return dict(self.attempt.outputs.literals)

    def left_below(self, name: str) -> dict[str, bytes]:
        """Return what was left below an output in the bucket."""
        prefix = self.literals[name].scalar.blob.uri.removeprefix(f"gs://{BUCKET}/")
        return {
            key.removeprefix(prefix): content
            for key, content in self.after.items()
            if key.startswith(prefix)
        }

    def integer(self, name: str) -> object:
        """Return the value of an output that is a number."""
        return self.literals[name].scalar.primitive.integer


@dataclass
class Desk:
    """Runs tasks and tries out what their jobs hold."""

    harness: Harness
    google: GoogleCloud
    gate: JobGate

    def on(self, home: str = "gs", identity: str = WORKLOAD_IDENTITY) -> Harness:
        """Return a harness whose metadata and raw data are in one of the two stores."""
        harness = self.harness
        if harness.door is Door.FLYTEKIT:
            harness = harness.cold()  # its file system reads variables when it is imported
        given = harness.cluster
        secrets = dict(given.secrets)
        if identity == KEY:
            secrets["perian", "google_application_credentials"] = self.google.key()
        fields = (given.bucket, given.environment, secrets, given.project, given.domain)
        cluster = GoogleCluster(*fields, given.bin_dir, google=self.google, home=home)
        return replace(harness, cluster=cluster)

    def run(
        self,
        harness: Harness,
        task: AnyTask,
        inputs: Mapping[str, object],
        attack: Callable[[GoogleCloud, Grant, str], Tried],
    ) -> Ran:
        """Run a task; use what its job holds while it waits at the gate."""
        template = harness.cluster.serialize(task)
        if isinstance(JobSpec.from_custom(template.custom).work, FunctionWork):
            template = in_image(template)
            template.custom["environment"].update(flytekits(self.google))
        execution = harness.execution()
        pod = harness.start(task, inputs, template=template, execution=execution)
        try:
            self.expect_at_gate(execution, pod)
            (job,) = harness.jobs(execution)
            first = str((job.record.execution.environment or {})["PERIAN_SHIM_GRANT"])
            grant = Grant(fetched(first))
            tried = attack(self.google, grant, pod.pod.raw_prefix)
            shown = self.shown(job)
        finally:
            self.gate.open(execution)
        attempt = pod.wait()
        left = [requests.get(url, timeout=LONG_SECONDS).status_code for url in (first, grant.next)]
        after = self.google.contents(BUCKET)
        prefix = pod.pod.raw_prefix
        return Ran(attempt, prefix, job, shown, grant, tried, after, left)

    def expect_at_gate(self, execution: str, pod: RunningPod) -> None:
        """Wait for the job, and tell the pod's log if it does not come."""
        try:
            self.gate.wait_for(execution)
        except AssertionError as error:
            pod.kill()
            raise AssertionError(pod.wait().log) from error

    def shown(self, job: JobSnapshot) -> str:
        """Return what the API shows of a job."""
        known = self.harness.sandbox.environment()
        headers = {
            "X-PERIAN-AUTH-ORG": known["PERIAN_ORGANIZATION"],
            "Authorization": f"Bearer {known['PERIAN_TOKEN']}",
        }
        url = f"{self.harness.sandbox.api_url}/job/{job.record.job_id}"
        answer = requests.get(url, headers=headers, timeout=LONG_SECONDS)
        (view,) = answer.json()["jobs"]
        files = view["docker_metadata"]["docker_run_parameters"]["container_files"]
        texts = [base64.b64decode(file["base64_content"]).decode() for file in files]
        return "\n".join([answer.text, *texts])

    def confidential(self, ran: Ran) -> list[str]:
        """Return what nobody may see of a run: keys, tokens, signatures."""
        signed = [
            request.target for request in self.google.requests if "Goog-Sig" in request.target
        ]
        fields = {name.decode().lower(): value.decode() for name, value in ran.grant.fields}
        form = [fields[name] for name in ("policy", "x-goog-signature") if name in fields]
        key = json.loads(self.google.key())["private_key"].splitlines()[1:-1]
        urls = [*signed, ran.grant.next]
        return [*map(signature_of, urls), *self.google.identities.tokens, *form, *key]


def fetched(url: str) -> bytes:
    answer = requests.get(url, timeout=LONG_SECONDS)
    assert answer.status_code == 200, answer.text
    return answer.content


def signature_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Goog-Signature"][0]
