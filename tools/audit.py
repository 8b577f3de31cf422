"""Asks an advisory service for known vulnerabilities in all that the lock files pin.

    audit.py [LOCK …]

Without arguments all of ``requirements/*.txt`` and the benchmarks' are looked at. pip-audit asks
(``make audit`` installs it), once for each version of a package, however many files pin it and for
whichever Python. The exit code is 0 if nothing is known, 1 if something is, with a line for each,
and 2 if the service did not answer: then nothing is known about anything.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements/*.txt", "benchmarks/official.txt")
PINNED = re.compile(r"^(?P<name>[\w.-]+)(?:\[[^]]*\])?==(?P<version>[\w.+!]+)", re.MULTILINE)
AUDIT_SECONDS = 900.0

PIP_AUDIT = ("-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off")
"""What is asked about is pinned: nothing is resolved or downloaded for it."""


def pins(locks: Sequence[Path]) -> dict[str, dict[str, set[str]]]:
    """Return the files that pin each version of each package.

    Args:
        locks: in pip's format; markers are not looked at, as each is for somebody.
    """
    found: dict[str, dict[str, set[str]]] = {}
    for lock in locks:
        for name, version in PINNED.findall(lock.read_text()):
            found.setdefault(name, {}).setdefault(version, set()).add(lock.name)
    return found


def rounds(pinned: dict[str, dict[str, set[str]]]) -> Iterator[str]:
    """Yield files of requirements that together have each version; none has two of a package."""
    left = {name: sorted(versions) for name, versions in pinned.items()}
    while left:
        yield "".join(f"{name}=={versions[-1]}\n" for name, versions in sorted(left.items()))
        left = {name: versions[:-1] for name, versions in left.items() if versions[1:]}


class NoAnswer(Exception):
    """The advisory service could not be asked."""


def asked(requirements: str, *options: str) -> list[dict[str, Any]]:
    """Return what pip-audit reports of each package.

    Args:
        requirements: pinned, a line each.
        options: further ones of pip-audit.

    Raises:
        NoAnswer: it ended without a report; with the last that it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted, report = Path(folder, "pinned.txt"), Path(folder, "report.json")
        wanted.write_text(requirements)
        command = [sys.executable, *PIP_AUDIT, *options, "--requirement", str(wanted)]
        command += ["--format", "json", "--output", str(report)]
        try:
            ended = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=AUDIT_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise NoAnswer(f"no answer within {AUDIT_SECONDS:.0f} s") from None
        if ended.returncode not in {0, 1} or not report.exists() or not report.read_text().strip():
            said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
            raise NoAnswer(said[-1])
        dependencies: list[dict[str, Any]] = json.loads(report.read_text())["dependencies"]
        return dependencies


def findings(
    reported: Sequence[dict[str, Any]], pinned: dict[str, dict[str, set[str]]]
) -> Iterator[str]:
    """Yield a line for each vulnerability, and for each package that was not looked up."""
    for each in reported:
        name, version = each["name"], each.get("version", "")
        files = ", ".join(sorted(pinned.get(name, {}).get(version, ())))
        if reason := each.get("skip_reason"):
            yield f"{name}: not looked up, {reason}"
        for vulnerability in each.get("vulns", ()):
            known_as = " ".join([vulnerability["id"], *vulnerability.get("aliases", ())])
            fixed = ", ".join(vulnerability.get("fix_versions", ())) or "no version"
            yield f"{name} {version} ({files}): {known_as}, fixed in {fixed}"


def main(arguments: Sequence[str]) -> int:
    """Ask and tell; return a process exit code."""
    given = [Path(each) for each in arguments]
    locks = given or [path for each in LOCKS for path in sorted(CHECKOUT.glob(each))]
    pinned = pins(locks)
    count = sum(map(len, pinned.values()))
    print(f"# {count} versions in {len(locks)} lock files: about a minute", flush=True)
    try:
        reported = [each for wanted in rounds(pinned) for each in asked(wanted)]
    except NoAnswer as error:
        print(
            f"audit: nothing was looked up, as the advisory service did not answer: {error}\n"
            "It needs a network, to where pip finds packages.",
            file=sys.stderr,
        )
        return 2
    found = sorted(findings(reported, pinned))
    print("\n".join(found) or "no known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
