// A sheet of paper that one writes on with mouse, pen or finger, or lays a picture on; what was done can be undone.

const PEN = 16; // of 548 pixels: pens of the handwriting that models are trained on are as thick
const INK = "#14161c";
export const PAUSE = 400; // milliseconds after a stroke: the next one may follow

export function canvasOf(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return [canvas, canvas.getContext("2d")];
}

/**
 * Make a canvas such a sheet.
 * hint: shown on empty paper; undo, clear: buttons; began: called when a stroke begins; changed: called, with
 * milliseconds to wait for more, when there is something else on the paper.
 */
export function paperOn(canvas, { hint, undo, clear, began, changed }) {
  // things done, the last of them last; a picture or a clearing hides what was before it
  const done = []; // {stroke: [[x, y], …]} | {picture: ImageBitmap, name: string, …} | {cleared: true}
  const pen = canvas.getContext("2d");
  let stroke = null;

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
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (picture) fit(pen, picture.picture, canvas.width, canvas.height);
    drawStrokes(pen, strokes);
    const empty = !picture && strokes.length === 0;
    hint.hidden = !empty;
    undo.disabled = done.length === 0;
    clear.disabled = empty;
    const many = strokes.length === 1 ? "one stroke" : `${strokes.length} strokes`;
    canvas.setAttribute("aria-label", empty ? "Paper, empty" : picture ? `Paper with ${picture.name}` : `Paper with ${many}`);
  }

  function after(pause = 0) {
    paint();
    changed(pause);
  }

  function takeBack() {
    if (stroke || !done.pop()) return;
    after(PAUSE / 2);
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * canvas.width, ((event.clientY - box.top) / box.height) * canvas.height];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.isPrimary) return;
    canvas.setPointerCapture(event.pointerId);
    began();
    stroke = [place(event)];
    done.push({ stroke });
    paint();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || !event.isPrimary) return;
    const all = event.getCoalescedEvents?.() ?? [];
    stroke.push(...(all.length ? all : [event]).map(place));
    paint();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => {
      if (!stroke || !event.isPrimary) return;
      stroke = null;
      after(PAUSE);
    });
  }
  undo.addEventListener("click", takeBack);
  clear.addEventListener("click", () => { done.push({ cleared: true }); after(); });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") { event.preventDefault(); takeBack(); }
  });
  paint();

  return {
    /** Lay a picture on it: {picture: ImageBitmap, name, and what the page wants back with it}. */
    put(picture) { done.push(picture); after(); },

    /** The picture that lies on it, or null. */
    picture: () => visible().picture,

    /** The strokes on white, a canvas; null where there are none. */
    drawing() {
      const { strokes } = visible();
      if (strokes.length === 0) return null;
      const [white, context] = canvasOf(canvas.width, canvas.height);
      context.fillStyle = "#fff";
      context.fillRect(0, 0, white.width, white.height);
      drawStrokes(context, strokes);
      return white;
    },
  };
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
