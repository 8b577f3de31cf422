"""Which jobs live, and whose they are, where a listing does not show all of their environment."""

from support.answers import reply
from support.api_front import FaultyServer
from support.front import Exchange

from perian_shim.api.client import PerianClient
from perian_shim.lifecycle.census import Census
from perian_shim.lifecycle.jobs import Jobs
from perian_shim.lifecycle.policies import RetryPolicy
from perian_shim.lifecycle.retrying import Retrier
from perian_shim.lifecycle.tickets import ANY, project_mark
from perian_shim.sandbox.server.application import Response
from perian_shim.settings import EXECUTION_PROJECT

LISTED = {"id": "j1", "status": "Running", "created_at": "2026-11-21T10:00:00Z"}
PARAMETERS = {"command": "true", "env_variables": {EXECUTION_PROJECT: "shop"}}
WHOLE = {**LISTED, "docker_metadata": {"docker_run_parameters": PARAMETERS}}


def test_a_project_that_could_not_be_seen_once_is_looked_for_again() -> None:
    down = [True]

    def answer(exchange: Exchange) -> Response | None:
        if exchange.request.path == "/job":
            pages = {"current_page": 1, "total_pages": 1}
            return reply(body={"jobs": [LISTED], "pagination": pages})(exchange)
        if down:
            down.pop()
            return reply(503, {"detail": "busy"})(exchange)
        return reply(body={"jobs": [WHOLE]})(exchange)

    with FaultyServer(answer) as server:
        client = PerianClient(server.url, "acme", "token-123")
        jobs = Jobs(lambda: client, Retrier(RetryPolicy(0.0)))
        census = Census(jobs)
        assert census.look(patient=False).marks == {"j1": ANY}
        assert census.look(patient=False).marks == {"j1": project_mark("shop")}
        jobs.close()
