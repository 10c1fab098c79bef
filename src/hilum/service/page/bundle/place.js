// How a film of any size becomes a picture of one size: radiograph/geometry.py. Pure.

import { rint } from "../radiograph/bytes.js";
import { resized, resizedFloats } from "./resample.js";

/** @typedef {{mode: string, height: number, width: number, keep: number}} Geometry */

/** The smallest side that a film may be decoded to without losing detail of the result. @param {Geometry} geometry */
export function atLeast({ height, width, keep }) {
  return Math.ceil(Math.max(height, width) / keep);
}

/**
 * Which part of a film of this size lands where, in pixels of the film and of the result.
 * @param {Geometry} geometry
 * @returns {{film: import("./resample.js").Box, result: import("./resample.js").Box}}
 */
export function place(geometry, height, width) {
  let [keptWidth, keptHeight] = [width * geometry.keep, height * geometry.keep];
  /** @type {import("./resample.js").Box} */
  let result = [0, 0, geometry.width, geometry.height];
  if (geometry.mode === "crop") {
    const scale = Math.max(geometry.width / keptWidth, geometry.height / keptHeight);
    [keptWidth, keptHeight] = [geometry.width / scale, geometry.height / scale];
  } else if (geometry.mode === "fit") {
    const scale = Math.min(geometry.width / keptWidth, geometry.height / keptHeight);
    const shownWidth = Math.min(Math.max(rint(keptWidth * scale), 1), geometry.width);
    const shownHeight = Math.min(Math.max(rint(keptHeight * scale), 1), geometry.height);
    const [left, top] = [Math.floor((geometry.width - shownWidth) / 2), Math.floor((geometry.height - shownHeight) / 2)];
    result = [left, top, left + shownWidth, top + shownHeight];
  }
  const [x, y] = [Math.max((width - keptWidth) / 2, 0), Math.max((height - keptHeight) / 2, 0)];
  return { film: [x, y, Math.min(x + keptWidth, width), Math.min(y + keptHeight, height)], result };
}

/** The film at this geometry, as 256 levels. */
export function applied(geometry, levels) {
  const { film, result } = place(geometry, levels.height, levels.width);
  const [left, top, right, bottom] = result;
  const part = resized(levels, bottom - top, right - left, film);
  if (part.width === geometry.width && part.height === geometry.height) return part.values;
  const whole = new Uint8Array(geometry.height * geometry.width);
  for (let y = top; y < bottom; y++) {
    whole.set(part.values.subarray((y - top) * part.width, (y - top + 1) * part.width), y * geometry.width + left);
  }
  return whole;
}

/** A box of the result (left, top, width, height, as fractions) as a box of the film, cut at its edges. */
export function boxToFilm(geometry, box, height, width) {
  const { film, result } = place(geometry, height, width);
  const [size, whole] = [[width, height, width, height], [geometry.width, geometry.height, geometry.width, geometry.height]];
  const [from, to] = [film.map((side, at) => side / size[at]), result.map((side, at) => side / whole[at])];
  const [first, last] = [0, 1].map((corner) =>
    [0, 1].map((axis) => {
      const scale = (from[axis + 2] - from[axis]) / (to[axis + 2] - to[axis]);
      const at = (box[axis] - to[axis]) * scale + from[axis] + corner * box[axis + 2] * scale;
      return Math.min(Math.max(at, 0), 1);
    }));
  return { x: first[0], y: first[1], width: last[0] - first[0], height: last[1] - first[1] };
}

/** A map of the result laid over the film, drawn at this size; 0 where the network did not look. */
export function mapOnFilm(geometry, map, height, width) {
  const { film, result } = place(geometry, height, width);
  const scale = [map.width / geometry.width, map.height / geometry.height];
  const seen = /** @type {import("./resample.js").Box} */ (result.map((side, at) => side * scale[at % 2]));
  const [left, top, right, bottom] = film.map(rint);
  const [across, down] = [Math.max(right - left, 1), Math.max(bottom - top, 1)];
  const part = resizedFloats(map, down, across, seen);
  if (across === width && down === height) return part;
  const laid = new Float32Array(height * width);
  for (let y = 0; y < down; y++) laid.set(part.subarray(y * across, (y + 1) * across), (y + top) * width + left);
  return laid;
}
