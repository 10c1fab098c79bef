// Grey values become shades on the screen, as DICOM's LINEAR_EXACT has it. Pure: no canvas, no page.
//
// Grey values are 0 to 65,535 whatever the film had; windows are in the film's own levels, 0 to 2^bits - 1.

/** @typedef {{width: number, center: number}} Window */

export const PRESETS = ["whole", "auto", "dark", "bright"];
const WHITE = 65535;
// Which share of the film's pixels are to be black, and which below white.
const SHARES = { auto: [0.005, 0.995], dark: [0.01, 0.6], bright: [0.4, 0.998] };

/** The brightest level of a film of so many bits. */
export function brightest(bits) {
  return 2 ** bits - 1;
}

/**
 * For each grey value its shade as a canvas has it in memory: opaque, red, green and blue alike.
 * @param {Window} window @returns {Uint32Array<ArrayBuffer>}
 */
export function shades(window, bits, inverted) {
  const table = new Uint32Array(WHITE + 1);
  const step = brightest(bits) / WHITE;
  for (let grey = 0; grey <= WHITE; grey++) {
    const share = Math.min(Math.max((grey * step - window.center) / window.width + 0.5, 0), 1);
    const shade = Math.round(255 * (inverted ? 1 - share : share));
    table[grey] = 0xff000000 | (shade << 16) | (shade << 8) | shade;
  }
  return table;
}

/** A window by its name, for the film with these grey values. @returns {Window} */
export function preset(name, grey, bits) {
  const most = brightest(bits);
  if (name === "whole") return { width: most, center: most / 2 };
  const [black, white] = SHARES[name].map((share) => (quantile(grey, share) / WHITE) * most);
  return { width: Math.max(white - black, 1), center: (black + white) / 2 };
}

/** The window after the mouse was dragged: sideways the width, down the center, in shares of the whole range. */
export function dragged(window, across, down, bits) {
  const most = brightest(bits);
  return {
    width: Math.min(Math.max(window.width + across * most, most / 1000), 2 * most),
    center: Math.min(Math.max(window.center + down * most, -most / 2), 1.5 * most),
  };
}

function quantile(grey, share) {
  const counts = new Uint32Array(WHITE + 1);
  const stride = Math.max(Math.floor(grey.length / 200000), 1);
  let taken = 0;
  for (let place = 0; place < grey.length; place += stride, taken++) counts[grey[place]]++;
  let value = 0;
  for (let below = counts[0]; below <= share * taken && value < WHITE; below += counts[++value]);
  return value;
}
