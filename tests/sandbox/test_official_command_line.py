"""The requests that the official command line makes, byte for byte, and what it reads of answers.

``perian-cli`` 0.3.6 was run against a sandbox and its requests recorded. It reads an answer with
the models of the official client, and stops where it uses a field that is None. The package itself
needs other versions of what we test with, so that it is not installed here. By hand::

    python -m venv cli && cli/bin/pip install perian-cli==0.3.6
    HOME=$PWD/cli PERIAN_ENDPOINT=<the sandbox's URL> cli/bin/perian login
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import quote_plus, urlsplit

import pytest
from perian.models.bill import Bill
from perian.models.create_job_success import CreateJobSuccess
from perian.models.get_accelerator_types_success import GetAcceleratorTypesSuccess
from perian.models.get_instance_types_success import GetInstanceTypesSuccess
from perian.models.get_jobs_success import GetJobsSuccess
from perian.models.instance_type_view import InstanceTypeView
from perian.models.remaining_credits_response import RemainingCreditsResponse
from perian.models.workload_status import WorkloadStatus
from support.sandbox_api import ORGANIZATION, TOKEN, Api, running_api

HEADERS = {
    "Accept-Encoding": "identity",
    "X-PERIAN-AUTH-ORG": ORGANIZATION,
    "Authorization": f"Bearer {TOKEN}",
    "Accept": "application/json",
    "User-Agent": "OpenAPI-Generator/0.3.6/python",
}

LOGIN_HEADERS = {
    "User-Agent": "python-requests/2.31.0",
    "Accept-Encoding": "gzip, deflate",
    "Accept": "*/*",
    "Connection": "keep-alive",
    "X-PERIAN-AUTH-ORG": ORGANIZATION,
    "Authorization": f"Bearer {TOKEN}",
}

CHEAPEST = {"options": {"order": "PRICE", "lazy_loading": False}, "all": False}

A_T4_IN_GERMANY = {
    **CHEAPEST,
    "region": {"location": "DE", "status": "ACTIVE"},
    "accelerator": {"no": 1, "name": "T4"},
}


@dataclass
class CommandLine:
    """Sends what the official command line sends.

    Attributes:
        url: of the API.
        status: of the last answer.
    """

    url: str
    status: int = field(default=0)

    def send(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: Mapping[str, str] = HEADERS,
    ) -> str:
        """Send a request and return the answer's body."""
        place = urlsplit(self.url)
        sent = dict(headers)
        content = None if body is None else json.dumps(body)
        if content is not None:
            sent["Content-Type"] = "application/json"
        if method == "PATCH":
            sent["Content-Length"] = "0"
        with closing(http.client.HTTPConnection(place.hostname or "", place.port)) as connection:
            connection.request(method, target, content, sent)
            response = connection.getresponse()
            self.status = response.status
            return response.read().decode()

    def choose(self, query: Mapping[str, object]) -> InstanceTypeView:
        """Ask for the cheapest machine, as ``job create`` does first."""
        body = {"instance_type_query": query}
        found = GetInstanceTypesSuccess.from_json(self.send("POST", "/instance-type?limit=1", body))
        assert found is not None
        assert found.instance_types is not None
        (chosen,) = found.instance_types
        return chosen

    def create(self, command: str, query: Mapping[str, object], **more: object) -> str:
        """Do what ``job create`` does."""
        body = {
            "instance_type_id": self.choose(query).id,
            "auto_failover_instance_type": True,
            **more,
            "requirements": {**query, "provider": {"status": "ACTIVE"}},
            "docker_run_parameters": {
                "image_name": "debian",
                "image_tag": "12",
                "command": command,
            },
        }
        created = CreateJobSuccess.from_json(self.send("POST", "/job", body))
        assert created is not None
        return created.id

    def bill(self, start: str, end: str) -> str:
        """Do what ``billing get`` does."""
        moments = f"start_time={quote_plus(start)}&end_time={quote_plus(end)}"
        query = f"organization={ORGANIZATION}&currency=EUR&{moments}"
        return self.send("GET", f"/billing/generate?{query}")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture
def cli(api: Api) -> CommandLine:
    return CommandLine(api.server.url)


def test_login_finds_its_organization_and_token(cli: CommandLine) -> None:
    answer = json.loads(cli.send("GET", "/organization", headers=LOGIN_HEADERS))
    assert answer["status_code"] == 200
    assert answer["organization"] == {"name": ORGANIZATION, "access_token": TOKEN}


def test_login_with_another_token_fails(cli: CommandLine) -> None:
    wrong = {**LOGIN_HEADERS, "Authorization": "Bearer wrong"}
    assert json.loads(cli.send("GET", "/organization", headers=wrong))["status_code"] == 401


def test_job_create_chooses_a_machine_and_submits(api: Api, cli: CommandLine) -> None:
    job = api.finished(cli.create("echo hi", {**CHEAPEST, "cpu": {"all": False, "cores": 1}}))
    assert (job.status, job.logs) == (WorkloadStatus.DONE, "hi\n")


