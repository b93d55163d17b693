// The network in the browser: ONNX Runtime as WebAssembly, on one thread, from files that lie beside the page.

import { prepared } from "./preparing.js";
import { spelled } from "./spelling.js";

const COLUMNS = ["grapheme_root", "vowel_diacritic", "consonant_diacritic"]; // in the order that they are spelled

/**
 * Load what bundle.json describes; progress(share) is called as it comes.
 * Gives {about, read}: about is bundle.json, read(image, top) answers as the servers do.
 */
export async function loadReader(progress) {
  const about = await (await asked("bundle.json")).json();
  const { model, runtime } = about.files;
  let came = 0;
  const loaded = (bytes) => progress(Math.min(1, (came += bytes) / (model.bytes + runtime.bytes)));
  const [ort, wasm, graph] = await Promise.all([
    import("./onnxruntime.js"), bytesOf(runtime.file, loaded), bytesOf(model.file, loaded),
  ]);
  ort.env.wasm.numThreads = 1; // more would need headers that a plain web server does not send
  ort.env.wasm.wasmBinary = wasm.buffer;
  const session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  return { about, read: (image, top = 5) => read(ort, session, about, image, top) };
}

async function asked(file) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file} is missing (${response.status})`);
  return response;
}

async function bytesOf(file, loaded) {
  const reader = (await asked(file)).body.getReader(), parts = [];
  for (let part; !(part = await reader.read()).done;) {
    parts.push(part.value);
    loaded(part.value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function read(ort, session, { input, heads, labels, model }, image, top) {
  const started = performance.now();
  const seen = prepared(image, input);
  const images = new ort.Tensor("uint8", seen.data, [1, 1, input.height, input.width]);
  const found = await session.run({ images });
  const choices = Object.fromEntries(heads.map(({ name }) => [name, best(found[name].data, labels[name], top)]));
  const first = COLUMNS.map((column) => choices[heads.find((head) => head.column === column).name][0]);
  return {
    grapheme: spelled(...first.map((choice) => choice.text)),
    confidence: Object.values(choices).reduce((product, [choice]) => product * choice.probability, 1),
    heads: choices,
    model,
    milliseconds: performance.now() - started,
    activation_maps: mapsOf(found.activation_maps, heads),
    seen,
  };
}

/** The likeliest classes, the likeliest first; of equals the lower number. */
function best(probabilities, texts, top) {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  return order.slice(0, top).map((k) => ({ class: k, text: texts[k], probability: probabilities[k] }));
}

/** By head, rows of numbers. maps: (1, heads, h, w). */
function mapsOf({ data, dims: [, , h, w] }, heads) {
  const row = (head, y) => Array.from(data.subarray((head * h + y) * w, (head * h + y + 1) * w));
  return Object.fromEntries(heads.map(({ name }, head) => [name, Array.from({ length: h }, (_, y) => row(head, y))]));
}
