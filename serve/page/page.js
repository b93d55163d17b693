// Draw, upload or pick; ask /api/read; show what it says. Nothing here leaves the page's own server.

const PEN = 16; // of 548 pixels: pens of the handwriting that models are trained on are as thick
const INK = "#14161c";
const PAUSE = 400; // milliseconds after a stroke: the next one may follow
const LARGE = 3_000_000, LONG = 2000; // bytes above which a photograph is made smaller before it is sent, and its longer side

const $ = (id) => document.getElementById(id);
const paper = $("paper"), pen = paper.getContext("2d");

/* What is on the paper: things done, the last of them last. A picture or a clearing hides what was before it. */

const done = []; // {stroke: [[x, y], …]} | {picture: ImageBitmap, bytes: Blob, name: string} | {cleared: true}
let limit = 6_000_000; // bytes that the page's server takes

function visible() {
  let picture = null, strokes = [];
  for (const one of done) {
    if (one.stroke) { strokes.push(one.stroke); picture = null; }
    else { picture = one.cleared ? null : one; strokes = []; }
  }
  return { picture, strokes };
}

function paint() {
  const { picture, strokes } = visible();
  pen.clearRect(0, 0, paper.width, paper.height);
  if (picture) fit(pen, picture.picture, paper.width, paper.height);
  drawStrokes(pen, strokes);
  const empty = !picture && strokes.length === 0;
  $("hint").hidden = !empty;
  $("undo").disabled = done.length === 0;
  $("clear").disabled = empty;
  const many = strokes.length === 1 ? "one stroke" : `${strokes.length} strokes`;
  paper.setAttribute("aria-label", empty ? "Paper, empty" : picture ? `Paper with ${picture.name}` : `Paper with ${many}`);
}

function drawStrokes(context, strokes) {
  context.strokeStyle = INK;
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    const [first, ...rest] = stroke;
    context.beginPath();
    context.moveTo(...first);
    let before = first;
    for (const at of rest) { // through the middles of the segments: no corners
      context.quadraticCurveTo(...before, (before[0] + at[0]) / 2, (before[1] + at[1]) / 2);
      before = at;
    }
    context.lineTo(before[0] + 0.01, before[1]); // a dot is a line, too
    context.stroke();
  }
}

function fit(context, image, width, height) {
  const scale = Math.min(width / image.width, height / image.height);
  const w = image.width * scale, h = image.height * scale;
  context.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
}

function sheet(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return [canvas, canvas.getContext("2d")];
}

const blobOf = (canvas, ...how) => new Promise((resolve) => canvas.toBlob(resolve, ...how));

/** What is sent: a picture as it came, strokes as PNG on white. */
async function bytes() {
  const { picture, strokes } = visible();
  if (picture) return picture.bytes;
  if (strokes.length === 0) return null;
  const [canvas, context] = sheet(paper.width, paper.height);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  drawStrokes(context, strokes);
  return blobOf(canvas, "image/png");
}

function changed(pause = 0) {
  paint();
  later(pause);
}

/* The pen */

let stroke = null;

const place = (event) => {
  const box = paper.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * paper.width, ((event.clientY - box.top) / box.height) * paper.height];
};

paper.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  paper.setPointerCapture(event.pointerId);
  clearTimeout(timer);
  stroke = [place(event)];
  done.push({ stroke });
  paint();
});
paper.addEventListener("pointermove", (event) => {
  if (!stroke || !event.isPrimary) return;
  const all = event.getCoalescedEvents?.() ?? [];
  stroke.push(...(all.length ? all : [event]).map(place));
  paint();
});
for (const end of ["pointerup", "pointercancel"]) {
  paper.addEventListener(end, (event) => {
    if (!stroke || !event.isPrimary) return;
    stroke = null;
    changed(PAUSE);
  });
}

/* Buttons, files, samples */

function undo() {
  if (stroke || !done.pop()) return;
  changed(PAUSE / 2);
}

$("undo").addEventListener("click", undo);
$("clear").addEventListener("click", () => { done.push({ cleared: true }); changed(); });
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") { event.preventDefault(); undo(); }
});
$("again").addEventListener("click", () => { $("problem").hidden = true; start(); read(); });

$("file").addEventListener("change", ({ target }) => {
  if (target.files[0]) take(target.files[0], "an uploaded image");
  target.value = ""; // the same file again is a change, too
});
document.addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (file) take(file, "a pasted image");
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("sheet").classList.toggle("aimed", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) take(event.dataTransfer.files[0], "a dropped image");
  });
}

async function take(file, name) {
  const mine = ++asked; // what is on its way belongs to what was there before
  clearTimeout(timer);
  let picture = null, blob = file;
  try {
    picture = await createImageBitmap(file);
    if (file.size > LARGE) blob = await smaller(picture, file.type);
  } catch { // the model's server says best what is wrong with it
    picture = await unreadable();
  }
  if (mine !== asked) return;
  if (blob.size > limit) return fail(`This file has ${(blob.size / 1e6).toFixed(1)} MB; at most ${limit / 1e6} MB can be sent.`);
  done.push({ picture, bytes: blob, name });
  changed();
}

