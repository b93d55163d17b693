// An answer on the page: the grapheme, the likeliest classes of each head, and where the model looked.

import { canvasOf } from "./paper.js";

const $ = (id) => document.getElementById(id);

export const busy = (whether) => $("reading").setAttribute("aria-busy", String(whether));

/** Nothing is on the paper. */
export function forget(facts) {
  busy(false);
  $("problem").hidden = true;
  $("grapheme").textContent = "";
  $("sure").textContent = "The reading appears here.";
  $("found").hidden = true;
  $("times").textContent = "";
  $("source").textContent = facts;
}

/** Say why there is no answer. */
export function fail(reason) {
  busy(false);
  $("reason").textContent = reason;
  $("problem").hidden = false;
}

const percent = (share) => (share > 0.9995 ? ">99.9%" : share < 0.0005 ? "<0.1%" : `${(100 * share).toFixed(1)}%`);

/** A class as people see it: signs that join a letter stand beside a dotted circle. */
function shown(text, letters) {
  if (letters && (text === "" || text === "0")) return "none"; // the label map writes the absent sign as 0
  if (/^\p{M}/u.test(text)) return `◌${text}`;
  return letters && text.endsWith("্") ? `${text}◌` : text;
}

/**
 * Show an answer as servers give it.
 * seen: what the network saw of the image, something to draw or null; times, source: of the answer, for people.
 */
export function show(answer, seen, { times, source }) {
  const letters = answer.grapheme !== null;
  const heads = Object.entries(answer.heads);
  const text = answer.grapheme ?? heads.map(([, choices]) => choices[0].text).join(" ");
  $("problem").hidden = true;
  $("grapheme").textContent = text;
  $("grapheme").classList.toggle("long", text.length > 9);
  const sure = document.createElement("b");
  sure.textContent = percent(answer.confidence);
  $("sure").replaceChildren(sure, "confidence");
  $("heads").replaceChildren(...heads.map(([name, choices]) => headOf(name, choices, letters)));
  $("found").hidden = false;
  $("times").textContent = times;
  $("source").textContent = source;
  lookedAt(answer.activation_maps, seen);
}

function headOf(name, choices, letters) {
  const head = $("head").content.cloneNode(true);
  head.querySelector("h3").textContent = name;
  head.querySelector("canvas").dataset.head = name;
  head.querySelector("ol").append(...choices.map((choice) => {
    const row = $("choice").content.cloneNode(true);
    const text = row.querySelector(".text");
    text.textContent = shown(choice.text, letters);
    if (letters && text.textContent !== "none") text.lang = "bn";
    text.classList.toggle("none", text.textContent === "none");
    row.querySelector(".share").textContent = percent(choice.probability);
    row.querySelector("i").style.setProperty("--share", choice.probability);
    return row;
  }));
  return head;
}

/** The maps, in color over what the network saw: the image cut to its ink. */
async function lookedAt(maps, seen) {
  const places = [...$("heads").querySelectorAll("canvas")]; // of this answer: a later one brings its own
  await seen?.decode?.();
  for (const canvas of places) {
    const map = maps?.[canvas.dataset.head];
    canvas.hidden = !map;
    if (!map) continue;
    canvas.setAttribute("aria-label", `Where the model looked for ${canvas.dataset.head}`);
    canvas.width = 472;
    canvas.height = Math.round(472 * (seen ? seen.height / seen.width : map.length / map[0].length));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    if (seen) context.drawImage(seen, 0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "multiply";
    context.drawImage(heat(map), 0, 0, canvas.width, canvas.height);
    context.fillStyle = getComputedStyle($("paper")).backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
}

function heat(map) {
  const values = map.flat(), low = Math.min(...values), high = Math.max(...values);
  const [canvas, context] = canvasOf(map[0].length, map.length);
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, i) => {
    const share = (value - low) / Math.max(high - low, 1e-9);
    image.data.set([232, 84, 32, 255 * 0.85 * share ** 1.5], 4 * i); // the accent, brighter
  });
  context.putImageData(image, 0, 0);
  return canvas;
}
