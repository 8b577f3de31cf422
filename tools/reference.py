"""Writes the reference pages that repeat what the code says: error codes and settings.

    reference.py [--check]

With ``--check`` nothing is written; the exit code is 1 if a page differs. Meanings, remedies and
outcomes of errors are the classes' own, and so are the texts of settings; ``CAUSES`` adds to each
code what it most often comes from.
"""

import ast
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from perian_shim import errors, settings
from perian_shim.errors import TaskError
from perian_shim.work.error_document import outcome_of

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = CHECKOUT / "docs/reference"

CAUSES = {
    "PERIAN:InvalidTemplate": "The task was registered by other means than perian-shim, or its "
    "`custom` was changed.",
    "PERIAN:TemplateTooNew": "The image of the pods is older than the package that registered.",
    "PERIAN:MissingSecret": "The secret is not in the namespace of this project and domain; a key "
    "is misspelt; a function task has no credentials for the object store.",
    "PERIAN:InvalidInput": "An object that is not there; data in two object stores; a store to"
    " which a job cannot be given access.",
    "PERIAN:InvalidCommand": "A Jinja expression fails with this input; a value holds a NUL byte.",
    "PERIAN:AccessTooShort": "The pod, or the secret group, has temporary keys that nothing renews"
    " (`AWS_SESSION_TOKEN`).",
    "PERIAN:StorageFailed": "The pod's identity may not read or write there; the store was away "
    "for longer than `PERIAN_OUTAGE_SECONDS`.",
    "PERIAN:JobRejected": "No machine fits; a name that the catalogue does not know; wrong token.",
    "PERIAN:AgainstPolicy": "A price, place, machine or timeout that `PERIAN_POLICY` forbids.",
    "PERIAN:TooManyJobs": "`max_jobs` or `max_jobs_per_project` was full for `max_wait_seconds`.",
    "PERIAN:ApiUnavailable": "A wrong address, a proxy, an egress rule; an outage of Perian's.",
    "PERIAN:SubmissionUnclear": "The connection broke while the job was submitted.",
    "PERIAN:JobFailed": "The program's exit code is not 0, or it left `_ERROR`.",
    "PERIAN:JobKilled": "Out of memory; seldom somebody's `kill -9`.",
    "PERIAN:FunctionFailed": "The function raised, in a run on your own machine. A cluster shows "
    "the function's own error; of those of flytekit's functions only `FlyteRecoverableException` "
    "is tried again.",
    "PERIAN:TransferFailed": "The machine does not reach the object store; the disk is full; "
    "access has expired because the pod was away.",
    "PERIAN:JobUnsuitable": "The image lacks the program, `/bin/sh`, or a tool that transfers; a "
    "directory is not writable.",
    "PERIAN:OutputMissing": "The program writes elsewhere, or ended early with exit code 0.",
    "PERIAN:OutputInvalid": "A text that is not of the declared type; a file where a folder is "
    "declared.",
    "PERIAN:OutputTooLarge": "Values of more than 2 MB in all (`PERIAN_MAX_OUTPUT_BYTES`).",
    "PERIAN:ResultMissing": "The image's `ENTRYPOINT` ignores the command.",
    "PERIAN:Timeout": "The run takes longer than the task's `timeout`.",
    "PERIAN:QueuedTooLong": "No machine of that kind was free for `max_queued_time`.",
    "PERIAN:Cancelled": "Somebody ended the job at Perian or by `perian-shim cancel`.",
    "PERIAN:JobVanished": "Perian answers that there is no such job, for longer than an outage.",
    "PERIAN:WrongMachine": "Perian rented a machine of another price, place or kind.",
    "PERIAN:Terminated": "An abort, Flyte's timeout, a drained or lost node.",
    "PERIAN:Superseded": "Flyte started a later attempt while this pod still ran.",
    "PERIAN:Internal": "A bug of perian-shim's.",
    "PERIAN:ServerError": "A machine or a provider failed.",
    "PERIAN:ImageUnavailable": "A misspelt image; a private registry without its secrets.",
    "PERIAN:CreditExhausted": "The organization's credit or quota is used up.",
    "PERIAN:StatusUnknown": "Perian has a new status that this version does not know.",
}

BY_HAND = "<!-- Written by tools/reference.py from the code: change it there. -->"