async function smaller(picture, type) {
  const scale = Math.min(1, LONG / Math.max(picture.width, picture.height));
  const [canvas, context] = sheet(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return blobOf(canvas, type === "image/jpeg" ? type : "image/png", 0.92);
}

function unreadable() {
  const [canvas] = sheet(1, 1);
  return createImageBitmap(canvas);
}

/* Asking */

let timer = 0, asked = 0, waiting = null;

function later(pause) {
  clearTimeout(timer);
  timer = setTimeout(read, pause);
}

async function read() {
  const mine = ++asked;
  waiting?.abort();
  const body = await bytes();
  if (mine !== asked) return;
  if (!body) return forget();
  waiting = new AbortController();
  $("reading").setAttribute("aria-busy", "true");
  const started = performance.now();
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const { signal } = waiting;
    const response = await fetch("api/read", { method: "POST", body: await body.arrayBuffer(), headers, signal });
    const answer = await response.json();
    if (mine !== asked) return;
    if (!response.ok) return fail(sentence(answer.message));
    show(answer, performance.now() - started);
  } catch (error) {
    if (error.name !== "AbortError" && mine === asked) fail("The page’s own server does not answer; make demo starts it.");
  } finally {
    if (mine === asked) $("reading").setAttribute("aria-busy", "false");
  }
}

function forget() {
  $("reading").setAttribute("aria-busy", "false");
  $("problem").hidden = true;
  $("grapheme").textContent = "";
  $("sure").textContent = "The reading appears here.";
  $("found").hidden = true;
  $("times").textContent = "";
  $("source").textContent = where && `Answers come from ${where}.`;
}

function fail(reason) {
  $("reading").setAttribute("aria-busy", "false");
  $("reason").textContent = reason;
  $("problem").hidden = false;
}

/* Showing */

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;

let where = "";

const percent = (share) => (share > 0.9995 ? ">99.9%" : share < 0.0005 ? "<0.1%" : `${(100 * share).toFixed(1)}%`);

/** A class as people see it: signs that join a letter stand beside a dotted circle. */
function shown(text, letters) {
  if (letters && (text === "" || text === "0")) return "none"; // the label map writes the absent sign as 0
  if (/^\p{M}/u.test(text)) return `◌${text}`;
  return letters && text.endsWith("্") ? `${text}◌` : text;
}

function show(answer, milliseconds) {
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
  const { name, version, format } = answer.model;
  where = answer.where;
  $("times").textContent = `${answer.milliseconds.toFixed(0)} ms in the model, ${milliseconds.toFixed(0)} ms from asking to answer`;
  $("source").textContent = `${name} ${version} (${format}), ${where}`;
  lookedAt(answer);
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
async function lookedAt(answer) {
  const places = [...$("heads").querySelectorAll("canvas")]; // of this answer: a later one brings its own
  const seen = answer.seen ? Object.assign(new Image(), { src: `data:image/png;base64,${answer.seen}` }) : null;
  await seen?.decode();
  for (const canvas of places) {
    const map = answer.activation_maps?.[canvas.dataset.head];
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
    context.fillStyle = getComputedStyle(paper).backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
}

function heat(map) {
  const values = map.flat(), low = Math.min(...values), high = Math.max(...values);
  const [canvas, context] = sheet(map[0].length, map.length);
  const image = context.createImageData(canvas.width, canvas.height);
  values.forEach((value, i) => {
    const share = (value - low) / Math.max(high - low, 1e-9);
    image.data.set([232, 84, 32, 255 * 0.85 * share ** 1.5], 4 * i); // the accent, brighter
  });
  context.putImageData(image, 0, 0);
  return canvas;
}

/* Beginning */

async function start() {
  try {
    const response = await fetch("api/about");
    const about = await response.json();
    if (!response.ok) return fail(sentence(about.message));
    ({ where, limit } = about);
    if ($("found").hidden) $("source").textContent = `Answers come from ${where}.`;
    if (!$("sample-list").children.length) $("sample-list").append(...about.samples.map(sampleButton));
    $("samples").hidden = about.samples.length === 0;
  } catch {
    fail("The page’s own server does not answer; make demo starts it.");
  }
}

function sampleButton({ text, src }) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const image = Object.assign(document.createElement("img"), { src, alt: text, width: 236, height: 137 });
  image.lang = "bn";
  button.append(image);
  button.addEventListener("click", async () => {
    try {
      await take(await (await fetch(src)).blob(), `the sample ${text}`);
    } catch {
      fail("This sample could not be fetched; make demo starts the page’s server.");
    }
  });
  return button;
}

paint();
forget();
start();
