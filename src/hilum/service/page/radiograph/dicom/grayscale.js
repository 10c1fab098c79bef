// DICOM's grayscale pipeline: stored value -> modality LUT -> VOI LUT or window -> MONOCHROME1 inversion, evaluated once
// for each value that can be stored: radiograph/dicom/grayscale.py.

import { rint } from "../bytes.js";

const STRETCH_PERCENTILES = [0.5, 99.5];
const clip = (value, low, high) => Math.min(Math.max(value, low), high);

/** A LUT as DICOM stores it: values below `first` map to the first entry, values past the end to the last. */
export class LookupTable {
  constructor(first, bits, entries) {
    this.first = first;
    this.bits = bits;
    this.entries = entries;
  }

  entry(value) {
    return this.entries[clip(rint(value) - this.first, 0, this.entries.length - 1)];
  }

  shade(value) {
    return clip(this.entry(value) / this.highest, 0, 1);
  }

  /** The output that means full brightness. A LUT that declares 16 bits but holds 12 is a known vendor slip. */
  get highest() {
    const largest = this.entries.reduce((most, entry) => Math.max(most, entry), 0);
    const declared = 2 ** this.bits - 1;
    if (largest > declared || (this.bits === 16 && largest < 4096)) {
      return Math.max(2 ** (largest ? Math.floor(Math.log2(largest)) + 1 : 0) - 1, 1);
    }
    return declared;
  }
}

/** The range of values that is spread over black to white, and how. */
export class Window {
  constructor(center, width, name) {
    this.center = center;
    this.width = width;
    this.name = name;
  }

  get isValid() {
    const { center, width } = this;
    return Number.isFinite(center) && Number.isFinite(width) && width >= (this.name === "LINEAR" ? 1 : 0) && width > 0;
  }

  /** As PS3.3 C.11.2.1.2 and C.11.2.1.3 define it. */
  shade(value) {
    const { center, width } = this;
    if (this.name === "SIGMOID") return 1 / (1 + Math.exp(clip((-4 * (value - center)) / width, -700, 700)));
    if (this.name === "LINEAR_EXACT") return clip((value - center) / width + 0.5, 0, 1);
    if (width === 1) return value > center - 0.5 ? 1 : 0;
    return clip((value - (center - 0.5)) / (width - 1) + 0.5, 0, 1);
  }
}

/**
 * The shade of every value that can be stored, and whether a window or LUT was followed (else the values were stretched).
 * @param {{bits: number, signed: boolean, inverted: boolean, modality: LookupTable | null, slope: number,
 *   intercept: number, voi: LookupTable | Window | null, padding: number | null}} pipeline
 */
export function render(pipeline, stored) {
  const counts = histogram(stored);
  const values = meanings(pipeline, counts.length);
  const { voi } = pipeline;
  if (voi) {
    const highest = voi instanceof LookupTable ? voi.highest : 1;
    const shade = voi instanceof LookupTable ? (value) => clip(voi.entry(value) / highest, 0, 1) : (value) => voi.shade(value);
    const table = tableOf(values.map(shade), pipeline.inverted);
    if (showsSeveral(table, counts)) return { table, followed: true }; // a window beside all values shows one grey level
  }
  return { table: tableOf(stretched(pipeline, values, counts), pipeline.inverted), followed: false };
}

/** What each storable value stands for: unused high bits dropped, sign extended, modality applied. */
function meanings({ bits, signed, modality, slope, intercept }, count) {
  const range = 2 ** bits;
  return Float64Array.from({ length: count }, (_, stored) => {
    let value = stored % range;
    if (signed && value >= range / 2) value -= range;
    return modality ? modality.entry(value) : value * slope + intercept;
  });
}

function stretched({ bits, padding }, values, all) {
  const counts = all.slice();
  if (padding !== null) {
    const range = 2 ** bits;
    const low = ((padding % range) + range) % range;
    const isPadding = (stored) => stored % range === low;
    // Padding is what a detector never saw; it would pull the stretch towards itself.
    if (counts.some((count, stored) => count > 0 && !isPadding(stored))) {
      for (let stored = low; stored < counts.length; stored += range) counts[stored] = 0;
    }
  }
  const order = Uint32Array.from(values.keys()).sort((one, other) => values[one] - values[other] || one - other);
  let total = 0;
  for (const count of counts) total += count;
  let [low, high] = STRETCH_PERCENTILES.map((percentile) => {
    const rank = (percentile / 100) * (total - 1);
    let below = 0;
    for (const stored of order) if ((below += counts[stored]) > rank) return values[stored];
    return values[order[order.length - 1]];
  });
  if (low === high) {
    [low, high] = [Infinity, -Infinity];
    counts.forEach((count, stored) => {
      if (count === 0) return;
      low = Math.min(low, values[stored]);
      high = Math.max(high, values[stored]);
    });
  }
  if (low === high) return new Float64Array(values.length);
  return values.map((value) => clip((value - low) / (high - low), 0, 1));
}

function tableOf(shades, inverted) {
  return Float32Array.from(shades, (shade) => (inverted ? 1 - shade : shade));
}

function showsSeveral(table, counts) {
  let shown = null;
  return counts.some((count, stored) => {
    if (count === 0) return false;
    shown ??= table[stored];
    return table[stored] !== shown;
  });
}

function histogram(stored) {
  const counts = new Float64Array(stored.BYTES_PER_ELEMENT === 2 ? 65536 : 256);
  for (const value of stored) counts[value]++;
  return counts;
}
