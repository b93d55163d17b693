// From a canvas to what the network sees, as okkhor.serving.predictor prepares an image and okkhor.data.resize cuts it
// to its ink; tests/serve/test_drawing.py holds the two against each other.

import { otsu, percentile } from "./filters.js";
import { blank, cut, rounded, shrink, stretch } from "./resampling.js";
import { darkened, darkOnLight, evenlyLit, lines, magnified, paperTone } from "./tones.js";

const STRIDE = 3, BORDER = 2, MARGIN = 0.06, LEAST_ZOOM = 0.75;

/** Gray of a canvas without transparency: the shares of red, green and blue that Pillow's mode L has. */
export function grayOf({ data, width, height }) {
  const image = blank(width, height);
  for (let i = 0, k = 0; i < image.data.length; i++, k += 4) {
    image.data[i] = (data[k] * 19595 + data[k + 1] * 38470 + data[k + 2] * 7471 + 0x8000) >> 16;
  }
  return image;
}

/** What the network sees of a gray image. input: of bundle.yaml. Throws NoInk. */
export function prepared(image, { height, width, crop, raw_size: raw }) {
  let found = darkOnLight(image), paper = 255;
  if (found.height !== raw[0] || found.width !== raw[1]) {
    found = darkened(magnified(evenlyLit(found), raw));
    paper = paperTone(found);
  }
  found = fitted(found, raw, paper);
  if (crop) found = croppedToInk(found, [height, width]);
  return (height <= found.height && width <= found.width ? shrink : stretch)(found, width, height);
}

/** The image in the middle of paper of [height, width], its proportions kept. */
function fitted(image, [height, width], paper) {
  if (image.height === height && image.width === width) return image;
  const scale = Math.min(height / image.height, width / image.width);
  const of = (side, limit) => Math.max(1, Math.min(limit, rounded(side * scale)));
  const h = of(image.height, height), w = of(image.width, width);
  const top = (height - h) >> 1, left = (width - w) >> 1;
  return cut((scale < 1 ? shrink : stretch)(image, w, h), -top, -left, height - top, width - left, paper);
}

/** The part of an image that holds its ink, with a margin, in the proportions of [height, width]. */
function croppedToInk(image, [high, wide]) {
  const [top, left, bottom, right] = inkBox(image);
  const around = 1 + 2 * MARGIN;
  const zoom = Math.max(((bottom - top) * around) / high, ((right - left) * around) / wide, LEAST_ZOOM);
  const height = rounded(zoom * high), width = rounded(zoom * wide);
  const y = Math.floor((top + bottom - height) / 2), x = Math.floor((left + right - width) / 2);
  const paper = Math.floor(percentile(every(image, 4 * STRIDE, 2 * STRIDE).data, 50));
  return cut(image, y, x, y + height, x + width, paper);
}

/** Top, left, bottom, right of the ink; the whole image if there is none. */
function inkBox(image) {
  const whole = [0, 0, image.height, image.width], seen = every(image, STRIDE, STRIDE), threshold = otsu(seen.data);
  const width = seen.width - 2 * BORDER, height = seen.height - 2 * BORDER;
  if (width <= 0 || height <= 0) return whole;
  const ink = cut(seen, BORDER, BORDER, BORDER + height, BORDER + width).data.map((tone) => Number(tone <= threshold));
  const { rows, columns } = lines(ink, width, height);
  const lightest = seen.data.reduce((one, other) => Math.max(one, other), 0);
  if (!rows.length || !columns.length || lightest - threshold < 8) return whole;
  const first = ([one]) => (one + BORDER) * STRIDE, last = (found) => (found.at(-1) + BORDER + 1) * STRIDE;
  return [first(rows), first(columns), Math.min(last(rows), image.height), Math.min(last(columns), image.width)];
}

/** Every so many rows and columns. */
function every(image, down, across) {
  const found = blank(Math.ceil(image.width / across), Math.ceil(image.height / down));
  for (let i = 0; i < found.data.length; i++) {
    const y = Math.floor(i / found.width) * down, x = (i % found.width) * across;
    found.data[i] = image.data[y * image.width + x];
  }
  return found;
}
