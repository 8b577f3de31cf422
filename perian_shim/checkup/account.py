"""What Perian says: whether it knows us, what we can spend, and what there is to rent."""

from collections.abc import Callable
from decimal import Decimal

from perian_shim.api.client import PerianClient
from perian_shim.api.errors import InvalidRequest, Unauthorized
from perian_shim.checkup.findings import Finding, Findings, Status, ok, problem, tried, warning
from perian_shim.remote.connection import Connection
from perian_shim.remote.records import Amount

LOW = Decimal("0.1")
"""From which share of the first credit on it is low."""

TOP_UP = "Top up the organization's credit at Perian."


def account(who: Connection) -> Findings:
    """Ask Perian for what only those see that it knows."""

    def asked(check: str, look: Callable[[PerianClient], Finding]) -> Finding:
        def look_up() -> Finding:
            with who.client() as client:
                return look(client)

        return tried(check, look_up)

    known = asked("credentials", lambda client: credentials(client, who))
    yield known
    if known.status is not Status.PROBLEM:
        yield asked("credit", credit)
        yield asked("catalogue", catalogue)


def credentials(client: PerianClient, who: Connection) -> Finding:
    """Look whether organization and token are accepted."""
    try:
        client.list_jobs(limit=1)
    except Unauthorized as error:
        remedy = "Check organization and token; both are made at Perian."
        return problem("credentials", error.message, remedy)
    return ok("credentials", f"organization {who.organization} at {who.url}")


def credit(client: PerianClient) -> Finding:
    """Look at what can be spent."""
    try:
        found = client.get_credits()
    except InvalidRequest:
        return ok("credit", "no account of it is kept: the plan is unlimited")
    left = str(Amount(found.amount, found.currency))
    if found.amount <= 0:
        return problem("credit", f"{left} are left: no job can be rented", TOP_UP)
    first = found.original_amount
    if first is not None and found.amount < first * LOW:
        return warning("credit", f"{left} are left of {Amount(first, found.currency)}", TOP_UP)
    return ok("credit", f"{left} are left")


def catalogue(client: PerianClient) -> Finding:
    """Look whether there is anything to rent."""
    machines = client.list_instance_types(limit=1)
    kinds = client.list_accelerator_types(limit=100)
    if not machines.items:
        text = "there is no machine to rent"
        return problem("catalogue", text, "Ask Perian which providers the organization may use.")
    if not kinds.items:
        return warning("catalogue", "there are machines, but no accelerators")
    return ok("catalogue", f"there are machines, and {len(kinds.items)} kinds of accelerators")
