"""The page's style sheet: light and dark, wide and narrow."""

CSS = """
:root { color-scheme: light dark; --paper: #f6f7f9; --card: #fff; --ink: #1c2430; --muted: #5f6b7a; --line: #e2e6eb;
  --bar: #0072b2; --wrong: #b34a00; }
@media (prefers-color-scheme: dark) { :root { --paper: #101418; --card: #1a1f26; --ink: #e8ebef; --muted: #9aa5b1;
  --line: #2c343d; --bar: #56b4e9; --wrong: #ff9f5a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 "Hind Siliguri", system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
  "Noto Sans Bengali", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
header p, .note, footer { color: var(--muted); }
h1, h2, h3 { font-weight: 600; margin: 0; }
h1 { font-size: 30px; line-height: 1.2; margin-bottom: 4px; overflow-wrap: anywhere; }
h2 { font-size: 20px; }
h3 { font-size: 15px; margin-top: 20px; display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center;
  justify-content: space-between; }
p { margin: 0; }
small { color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
section { margin-top: 24px; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 24px; scroll-margin-top: 12px; }
.says { margin-top: 6px; max-width: 46em; }
.note { font-size: 14px; margin-top: 12px; }
nav { margin-top: 14px; display: flex; flex-wrap: wrap; gap: 4px 20px; }
a { color: var(--bar); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(110px, 1fr)); gap: 12px; margin-top: 20px; }
.tiles a { display: block; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 14px 16px; color: inherit; text-decoration: none; }
.tiles a:hover { border-color: var(--bar); }
.tiles b { display: block; font-size: 26px; line-height: 1.15; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--muted); font-size: 14px; }
.scan { display: block; height: auto; border-radius: 4px; background: #fff; border: 1px solid var(--line); }
.rows { margin-top: 6px; }
.row { display: flex; gap: 12px; align-items: center; padding: 6px 0; border-bottom: 1px solid var(--line); }
.row:last-child { border-bottom: 0; }
.words { flex: 0 0 116px; line-height: 1.25; overflow-wrap: anywhere; }
.words b { display: block; font-size: 24px; font-weight: 400; }
.pictures { display: flex; gap: 6px; flex-wrap: wrap; min-width: 0; flex: 1; }
.pictures .scan { width: calc((100% - 42px) / 8); min-width: 0; }
.many { margin-top: 8px; }
.many .scan { width: calc((100% - 66px) / 12); }
.cells { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 0 28px; margin-top: 8px; }
.cells .words { flex-basis: 84px; }
.cells .words b { font-size: 20px; }
.cells .scan { width: calc((100% - 18px) / 4); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 14px; margin-top: 16px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 10px; line-height: 1.35; }
.card p { margin-top: 6px; }
.card b { font-weight: 600; font-size: 17px; }
.pair .scan { width: calc((100% - 6px) / 2); }
.lead .scan { width: calc((100% - 12px) / 3); }
.lead .scan:first-child { width: 100%; }
.bn { display: inline-block; }
.wrong { color: var(--wrong); }
.wide { overflow-x: auto; margin-top: 16px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 400; color: var(--muted); font-size: 14px; }
th:first-child, td:first-child { text-align: left; }
tr:last-child td { border-bottom: 0; }
.still { overflow-x: auto; margin-top: 16px; }
.still img { display: block; width: 100%; min-width: 680px; height: auto; border-radius: 6px; }
@media (prefers-color-scheme: dark) { .still img { filter: invert(1) hue-rotate(180deg); mix-blend-mode: screen; } }
.moving, .moving-on .still { display: none; }
.moving-on .moving { display: block; }
.plot { width: 100%; margin-top: 4px; }
button { font: inherit; font-size: 14px; color: var(--ink); background: none; border: 1px solid var(--line);
  border-radius: 999px; padding: 3px 14px; cursor: pointer; min-height: 32px; }
button:hover { border-color: var(--bar); }
button[aria-pressed=true] { background: var(--bar); border-color: var(--bar); color: var(--card); }
.tabs { display: flex; flex-wrap: wrap; gap: 8px; margin-top: 16px; }
[hidden] { display: none !important; }
#tip { position: fixed; z-index: 9; pointer-events: none; border: 1px solid var(--line); border-radius: 6px;
  background-color: #fff; box-shadow: 0 4px 16px #0004; }
details { border-top: 1px solid var(--line); padding: 10px 0; margin-top: 12px; }
details + h3 { margin-top: 8px; }
summary { cursor: pointer; font-weight: 600; }
footer { margin-top: 32px; font-size: 14px; overflow-wrap: anywhere; }
@media (max-width: 600px) { main { padding: 24px 12px; } section { padding: 16px; } th, td { padding: 6px 8px; }
  .words { flex-basis: 74px; } .words b { font-size: 20px; } .rows .scan { width: calc((100% - 18px) / 4); }
  .many .scan { width: calc((100% - 30px) / 6); } .cells { grid-template-columns: 1fr; }
  .cards { grid-template-columns: 1fr 1fr; gap: 10px; } .card { padding: 8px; } }
"""
