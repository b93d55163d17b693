// Ink and paper, as okkhor.serving.paper sees them: which tone is the ink, is the paper as white and the letter as
// large as in scans. An image that looks like the scans a network was trained on passes through as it is.

import { blurred, closed, despeckled, otsu, percentile, smoothed, softened } from "./filters.js";
import { clipped, cut, rounded, shrink, stretch } from "./resampling.js";

const LEAST_CONTRAST = 24, WHITE = 225, EVEN = 40, PALE = 140, SMALL = 0.4, FILLS = 0.6, COARSE = 256, FINE = 768;

export class NoInk extends Error {}

/** The image, inverted when its ink is lighter than its paper. Throws NoInk where there are no two tones. */
export function darkOnLight(image) {
  const small = shrunk(image, COARSE), { data, width, height } = small;
  const threshold = otsu(data), lighter = data.map((tone) => Number(tone > threshold));
  const light = data.filter((_, i) => lighter[i]), dark = data.filter((_, i) => !lighter[i]);
  if (!light.length || !dark.length || mean(light) - mean(dark) < LEAST_CONTRAST) {
    throw new NoInk("no ink in this image; expected one grapheme, dark on light or light on dark");
  }
  const inset = Math.floor(Math.min(width, height) / 40), edge = []; // scans have dark edges
  for (let x = inset; x < width - inset; x++) {
    edge.push(lighter[inset * width + x], lighter[(height - inset - 1) * width + x]);
  }
  for (let y = inset; y < height - inset; y++) {
    edge.push(lighter[y * width + inset], lighter[(y + 1) * width - inset - 1]);
  }
  const smooth = smoothed(small, Math.min(width, height) / 4);
  const relief = Float64Array.from(data, (tone, i) => tone - smooth[i]);
  const skewness = mean(relief.map((one) => one ** 3)) / mean(relief.map((one) => one ** 2)) ** 1.5;
  if (2 * mean(edge) - 1 > skewness) return image;
  return { ...image, data: image.data.map((tone) => 255 - tone) };
}

/** The image, dark on light, its paper made white and its light even, where they are not. */
export function evenlyLit(image) {
  const small = shrunk(image, COARSE), window = Math.max(9, Math.floor(Math.min(small.width, small.height) / 4)) | 1;
  const paper = closed(despeckled(small), window);
  const middle = percentile(paper.data, 50);
  if (middle >= WHITE && middle - percentile(paper.data, 5) <= EVEN) return image;
  const light = stretch(softened(paper), image.width, image.height).data;
  return { ...image, data: image.data.map((tone, i) => clipped(Math.fround((tone * 250) / Math.max(light[i], 1)))) };
}

/** The image, its ink made black where it is pale, as a pencil's. */
export function darkened(image) {
  const small = shrunk(image, COARSE), darkest = percentile(small.data, 0.5), paper = percentile(small.data, 50);
  if (darkest <= PALE) return image;
  const alpha = Math.fround(paper / Math.max(paper - darkest, 1)), least = Math.fround(darkest);
  return { ...image, data: image.data.map((tone) => clipped(Math.fround(Math.max(Math.fround(tone - least), 0) * alpha))) };
}

/** The image, dark on light, cut around its ink where that would be small once fitted into [height, width]. */
export function magnified(image, [high, wide]) {
  const fine = shrunk(image, FINE), box = inkBox(fine);
  if (!box) return image;
  const zoom = Math.max(image.width, image.height) / Math.max(fine.width, fine.height);
  const [top, left, bottom, right] = box.map((at) => rounded(at * zoom));
  const fit = Math.min(high / image.height, wide / image.width);
  if (Math.max(((bottom - top) * fit) / high, ((right - left) * fit) / wide) >= SMALL) return image;
  const scale = Math.max((bottom - top) / high, (right - left) / wide) / FILLS;
  const height = rounded(scale * high), width = rounded(scale * wide);
  const y = Math.max(0, Math.floor((top + bottom - height) / 2)), x = Math.max(0, Math.floor((left + right - width) / 2));
  return cut(image, y, x, Math.min(y + height, image.height), Math.min(x + width, image.width));
}

/** The tone of most of an image: its paper's. */
export const paperTone = (image) => Math.floor(percentile(shrunk(image, COARSE).data, 50));

/** Top, left, bottom, right of what is darker than halfway between paper and ink, specks left out. */
function inkBox(image) {
  const smooth = blurred(image).data, half = (paperTone(image) + least(smooth)) / 2;
  const { rows, columns } = lines(smooth.map((tone) => Number(tone < half)), image.width, image.height);
  if (!rows.length || !columns.length) return null;
  return [rows[0], columns[0], rows.at(-1) + 1, columns.at(-1) + 1];
}

const least = (data) => data.reduce((one, other) => Math.min(one, other), 255);

/** Rows and columns with two pixels of ink or more: one alone is a speck. */
export function lines(ink, width, height) {
  const down = new Uint32Array(width), across = new Uint32Array(height);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      down[x] += ink[i];
      across[y] += ink[i];
    }
  }
  const found = (counts) => [...counts.keys()].filter((k) => counts[k] > 1);
  return { rows: found(across), columns: found(down) };
}

const made = new WeakMap(); // by image, what was made of it: most pass from step to step as they are

function shrunk(image, longSide) {
  const longest = Math.max(image.width, image.height);
  if (longest <= longSide) return image;
  if (!made.has(image)) made.set(image, new Map());
  const found = made.get(image), of = (side) => Math.max(1, rounded((side * longSide) / longest));
  if (!found.has(longSide)) found.set(longSide, shrink(image, of(image.width), of(image.height)));
  return found.get(longSide);
}

const mean = (values) => values.reduce((sum, one) => sum + one, 0) / values.length;
