// Where films are read and judged in the browser: a thread of its own, which may be ended when a film keeps it too long.
// It is asked {call, number, ...} and answers {number, result} or {number, problem}.

import { openBundle } from "./bundle/bundle.js";
import { decide, evidence } from "./bundle/decide.js";
import { drawnHeatmap } from "./bundle/heatmap.js";
import { mapOnFilm } from "./bundle/place.js";
import { drawnOverlay } from "./bundle/overlay.js";
import { resizedFloats } from "./bundle/resample.js";
import { mapped } from "./radiograph/film.js";
import { ReadError } from "./radiograph/errors.js";
import { read } from "./radiograph/read.js";

const [WHITE, LUNGS] = [65535, 256];
let bundle = null;
let version = null;

const calls = {
  async open({ content, card, threads, hilum }) {
    version = hilum;
    bundle = await openBundle(content, card, threads);
    return { result: null, moved: [] };
  },

  /** Whether films are judged on the graphics card from now on. */
  async tryGraphics() {
    return { result: await bundle.tryGraphics(), moved: [] };
  },

  /** The film's grey values, at most `longest` on a side. */
  async pixels({ file, longest }) {
    const film = await read(new Uint8Array(await file.arrayBuffer()), longest);
    const shown = greyValues(film, longest);
    const { fullHeight, fullWidth, bits, spacing } = film;
    return { result: { ...shown, fullHeight, fullWidth, bits, spacing }, moved: [shown.grey.buffer] };
  },

  async predict({ file, asked }) {
    const data = new Uint8Array(await file.arrayBuffer());
    const film = await read(data, bundle.atLeast);
    const reading = await bundle.look(film);
    const answer = decide(bundle.card, reading, asked, version);
    if (!answer) throw new ReadError("not_a_number", "the network gave no number for this film; export the bundle again");
    const map = answer.decision === "abstain" || !(asked.heatmap || asked.overlay) ? null : evidence(bundle.card, reading, asked);
    const heatmap = map && pictureOf(drawnHeatmap(bundle.card.geometry, map, film));
    const lungs = asked.lungs && answer.decision !== "abstain" ? lungsOf(reading, film) : null;
    const overlay = asked.overlay ? await asPng(drawnOverlay(answer, film, heatmap, bundle.card)) : null;
    const shown = asked.heatmap && heatmap ? heatmap.transferToImageBitmap() : null;
    return { result: { answer, heatmap: shown, overlay, lungs }, moved: shown ? [shown] : [] };
  },
};

addEventListener("message", async ({ data: { call, number, ...values } }) => {
  try {
    const { result, moved } = await calls[call](values);
    postMessage({ number, result }, { transfer: moved });
  } catch (error) {
    if (error instanceof ReadError) postMessage({ number, problem: { reason: error.reason, detail: error.detail } });
    else if (error instanceof RangeError && /memory|allocation|length/i.test(error.message)) {
      postMessage({ number, problem: { reason: "too_costly", detail: "reading the film takes more memory than there is" } });
    } else postMessage({ number, bug: `${error?.stack ?? error}` });
  }
});

/** As 16 bits, 0 black and 65,535 white, reduced until no side has more pixels than `longest`. */
function greyValues({ values, table, height, width, fullHeight, fullWidth }, longest) {
  const shades = Uint16Array.from(table, (shade) => Math.round(shade * WHITE));
  const grey = mapped(values, shades, new Uint16Array(values.length));
  const scale = longest / Math.max(fullHeight, fullWidth);
  if (scale >= 1) return { grey, height, width };
  const [down, across] = [Math.max(Math.round(fullHeight * scale), 1), Math.max(Math.round(fullWidth * scale), 1)];
  const reduced = resizedFloats({ values: grey, height, width }, down, across, [0, 0, width, height]);
  const levels = new Uint16Array(reduced.map((value) => Math.min(Math.max(Math.round(value), 0), WHITE)));
  return { grey: levels, height: down, width: across };
}

/** The mask of the lungs over the film, in levels; null where no pair of them was found. */
function lungsOf({ lungs }, film) {
  if (!lungs || !lungs.values.some((level) => level < 128)) return null;
  const scale = Math.min(LUNGS / Math.max(film.fullHeight, film.fullWidth), 1);
  const [height, width] = [film.fullHeight, film.fullWidth].map((side) => Math.max(Math.round(side * scale), 1));
  return { grey: mapOnFilm(bundle.card.geometry, lungs, height, width), height, width };
}

function pictureOf({ pixels, height, width }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

function asPng(canvas) {
  return canvas.convertToBlob({ type: "image/png" });
}
