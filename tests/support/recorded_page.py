"""A page with recorded commands: what it shows, and what of it differs from run to run."""

import re
from collections.abc import Callable
from dataclasses import dataclass

BLOCK = re.compile(r"(?<=```console\n).*?(?=```)", re.DOTALL)


@dataclass(frozen=True)
class Recorded:
    """A command of the page.

    Attributes:
        command: as it is typed.
        output: what it printed.
    """

    command: str
    output: str


def commands(page: str) -> list[Recorded]:
    """Return the commands of a page, in order."""
    return [each for block in BLOCK.findall(page) for each in of_block(block)]


def of_block(block: str) -> list[Recorded]:
    """Return the commands of one block."""
    _, *parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    pairs = (part.partition("\n") for part in parts)
    return [Recorded(command, output.strip("\n")) for command, _, output in pairs]


def with_outputs(page: str, output_of: Callable[[Recorded], str]) -> str:
    """Return a page with other outputs."""

    def again(block: "re.Match[str]") -> str:
        texts = []
        for each in of_block(block[0]):
            output = output_of(each)
            texts.append(f"$ {each.command}\n" + (f"{output}\n" if output else ""))
        return "\n".join(texts)

    return BLOCK.sub(again, page)


LEFT_OUT = re.compile(r"\] job \S+(: .* after [\d.]+ s| runs (at|on) .*)$")
"""What a pod says of a job's statuses hangs on when it looks."""

MASKS = (
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)", "<time>"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>"),
    (r"127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
    (r"~[\d.]+ USD", "~<cost>"),
    (r"about [\d.]+ USD so far, [\d:]+", "about <cost> so far, <duration>"),
    (r"(?<=credit)\s+[\d.]+ EUR(?! are)|[\d.]+ EUR(?= are left)", " <credit>"),
    (r"version \S+", "version <version>"),
    (r"\br[0-9a-f]{12}\b", "<execution>"),
    (r"(?<=perian-sandbox/)\w\w(?=/<execution>)", "<shard>"),
    (r"(after|in) [\d.]+ s\b", r"\1 <duration>"),
    (r"ran for .* and cost \S+ USD", "ran for <duration> and cost <cost>"),
    (r"^(# |\s+)(overlay|rewrite|container): .*$", r"\1<isolation>"),
    (r"^(# images: ).*$", r"\1<images>"),
    (r" {2,}|\s+$", "  "),
)
"""What differs from run to run, and what stands for it when two runs are compared."""


def comparable(output: str) -> list[str]:
    """Return the lines of an output without what differs from run to run."""
    lines = []
    for line in output.splitlines():
        if LEFT_OUT.search(line):
            continue
        for pattern, stands in MASKS:
            line = re.sub(pattern, stands, line)  # noqa: PLW2901 - masked step by step
        lines.append(line.strip())
    return lines
