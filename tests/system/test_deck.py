"""The *Perian* tab: there while the job runs and at the end of it, whatever that was, through both
doors. What a deck shows, and how, is tested in ``tests/deck``."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flytekit import Secret
from flytekit.types.file import FlyteFile
from support.flyte import Harness
from support.function_harness import FunctionHarness
from support.functions import showing, surroundings
from support.shell_task import shell
from support.waiting import LONG_SECONDS, wait_until

from perian_shim.sandbox.flyte.cluster import RunningPod

pytestmark = pytest.mark.thorough

TAG = re.compile(r"<style>.*?</style>|<[^>]*>", re.DOTALL)
SO_FAR = re.compile(r"running \S+ s so far")


def deck_of(pod: RunningPod) -> str:
    """Return the deck as it is now, "" if there is none."""
    content = pod.store.read(f"{pod.pod.output_prefix}/deck.html")
    return "" if content is None else content.decode()


def words(deck: str) -> str:
    """Return a deck's text on one line."""
    return " ".join(TAG.sub(" ", deck).split())


def ended(pod: RunningPod) -> str:
    """Wait for a pod's end and return its deck's text."""
    attempt = pod.wait()
    assert attempt.exit_code == 0, attempt.log
    return words(deck_of(pod))


@pytest.fixture
def running(harness: Harness) -> Iterator[Any]:
    """Return a function that starts a task with a deck, and its pods are ended."""
    pods: list[RunningPod] = []

    def start(script: str, **arguments: Any) -> RunningPod:
        execution = arguments.pop("execution", None)
        attempt = arguments.pop("attempt", 0)
        task = shell(script, enable_deck=True, **arguments)
        pod = harness.start(task, execution=execution, attempt=attempt)
        pods.append(pod)
        return pod

    yield start
    for pod in pods:
        if pod.process.poll() is None:
            pod.kill()
            pod.wait()


def test_a_deck_is_there_while_the_job_runs(running: Any) -> None:
    pod = running("echo working; sleep 60")
    deck = wait_until(
        lambda: text if SO_FAR.search(text := words(deck_of(pod))) else None,
        LONG_SECONDS,
        lambda: words(deck_of(pod)),
    )
    assert "test.shell" in deck
    assert "Cost so far" in deck
    pod.delete()
    pod.wait()


def test_at_the_end_it_shows_what_was_left_and_no_values(running: Any) -> None:
    script = "echo all done; echo 4711 >/var/outputs/number; echo x >/var/outputs/file"
    deck = ended(running(script, outputs={"number": int, "file": FlyteFile}))
    assert "succeeded" in deck
    assert "number int" in deck
    assert re.search(r"file file s3://\S+", deck)
    assert "4711" not in deck
    assert "all done" in deck
    assert "Cost" in deck


def test_a_failure_is_shown_with_its_reason_and_what_to_do(running: Any) -> None:
    deck = ended(running("echo last words; exit 3"))
    assert "Why it failed: PERIAN:JobFailed" in deck
    assert "What to do:" in deck
    assert "last words" in deck


def test_an_abort_is_shown(running: Any, harness: Harness) -> None:
    pod = running("sleep 60")
    wait_until(lambda: harness.jobs(pod.pod.execution), LONG_SECONDS, "no job")
    pod.delete()
    deck = ended(pod)
    assert "aborted" in deck
    assert "PERIAN:Terminated" in deck


def test_what_is_wrong_before_there_is_a_job_is_shown(running: Any) -> None:
    deck = ended(running("true", secret_requests=[Secret("shop", "password")]))
    assert "No job has been submitted." in deck
    assert "Why it failed: PERIAN:MissingSecret" in deck


def test_without_it_nothing_is_written(harness: Harness) -> None:
    pod = harness.start(shell("true"))
    assert pod.wait().exit_code == 0
    assert pod.store.read(f"{pod.pod.output_prefix}/deck.html") is None


def test_a_job_that_an_attempt_before_has_submitted_is_called_so(
    running: Any, harness: Harness
) -> None:
    first = running("sleep 3", retries=2)
    wait_until(lambda: harness.jobs(first.pod.execution), LONG_SECONDS, "no job")
    wait_until(lambda: "queued" in deck_of(first), LONG_SECONDS, "no deck")
    first.kill()
    first.wait()
    deck = ended(running("sleep 3", retries=2, execution=first.pod.execution, attempt=1))
    assert "attempt 1 submitted the job" in deck


def test_secrets_in_the_log_are_not_in_the_deck(harness: Harness) -> None:
    token = harness.sandbox.environment()["PERIAN_TOKEN"]
    halves = f"{token[:6]}\\033[2K{token[6:]}"
    pod = harness.start(shell(f"printf 'it is {token}\\nor {halves}.\\n'", enable_deck=True))
    deck = ended(pod)
    assert token not in deck
    assert deck.count("[redacted]") >= 2


def test_browsers_are_told_that_it_is_a_page(running: Any, harness: Harness) -> None:
    pod = running("true")
    ended(pod)
    assert content_type(harness, f"{pod.pod.output_prefix}/deck.html") == "text/html"


def content_type(harness: Harness, uri: str) -> str:
    """Return what the store says an object is."""
    import boto3  # noqa: PLC0415 - for this alone

    keys = harness.sandbox.environment()
    client = boto3.client(
        "s3",
        endpoint_url=keys["FLYTE_AWS_ENDPOINT"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return str(client.head_object(Bucket=bucket, Key=key)["ContentType"])


def test_a_functions_own_decks_stand_beside_it(functions: FunctionHarness) -> None:
    secrets = {("shop", name): f"canary-{name}" for name in ("password", "pin", "card", "voucher")}
    pod = functions.start(surroundings.observed, {"note": "deck canary"}, secrets=secrets)
    pod.wait()
    deck = deck_of(pod)
    tabs = re.findall(r'<li onclick="handleLinkClick\(this\)">([^<]*)</li>', deck)
    assert tabs[0] == "Perian"
    assert {"notes", "Timeline"} <= set(tabs)
    assert "<p>deck canary</p>" in deck
    assert "succeeded" in deck


def test_a_function_that_raises_has_its_decks_and_ours_says_why(
    functions: FunctionHarness,
) -> None:
    pod = functions.start(showing.shows_and_raises, {"cups": 3})
    pod.wait()
    deck = deck_of(pod)
    assert "<p>3 cups</p>" in deck
    assert "failed" in deck
    assert "no coffee" in words(deck)
