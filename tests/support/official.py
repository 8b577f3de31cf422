"""Answers built with the official client's models."""

import json
from datetime import datetime, timedelta, timezone

from perian.models.accelerator_data_view import AcceleratorDataView
from perian.models.accelerator_name import AcceleratorName
from perian.models.accelerator_type_view import AcceleratorTypeView
from perian.models.availability import Availability
from perian.models.bill import Bill
from perian.models.bill_item import BillItem
from perian.models.billing_granularity import BillingGranularity
from perian.models.container_file import ContainerFile
from perian.models.cpu_data import CpuData
from perian.models.currency import Currency
from perian.models.docker_metadata import DockerMetadata
from perian.models.docker_registry_credentials import DockerRegistryCredentials
from perian.models.docker_run_parameters import DockerRunParameters
from perian.models.instance_type_view import InstanceTypeView
from perian.models.job_view import JobView
from perian.models.location import Location
from perian.models.memory import Memory
from perian.models.memory_unit import MemoryUnit
from perian.models.price_data import PriceData
from perian.models.provider import Provider
from perian.models.region import Region
from perian.models.remaining_credits_response import RemainingCreditsResponse
from perian.models.request_log import RequestLog
from perian.models.runtime_metadata import RuntimeMetadata
from perian.models.workload_status import WorkloadStatus
from perian.models.workload_type import WorkloadType

MORNING = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=timezone.utc)
PRICE = PriceData(unit_price="1.25", currency=Currency.EUR, granularity=BillingGranularity.PER_HOUR)


def wire(document: object) -> object:
    """What the official model looks like after a trip over the wire."""
    return json.loads(json.dumps(document, default=datetime.isoformat))


def official_job() -> JobView:
    return JobView(
        id="046b6c7f-0b8a-43b9-b35d-6489e6daee91",
        status=WorkloadStatus.RUNNING,
        created_at=MORNING,
        started_at=MORNING + timedelta(seconds=1),
        done_at=MORNING + timedelta(seconds=2),
        updated_at=MORNING + timedelta(seconds=3),
        logs="line\n",
        errors="none",
        price=PRICE,
        docker_metadata=DockerMetadata(
            docker_run_parameters=DockerRunParameters(
                image_name="busybox",
                image_tag="1",
                command="echo hi",
                env_variables={"A": "HIDDEN-env", "N": 1},
                secrets={"B": "HIDDEN-secret"},
                container_files=[ContainerFile(path="/f", base64_content="SElEREVO")],
            ),
            docker_registry_credentials=DockerRegistryCredentials(password="HIDDEN-password"),
        ),
        runtime_metadata=RuntimeMetadata(instance_type_id="it-1", timeout_seconds=60),
    )


def official_instance_type() -> InstanceTypeView:
    return InstanceTypeView(
        id="it-1",
        name="g2-standard-4",
        provider=Provider(name_short="GCP", location=Location.US),
        region=Region(name="europe-west3", location=Location.DE),
        cpu=CpuData(no=1, cores=4),
        accelerator=AcceleratorDataView(
            no=2, accelerator_types=[AcceleratorTypeView(name=AcceleratorName.NVIDIA_L4_24)]
        ),
        ram=Memory(size="16.0", unit=MemoryUnit.GB),
        price=PRICE,
        availability=Availability(available=True),
    )


def official_bill() -> Bill:
    return Bill(
        organization_id="o-1",
        start_time=MORNING,
        end_time=MORNING + timedelta(days=1),
        total_price="1.20",
        currency=Currency.EUR,
        margin_multiplier="1.075",
        items=[
            BillItem(
                workload_id="j-1",
                price="1.20",
                currency=Currency.EUR,
                original_price="1.50",
                original_currency=Currency.USD,
                exchange_rate="0.8",
                granularity=BillingGranularity.PER_10_MINUTES,
                workload_type=WorkloadType.JOB,
                started_at=MORNING,
                done_at=MORNING + timedelta(minutes=7),
            )
        ],
    )


def official_credits() -> RemainingCreditsResponse:
    return RemainingCreditsResponse(
        current_amount="12.345",
        currency=Currency.EUR,
        original_amount="100",
        last_calculated=MORNING.isoformat(),
    )


def official_log() -> RequestLog:
    return RequestLog(
        id="l-1",
        organization_id="o-1",
        timestamp=MORNING,
        outcome="Success",
        ip="192.0.2.1",
        user_agent="agent/1",
        request_url="https://api.example/job",
        request_method="POST",
        request_payload="HIDDEN-payload",
        response_status_code=200,
        response_body="HIDDEN-body",
    )
