"""How a deck looks: no font, no picture and no script of anybody else's.

Everything stands below ``.perian-deck``, so that it changes nothing of the decks beside it. Colours
of text have a contrast of at least 4.5 to 1 on their ground, in light and in dark.
"""

COLOURS = """\
.perian-deck{--ground:#fff;--card:#f6f8fa;--line:#d0d7de;--text:#1f2328;--soft:#57606a;\
--link:#0550ae;--bad:#a40e26;--bad-ground:#fff1f0;--log:#f6f8fa}"""

DARK = """\
@media (prefers-color-scheme:dark){.perian-deck{--ground:#0d1117;--card:#161b22;--line:#3d444d;\
--text:#e6edf3;--soft:#9da7b3;--link:#79b8ff;--bad:#ffa198;--bad-ground:#2d1215;--log:#010409}\
body{background:#0d1117}}"""

RULES = """\
.perian-deck{background:var(--ground);color:var(--text);color-scheme:light dark;max-width:960px;\
margin:0 auto;padding:24px;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",\
"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
.perian-deck *{box-sizing:border-box}
.perian-deck header{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:center}
.perian-deck h1{font-size:22px;line-height:1.3;margin:0;font-weight:650}
.perian-deck h2{font-size:16px;line-height:1.4;margin:24px 0 8px;font-weight:650}
.perian-deck p{margin:4px 0}
.perian-deck a{color:var(--link)}
.perian-deck .soft{color:var(--soft)}
.perian-deck code,.perian-deck pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,\
"DejaVu Sans Mono",monospace}
.perian-deck .badge{border-radius:999px;color:#fff;padding:2px 12px;font-size:14px;font-weight:600}
.perian-deck .life{display:block;width:100%;height:auto;margin-top:20px}
.perian-deck .life text{fill:#fff;font-size:13px;font-weight:600;text-anchor:middle;\
font-family:inherit}
.perian-deck rect.queued{fill:#8a5a00}.perian-deck rect.initializing{fill:#0860ca}
.perian-deck rect.running{fill:#1a7f37}
.perian-deck rect.going{stroke:var(--text);stroke-width:1.5;stroke-dasharray:5 4}
.perian-deck .queued{background:#8a5a00}.perian-deck .initializing{background:#0860ca}
.perian-deck .running,.perian-deck .succeeded{background:#1a7f37}
.perian-deck .waiting{background:#8a5a00}.perian-deck .ending{background:#0860ca}
.perian-deck .failed{background:#b3261e}.perian-deck .aborted{background:#6e40c9}
.perian-deck .legend{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;margin:8px 0 0;\
padding:0}
.perian-deck .legend li{display:flex;align-items:center;gap:6px}
.perian-deck .dot{display:inline-block;width:10px;height:10px;border-radius:3px}
.perian-deck .cards{display:grid;gap:12px;margin-top:20px;\
grid-template-columns:repeat(auto-fit,minmax(min(380px,100%),1fr))}
.perian-deck .card{background:var(--card);border:1px solid var(--line);border-radius:8px;\
padding:12px 16px}
.perian-deck .card h2{margin:0 0 6px}
.perian-deck dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0}
.perian-deck dt{color:var(--soft)}.perian-deck dd{margin:0}
.perian-deck .failure{background:var(--bad-ground);border:1px solid var(--bad);border-radius:8px;\
padding:12px 16px;margin-top:20px}
.perian-deck .failure h2{margin:0 0 6px;color:var(--bad)}
.perian-deck pre{background:var(--log);border:1px solid var(--line);border-radius:8px;margin:0;\
padding:12px 16px;white-space:pre-wrap}
.perian-deck .failure pre{background:none;border:0;padding:0}
.perian-deck .wide{overflow-x:auto}
.perian-deck table{border-collapse:collapse;width:100%}
.perian-deck th,.perian-deck td{border-bottom:1px solid var(--line);padding:6px 12px 6px 0;\
text-align:left;vertical-align:top}
.perian-deck th{color:var(--soft);font-weight:600}
.perian-deck footer{border-top:1px solid var(--line);color:var(--soft);font-size:14px;\
margin-top:24px;padding-top:8px}"""


def style(*, dark: bool) -> str:
    """Return the style sheet.

    Args:
        dark: whether the page may be dark; flytekit's own is always light.
    """
    return "\n".join([COLOURS, *([DARK] if dark else []), RULES])
