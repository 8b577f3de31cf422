"""A deck in a real browser: what a job prints is text there and does nothing.

The pictures are left in ``.artifacts``, or in the folder that ``PERIAN_TEST_ARTIFACTS`` names.
"""

import html
from pathlib import Path

import pytest
from support.browser import dom_of, elements, picture_of
from support.own_decks import decks

from perian_shim.deck.beside import joined
from perian_shim.deck.page import render
from perian_shim.deck.view import DeckView, Failure, OutputLine, Span, State

pytestmark = pytest.mark.slow

HARM = "document.title='HARMED';document.documentElement.setAttribute('harmed','yes')"
LOG = (
    "epoch 1/3  loss 0.7312  accuracy 0.612",
    "epoch 2/3  loss 0.4120  accuracy 0.803",
    f"<script>{HARM}</script>",
    f'</pre></main><img src=x onerror="{HARM}"><svg onload="{HARM}">',
    "\x1b[1;32mepoch 3/3\x1b[0m  loss \x1b[31m0.2871\x1b[0m \x1b[2K accuracy 0.921\x00",
    '&lt;b&gt; stays as it is, and "quotes" do too: \ud800 \u202egnihton',
)
MACHINE = (
    ("Type", "gpu-a100-1x"),
    ("Provider", "Sample Cloud"),
    ("Country", "DE (frankfurt)"),
    ("Accelerators", "1 \N{MULTIPLICATION SIGN} NVIDIA_A100_80"),
    ("CPU cores", "12"),
    ("Memory", "128 GB"),
    ("Image", "registry.example.org/team/train:1"),
)
FLYTE = (
    ("Project", "flytesnacks"),
    ("Domain", "development"),
    ("Execution", "f3a1b2c4d5e6"),
    ("Node", "n0"),
)
LIVE = DeckView(
    task="team.training.train",
    state=State.RUNNING,
    job_id="7a1c2f64-3d0e-4b83-9f57-0c8e12ab34cd",
    status="Running",
    spans=(Span("queued", 95), Span("initializing", 212), Span("running", 1847)),
    machine=MACHINE,
    money=(
        ("Price", "1.64 EUR per hour"),
        ("Counted", "in steps of 1 min"),
        ("Cost so far", "0.85 EUR"),
    ),
    run=(("Attempt", "2"), ("Rejoined", "yes: attempt 1 submitted the job"),
         ("Submitted", "2026-11-28 01:21:39 UTC"), ("Started", "2026-11-28 01:26:46 UTC")),
    flyte=FLYTE,
    console="https://flyte.example.org/console/projects/flytesnacks",
    log=LOG,
    seen="2026-11-28 01:57:33 UTC",
)  # fmt: skip
DONE = DeckView(
    task=LIVE.task,
    state=State.SUCCEEDED,
    job_id=LIVE.job_id,
    status="Done",
    spans=(Span("queued", 95), Span("initializing", 212), Span("running", 5411)),
    machine=MACHINE,
    money=(("Price", "1.64 EUR per hour"), ("Counted", "in steps of 1 min"), ("Cost", "2.49 EUR")),
    run=LIVE.run,
    flyte=FLYTE,
    log=LOG[:2],
    outputs=(
        OutputLine("accuracy", "float"),
        OutputLine("model", "file (pt)", "s3://flyte-data/q7/f3a1b2c4d5e6-n0-1/function/model.pt"),
    ),
    seen=LIVE.seen,
)
FAILED = DeckView(
    task=LIVE.task,
    state=State.FAILED,
    job_id=LIVE.job_id,
    status="UserError",
    spans=(Span("queued", 12), Span("running", 8)),
    money=(("Price", "1.64 EUR per hour"), ("Cost", "0.03 EUR")),
    run=(("Attempt", "1"),),
    flyte=FLYTE,
    log=("Traceback (most recent call last):", "MemoryError"),
    failure=Failure(
        "PERIAN:JobKilled",
        "Job 7a1c2f64-3d0e-4b83-9f57-0c8e12ab34cd failed: its container was killed (exit 137).",
        "Ask for more memory: task_config=PerianConfig(memory=…).",
    ),
    seen=LIVE.seen,
)


def written(folder: Path, content: str | bytes) -> Path:
    page = folder / "deck.html"
    page.write_bytes(content.encode() if isinstance(content, str) else content)
    return page


def check_harmless(dom: str) -> None:
    assert 'harmed="yes"' not in dom
    assert "HARMED</title>" not in dom
    assert not [img for img in elements(dom, "main") if "<img" in img]


def test_what_a_job_prints_is_text(tmp_path: Path) -> None:
    dom = dom_of(written(tmp_path, render(LIVE)))
    check_harmless(dom)
    assert "<script" not in dom.lower()
    (log,) = elements(dom, "pre")
    text = html.unescape(log)
    for line in LOG[:4]:
        assert line in text
    assert "epoch 3/3  loss 0.2871  accuracy 0.921" in text
    assert "\x1b" not in text


def test_the_browser_itself_would_notice(tmp_path: Path) -> None:
    dom = dom_of(written(tmp_path, f"<!doctype html><html><body><script>{HARM}</script>"))
    assert 'harmed="yes"' in dom


def test_beside_a_functions_decks_ours_is_shown_first(tmp_path: Path) -> None:
    own = decks("<h2>Confusion matrix</h2><p>mine</p>", "<p>other</p>")
    dom = dom_of(written(tmp_path, joined(LIVE, own)))
    check_harmless(dom)
    tabs = elements(dom, "ul")[0]
    assert tabs.count("<li") == 3
    assert 'class="active" link_index="1">Perian<' in tabs
    picture_of(tmp_path / "deck.html", "deck-beside-others")


@pytest.mark.parametrize("name", ["live", "done", "failed"])
@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_picture_is_left(name: str, look: str, tmp_path: Path) -> None:
    shown = {"live": LIVE, "done": DONE, "failed": FAILED}[name]
    page = written(tmp_path, render(shown))
    picture_of(page, f"deck-{name}-{look}", dark=look == "dark")


def test_a_narrow_window_does(tmp_path: Path) -> None:
    picture_of(written(tmp_path, render(LIVE)), "deck-narrow", width=500, height=1900)