def test_job_create_takes_place_accelerator_granularity_and_timeout(
    api: Api, cli: CommandLine
) -> None:
    hourly = {**A_T4_IN_GERMANY, "billing_granularity": "PER_HOUR"}
    chosen = cli.choose(hourly)
    assert chosen.name == "pi2.2xlarge.4"
    job = api.finished(cli.create("true", A_T4_IN_GERMANY, timeout_seconds=600))
    assert job.runtime_metadata is not None
    assert job.runtime_metadata.timeout_seconds == 600
    assert job.runtime_metadata.instance_type_id == chosen.id


def test_job_create_finds_no_machine_that_is_billed_otherwise(cli: CommandLine) -> None:
    query = {**A_T4_IN_GERMANY, "billing_granularity": "PER_SECOND"}
    answer = cli.send("POST", "/instance-type?limit=1", {"instance_type_query": query})
    assert json.loads(answer)["instance_types"] == []


def test_job_get_all_lists_the_jobs(api: Api, cli: CommandLine) -> None:
    made = [cli.create("true", CHEAPEST) for _ in range(2)]
    for job_id in made:
        api.finished(job_id)
    listed = GetJobsSuccess.from_json(cli.send("GET", "/job"))
    assert listed is not None
    assert [job.id for job in listed.jobs or []][:2] == made[::-1]
    for job in listed.jobs or []:
        assert job.status is not None
        assert job.docker_metadata is not None
        assert job.docker_metadata.docker_run_parameters is not None
        assert job.docker_metadata.docker_run_parameters.image_name == "debian"


def test_job_get_shows_the_machine_of_a_job(cli: CommandLine) -> None:
    job_id = cli.create("true", A_T4_IN_GERMANY)
    answer = GetJobsSuccess.from_json(cli.send("GET", f"/job/{job_id}"))
    assert answer is not None
    (job,) = answer.jobs or []
    assert job.runtime_metadata is not None
    path = f"/instance-type/{job.runtime_metadata.instance_type_id}"
    found = GetInstanceTypesSuccess.from_json(cli.send("GET", path))
    assert found is not None
    (machine,) = found.instance_types or []
    # All that it shows of a machine, none of which may be None.
    assert machine.provider is not None
    assert machine.region is not None
    assert machine.region.location is not None
    assert machine.zone is not None
    assert machine.cpu is not None
    assert machine.ram is not None
    assert machine.accelerator is not None
    assert machine.accelerator.memory is not None
    (kind,) = machine.accelerator.accelerator_types or []
    shown = (
        *(machine.id, machine.name, machine.type, machine.provider.name, machine.region.city),
        *(machine.zone.name, machine.cpu.cores, machine.ram.size, kind.display_name),
        machine.accelerator.memory.size,
    )
    assert None not in shown


def test_job_cancel_ends_a_job_and_says_if_it_had_ended(api: Api, cli: CommandLine) -> None:
    job_id = cli.create("sleep 600", CHEAPEST)
    cli.send("PATCH", f"/job/{job_id}/cancel")
    assert cli.status == 200
    assert api.finished(job_id).status == WorkloadStatus.CANCELLED
    assert "already complete" in cli.send("PATCH", f"/job/{job_id}/cancel")
    assert cli.status == 400


def test_accelerator_types_are_shown_all_by_name_and_by_id(cli: CommandLine) -> None:
    every = GetAcceleratorTypesSuccess.from_json(cli.send("GET", "/accelerator-type"))
    body = {"accelerator_type_query": {"name": "A100"}}
    named = GetAcceleratorTypesSuccess.from_json(cli.send("POST", "/accelerator-type", body))
    assert every is not None
    assert named is not None
    names = [kind.name.value for kind in named.accelerator_types or [] if kind.name]
    assert names == ["NVIDIA_A100_80", "NVIDIA_A100_40"]
    assert len(every.accelerator_types or []) == 9
    for kind in every.accelerator_types or []:
        one = GetAcceleratorTypesSuccess.from_json(cli.send("GET", f"/accelerator-type/{kind.id}"))
        assert one is not None
        assert one.accelerator_types == [kind]
        assert kind.vendor is not None
        assert kind.memory is not None


def test_billing_balance_shows_what_is_left(cli: CommandLine) -> None:
    left = RemainingCreditsResponse.from_json(cli.send("GET", "/billing/remaining-credits"))
    assert left is not None
    assert float(left.current_amount) <= 1000
    assert left.currency == "EUR"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        # With dates given, and without: then it sends its own clock's, with no offset.
        ("2026-01-01T00:00:00.000000+0000", "2100-01-01T00:00:00.000000+0000"),
        ("2026-01-01T01:23:53.701061", "2100-01-01T01:23:53.701071"),
    ],
)
def test_billing_get_shows_a_bill(api: Api, cli: CommandLine, start: str, end: str) -> None:
    job_id = cli.create("true", CHEAPEST)
    api.finished(job_id)
    text = cli.bill(start, end)
    bill = Bill.from_json(text)
    assert bill is not None
    (item,) = [item for item in bill.items if item.workload_id == job_id]
    assert item.price == "0.028"
    # As the contract names it, and as its printing of items does.
    assert job_id in {item["job_id"] for item in json.loads(text)["items"]}


def test_billing_get_says_that_the_dates_are_in_the_wrong_order(cli: CommandLine) -> None:
    answer = cli.bill("2026-12-30T00:00:00.000000+0000", "2026-11-01T00:00:00.000000+0000")
    assert "Start date must be before end date" in answer
    assert cli.status == 400
