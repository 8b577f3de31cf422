"""The API's JSON views of what the sandbox knows."""

import math
from collections.abc import Mapping, Sequence

from perian_shim.sandbox.records import Json
from perian_shim.sandbox.server.catalogue import AcceleratorType, InstanceType
from perian_shim.sandbox.server.store import JobSnapshot

# The catalogue does not change; the moment only has to be a valid one.
CATALOGUE_TIME = "2025-01-01T00:00:00+00:00"


def success(message: str = "Operation was successful", **fields: Json) -> dict[str, Json]:
    """Give a successful response's body."""
    return {"status": "Success", "message": message, "detail": "", "status_code": 200, **fields}


def failure(status_code: int, detail: str) -> dict[str, Json]:
    """Give a failed response's body."""
    side = "server" if status_code >= 500 else "client"  # noqa: PLR2004 - HTTP's own division
    return {
        "status": "Error",
        "message": f"Operation failed due to a {side} error",
        "detail": detail,
        "status_code": status_code,
    }


def page_of(page: int, limit: int, total: int) -> dict[str, Json]:
    """Give the pagination metadata of one page."""
    pages = max(1, math.ceil(total / limit))
    return {
        "total_items": total,
        "items_per_page": limit,
        "current_page": page,
        "total_pages": pages,
        "next_page": page + 1 if page < pages else None,
        "previous_page": page - 1 if page > 1 else None,
    }


def job_view(snapshot: JobSnapshot) -> dict[str, Json]:
    """Give a job as the API shows it."""
    state = snapshot.state
    return {
        **snapshot.record.view,
        "id": snapshot.record.job_id,
        "status": state.status.value,
        "created_at": snapshot.record.created_at,
        "updated_at": state.updated_at,
        "started_at": state.started_at,
        "done_at": state.done_at,
        "logs": snapshot.log or None,
        "errors": state.errors,
    }


def jobs_view(snapshots: Sequence[JobSnapshot], page: int, limit: int, total: int) -> Json:
    """Give the response with some jobs."""
    return success(
        limit=limit,
        no=len(snapshots),
        jobs=[job_view(snapshot) for snapshot in snapshots],
        pagination=page_of(page, limit, total),
    )


def price_view(offer: InstanceType) -> dict[str, Json]:
    """Give an instance type's price."""
    return {
        "unit_price": str(offer.price),
        "currency": offer.currency,
        "granularity": "PER_HOUR",
        "provider_billing_granularity": offer.provider.billed_by,
    }


def memory_view(size_gb: int) -> dict[str, Json]:
    """Give an amount of memory."""
    return {"size": f"{size_gb}.0", "unit": "Gb", "interface": "Undefined"}


def accelerator_view(kind: AcceleratorType) -> dict[str, Json]:
    """Give an accelerator type as the API shows it."""
    return {
        "id": kind.id,
        "name": kind.name,
        "display_name": kind.display_name,
        "vendor": kind.vendor,
        "memory": memory_view(kind.memory_gb),
    }


def instance_view(offer: InstanceType) -> dict[str, Json]:
    """Give an instance type as the API shows it."""
    kind = offer.accelerator
    times: Mapping[str, Json] = {"created_at": CATALOGUE_TIME, "updated_at": CATALOGUE_TIME}
    region: dict[str, Json] = {
        "id": offer.region.id,
        "name": offer.region.name,
        "city": offer.region.city,
        "location": offer.region.location,
        "sustainable": offer.region.sustainable,
        "status": "Active",
        "zones": [],
    }
    return {
        "id": offer.id,
        "name": offer.name,
        "type": "Virtual",
        "provider": {
            "id": offer.provider.id,
            "name": offer.provider.name,
            "name_short": offer.provider.short,
            "location": offer.provider.location,
            "status": "Active",
            "capabilities": ["PricingAPI", "JobAPI"],
            "properties": {"compute_billing_granularity": offer.provider.billed_by},
            "regions": [],
            **times,
        },
        "region": region,
        "zone": {"id": offer.region.zone_id, "name": "DEFAULT", "status": "Active"},
        "cpu": {"no": 1, "cores": offer.cores, "threads": offer.cores, "cpus": []},
        "ram": memory_view(offer.ram_gb),
        "accelerator": {
            "no": offer.accelerators,
            "memory": memory_view(kind.memory_gb * offer.accelerators if kind else 0),
            "accelerator_types": [accelerator_view(kind)] if kind else [],
        },
        "price": price_view(offer),
        "availability": {"available": offer.available, "source": "Provider"},
        **times,
    }
