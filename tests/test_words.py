"""The words of the project: forms that are never right are in no file of ours.

CONTRIBUTING.md says which words to use instead. A form is here if somebody has used it, or is
likely to, and if it can be told from right ones without reading the sentence.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FORBIDDEN = {
    # names, as their owners write them
    r"\bFlytekit\b": "flytekit",
    r"\b[Pp]ropeller[- ]plugin|\b[Ff]lyte [Pp]ropeller\b": "FlytePropeller",
    r"\bFlyte[ -][Aa]dmin\b|\bflyte-admin\b": "FlyteAdmin",
    r"\bGithub\b": "GitHub",
    r"\bPytorch\b|\bPyTorch's torch\b": "PyTorch",
    r"\bNumpy\b": "NumPy",
    r"\bKubernets\b|\bK8S\b": "Kubernetes",
    r"\b[Pp]erian[_ ][Ss]him\b(?!\.|/|`|_)(?<!perian_shim)": "perian-shim",
    # terms of the field
    r"(?i)\b(official|flyte|perian)('s)? agent\b|\bagent service\b": "connector",
    r"(?i)\bzombie jobs?\b|\bleaked jobs?\b": "orphan",
    r"(?i)\breattach(es|ed|ing)?\b": "rejoin",
    r"(?i)\bblob stores?\b": "object store",
    r"(?i)\bworker node of perian\b|\bperian nodes?\b": "machine",
    # spelling
    r"(?i)(?<!\.)\bbehaviors?\b(?!\")": "behaviour",
    r"(?i)\bcancel(ed|ing)\b": "cancelled, cancelling",
    r"(?i)\borganisations?\b": "organization, as the API has it",
    r"(?i)\b(seperat\w+|occured|recieve\w*|dependant|existant|wether|teh)\b": "its right spelling",
    # English that is none
    r"(?i)\ballows? to (?!be\b)[a-z]+": "allows -ing, or lets",
    r"(?i)\b(informations|advices|feedbacks|softwares|hardwares|evidences)\b": "the singular",
    r"(?i)\bper default\b": "by default",
    r"(?i)\bresp\.": "or, respectively",
    r"(?i)\bit's own\b": "its own",
    r"(?i)\b(the the|of of|to to|is is|and and|an an|that that)\b": "the word once",
    # sentences that have to be read twice
    r"(?i)\b(thereof|wherein|whereupon|hitherto|aforementioned|herewith)\b": "plain words",
}
"""What is never right, and what is said instead."""

HERE = {"tests/test_words.py"}
OTHERS = re.compile(r"requirements/.*|benchmarks/official\.txt|LICENSE|tests/data/.*")
"""What is made of others' words."""

DISCUSSED = {"CONTRIBUTING.md": re.compile(r"## Words\n.*?\n## ", re.DOTALL)}
"""Where wrong forms are named as such."""


def files() -> Iterator[tuple[str, str]]:
    """Name and text of each file of ours that git knows, or may add."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others"]
    listed = subprocess.run(
        [*command, "--exclude-standard"], capture_output=True, check=False
    )  # bounded: git reads this folder
    if listed.returncode != 0:
        pytest.skip("needs a checkout")
    for name in sorted(set(listed.stdout.decode().split("\0")) - HERE - {""}):
        path = ROOT / name
        if OTHERS.fullmatch(name) or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" in content:
            continue
        text = content.decode(errors="replace")
        if name in DISCUSSED:
            text = DISCUSSED[name].sub(lambda found: "\n" * found[0].count("\n"), text)
        yield name, text


def places(pattern: re.Pattern[str], name: str, text: str) -> list[str]:
    """Where a form stands."""
    return [
        f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]}"
        for found in pattern.finditer(text)
    ]


def test_no_file_has_a_form_that_is_never_right() -> None:
    read = list(files())
    assert len(read) > 100
    wrong = {
        place: f"say {instead}"
        for form, instead in FORBIDDEN.items()
        for name, text in read
        for place in places(re.compile(form), name, text)
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "the propeller-plugin",
        "Flytekit starts",
        "the official agent",
        "this allows to run it",
        "it was canceled",
        "A zombie job",
        "say it to to him",
    ],
)
def test_a_wrong_form_is_found(sentence: str) -> None:
    assert any(re.search(form, sentence) for form in FORBIDDEN)


@pytest.mark.parametrize(
    "sentence",
    [
        "FlytePropeller starts a pod",
        "`perian_shim` is imported",
        "the agent in perian_shim/job",
        "it is allowed to be empty",
        'WhichOneof("behavior")',
        "cache.behavior",
    ],
)
def test_a_right_form_is_let_pass(sentence: str) -> None:
    found = [form for form in FORBIDDEN if re.search(form, sentence)]
    assert found == []
