// Scaling with an antialiasing triangle filter, to the very levels that Pillow gives: its resize with BILINEAR and
// reducing_gap, in whole numbers of 22 bits. Pure.

const PRECISION = 22;
const GAP = 3;

/** @typedef {{values: Uint8Array, height: number, width: number}} Levels */
/** @typedef {[number, number, number, number]} Box left, top, right, bottom */

/** A part of 256 levels at another size. @param {Levels} film @param {Box} box @returns {Levels} */
export function resized(film, height, width, box) {
  const across = Math.trunc((box[2] - box[0]) / width / GAP) || 1;
  const down = Math.trunc((box[3] - box[1]) / height / GAP) || 1;
  let part = box;
  if (across > 1 || down > 1) {
    const safe = safeBox(film, height, width, box);
    film = reduced(film, across, down, safe);
    part = /** @type {Box} */ (box.map((side, number) => (side - safe[number % 2]) / (number % 2 ? down : across)));
  }
  const [left, top, right, bottom] = part;
  const narrowed = (levels) => width === levels.width && left === 0 && right === levels.width
    ? levels : scaledAcross(levels, width, taps(levels.width, left, right, width));
  const lowered = (levels) => height === levels.height && top === 0 && bottom === levels.height
    ? levels : scaledDown(levels, height, taps(levels.height, top, bottom, height));
  // Each way rounds to whole levels, so it matters which comes first: Pillow begins with the one that leaves less to do.
  const downFirst = film.height > height && film.height - height > 2 * (film.width - width);
  return downFirst ? narrowed(lowered(film)) : lowered(narrowed(film));
}

/** The same of any numbers, without rounding. @returns {Float32Array} */
export function resizedFloats({ values, height: rows, width: columns }, height, width, [left, top, right, bottom]) {
  const [across, down] = [taps(columns, left, right, width), taps(rows, top, bottom, height)];
  const narrow = new Float32Array(rows * width);
  for (let x = 0; x < width; x++) {
    const { first, shares } = across[x];
    for (let y = 0; y < rows; y++) {
      let sum = 0;
      for (let place = 0; place < shares.length; place++) sum += values[y * columns + first + place] * shares[place];
      narrow[y * width + x] = sum;
    }
  }
  const result = new Float32Array(height * width);
  const sums = new Float64Array(width);
  for (let y = 0; y < height; y++) {
    const { first, shares } = down[y];
    sums.fill(0);
    for (let place = 0; place < shares.length; place++) {
      const [start, share] = [(first + place) * width, shares[place]];
      for (let x = 0; x < width; x++) sums[x] += narrow[start + x] * share;
    }
    result.set(sums, y * width);
  }
  return result;
}

/** The box and the pixels around it that the filter may still reach. @returns {Box} */
function safeBox(film, height, width, box) {
  const [x, y] = [(0.5 * (box[2] - box[0])) / width, (0.5 * (box[3] - box[1])) / height];
  return [
    Math.max(0, Math.trunc(box[0] - x)), Math.max(0, Math.trunc(box[1] - y)),
    Math.min(film.width, Math.ceil(box[2] + x)), Math.min(film.height, Math.ceil(box[3] + y)),
  ];
}

/** The means of blocks of whole pixels, smaller ones at the far edges. */
function reduced(film, across, down, [left, top, right, bottom]) {
  const [width, height] = [Math.ceil((right - left) / across), Math.ceil((bottom - top) / down)];
  const values = new Uint8Array(width * height);
  for (let row = 0; row < height; row++) {
    const [first, last] = [top + row * down, Math.min(top + (row + 1) * down, bottom)];
    for (let column = 0; column < width; column++) {
      const [from, to] = [left + column * across, Math.min(left + (column + 1) * across, right)];
      const count = (last - first) * (to - from);
      let sum = count >> 1;
      for (let y = first; y < last; y++) for (let x = from; x < to; x++) sum += film.values[y * film.width + x];
      values[row * width + column] = Math.floor((sum * Math.trunc(Math.fround(2 ** 24 / count))) / 2 ** 24);
    }
  }
  return { values, height, width };
}

/** For each new place the first old one that it takes from, and how much from each. */
function taps(size, from, to, count) {
  const start = Math.fround(from);
  const scale = Math.fround(Math.fround(to) - start) / count;
  const support = Math.max(scale, 1);
  return Array.from({ length: count }, (_, place) => {
    const center = start + (place + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const last = Math.min(Math.trunc(center + support + 0.5), size);
    const shares = new Float64Array(Math.max(last - first, 0));
    let sum = 0;
    for (let at = 0; at < shares.length; at++) {
      shares[at] = Math.max(1 - Math.abs((at + first - center + 0.5) * (1 / support)), 0);
      sum += shares[at];
    }
    if (sum !== 0) for (let at = 0; at < shares.length; at++) shares[at] /= sum;
    return { first, shares };
  });
}

function inWholeNumbers({ first, shares }) {
  return { first, shares: Int32Array.from(shares, (share) => Math.trunc(share * 2 ** PRECISION + 0.5)) };
}

function scaledAcross({ values, height, width: old }, width, places) {
  const result = new Uint8Array(height * width);
  places.map(inWholeNumbers).forEach(({ first, shares }, x) => {
    for (let y = 0; y < height; y++) {
      let sum = 1 << (PRECISION - 1);
      const start = y * old + first;
      for (let place = 0; place < shares.length; place++) sum += values[start + place] * shares[place];
      result[y * width + x] = Math.min(sum >> PRECISION, 255);
    }
  });
  return { values: result, height, width };
}

function scaledDown({ values, width }, height, places) {
  const result = new Uint8Array(height * width);
  const sums = new Int32Array(width);
  places.map(inWholeNumbers).forEach(({ first, shares }, y) => {
    sums.fill(1 << (PRECISION - 1));
    shares.forEach((share, place) => {
      const start = (first + place) * width;
      for (let x = 0; x < width; x++) sums[x] += values[start + x] * share;
    });
    for (let x = 0; x < width; x++) result[y * width + x] = Math.min(sums[x] >> PRECISION, 255);
  });
  return { values: result, height, width };
}
