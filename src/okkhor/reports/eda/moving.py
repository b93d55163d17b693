"""What makes the charts answer: plotly.js inside the page, packed, and the script that unpacks and uses it.

plotly.js is 4.8 MB of text; packed it is 2 MB of the page, and a browser unpacks it in a blink. Where scripts do not
run the pictures stay in place of the charts.
"""

import gzip
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict

from okkhor.errors import InputError
from okkhor.reports.eda.projection import Sheet
from okkhor.reports.eda.section import Chart

SCRIPT = """
(async () => {
  const packed = document.getElementById("plotly"), charts = JSON.parse(document.getElementById("charts").textContent);
  const bytes = Uint8Array.from(atob(packed.textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const code = document.createElement("script");
  code.textContent = await new Response(stream).text();
  document.head.append(code);
  packed.remove();

  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  const family = getComputedStyle(document.body).fontFamily;
  const dressed = (value) => {  // colors by name become those of the present scheme
    if (Array.isArray(value)) return value.map(dressed);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, dressed(inner)]));
    return typeof value === "string" && value.startsWith("--")
      ? getComputedStyle(root).getPropertyValue(value).trim() : value;
  };
  const laid = (chart) => {
    const axis = {gridcolor: "--line", zeroline: false, automargin: true, fixedrange: innerWidth < 600};
    const own = chart.layout, margin = {l: 48, r: 8, t: 12, b: 36};
    return dressed({
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin, height: chart.height, showlegend: false,
      font: {family, size: 13, color: "--muted"},
      hoverlabel: {bgcolor: "--card", bordercolor: "--line", font: {family, size: 15, color: "--ink"}}, ...own,
      xaxis: {...axis, ...own.xaxis, type: own.xaxis.type}, yaxis: {...axis, ...own.yaxis, ...(chart.scale || {})},
    });
  };
  const steps = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((first) => first * 10 ** power));
  const drawn = new Map();
  const draw = (chart) => {
    const place = document.getElementById(chart.name);
    Plotly.react(place, dressed(chart.data), laid(chart), {responsive: true, displayModeBar: false});
    if (!drawn.has(chart.name) && place.dataset.sheet) follow(place);
    drawn.set(chart.name, chart);
  };
  const tip = document.getElementById("tip");
  const follow = (place) => {  // the image of the point under the pointer
    const {width, height, across} = tip.dataset, zoom = 2.4;
    place.on("plotly_hover", ({points: [point], event}) => {
      const k = point.customdata, x = k % across, y = Math.floor(k / across);
      Object.assign(tip.style, {
        width: `${width * zoom}px`, height: `${height * zoom}px`, backgroundSize: `${width * across * zoom}px auto`,
        backgroundPosition: `${-x * width * zoom}px ${-y * height * zoom}px`,
        left: `${Math.min(event.clientX + 16, innerWidth - width * zoom - 8)}px`,
        top: `${Math.max(event.clientY - height * zoom - 28, 8)}px`,
      });
      tip.hidden = false;
    });
    place.on("plotly_unhover", () => { tip.hidden = true; });
  };

  for (const section of document.querySelectorAll("section.charted")) {
    const moving = section.querySelector(".moving");
    section.classList.add("moving-on");
    const names = new Set([...moving.querySelectorAll(".plot")].map((place) => place.id));
    const own = charts.filter((chart) => names.has(chart.name));
    const tabs = [...moving.querySelectorAll(".tabs button")];
    for (const chart of own) {
      if (!document.getElementById(chart.name).closest("[hidden]")) draw(chart);
      await new Promise((next) => setTimeout(next));
    }
    for (const tab of tabs) tab.addEventListener("click", () => {
      for (const other of tabs) {
        other.setAttribute("aria-pressed", other === tab);
        document.getElementById(other.dataset.chart).parentElement.hidden = other !== tab;
      }
      draw(own.find((chart) => chart.name === tab.dataset.chart));
    });
    for (const button of moving.querySelectorAll("button.log")) button.addEventListener("click", () => {
      const chart = own.find((one) => one.name === button.dataset.chart), log = !chart.scale;
      chart.scale = log ? {type: "log", rangemode: "normal", tickvals: steps} : undefined;
      button.setAttribute("aria-pressed", log);
      draw(chart);
    });
  }
  dark.addEventListener("change", () => drawn.forEach(draw));
  document.documentElement.dataset.charts = "drawn";
})();
"""


def plotly_js() -> str:
    """The text of plotly.js; raises InputError where plotly is not installed."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise InputError("plotly is not installed, which draws the page's charts; pip install -e '.[eda]'") from error
    return get_plotlyjs()


def scripts(charts: Sequence[Chart], sheet: Sheet | None) -> str:
    """The end of the page's body: charts, library, script, and the image at the pointer."""
    if not charts:
        return ""
    kept = [{k: v for k, v in asdict(chart).items() if k in ("name", "data", "layout", "height")} for chart in charts]
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    packed = b64encode(gzip.compress(plotly_js().encode(), compresslevel=6, mtime=0)).decode()
    tip = ""
    if sheet is not None:
        tip = (
            f'<div id="tip" hidden data-width="{sheet.width}" data-height="{sheet.height}" '
            f'data-across="{sheet.across}" style="background-image:url({sheet.uri})"></div>\n'
        )
    return (
        f'{tip}<script type="application/json" id="charts">{text}</script>\n'
        f'<script type="text/plain" id="plotly">{packed}</script>\n<script>{SCRIPT}</script>\n'
    )
