"""``perian-shim doctor``: whether the set-up works, and what to do if it does not."""

import os
from collections.abc import Iterable, Iterator, Mapping

import click

from perian_shim import settings
from perian_shim.api.errors import PerianError
from perian_shim.checkup.account import account
from perian_shim.checkup.clocks import clock
from perian_shim.checkup.findings import Check, Finding, Status, made, of_error
from perian_shim.checkup.here import address, image, secrets, versions, ways
from perian_shim.checkup.hiding import redacted, redactor
from perian_shim.checkup.store import Trial
from perian_shim.cli.examples import examples
from perian_shim.cli.output import busy, console, on_terminal, output_option, show_json, shown
from perian_shim.config import DEFAULT_SECRET_GROUP
from perian_shim.remote.connection import Connection, connection_of

STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.PROBLEM: "bold red"}


@click.command(
    epilog=examples("doctor", "doctor --raw-data-prefix s3://bucket/folder", "doctor --json")
)
@click.option(
    "--raw-data-prefix",
    metavar="URI",
    help="A folder in the object store that tasks use (s3://… or gs://…): a small object is"
    " written there, handed out as to a job, and deleted.",
)
@click.option(
    "--secret-group",
    default=DEFAULT_SECRET_GROUP,
    show_default=True,
    metavar="NAME",
    help="The Flyte secret group of the tasks.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True, max=600),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for answers at most.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@output_option
def doctor(
    raw_data_prefix: str | None, secret_group: str, patience: float, as_json: bool, output: str
) -> int:
    """Say whether the set-up works, and what to do if it does not.

    Each line is ok, a warning or a problem. Nothing is rented and no secret is shown. The exit code
    is 1 if there is a problem. What is named by -o name are the lines that are not ok.
    """
    environ = os.environ
    with busy("Looking"):
        checks = list(planned(environ, raw_data_prefix, secret_group, patience))
        hide = redactor(environ, secret_group)
        found = [redacted(each, hide) for each in made(checks, patience)]
    good = all(each.status is not Status.PROBLEM for each in found)
    if as_json or output == "json":
        show_json({"ok": good, "findings": [each.to_dict() for each in found]})
    elif output == "name":
        for name in dict.fromkeys(each.check for each in found if each.status is not Status.OK):
            print(shown(name))
    else:
        show_findings(found)
    return 0 if good else 1


def planned(
    environ: Mapping[str, str], prefix: str | None, group: str, patience: float
) -> Iterator[Check]:
    """Yield the checks."""
    seconds = min(patience / 2, 10.0)
    yield Check("versions", versions)
    yield Check("image", lambda: [image(environ)])
    yield Check("secrets", lambda: secrets(environ, group))
    url = settings.text(settings.API_URL, settings.DEFAULT_API_URL, environ)
    yield Check("proxy", lambda: ways(environ, [url]))
    yield Check("address", lambda: address(environ))
    yield Check("credentials", lambda: asked(group, seconds))
    yield Check("clock (Perian)", lambda: [clock("Perian", url, environ, seconds)])
    if prefix:
        yield Check("store", Trial(prefix, group, environ, seconds).findings)


def asked(group: str, seconds: float) -> Iterable[Finding]:
    """Ask Perian, if it is known who asks."""
    try:
        who = connection_of(group=group)
    except PerianError as error:
        return [of_error("credentials", error)]
    return account(Connection(who.organization, who.token, who.url, seconds))


def show_findings(found: Iterable[Finding]) -> None:
    """Print findings: a line each, and what to do below it."""
    found = list(found)
    width = max(len(each.check) for each in found)
    for each in found:
        text = f"  {each.check.ljust(width)}  {shown(each.text)}"
        advice = f"{' ' * (width + 11)}→ {shown(each.remedy)}" if needs_advice(each) else ""
        if on_terminal():
            from rich.text import Text  # noqa: PLC0415 - takes a moment

            label = (each.status.value.ljust(7), STYLES[each.status])
            console().print(Text.assemble(label, text), soft_wrap=True)
            if advice:
                console().print(Text(advice, "dim"), soft_wrap=True)
        else:
            print(f"{each.status.value.ljust(7)}{text}")
            if advice:
                print(advice)


def needs_advice(finding: Finding) -> bool:
    """Whether it is said what to do."""
    return finding.status is not Status.OK and bool(finding.remedy)
