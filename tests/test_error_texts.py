"""What errors say to people: sentences, whatever words of others they are made of."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import perian_shim
import perian_shim.errors
from perian_shim.api.errors import PerianError, sentence
from perian_shim.api.jobs import Job
from perian_shim.errors import FunctionFailed, JobFailed, MissingSecret, TaskError
from perian_shim.lifecycle.verdicts import verdict
from perian_shim.pod.credentials import SecretReader
from perian_shim.pod.secrets import FlyteSecrets
from perian_shim.secret_keys import create_command
from perian_shim.work.error_document import error_document, message_of
from perian_shim.work.job_failure import job_failure

PACKAGE = Path(perian_shim.__file__).parent

WORDS = [
    *("exited with code 3", "exited with code 3.", "exit 3!", "stopped…", "see log:", "a, ", "x.."),
    *("one\ntwo\n", 'said "no"', 'said "no."', "(137)", "got 'x'", "  spaced  ", "?"),
]


def leaves(of: type[PerianError] = PerianError) -> list[type[PerianError]]:
    return [of, *(leaf for child in of.__subclasses__() for leaf in leaves(child))]


def check(text: str, remedy: str) -> None:
    """Expect sentences, the last of them the remedy."""
    assert text.endswith(remedy)
    said = text.removesuffix(remedy)
    assert re.search(r"[.!?…][\"')\]]*[ \n]\Z", said), said
    assert not re.search(r"(?<!\.)\.\.[ \n]\Z", said), said
    assert not said.endswith("  ")


@pytest.mark.parametrize("leaf", leaves())
def test_what_to_do_next_is_a_sentence(leaf: type[PerianError]) -> None:
    assert re.match(r"[A-Z]", leaf.remedy)
    assert leaf.remedy.endswith(".")
    assert "  " not in leaf.remedy


def remedies() -> list[str]:
    """All that is written down as a remedy where an error is raised."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.keyword) and node.arg == "remedy"
            assigned = isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "remedy" for target in node.targets
            )
            if named or assigned:
                value = node.value  # type: ignore[attr-defined]  # both have one
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.append(value.value)
    return sorted({*found} - {""})


@pytest.mark.parametrize("remedy", remedies())
def test_a_remedy_for_one_case_is_a_sentence_too(remedy: str) -> None:
    assert re.match(r"[A-Z]", remedy)
    assert re.search(r"[.…]\Z", remedy)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("leaf", [PerianError, JobFailed])
def test_the_words_of_others_are_ended_before_what_to_do_next(
    leaf: type[PerianError], words: str
) -> None:
    check(str(leaf(f"It failed: {words}")), leaf.remedy)


@given(words=st.text(max_size=40))
@example(words="\x00")
def test_any_words_are_ended(words: str) -> None:
    ended = sentence(f"It failed: {words}")
    assert sentence(ended) == ended
    assert ended.rstrip("\"')]")[-1] in ".!?…"


@pytest.mark.parametrize("words", [None, *WORDS])
@pytest.mark.parametrize("status", ["Cancelled", "Timeout", "ServerError"])
def test_what_the_platform_says_of_an_end_is_told_in_sentences(
    status: str, words: str | None
) -> None:
    error = verdict(Job("j", status, errors=words), 60)
    assert error is not None
    check(message_of(error), error.remedy)


@pytest.mark.parametrize("code", [None, 3, 137])
@pytest.mark.parametrize("words", [None, *WORDS])
def test_a_containers_failure_is_told_in_sentences(words: str | None, code: int | None) -> None:
    error = job_failure("j", words, code)
    check(message_of(error), error.remedy)
    check(str(error), error.remedy)


def test_what_to_do_next_does_not_hide_behind_the_last_of_many_lines() -> None:
    error = JobFailed("The program left an error: Traceback\n  x\nValueError: 3")
    assert str(error).splitlines()[-2:] == ["ValueError: 3.", JobFailed.remedy]


CREATE = "Create the secret in the project's namespace."


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        (
            "perian_token",
            f"{CREATE[:-1]}, or set the variable PERIAN_TOKEN. To create it: {create_command('g')}",
        ),
        ("my_secret", CREATE),
    ],
)
def test_a_variable_is_advised_only_where_one_will_do(key: str, remedy: str) -> None:
    with pytest.raises(MissingSecret) as caught:
        SecretReader(FlyteSecrets({}), {}).require("g", key)
    assert caught.value.remedy == remedy


# --- what Flyte reads ----------------------------------------------------------------------------

STEERING = "\x1b[2J\x1b[31mred\x1b[0m\x07 \x9b1A\u202e"


@pytest.mark.parametrize("place", ["message", "log", "function"])
def test_nothing_in_an_error_document_steers_a_terminal(place: str) -> None:
    error: TaskError
    if place == "function":
        theirs = error_document(JobFailed("x"))
        theirs.error.message = STEERING
        error = FunctionFailed("x", document=theirs.SerializeToString())
    else:
        text = STEERING if place == "message" else ""
        error = JobFailed(f"It failed: {text}", log_tail=STEERING if not text else "")
    shown = error_document(error).error.message
    assert "\\x1b[2Jred\\x07 \\x9b1A\\u202e" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)
