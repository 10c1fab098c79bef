// A film as it was read: hilum.Radiograph, with its values as they are stored and what each of them is shown as.

import { rint } from "./bytes.js";
import { upright } from "./orientation.js";

// Mean distance of the color channels from each other, from 0 (grey) to 1. Films with a colored stamp stay below it.
export const STRONGLY_COLORED = 0.05;
const SAMPLE = 64;

/**
 * `values` are upright; `table` has the shade of each, from 0 (black) to 1 (white, dense). `height` and `width` are of
 * the values, `fullHeight` and `fullWidth` of the film before it was reduced.
 * @typedef {{values: Uint8Array | Uint16Array, table: Float32Array, height: number, width: number, fullHeight: number,
 *   fullWidth: number, bits: number, format: string, spacing: number[] | null, lateral: boolean, turn: number,
 *   colorfulness: number, warnings: {code: string, detail: string}[], patient: string | null}} Film
 */

/** The film of a decoded picture. @returns {Film} */
export function filmOf(picture, known) {
  const { turn = 1, fullHeight = picture.height, fullWidth = picture.width, ...rest } = known;
  const { values, height, width } = upright(picture.values, picture.height, picture.width, turn);
  return {
    values, height, width, turn,
    fullHeight: turn >= 5 ? fullWidth : fullHeight,
    fullWidth: turn >= 5 ? fullHeight : fullWidth,
    spacing: null, lateral: false, patient: null, colorfulness: 0,
    ...rest,
  };
}

/** The shades of levels from 0 to `highest`, as float32 as NumPy computes them. */
export function evenTable(count, highest) {
  const step = Math.fround(1 / highest);
  return Float32Array.from({ length: count }, (_, level) => level * step);
}

/** The film in 256 levels. @param {Film} film @returns {Uint8Array} */
export function in256(film) {
  const levels = Uint8Array.from(film.table, (shade) => rint(Math.fround(shade * 255)));
  return mapped(film.values, levels, new Uint8Array(film.values.length));
}

export function mapped(values, table, result) {
  for (let place = 0; place < values.length; place++) result[place] = table[values[place]];
  return result;
}

/** How much the shades differ from each other: their standard deviation. @param {Film} film */
export function spread(film) {
  const counts = new Float64Array(film.table.length);
  for (const value of film.values) counts[value]++;
  let [sum, squares] = [0, 0];
  for (let value = 0; value < counts.length; value++) {
    sum += counts[value] * film.table[value];
    squares += counts[value] * film.table[value] ** 2;
  }
  const mean = sum / film.values.length;
  return Math.sqrt(Math.max(squares / film.values.length - mean ** 2, 0));
}

/** Grey levels of red, green and blue, one after the other a pixel, as Pillow converts them. */
export function greyOfColor(color, channels) {
  const grey = new Uint8Array(color.length / channels);
  for (let place = 0, at = 0; place < grey.length; place++, at += channels) {
    grey[place] = (color[at] * 19595 + color[at + 1] * 38470 + color[at + 2] * 7471 + 0x8000) >> 16;
  }
  return grey;
}

/** How far a picture is from grey, from 0 to 1. */
export function colorfulness(color, channels, height, width) {
  let sum = 0;
  for (let row = 0; row < SAMPLE; row++) {
    const y = Math.floor(((row + 0.5) * height) / SAMPLE);
    for (let column = 0; column < SAMPLE; column++) {
      const at = (y * width + Math.floor(((column + 0.5) * width) / SAMPLE)) * channels;
      const [red, green, blue] = [color[at], color[at + 1], color[at + 2]];
      sum += Math.max(red, green, blue) - Math.min(red, green, blue);
    }
  }
  return sum / SAMPLE ** 2 / 255;
}

export function colorWarning(share) {
  if (share <= STRONGLY_COLORED) return [];
  return [{ code: "strongly_colored", detail: "a color picture, turned grey; films are grey: is it a film?" }];
}

export function turnWarning(turn) {
  return turn === 1 ? [] : [{ code: "turned", detail: `turned upright as its EXIF orientation (${turn}) says` }];
}
