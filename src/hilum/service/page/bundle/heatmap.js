// A heatmap alone, in an overlay's colors, to be laid over a film: output/heatmap.py. Pure.

import { mapOnFilm } from "./place.js";

// From no evidence to the most: matplotlib's inferno (CC0) from a quarter to nine tenths, as output/marks.py has it.
const COLORS = [
  [87, 16, 110], [125, 30, 109], [163, 44, 97], [199, 62, 76], [228, 90, 49], [246, 128, 19], [252, 172, 17], [246, 209, 60],
];
const [MOST_OPAQUE, LONGEST] = [0.6, 512]; // it has far fewer places
// Red, green, blue and opacity as a canvas has them in memory, for each of so many strengths.
const SHADES = Uint32Array.from({ length: 1024 }, (_, number) => {
  const strength = number / 1023;
  const at = strength * (COLORS.length - 1);
  const lower = Math.min(Math.floor(at), COLORS.length - 2);
  const levels = [0, 1, 2].map((channel) =>
    Math.round(COLORS[lower][channel] * (1 - at + lower) + COLORS[lower + 1][channel] * (at - lower)));
  const opacity = Math.round(255 * MOST_OPAQUE * strength ** 0.7);
  return ((opacity << 24) | (levels[2] << 16) | (levels[1] << 8) | levels[0]) >>> 0;
});

/** Red, green, blue and opacity of each pixel, in the film's proportions. */
export function drawnHeatmap(geometry, map, film) {
  const scale = Math.min(LONGEST / Math.max(film.fullHeight, film.fullWidth), 1);
  const height = Math.max(Math.round(film.fullHeight * scale), 1);
  const width = Math.max(Math.round(film.fullWidth * scale), 1);
  const laid = mapOnFilm(geometry, map, height, width);
  let most = 1e-9;
  for (let at = 0; at < laid.length; at++) most = Math.max(most, laid[at], -laid[at]);
  const pixels = new Uint32Array(laid.length);
  for (let at = 0; at < laid.length; at++) pixels[at] = SHADES[Math.round(1023 * Math.max(laid[at] / most, 0))];
  return { pixels: new Uint8ClampedArray(pixels.buffer), height, width };
}
