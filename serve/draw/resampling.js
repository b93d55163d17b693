// Larger and smaller, as OpenCV computes it, for the browser's model is to see what the server's would.
// An image here is {data: Uint8Array, width, height}: gray, row by row.

const f = Math.fround;

/** To the nearest whole number, halves to the even one: as Python's round and OpenCV do. */
export function rounded(value) {
  const down = Math.floor(value), rest = value - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}

export const clipped = (value) => Math.min(255, Math.max(0, rounded(value)));

export const blank = (width, height, tone = 0) => ({ data: new Uint8Array(width * height).fill(tone), width, height });

/** Rows top to bottom and columns left to right, ends left out; what lies beyond the image is paper. */
export function cut(image, top, left, bottom, right, paper = 255) {
  const part = blank(right - left, bottom - top, paper);
  const from = Math.max(left, 0), to = Math.min(right, image.width);
  for (let y = Math.max(top, 0); y < Math.min(bottom, image.height); y++) {
    part.data.set(image.data.subarray(y * image.width + from, y * image.width + to), (y - top) * part.width + from - left);
  }
  return part;
}

/** The mean of the pixels that each new one covers (cv2.INTER_AREA); for images that shrink. */
export function shrink(image, width, height) {
  if (image.width === width && image.height === height) return image;
  const whole = evenly(image.width, width) && evenly(image.height, height);
  return whole ? meansOfBlocks(image, width, height) : meansOfParts(image, width, height);
}

const evenly = (from, to) => from % to === 0;

function meansOfBlocks(image, width, height) {
  const small = blank(width, height), w = image.width / width, h = image.height / height;
  const share = f(1 / (w * h));
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      let sum = 0;
      for (let i = y * h; i < (y + 1) * h; i++) {
        for (let j = x * w, k = i * image.width + j; j < (x + 1) * w; j++, k++) sum += image.data[k];
      }
      small.data[at] = w === 2 && h === 2 ? (sum + 2) >> 2 : clipped(f(sum * share));
    }
  }
  return small;
}

function meansOfParts(image, width, height) {
  const small = blank(width, height), columns = parts(image.width, width), rows = parts(image.height, height);
  const line = new Float32Array(width), sums = new Float32Array(width);
  for (let y = 0; y < height; y++) {
    sums.fill(0);
    for (const [row, share] of rows[y]) {
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (const [column, part] of columns[x]) sum = f(sum + f(image.data[row * image.width + column] * part));
        line[x] = sum;
      }
      for (let x = 0; x < width; x++) sums[x] = f(sums[x] + f(share * line[x]));
    }
    for (let x = 0; x < width; x++) small.data[y * width + x] = clipped(sums[x]);
  }
  return small;
}

/** For each new pixel of a line the old ones that it covers, and by which share of it. */
function parts(from, to) {
  const scale = 1 / (to / from);
  return Array.from({ length: to }, (_, at) => {
    const start = at * scale, end = start + scale, span = Math.min(scale, from - start);
    const last = Math.min(Math.floor(end), from - 1), first = Math.min(Math.ceil(start), last), found = [];
    if (first - start > 1e-3) found.push([first - 1, f((first - start) / span)]);
    for (let one = first; one < last; one++) found.push([one, f(1 / span)]);
    if (end - last > 1e-3) found.push([last, f(Math.min(end - last, 1, span) / span)]);
    return found;
  });
}

/** Between the two nearest pixels of each line (cv2.INTER_LINEAR), in its fixed-point numbers. */
export function stretch(image, width, height) {
  if (image.width === width && image.height === height) return image;
  const large = blank(width, height), columns = nearest(image.width, width), rows = nearest(image.height, height);
  const line = (row) => columns.map(([one, other, a, b]) => {
    const at = row * image.width;
    return (image.data[at + one] * a + image.data[at + other] * b) >> 4;
  });
  const lines = new Map();
  for (let y = 0; y < height; y++) {
    const [one, other, a, b] = rows[y];
    for (const row of [one, other]) if (!lines.has(row)) lines.set(row, line(row));
    const above = lines.get(one), below = lines.get(other);
    for (let x = 0; x < width; x++) {
      large.data[y * width + x] = (((a * above[x]) >> 16) + ((b * below[x]) >> 16) + 2) >> 2;
    }
  }
  return large;
}

/** For each new pixel of a line the two old ones around it, and their shares in 2048ths. */
function nearest(from, to) {
  const scale = 1 / (to / from), inside = (at) => Math.min(Math.max(at, 0), from - 1);
  return Array.from({ length: to }, (_, at) => {
    const place = f((at + 0.5) * scale - 0.5), one = Math.floor(place), share = f(place - one);
    return [inside(one), inside(one + 1), rounded(f(f(1 - share) * 2048)), rounded(f(share * 2048))];
  });
}
