// Where a film lies on the canvas, and where the canvas lies on the film. Pure: no canvas, no page.
//
// A view says how film pixels become canvas pixels: canvas = film * scale + (x, y).

/** @typedef {{width: number, height: number}} Size */
/** @typedef {{scale: number, x: number, y: number}} View */

const LARGEST = 32;

/** The whole film, in the middle. @param {Size} film @param {Size} canvas @returns {View} */
export function fit(film, canvas) {
  return centered(film, canvas, Math.min(canvas.width / film.width, canvas.height / film.height));
}

/** One film pixel on one canvas pixel, in the middle and on whole pixels, so that nothing is blended. */
export function actual(film, canvas) {
  const view = centered(film, canvas, 1);
  return { scale: 1, x: Math.round(view.x), y: Math.round(view.y) };
}

function centered(film, canvas, scale) {
  return { scale, x: (canvas.width - film.width * scale) / 2, y: (canvas.height - film.height * scale) / 2 };
}

/** Larger or smaller, while the place under (x, y) of the canvas stays there. */
export function zoomAt(view, x, y, factor, film, canvas) {
  const fitted = fit(film, canvas).scale;
  const scale = Math.min(Math.max(view.scale * factor, Math.min(fitted / 2, 1)), Math.max(LARGEST, fitted));
  const real = scale / view.scale;
  return kept({ scale, x: x - (x - view.x) * real, y: y - (y - view.y) * real }, film, canvas);
}

/** Moved, but never so far that the middle of the canvas is off the film. */
export function pan(view, dx, dy, film, canvas) {
  return kept({ scale: view.scale, x: view.x + dx, y: view.y + dy }, film, canvas);
}

function kept(view, film, canvas) {
  const clamp = (at, size, middle) => Math.min(Math.max(at, middle - size * view.scale), middle);
  return {
    scale: view.scale,
    x: clamp(view.x, film.width, canvas.width / 2),
    y: clamp(view.y, film.height, canvas.height / 2),
  };
}

/** The same place and size of a film when the canvas has become another one. */
export function resized(view, film, before, after) {
  const fitted = fit(film, before);
  if (Math.abs(view.scale / fitted.scale - 1) < 1e-6) return fit(film, after);
  return pan(view, (after.width - before.width) / 2, (after.height - before.height) / 2, film, after);
}

/** @param {View} view */
export function toFilm(view, x, y) {
  return { x: (x - view.x) / view.scale, y: (y - view.y) / view.scale };
}

/**
 * The part of a level (the film at some size) that an area of the canvas shows: whole pixels of the level, with one
 * more at each side for the blending between them. Null where it shows none.
 */
export function visible(view, film, level, area) {
  const [first, last] = [toFilm(view, area.x, area.y), toFilm(view, area.x + area.width, area.y + area.height)];
  const [across, down] = [level.width / film.width, level.height / film.height];
  const left = Math.max(Math.floor(first.x * across) - 1, 0);
  const top = Math.max(Math.floor(first.y * down) - 1, 0);
  const right = Math.min(Math.ceil(last.x * across) + 1, level.width);
  const bottom = Math.min(Math.ceil(last.y * down) + 1, level.height);
  return right > left && bottom > top ? { left, top, width: right - left, height: bottom - top } : null;
}

/** Where on the canvas a part of a level lies. */
export function onCanvas(view, film, level, part) {
  const [across, down] = [(film.width / level.width) * view.scale, (film.height / level.height) * view.scale];
  return {
    x: view.x + part.left * across,
    y: view.y + part.top * down,
    width: part.width * across,
    height: part.height * down,
  };
}

/**
 * A bar of a round length no longer than `longest` canvas pixels; spacing is mm between columns of the film.
 * @returns {{millimeters: number, pixels: number}}
 */
export function scaleBar(view, spacing, longest) {
  const most = (longest / view.scale) * spacing;
  const power = 10 ** Math.floor(Math.log10(most));
  const millimeters = [5, 2, 1].map((step) => step * power).find((length) => length <= most) ?? power;
  return { millimeters, pixels: (millimeters / spacing) * view.scale };
}
