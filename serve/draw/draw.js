// Draw, upload or pick; the network reads it in this browser. Nothing that is drawn is sent anywhere.

import { canvasOf, paperOn } from "./paper.js";
import { offer, received } from "./pictures.js";
import { grayOf } from "./preparing.js";
import { loadReader } from "./reading.js";
import { busy, fail, forget, show } from "./showing.js";
import { NoInk } from "./tones.js";

const LONG = 2000, SHORT = 8; // pixels: longer side above which a picture is made smaller, and the least that one has

const $ = (id) => document.getElementById(id);

let reader = null, failed = false, facts = "";
let timer = 0, asked = 0;

const paper = paperOn($("paper"), {
  hint: $("hint"), undo: $("undo"), clear: $("clear"), began: () => clearTimeout(timer), changed: later,
});

/* Pictures */

async function take(file, name) {
  const mine = ++asked;
  clearTimeout(timer);
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return fail("This browser cannot read that file as a picture; expected PNG, JPEG or WebP.");
  }
  if (mine !== asked) return;
  if (Math.min(picture.width, picture.height) < SHORT) {
    return fail(`An image of ${picture.width} × ${picture.height} pixels; expected at least ${SHORT} a side.`);
  }
  paper.put({ picture, name });
}

/** A picture's pixels, on paper of the given color where it is transparent. */
function pixelsOf(picture, color) {
  const scale = Math.min(1, LONG / Math.max(picture.width, picture.height));
  const [canvas, context] = canvasOf(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  context.fillStyle = color;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/* Reading */

function later(pause) {
  clearTimeout(timer);
  timer = setTimeout(read, pause);
}

async function read() {
  const mine = ++asked;
  const picture = paper.picture(), drawing = picture ? null : paper.drawing();
  if (!picture && !drawing) return reader ? forget(facts) : failed ? undefined : waiting();
  if (!reader) return; // what is on the paper then is read as soon as there is one
  busy(true);
  await new Promise((resolve) => setTimeout(resolve)); // let the last stroke be painted
  if (mine !== asked) return;
  try {
    const answer = picture ? await readPicture(picture.picture) : await readPixels(pixelsOf(drawing, "#fff"));
    if (mine !== asked) return;
    show(answer, canvasWith(answer.seen), {
      times: `${answer.milliseconds.toFixed(0)} ms in this browser; nothing was sent`,
      source: facts,
    });
  } catch (error) {
    if (mine === asked) fail(error instanceof NoInk ? sentence(error.message) : `The network failed: ${error.message}.`);
  } finally {
    if (mine === asked) busy(false);
  }
}

const readPixels = (pixels) => reader.read(grayOf(pixels));

/** On white paper, or on black where white shows nothing, as for a chalk drawing on nothing. */
async function readPicture(picture) {
  try {
    return await readPixels(pixelsOf(picture, "#fff"));
  } catch (error) {
    if (error instanceof NoInk) return readPixels(pixelsOf(picture, "#000"));
    throw error;
  }
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;

function canvasWith({ data, width, height }) {
  const [canvas, context] = canvasOf(width, height);
  const image = context.createImageData(width, height);
  data.forEach((tone, i) => image.data.set([tone, tone, tone, 255], 4 * i));
  context.putImageData(image, 0, 0);
  return canvas;
}

/* Beginning */

function waiting() {
  forget("");
  $("sure").textContent = "The network is being loaded. You can write meanwhile.";
}

async function start() {
  failed = false;
  waiting();
  $("loading").hidden = false;
  try {
    reader = await loadReader((share) => { $("loading").value = share; });
  } catch (error) {
    failed = true;
    const old = typeof WebAssembly === "undefined";
    return fail(old ? "This browser has no WebAssembly, which the network runs on." : `The network could not be loaded: ${error.message}.`);
  } finally {
    $("loading").hidden = true;
  }
  const { name, version, format } = reader.about.model;
  facts = `${name} ${version} (${format}), the run ${reader.about.run}${reader.about.score}`;
  $("note").textContent = reader.about.note;
  $("note").hidden = !reader.about.note;
  offer(reader.about.samples, take, () => fail("This sample could not be fetched; is the page’s web server still there?"));
  forget(facts);
  read();
}

$("late").remove();
$("again").addEventListener("click", () => (reader ? read() : start()));
received(take);
start();
