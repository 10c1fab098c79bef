// Boxes on a film: taken hold of, moved, resized. Pure: pixels of the film, no canvas.

/** @typedef {{x: number, y: number, width: number, height: number, label: string | null}} Box */
/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number}} Size */

export const LEAST = 4; // pixels of the film; what is smaller was a click

/** What of a box lies under a place: a corner or side by its directions, "inside", or null. @returns {string | null} */
export function partAt(box, { x, y }, reach) {
  const near = (one, other) => Math.abs(one - other) <= reach;
  const within = x >= box.x - reach && x <= box.x + box.width + reach && y >= box.y - reach && y <= box.y + box.height + reach;
  if (!within) return null;
  const down = near(y, box.y) ? "n" : near(y, box.y + box.height) ? "s" : "";
  const across = near(x, box.x) ? "w" : near(x, box.x + box.width) ? "e" : "";
  return down + across || "inside";
}

/** The box with what was taken hold of moved by so much, within the film. @param {Box} box @param {Size} film @returns {Box} */
export function dragged(box, part, dx, dy, film) {
  if (part === "inside") return within({ ...box, x: box.x + dx, y: box.y + dy }, film);
  let [left, top, right, bottom] = [box.x, box.y, box.x + box.width, box.y + box.height];
  if (part.includes("w")) left += dx;
  if (part.includes("e")) right += dx;
  if (part.includes("n")) top += dy;
  if (part.includes("s")) bottom += dy;
  return { ...between({ x: left, y: top }, { x: right, y: bottom }, film), label: box.label };
}

/** The box whose corners these are, whichever they are, cut at the film's edge. @param {Point} one @param {Point} other @param {Size} film @returns {Box} */
export function between(one, other, film) {
  const cut = (value, most) => Math.min(Math.max(value, 0), most);
  const [left, right] = [cut(Math.min(one.x, other.x), film.width), cut(Math.max(one.x, other.x), film.width)];
  const [top, bottom] = [cut(Math.min(one.y, other.y), film.height), cut(Math.max(one.y, other.y), film.height)];
  return { x: left, y: top, width: right - left, height: bottom - top, label: null };
}

/** The same box, pushed into the film. @param {Box} box @param {Size} film @returns {Box} */
export function within(box, film) {
  const [width, height] = [Math.min(box.width, film.width), Math.min(box.height, film.height)];
  const x = Math.min(Math.max(box.x, 0), film.width - width);
  const y = Math.min(Math.max(box.y, 0), film.height - height);
  return { ...box, x, y, width, height };
}

/** A box to begin with by keyboard: in the middle of what is seen, a quarter of it wide. @param {Size} film @returns {Box} */
export function inTheMiddle(seen, film) {
  const [width, height] = [seen.width / 4, seen.height / 4];
  const box = { x: seen.x + (seen.width - width) / 2, y: seen.y + (seen.height - height) / 2, width, height, label: null };
  return rounded(within(box, film));
}

/** On whole pixels, of which it has one at least. @param {Box} box @returns {Box} */
export function rounded(box) {
  const [x, y] = [Math.round(box.x), Math.round(box.y)];
  return {
    x, y, width: Math.max(Math.round(box.x + box.width) - x, 1), height: Math.max(Math.round(box.y + box.height) - y, 1),
    label: box.label,
  };
}