ERRORS_BEGIN = """\
# Error codes

Each way in which a run can end badly has a code. Codes are stable: alerts and scripts may rely on
them. The message names the job, if there is one, and ends with what to do. *Tried again* says who
pays for another attempt: the task's `retries`, or Flyte's own budget for faults of the platform
(four attempts in all, unless the backend says otherwise).
"""

SETTINGS_BEGIN = """\
# Settings

Environment variables. A value that is empty counts as not set. Give them to the pods with
`pyflyte register --env NAME=VALUE`, in the executor image or in the cluster's defaults. A container
task's job sees none of them, a function task's job none that could hold a key or a proxy.

## Read by pods, by `pyflyte run` and by the command line
"""

MARKERS_BEGIN = """\
Proxies and certificates are the usual ones: `HTTPS_PROXY`, `NO_PROXY`, `REQUESTS_CA_BUNDLE`,
`SSL_CERT_FILE`, `AWS_CA_BUNDLE`. Where the object store is and whose keys are used is in
[Object stores](../storage.md).

## Set in every job
"""

SETTINGS_END = "Beside these, a job sees Flyte's own variables as a pod of Flyte's would."


def leaves() -> Iterator[type[TaskError]]:
    """Yield the errors that a run ends with, in the order of the code."""
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, TaskError) and each is not TaskError:
            yield each


def budget(kind: type[TaskError]) -> str:
    """Return who pays for another attempt after an error."""
    outcome = outcome_of(kind.__new__(kind))
    if not outcome.recoverable:
        return "never"
    return "on the task's `retries`" if outcome.origin == "USER" else "by Flyte itself"


def first_sentences(text: str) -> str:
    """Return the first paragraph of a docstring, as Markdown."""
    paragraph = re.split(r"\n\s*\n", text.strip())[0]
    return re.sub(r"\s+", " ", paragraph.replace("``", "`")).replace("|", "\\|")


def error_page() -> str:
    """Return the page of error codes."""
    lines = [BY_HAND, ERRORS_BEGIN, "| code | tried again |", "|---|---|"]
    for kind in leaves():
        anchor = kind.code.lower().replace(":", "")
        lines.append(f"| [`{kind.code}`](#{anchor}) | {budget(kind)} |")
    lines.append("")
    for kind in leaves():
        lines += [
            f"## `{kind.code}`",
            "",
            first_sentences(kind.__doc__ or ""),
            "",
            f"- **Causes:** {CAUSES[kind.code]}",
            f"- **Remedy:** {kind.remedy}",
            f"- **Tried again:** {budget(kind)}",
            "",
        ]
    lines += [
        "## Raised where tasks are defined",
        "",
        "`PERIAN:Config` also ends a pod whose own settings are wrong, such as `PERIAN_POLICY`. It",
        "is never tried again.",
        "",
        "| code | meaning | remedy |",
        "|---|---|---|",
    ]
    for defined in (errors.ConfigError, errors.DefinitionError):
        meaning = first_sentences(defined.__doc__ or "")
        lines.append(f"| `{defined.code}` | {meaning} | {defined.remedy} |")
    return "\n".join(lines) + "\n"


def documented(source: str) -> dict[str, str]:
    """Return the names of a module's constants that have a text, with it, in order."""
    found = {}
    body = ast.parse(source).body
    for statement, after in itertools.pairwise(body):
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[statement.targets[0].id] = after.value.value
    return found


def settings_page() -> str:
    """Return the page of settings."""
    texts = documented(Path(settings.__file__).read_text())
    named = {getattr(settings, name): text for name, text in texts.items()}

    def table(names: tuple[str, ...]) -> list[str]:
        rows = [f"| `{name}` | {first_sentences(named[name])} |" for name in names]
        return ["| variable | meaning |", "|---|---|", *rows, ""]

    lines = [
        *(BY_HAND, SETTINGS_BEGIN, *table(settings.SETTINGS)),
        *(MARKERS_BEGIN, *table(settings.MARKERS), SETTINGS_END),
    ]
    return "\n".join(lines) + "\n"


WRITTEN = {"errors.md": error_page, "settings.md": settings_page}


def main(check: bool) -> int:
    """Write the pages, or look whether they are as the code says; return an exit code."""
    wrong = 0
    for name, made in WRITTEN.items():
        page = PAGES / name
        if check:
            wrong += not page.is_file() or page.read_text() != made()
        else:
            page.write_text(made())
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
