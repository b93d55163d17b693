// Draw, upload or pick; ask /api/read; show what it says. Nothing here leaves the page's own server.

import { canvasOf, paperOn } from "./paper.js";
import { offer, received } from "./pictures.js";
import { busy, fail, forget, show } from "./showing.js";

const LARGE = 3_000_000, LONG = 2000; // bytes above which a photograph is made smaller before it is sent, and its longer side
const DOWN = "The page’s own server does not answer; make demo starts it.";

const $ = (id) => document.getElementById(id);

let limit = 6_000_000; // bytes that the page's server takes
let where = ""; // who answers
let timer = 0, asked = 0, waiting = null;

const paper = paperOn($("paper"), {
  hint: $("hint"), undo: $("undo"), clear: $("clear"), began: () => clearTimeout(timer), changed: later,
});

const answerers = () => where && `Answers come from ${where}.`;
const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;
const blobOf = (canvas, ...how) => new Promise((resolve) => canvas.toBlob(resolve, ...how));

/* Pictures */

async function take(file, name) {
  const mine = ++asked; // what is on its way belongs to what was there before
  clearTimeout(timer);
  let picture = null, blob = file;
  try {
    picture = await createImageBitmap(file);
    if (file.size > LARGE) blob = await smaller(picture, file.type);
  } catch { // the model's server says best what is wrong with it
    picture = await createImageBitmap(canvasOf(1, 1)[0]);
  }
  if (mine !== asked) return;
  if (blob.size > limit) return fail(`This file has ${(blob.size / 1e6).toFixed(1)} MB; at most ${limit / 1e6} MB can be sent.`);
  paper.put({ picture, bytes: blob, name });
}

async function smaller(picture, type) {
  const scale = Math.min(1, LONG / Math.max(picture.width, picture.height));
  const [canvas, context] = canvasOf(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return blobOf(canvas, type === "image/jpeg" ? type : "image/png", 0.92);
}

/* Asking */

function later(pause) {
  clearTimeout(timer);
  timer = setTimeout(read, pause);
}

/** What is sent: a picture as it came, strokes as PNG on white. */
async function bytes() {
  const picture = paper.picture();
  if (picture) return picture.bytes;
  const drawing = paper.drawing();
  return drawing && blobOf(drawing, "image/png");
}

async function read() {
  const mine = ++asked;
  waiting?.abort();
  const body = await bytes();
  if (mine !== asked) return;
  if (!body) return forget(answerers());
  waiting = new AbortController();
  busy(true);
  const started = performance.now();
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const { signal } = waiting;
    const response = await fetch("api/read", { method: "POST", body: await body.arrayBuffer(), headers, signal });
    const answer = await response.json();
    if (mine !== asked) return;
    if (!response.ok) return fail(sentence(answer.message));
    answered(answer, performance.now() - started);
  } catch (error) {
    if (error.name !== "AbortError" && mine === asked) fail(DOWN);
  } finally {
    if (mine === asked) busy(false);
  }
}

function answered(answer, milliseconds) {
  const { name, version, format } = answer.model;
  where = answer.where;
  const seen = answer.seen ? Object.assign(new Image(), { src: `data:image/png;base64,${answer.seen}` }) : null;
  show(answer, seen, {
    times: `${answer.milliseconds.toFixed(0)} ms in the model, ${milliseconds.toFixed(0)} ms from asking to answer`,
    source: `${name} ${version} (${format}), ${where}`,
  });
}

/* Beginning */

async function start() {
  try {
    const response = await fetch("api/about");
    const about = await response.json();
    if (!response.ok) return fail(sentence(about.message));
    ({ where, limit } = about);
    if ($("found").hidden) $("source").textContent = answerers();
    offer(about.samples, take, () => fail("This sample could not be fetched; make demo starts the page’s server."));
  } catch {
    fail(DOWN);
  }
}

$("again").addEventListener("click", () => { $("problem").hidden = true; start(); read(); });
received(take);
forget("");
start();
