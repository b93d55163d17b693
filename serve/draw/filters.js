// What OpenCV and NumPy do to gray images, as far as the tones of paper and ink need it.

import { blank } from "./resampling.js";

/** A place outside a line of `length` pixels, mirrored into it about its outermost pixels. */
function mirrored(at, length) {
  if (length === 1) return 0;
  const turn = 2 * (length - 1), place = ((at % turn) + turn) % turn;
  return place < length ? place : turn - place;
}

/** Sums along rows, then columns, weighted by `kernel`, whose middle is its middle; Float64Array. */
function separable(image, kernel) {
  const { width, height } = image, half = kernel.length >> 1;
  const across = new Float64Array(width * height), found = new Float64Array(width * height);
  const line = new Float64Array(Math.max(width, height) + 2 * half);
  for (let y = 0; y < height; y++) {
    for (let x = -half; x < width + half; x++) line[x + half] = image.data[y * width + mirrored(x, width)];
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k] * line[x + k];
      across[y * width + x] = sum;
    }
  }
  for (let x = 0; x < width; x++) {
    for (let y = -half; y < height + half; y++) line[y + half] = across[mirrored(y, height) * width + x];
    for (let y = 0; y < height; y++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k] * line[y + k];
      found[y * width + x] = sum;
    }
  }
  return found;
}

const image = (data, { width, height }) => ({ data: Uint8Array.from(data), width, height });

/** Means of 3 × 3 pixels: cv2.blur. */
export const blurred = (of) => image(separable(of, [1, 1, 1]).map((sum) => Math.round(sum / 9)), of);

/** cv2.GaussianBlur of float32, of no size but a sigma; Float64Array. */
export function smoothed(of, sigma) {
  const half = Math.round(sigma * 8 + 1) >> 1;
  const bell = Array.from({ length: 2 * half + 1 }, (_, k) => Math.exp(-((k - half) ** 2) / (2 * sigma * sigma)));
  const whole = bell.reduce((sum, one) => sum + one);
  return separable(of, bell.map((one) => one / whole));
}

// cv2.GaussianBlur of uint8 with a sigma of 2, in its 256ths
const BELL = [1, 2, 7, 16, 31, 45, 52, 45, 31, 16, 7, 2, 1];
export const softened = (of) => image(separable(of, BELL).map((sum) => Math.floor((sum + 32768) / 65536)), of);

/** The middle one of 3 × 3 pixels, the edge repeated outside: cv2.medianBlur. */
export function despeckled(of) {
  const { width, height } = of, found = blank(width, height), nine = new Uint8Array(9);
  const inside = (at, length) => Math.min(Math.max(at, 0), length - 1);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let k = 0; k < 9; k++) {
        nine[k] = of.data[inside(y + Math.floor(k / 3) - 1, height) * width + inside(x + (k % 3) - 1, width)];
      }
      found.data[y * width + x] = nine.sort()[4];
    }
  }
  return found;
}

/** What is darker than its surroundings and narrower than `window`, gone: cv2.MORPH_CLOSE. */
export const closed = (of, window) => inverted(lightest(inverted(lightest(of, window)), window));

const inverted = (of) => ({ ...of, data: of.data.map((tone) => 255 - tone) });

/** The lightest of window × window pixels. */
function lightest({ data, width, height }, window) {
  const half = window >> 1, across = new Uint8Array(data.length), found = new Uint8Array(data.length);
  const line = (from, to, start, step, length) => {
    for (let at = 0; at < length; at++) {
      let best = 0;
      const last = start + Math.min(length - 1, at + half) * step;
      for (let k = start + Math.max(0, at - half) * step; k <= last; k += step) if (from[k] > best) best = from[k];
      to[start + at * step] = best;
    }
  };
  for (let y = 0; y < height; y++) line(data, across, y * width, 1, width);
  for (let x = 0; x < width; x++) line(across, found, x, width, height);
  return { data: found, width, height };
}

/** Otsu's threshold (IEEE TSMC 9, 1979), as cv2.threshold finds it: tones up to it are the one side. */
export function otsu(data) {
  const counts = new Float64Array(256), tiny = 1.1920929e-7;
  for (const tone of data) counts[tone]++;
  let mean = 0, best = 0, found = 0, share = 0, below = 0;
  counts.forEach((count, tone) => { mean += (tone * count) / data.length; });
  for (let tone = 0; tone < 256; tone++) {
    const here = counts[tone] / data.length;
    below *= share;
    share += here;
    const rest = 1 - share;
    if (Math.min(share, rest) < tiny || Math.max(share, rest) > 1 - tiny) continue;
    below = (below + tone * here) / share;
    const above = (mean - share * below) / rest, apart = share * rest * (below - above) ** 2;
    if (apart > best) [best, found] = [apart, tone];
  }
  return found;
}

/** The value that `percent` of the values lie below, between two of them where it must: numpy.percentile. */
export function percentile(data, percent) {
  const sorted = Uint8Array.from(data).sort(), place = (percent / 100) * (sorted.length - 1);
  const low = sorted[Math.floor(place)], high = sorted[Math.ceil(place)];
  return low + (high - low) * (place - Math.floor(place));
}
