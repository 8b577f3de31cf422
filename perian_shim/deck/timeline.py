"""The picture of a job's life: inline SVG, and the same in words. Pure."""

from perian_shim.deck.markup import escaped, shown
from perian_shim.deck.view import DeckView, Span, State

WIDTH = 720.0
LEAST = 10.0
"""In the picture's units: a part that took no time is still seen."""

LETTER = 8.0
"""What a letter takes at most."""

BAR, HEIGHT = 34, 40

MINUTE, HOUR, DAY = 60, 3600, 86400

NAMES = ("queued", "initializing", "running")


def duration(seconds: float) -> str:
    """Return a time as people say it: ``4.2 s``, ``3 min 5 s``, ``2 h``, ``3 d 1 h``."""
    if round(seconds, 1) < MINUTE:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    units = ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s"))
    large, name, small, second = next(unit for unit in units if whole >= unit[0])
    rest = whole % large // small
    return f"{whole // large} {name}" + (f" {rest} {second}" if rest else "")


def widths(spans: tuple[Span, ...]) -> list[float]:
    """Return how wide each part is drawn: by its time, but none too narrow to be seen."""
    total = sum(span.seconds for span in spans)
    free = WIDTH - LEAST * len(spans)
    shares = [span.seconds / total if total else 1 / len(spans) for span in spans]
    return [LEAST + free * share for share in shares]


def in_words(view: DeckView) -> str:
    """Return what the picture shows."""
    parts = [f"{span.name} for {duration(span.seconds)}" for span in view.spans]
    return f"{', then '.join(parts)}; the run is {view.state.value}."


def timeline(view: DeckView) -> str:
    """Return the picture and its legend as HTML; nothing for a run that has no job yet."""
    spans = tuple(span for span in view.spans if span.name in NAMES)
    if not spans:
        return ""
    drawn, legend, left = [], [], 0.0
    for index, (span, width) in enumerate(zip(spans, widths(spans), strict=True)):
        goes_on = not view.state.final and index == len(spans) - 1
        look = f"{span.name} going" if goes_on and view.state is not State.ENDING else span.name
        drawn.append(
            f'<rect class="{look}" x="{left:.1f}" y="3" width="{max(width - 2, 1):.1f}"'
            f' height="{BAR}" rx="4"/>'
        )
        if width > LETTER * len(span.name) + LEAST:
            drawn.append(f'<text x="{left + width / 2 - 1:.1f}" y="25">{span.name}</text>')
        so_far = " so far" if goes_on else ""
        legend.append(
            f'<li><span class="dot {span.name}" aria-hidden="true"></span>{span.name}'
            f" <b>{escaped(duration(span.seconds))}</b>{so_far}</li>"
        )
        left += width
    if view.state.final:
        dot = f'<span class="dot {view.state.name.lower()}" aria-hidden="true"></span>'
        legend.append(f"<li>{dot}{view.state.value}</li>")
    words = shown(in_words(view), 1000)
    return (
        f'<svg class="life" viewBox="0 0 {WIDTH:.0f} {HEIGHT}" role="img"'
        ' aria-labelledby="perian-life perian-life-words">'
        f'<title id="perian-life">Timeline of the job</title>'
        f'<desc id="perian-life-words">{words}</desc>{"".join(drawn)}</svg>'
        f'<ol class="legend">{"".join(legend)}</ol>'
    )
