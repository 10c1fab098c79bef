// The edge of what a mask shows, as lines between its places. Pure.

/** @typedef {{grey: ArrayLike<number>, width: number, height: number}} Levels */

/**
 * The lines along which a mask passes through half of its range (marching squares): x and y of both ends of each, as
 * fractions of width and height. What reaches the picture's edge stays open there.
 * @param {Levels} mask
 * @returns {Float32Array}
 */
export function outline({ grey, width, height }, half = 127.5) {
  const lines = [];
  const between = (x, y, value, toX, toY, next) => {
    if (value >= half === next >= half) return;
    const way = (half - value) / (next - value);
    lines.push((x + way * (toX - x) + 0.5) / width, (y + way * (toY - y) + 0.5) / height);
  };
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0; x + 1 < width; x++) {
      const at = y * width + x;
      const [one, right, below, last] = [grey[at], grey[at + 1], grey[at + width], grey[at + width + 1]];
      // around the four places: none, two or all four of the sides are crossed, each two of them joined by a line
      between(x, y, one, x + 1, y, right);
      between(x + 1, y, right, x + 1, y + 1, last);
      between(x + 1, y + 1, last, x, y + 1, below);
      between(x, y + 1, below, x, y, one);
    }
  }
  return Float32Array.from(lines);
}
